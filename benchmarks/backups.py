"""Pairs timed against single searches, interleaved: `make bench-backups` (ARGS="--graphs abstract-40k").

Every question is cold and asked for each kind of being apart, without limits and with a latency limit on both paths.
`greedy` takes the best path and then the best one apart from it: two searches, which may end dearer than the best pair
or without a backup (trapped). Told too: nodes, searches, how many pairs there are, and how far an unproven one can be
from the best. Writes benchmarks/out/backups.json.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import ClassVar, Final

from msgspec import structs

from benchmarks.caida.publish import OUT
from benchmarks.contender import Cold
from benchmarks.figures import worst_ratios
from benchmarks.greedy import greedy_pair
from benchmarks.ours import Engine, Finder
from benchmarks.question import Family, Question, query
from benchmarks.run import Row, Run, Subject, parser, table
from benchmarks.timing import Timed
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


def measure(run: Run, subject: Subject, family: Family) -> Iterator[Row]:
    """Without and with a limit."""
    for limits in range(len(LIMITS)):
        yield from limited(run, subject, family, limits)


def limited(run: Run, subject: Subject, family: Family, limits: int) -> Iterator[Row]:
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


def row(timed: Timed, exact: Pairs, quick: Pairs, one_ms: float) -> Row:
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


def figures(rows: Iterable[Row]) -> Iterator[tuple[str, str, float]]:
    """Ratios to two searches, which have no bar."""
    for each in rows:
        name = f"backup_{each['apart']}_{each['family']}_{each['limits'].replace(' ', '_')}_vs_two_searches"
        yield name, each["graph"], each["vs_two_searches"]


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    run = Run(parser("backups", __doc__, GRAPHS, rounds=1).parse_args(arguments))
    rows = run.each(measure)
    run.write(BACKUPS, worst_ratios(figures(rows)), rows)


if __name__ == "__main__":
    main(sys.argv[1:])
