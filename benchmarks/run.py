"""One run of the benchmark: what was asked for, what it works on, what has been measured, and how it is told."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple

from benchmarks.caida.forms import FORMS, SEED, Federation, federation
from benchmarks.caida.publish import OUT
from benchmarks.digraph import Digraph
from benchmarks.figures import Figures
from benchmarks.ours import BEST, ENGINES, Engine
from benchmarks.peers.peer import Peer
from benchmarks.question import EU, GLOBAL, WINDOW, Family, Question
from benchmarks.questions import asked
from benchmarks.timing import CLOCKS, Timed, interleaved

PATHS: Final = OUT / "paths.json"
PACKAGES: Final = ("numpy", "networkx", "rustworkx", "scipy", "cspy", "numba")
Row = dict[str, Any]


class Subject(NamedTuple):
    """What is measured on: a federation as sheets, as the peers have it, and in our engine."""

    world: Federation
    graph: Digraph
    engine: Engine

    @property
    def name(self) -> str:
        """Which of the forms it is."""
        return self.world.name

    def refused(self, family: Family) -> dict[tuple[str, str], Any]:
        """What policy keeps out of the questions of a family."""
        return dict(self.world.outside_eu) if family == EU else {}


class Run:
    """Options of the command line, and everything measured so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.figures = Figures()
        self.notes: dict[str, Any] = {}
        self.clock = CLOCKS[options.clock]
        self._rows: list[dict[str, Any]] = []

    def made(self, name: str) -> Subject:
        """A subject by the name of its form."""
        began = perf_counter()
        world = federation(name)
        graph = Digraph(world.sheets, WINDOW)
        made = perf_counter()
        engine = ENGINES[self.options.engine](world.sheets)
        built_s = perf_counter() - made
        offers = sum(len(sheet.offers) for sheet in world.sheets.values())
        say(
            f"\n{name}: {FORMS[name].said}; {len(world.sheets)} operators, {offers:,} offers, {graph.size:,} vertices, "
            f"{graph.arcs:,} arcs. Sheets and arrays {made - began:.1f} s, {engine.name} built in {built_s:.1f} s."
        )
        return Subject(world, graph, engine)

    def questions(self, subject: Subject, family: Family, most: int | None = None) -> list[Question]:
        """The questions of a family; `most` of them, with one limit only, where that is given."""
        count = self.options.questions if most is None else min(most, self.options.questions)
        refused = subject.world.outside_eu
        return asked(subject.name, subject.graph, refused, family, count=count, seed=SEED, second=most is None)

    def timed(self, contenders: Sequence[Peer], questions: Sequence[Question], rounds: int | None = None) -> Timed:
        """Contenders in turn, as often as the options say."""
        return interleaved(contenders, questions, rounds or self.options.rounds, self.clock)

    def show(self, subject: Subject, family: Family, timed: Timed, base: str) -> None:
        """A table of contenders, with the median of each over that of `base`."""
        rows: list[tuple[str, ...]] = [("", "median ms", "p95 ms", "max ms", "/ ours, one limit")]
        for contender in timed.seconds:
            figures = timed.median_ms(contender), timed.p95_ms(contender), timed.max_ms(contender)
            ratio = figures[0] / timed.median_ms(base)
            rows.append((contender, *(f"{ms:.2f}" for ms in figures), f"{ratio:.2f}"))
            told = dict(zip(("median_ms", "p95_ms", "max_ms"), figures, strict=True))
            self._rows.append({"graph": subject.name, "family": family.name, "contender": contender, **told})
        count = len(timed.seconds[base])
        table(f"{subject.name}, {family.name}, {count} questions at {family.gbps} Gb/s", rows)

    def finish(self) -> None:
        """The figures, on the screen and in the file."""
        table("Figures", self.figures.lines())
        versions = {name: version(name) for name in PACKAGES if find_spec(name)}
        self.write(PATHS, self.figures.as_json(), self._rows, versions=versions, **self.notes)

    def each(self, measure: Callable[[Run, Subject, Family], Iterable[Row]]) -> list[Row]:
        """The rows of `measure` on every graph that was asked for, for both families of questions."""
        rows: list[Row] = []
        for name in self.options.graphs:
            subject = self.made(name)
            for family in (GLOBAL, EU):
                rows += measure(self, subject, family)
            gc.collect()
        return rows

    def write(self, path: Path, figures: Mapping[str, Any], rows: Sequence[Row], **more: Any) -> None:
        """Figures and rows in a file, with what they were measured by."""
        by = {"engine": self.options.engine, "clock": self.options.clock}
        write(path, {"figures": figures, **by, **more, "rows": rows})


def parser(name: str, said: str | None, graphs: Sequence[str], rounds: int) -> argparse.ArgumentParser:
    """The options of every benchmark that asks for paths; `said` is the docstring of its module."""
    made = argparse.ArgumentParser(prog=f"make bench-{name} ARGS=...", description=(said or "").partition("\n")[0])
    made.add_argument("--graphs", nargs="*", choices=graphs, default=list(graphs))
    made.add_argument("--questions", type=int, default=60, help="per graph and family")
    made.add_argument("--rounds", type=int, default=rounds, help="times that each question is asked")
    made.add_argument("--engine", choices=list(ENGINES), default=BEST)
    made.add_argument("--clock", choices=list(CLOCKS), default="cpu", help="processor time of this process, or all")
    return made


def write(path: Path, told: Mapping[str, Any]) -> None:
    """A file of figures, with the Python and the machine that they are of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"python": platform.python_version(), "machine": machine()}
    path.write_text(json.dumps({**told, **about}, indent=1) + "\n", encoding="utf-8")
    say(f"\nwritten to {os.path.relpath(path)}")


def table(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows, the head first: names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    say(f"\n{title}")
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        say("  " + "  ".join([row[0].ljust(widths[0]), *cells]).rstrip())


def say(line: str) -> None:
    """Print a line at once: a run takes minutes."""
    print(line, flush=True)


def machine() -> str:
    """Processors of this machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.processor()
