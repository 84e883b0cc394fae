"""Chains of three operators at several orders at once: how many a second, and whether what they hold is right."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.chain.buyer import Done, Job
from benchmarks.chain.buying import Buying, buying
from benchmarks.chain.federation import Chain, Shape, chain, intent
from benchmarks.chain.meter import Meter
from benchmarks.chain.told import Told
from benchmarks.run import say

AT_ONCE: Final = (1, 16, 32)
PAIRS: Final = 7
CHECKED: Final = 64  # leases kept while the books are read
LAST_BPS: Final = 90_000_000_000  # of an interconnect of 100 Gb/s: the second one does not fit


async def loaded(folder: Path, told: Told, leases: int) -> None:
    """At 1, 16 and 32 at once, `leases` of each but the first; then all want the same last capacity."""
    say("\n3 operators, several orders at once")
    async with chain(folder / "loaded", Shape(3)) as made, buying(made) as buyer:
        await buyer.do(Job("lease", 20, 4, made.intent))
        for at_once in AT_ONCE:
            done = await _job(told, "loaded", (made, buyer), leases if at_once > 1 else leases // 4, at_once)
            if at_once == 16:
                told.note("chain3_conc16_per_s", "mean", len(done.steps.whole) / done.seconds)
            await _checked(told, made, buyer, at_once)
        await _last(told, made, buyer)


async def bare(folder: Path, told: Told, leases: int) -> None:
    """The same without TLS and without tokens between buyer and broker."""
    say("\n3 operators, the buyer with a bearer key and without TLS")
    async with chain(folder / "bare", Shape(3, bare=True)) as made, buying(made) as buyer:
        await buyer.do(Job("lease", 20, 4, made.intent))
        for at_once in (1, 16):
            count = leases if at_once > 1 else leases // 4
            await _job(told, "buyer without TLS and tokens", (made, buyer), count, at_once)


async def _job(told: Told, part: str, who: tuple[Chain, Buying], leases: int, at_once: int) -> Done:
    made, buyer = who
    meter = Meter(made.pids() | {"buyer": buyer.process.pid})
    done = await buyer.do(Job("lease", leases, at_once, made.intent))
    told.row(part, done, meter.ms_each(leases), at_once=at_once)
    assert len(done.steps.whole) == leases, f"every order becomes ACTIVE, and {done.refused} did not"
    return done


async def _checked(told: Told, made: Chain, buyer: Buying, at_once: int) -> None:
    """Keep some, read the operators' books, release them."""
    kept = await buyer.do(Job("keep", CHECKED, at_once, made.intent))
    books = made.books()
    assert books.claims == 3 * len(kept.orders) == 3 * CHECKED, f"{books}, {kept.refused}"
    told.note("wrong_labels", f"{at_once} at once, {books.leases} leases", books.wrong_labels)
    told.note("oversold", f"{at_once} at once", books.oversold)
    await buyer.do(Job("release", at_once=16, orders=kept.orders))


async def _last(told: Told, made: Chain, buyer: Buying) -> None:
    """Everybody wants nine tenths of the same interconnects at once: one may have them."""
    won = await buyer.do(Job("keep", 32, 32, intent(3, LAST_BPS)))
    books = made.books()
    say(f"  32 want 90 of 100 Gb/s at once: {len(won.orders)} has it; refused {won.refused}")
    told.note("oversold", "32 want 90 of 100 Gb/s", max(books.oversold, len(won.orders) - 1))
    await buyer.do(Job("release", orders=won.orders))


async def kept(folder: Path, told: Told, leases: int, keep: int) -> None:
    """Two chains in turn, one of them with `keep` leases in force: `PAIRS` times `leases` at each."""
    say(f"\n3 operators, 16 at once, with {keep} leases kept and with none, in turn")
    async with (
        chain(folder / "full", Shape(3)) as full,
        chain(folder / "empty", Shape(3)) as empty,
        buying(full) as many,
        buying(empty) as none,
    ):
        await many.do(Job("keep", keep, 16, full.intent))
        await none.do(Job("lease", leases, 16, empty.intent))
        ratios = [await _pair((full, many), (empty, none), leases, first=pair % 2) for pair in range(PAIRS)]
    told.rows.append({"part": "kept", "kept": keep, "ratios": [round(ratio, 3) for ratio in ratios]})
    say(f"  kept / empty: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    told.note("kept_600_vs_empty", f"{keep} kept", median(ratios))


async def _pair(full: tuple[Chain, Buying], empty: tuple[Chain, Buying], leases: int, first: int) -> float:
    rates = {}
    for turn in (first, 1 - first):
        made, buyer = (full, empty)[turn]
        done = await buyer.do(Job("lease", leases, 16, made.intent))
        rates[turn] = len(done.steps.whole) / done.seconds
    return rates[0] / rates[1]
