"""What it takes to keep ours running: prices that change, a new process, memory."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from statistics import median
from typing import Final

from benchmarks import fresh
from benchmarks.caida.forms import SEED, Federation
from benchmarks.contender import Cold
from benchmarks.ours import Change, Repriced, deltas
from benchmarks.question import GLOBAL
from benchmarks.run import Run, Subject, say, table

REPRICED: Final = 1_000
SECONDS: Final = ("import_s", "build_s", "first_s", "second_s")
BYTES: Final = ("build_bytes", "search_bytes", "held_bytes")


def reprice(run: Run, subject: Subject) -> None:
    """A lot of price changes, then a question, in turn."""
    questions = run.questions(subject, GLOBAL)
    ours, took, answered = Cold(subject.engine, {}, 1), list[Repriced](), list[float]()
    for question, changes in zip(questions, _lots(subject.world, len(questions)), strict=True):
        lot = deltas(subject.engine.sheets, changes)
        took.append(subject.engine.reprice(lot, run.clock))
        ours.prepare(question)
        began = run.clock()
        ours.solve(question)
        answered.append(run.clock() - began)
    applied, whole = (median(each[place] for each in took) for place in (1, 0))
    run.figures.note("reprice_1000_vs_query_100k", subject.name, applied / median(answered))
    run.notes["reprice_ms"] = {"rows": applied * 1000, "from_deltas": whole * 1000}
    say(
        f"\n{subject.name}: {REPRICED:,} price changes in {applied * 1000:.3f} ms, ids resolved; from decoded deltas of"
        f" {len(subject.world.sheets)} operators to a new snapshot in {whole * 1000:.1f} ms (medians)"
    )


def fresh_process(run: Run, subject: Subject) -> None:
    """Time to the first answer and memory, in a process of its own."""
    both = fresh.look(subject.name, run.options.engine, run.questions(subject, GLOBAL)[0])
    run.notes["fresh"] = dict(zip(("empty_cache", "filled_cache"), both, strict=True))
    rows: list[tuple[str, ...]] = [("", "compile cache empty", "filled")]
    rows += [(key.replace("_s", ", s"), *(f"{told[key]:.3f}" for told in both)) for key in SECONDS]
    rows += [(key.replace("_", ", ") + " per arc", *(_per(told[key], subject) for told in both)) for key in BYTES]
    table(f"{subject.name}: a new process, {subject.engine.name}", rows)


def _per(held: int | None, subject: Subject) -> str:
    return "-" if held is None else f"{held / subject.graph.arcs:.0f}"


def _lots(world: Federation, count: int) -> Iterator[list[Change]]:
    """Lots of changes, each of offers drawn from all, up or down by a few percent."""
    offers = [(entity, offer) for entity, sheet in sorted(world.sheets.items()) for offer in sheet.offers.values()]
    rng = Random(SEED)
    for _ in range(count):
        yield [
            Change(entity, offer.id, offer.hourly_micro * percent // 100, offer.gbps_hourly_micro * percent // 100)
            for entity, offer in rng.sample(offers, REPRICED)
            for percent in [rng.randint(95, 105)]
        ]
