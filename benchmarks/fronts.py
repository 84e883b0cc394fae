"""Fronts timed against one single search each, interleaved: `make bench-fronts` (ARGS="--graphs abstract-40k").

Every question has no limits, is cold, and is asked for each choice of objectives. What a front holds is told too:
paths, labels expanded, and whether it is complete. Writes benchmarks/out/fronts.json.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any, Final

from msgspec import structs

from benchmarks.caida.publish import OUT
from benchmarks.contender import Cold
from benchmarks.figures import worst_ratios
from benchmarks.ours import Engine
from benchmarks.question import Family, Question, query
from benchmarks.run import Row, Run, Subject, parser, table
from federation.broker.paths.front.search import Front
from federation.broker.paths.query import WORK_MAX, Query
from federation.policy.limits import Refusals
from schemas.intent import Objective

FRONTS: Final = OUT / "fronts.json"
GRAPHS: Final = ("abstract-40k", "abstract-100k")
ALL: Final = (Objective.PRICE, Objective.LATENCY, Objective.CARBON)
CHOICES: Final = (ALL[:2], ALL)


class Fronts:
    """Every question is the first one that the engine hears; fronts are kept by question."""

    def __init__(self, engine: Engine, refused: Refusals, objectives: tuple[Objective, ...]) -> None:
        self.name = " ".join(objectives)
        self.found: dict[tuple[object, object], Front] = {}
        self._engine, self._refused, self._objectives = engine, refused, objectives
        self._query: Query | None = None

    def prepare(self, question: Question) -> None:
        """Forget the questions before."""
        self._query = structs.replace(query(question, self._refused, 0), work=WORK_MAX)
        self._engine.forget()

    def solve(self, question: Question) -> int | None:
        """How many paths there are to choose from."""
        assert self._query is not None, "a question is prepared first"
        front = self._engine.front(self._query, self._objectives)
        self.found[question.a, question.z] = front
        return len(front.routes)

    def sizes(self) -> dict[str, Any]:
        """What the fronts hold."""
        fronts = list(self.found.values())
        paths = sorted(len(front.routes) for front in fronts)
        return {
            "paths_median": median(paths),
            "paths_max": paths[-1],
            "labels_median": median(front.work for front in fronts),
            "complete": sum(front.complete for front in fronts) / len(fronts),
        }


def measure(run: Run, subject: Subject, family: Family) -> list[Row]:
    """One row per choice of objectives, and one for the single search."""
    engine, refused = subject.engine, subject.refused(family)
    questions, single = run.questions(subject, family), Cold(engine, refused, 0)
    fronts = [Fronts(engine, refused, objectives) for objectives in CHOICES]
    timed = run.timed([single, *fronts], questions)
    heads = ("", "median ms", "p95 ms", "max ms", "/ one search", "paths", "most", "complete")
    lines: list[tuple[str, ...]] = [heads]
    rows = []
    for name in timed.seconds:
        told = {"median_ms": timed.median_ms(name), "p95_ms": timed.p95_ms(name), "max_ms": timed.max_ms(name)}
        ratio = told["median_ms"] / timed.median_ms(single.name)
        sizes = next((front.sizes() for front in fronts if front.name == name), {})
        held = (
            [f"{sizes['paths_median']:g}", f"{sizes['paths_max']}", f"{sizes['complete']:.0%}"] if sizes else [""] * 3
        )
        lines.append((name, *(f"{ms:.2f}" for ms in told.values()), f"{ratio:.2f}", *held))
        where = {"graph": subject.name, "family": family.name, "contender": name}
        rows.append({**where, **told, "vs_single": ratio, **sizes})
    table(f"{subject.name}, {family.name}, {len(questions)} questions at {family.gbps} Gb/s", lines)
    return rows


def figures(rows: Iterable[Row]) -> Iterator[tuple[str, str, float]]:
    """Ratios to one search, which have no bar."""
    for row in rows:
        if "paths_median" in row:
            name = f"front_{row['contender'].replace(' ', '_')}_{row['family']}_vs_single"
            yield name, row["graph"], row["vs_single"]


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    run = Run(parser("fronts", __doc__, GRAPHS, rounds=3).parse_args(arguments))
    rows = run.each(measure)
    run.write(FRONTS, worst_ratios(figures(rows)), rows)


if __name__ == "__main__":
    main(sys.argv[1:])
