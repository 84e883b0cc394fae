"""Pairs timed against single searches, interleaved: `make bench-backups` (ARGS="--graphs abstract-40k").

Every question is cold and asked for each kind of being apart, without limits and with a latency limit on both paths.
`greedy` takes the best path and then the best one apart from it: two searches, which may end dearer than the best pair
or without a backup (trapped). Told too: nodes, searches, how many pairs there are, and how far an unproven one can be
from the best. Writes benchmarks/out/backups.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, Final

from msgspec import structs

from benchmarks.caida.publish import OUT
from benchmarks.contender import Cold
from benchmarks.greedy import greedy_pair
from benchmarks.ours import BEST, ENGINES, Engine, Finder
from benchmarks.question import EU, GLOBAL, Family, Question, query
from benchmarks.run import Run, Subject, machine, say, table
from benchmarks.timing import CLOCKS, Timed
from federation.broker.paths.backup.finding import Backup, Paired, Unpaired, find_pair
from federation.broker.paths.query import WORK_MAX, Query
from federation.policy.limits import Refusals
from schemas.backup import Apart

BACKUPS: Final = OUT / "backups.json"
GRAPHS: Final = ("abstract-40k", "abstract-100k")
LIMITS: Final = ("no limit", "one limit")


class Pairs:
    """The best pair; every question is the first one that the engine hears. Answers are kept in order."""

    finder: ClassVar[Finder] = staticmethod(find_pair)
    kind = ""

    def __init__(self, engine: Engine, refused: Refusals, apart: Apart, limits: int) -> None:
        self.name = f"{apart}{self.kind}"
        self.apart = apart
        self.found: dict[tuple[object, object], Paired | Unpaired] = {}
        self._engine, self._refused, self._limits = engine, refused, limits
        self._query: Query | None = None

    def prepare(self, question: Question) -> None:
        """Forget the questions before."""
        self._query = structs.replace(query(question, self._refused, self._limits), work=WORK_MAX)
        self._engine.forget()

    def solve(self, question: Question) -> int | None:
        """What both cost; None where there is no pair."""
        assert self._query is not None, "a question is prepared first"
        backup = Backup(apart=self.apart, limits=self._query.limits)
        found = self._engine.pair(self._query, backup, self.finder)
        self.found[question.a, question.z] = found
        return found.total_micro if isinstance(found, Paired) else None


class Greedy(Pairs):
    """The best path, and the best one apart from it."""

    finder: ClassVar[Finder] = staticmethod(greedy_pair)
    kind = ", greedy"


def measure(run: Run, subject: Subject, family: Family, limits: int) -> Iterator[dict[str, Any]]:
    """One row per kind of being apart."""
    engine, refused = subject.engine, subject.refused(family)
    questions, single = run.questions(subject, family), Cold(engine, refused, limits)
    best = [Pairs(engine, refused, apart, limits) for apart in Apart]
    greedy = [Greedy(engine, refused, apart, limits) for apart in Apart]
    timed = run.timed([single, *best, *greedy], questions)
    one_ms = timed.median_ms(single.name)
    lines: list[tuple[str, ...]] = [
        (
            "",
            "median ms",
            "p95 ms",
            "max ms",
            "/ two searches",
            "nodes",
            "p95",
            "searches",
            "pairs",
            "dearer",
            "trapped",
        )
    ]
    for exact, quick in zip(best, greedy, strict=True):
        told = row(timed, exact, quick, one_ms)
        sizes = (told[name] for name in ("nodes_median", "nodes_p95", "searches_median", "pairs", "dearer", "trapped"))
        ms = (f"{told[name]:.1f}" for name in ("median_ms", "p95_ms", "max_ms", "vs_two_searches"))
        lines.append((exact.name, *ms, *(f"{size:g}" for size in sizes)))
        yield {"graph": subject.name, "family": family.name, "limits": LIMITS[limits], **told}
    title = f"{subject.name}, {family.name}, {LIMITS[limits]}, {len(questions)} questions at {family.gbps} Gb/s"
    table(f"{title}; one search {one_ms:.2f} ms", lines)


def row(timed: Timed, exact: Pairs, quick: Pairs, one_ms: float) -> dict[str, Any]:
    """How long the best pair takes, what it took to find it, and what the greedy pair would have been."""
    name, answers = exact.name, list(exact.found.values())
    sums = zip(timed.answers[name], timed.answers[quick.name], strict=True)
    both = [(least, other) for least, other in sums if least is not None]
    extra = sorted(100 * (other / least - 1) for least, other in both if other is not None and other > least)
    gaps = [found.total_micro / found.bound - 1 for found in answers if isinstance(found, Paired) and not found.proven]
    nodes, searches = sorted(found.nodes for found in answers), sorted(found.solves for found in answers)
    return {
        "apart": name,
        "median_ms": timed.median_ms(name),
        "p95_ms": timed.p95_ms(name),
        "max_ms": timed.max_ms(name),
        "greedy_median_ms": timed.median_ms(quick.name),
        "vs_two_searches": timed.median_ms(name) / (2 * one_ms),
        "nodes_median": median(nodes),
        "nodes_p95": nodes[-(-95 * len(nodes) // 100) - 1],
        "nodes_max": nodes[-1],
        "searches_median": median(searches),
        "searches_max": searches[-1],
        "questions": len(answers),
        "pairs": len(both),
        "proven": sum(found.proven for found in answers),
        "gap_max": max(gaps, default=0),
        "dearer": len(extra),
        "dearer_by_percent_median": median(extra) if extra else 0,
        "dearer_by_percent_max": max(extra, default=0),
        "trapped": sum(other is None for _, other in both),
    }


def written(run: Run, rows: Sequence[dict[str, Any]]) -> None:
    """benchmarks/out/backups.json: ratios to two searches as figures, without a bar, and every row."""
    figures: dict[str, Any] = {}
    for each in rows:
        name = f"backup_{each['apart']}_{each['family']}_{each['limits'].replace(' ', '_')}_vs_two_searches"
        figure = figures.setdefault(name, {"unit": "ratio", "bar": None, "graphs": {}})
        figure["graphs"][each["graph"]] = each["vs_two_searches"]
        figure["value"] = max(figure["graphs"].values())
    about = {"python": platform.python_version(), "machine": machine()}
    told = {"figures": figures, "engine": run.options.engine, "clock": run.options.clock, **about, "rows": list(rows)}
    Path(BACKUPS).parent.mkdir(parents=True, exist_ok=True)
    BACKUPS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    say(f"\nwritten to {os.path.relpath(BACKUPS)}")


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="make bench-backups ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--graphs", nargs="*", choices=GRAPHS, default=list(GRAPHS))
    parser.add_argument("--questions", type=int, default=60, help="per graph and family")
    parser.add_argument("--rounds", type=int, default=1, help="times that each question is asked")
    parser.add_argument("--engine", choices=list(ENGINES), default=BEST)
    parser.add_argument("--clock", choices=list(CLOCKS), default="cpu", help="processor time of this process, or all")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    run, rows = Run(options(arguments)), list[dict[str, Any]]()
    for name in run.options.graphs:
        subject = run.made(name)
        for family in (GLOBAL, EU):
            for limits in range(len(LIMITS)):
                rows += measure(run, subject, family, limits)
        gc.collect()
    written(run, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
