"""One order at a time over 2, 3, 5 and 8 operators, and in turn with it the floor over as many nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.chain.buyer import Done, Job, Steps
from benchmarks.chain.buying import Buying, buying
from benchmarks.chain.federation import Chain, Shape, chain
from benchmarks.chain.meter import Meter
from benchmarks.chain.spread import spread
from benchmarks.chain.told import Told
from benchmarks.run import say

COUNTS: Final = (2, 3, 5, 8)
ROUNDS: Final = 5
WARM: Final = 10


async def unloaded(folder: Path, told: Told, leases: int) -> None:
    """Every length of chain; `leases` of each."""
    for count in COUNTS:
        say(f"\n{count} operators, one order at a time; the floor in turn")
        async with chain(folder / f"unloaded{count}", Shape(count, floor=True)) as made, buying(made) as buyer:
            for kind in ("echo", "lease"):
                await buyer.do(Job(kind, WARM, 1, made.intent))
            floor, ours = await _in_turn(made, buyer, leases, told)
            _note(told, count, floor.steps, ours.steps)


async def _in_turn(made: Chain, buyer: Buying, leases: int, told: Told) -> tuple[Done, Done]:
    floor, ours = list[Done](), list[Done]()
    spent: dict[str, float] = {}
    for _ in range(ROUNDS):
        floor.append(await buyer.do(Job("echo", leases // ROUNDS, 1)))
        meter = Meter(made.pids() | {"buyer": buyer.process.pid})
        ours.append(await buyer.do(Job("lease", leases // ROUNDS, 1, made.intent)))
        spent = {name: spent.get(name, 0) + ms / ROUNDS for name, ms in meter.ms_each(leases // ROUNDS).items()}
    operators = len(made.made.plans)
    together = _together(floor), _together(ours)
    told.row("floor", together[0], {}, operators=operators)
    told.row("unloaded", together[1], spent, operators=operators)
    return together


def _together(parts: list[Done]) -> Done:
    """All of them as one."""
    steps = Steps(
        quote=[ms for one in parts for ms in one.steps.quote],
        active=[ms for one in parts for ms in one.steps.active],
        whole=[ms for one in parts for ms in one.steps.whole],
        release=[ms for one in parts for ms in one.steps.release],
    )
    return Done(steps, seconds=sum(one.seconds for one in parts))


def _note(told: Told, count: int, floor: Steps, ours: Steps) -> None:
    echo, of = spread(floor.quote).p50, f"{count} operators"
    told.note("quote_p50_vs_floor", of, spread(ours.quote).p50 / echo)
    told.note("active_p50_vs_floor", of, spread(ours.active).p50 / echo)
    for name, times in (("quote", ours.quote), ("active", ours.active)):
        found = spread(times)
        told.note("p99_vs_p50", f"{name}, {of}", found.p99 / found.p50)
    if count == 3:
        told.note("chain3_unloaded_ms", "median", spread(ours.whole).p50)
