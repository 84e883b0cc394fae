"""Twice the load that a broker sustains: who is refused is told when to come again, who is not is served in time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.chain.buyer import Job
from benchmarks.chain.buying import buying
from benchmarks.chain.federation import Shape, chain
from benchmarks.chain.spread import spread
from benchmarks.chain.told import Told
from benchmarks.run import say

AT_ONCE: Final = 16  # the default of `limits.quotes_at_once`


async def overload(folder: Path, told: Told, leases: int, seconds: float) -> None:
    """Find the rate with as many at once as one buyer may have, then begin twice as many a second for `seconds`."""
    say("\n3 operators, twice the load that they sustain")
    async with chain(folder / "overload", Shape(3, at_once=AT_ONCE)) as made, buying(made) as buyer:
        await buyer.do(Job("lease", 20, 4, made.intent))
        usual = await buyer.do(Job("lease", leases, AT_ONCE, made.intent))
        rate = len(usual.steps.whole) / usual.seconds
        told.row("at the load", usual, {}, at_once=AT_ONCE)
        much = await buyer.do(Job("lease", round(2 * rate * seconds), 1, made.intent, per_second=2 * rate))
        told.row("at twice the load", much, {}, begun_per_s=round(2 * rate, 1))
        left = made.books().claims
    refused = sum(much.refused.values())
    otherwise = refused - min(much.refused.get("TOO_MANY_REQUESTS", 0), much.told_when)
    served, before = much.steps.whole, usual.steps.whole
    say(f"  {len(served)} served, {refused} refused, {much.told_when} of these told when to come again, {left} left")
    told.note("overload_accepted_vs_p50", "intent to ACTIVE", spread(served).p50 / spread(before).p50)
    told.note("overload_refused_otherwise", f"of {refused}", otherwise)
    told.note("overload_left", "claims", left)
