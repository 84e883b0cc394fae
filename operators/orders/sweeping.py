"""The operator's sweeper: looks for orphans in its own books, memory and network, and sets right what stays wrong.

Disk, memory and network are not read at one instant, so one look proves nothing: what is wrong has to be so again, and
is looked at once more under the lock of its row before anything is done. Each act may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from operators.inventory.ledger import Claim
from operators.orders import fsm
from operators.orders.admission import claim_of
from operators.orders.fsm import Lease, Quote
from operators.orders.keeping import Batch
from operators.orders.lifecycle import wiring
from operators.orders.orphans import Books, Kind, Orphan, orphans
from operators.orders.shop import LEASE, QUOTE, Shop
from operators.orders.timers import Row
from schemas.problem import Problem
from schemas.segment import Id, window

SWEEP_S: Final = 300.0
WRONG_FOR_S: Final = 60
log = logging.getLogger(__name__)
Note = Callable[[Orphan], None]


class Sweeper:
    """One operator's. `note` records what was set right."""

    def __init__(self, shop: Shop, note: Note) -> None:
        self._shop, self._note = shop, note
        self._since: dict[tuple[Kind, Id], int] = {}
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Go round until cancelled; the first time when the daemon has had a moment to catch up."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
            except Problem as problem:
                log.warning("nothing swept: %s", problem)

    async def audit(self) -> tuple[Orphan, ...]:
        """What is wrong now, and was so a moment ago. Raises `UNAVAILABLE` without a disk."""
        async with self._turn:
            before = {(one.kind, one.what) for one in await self._look()}
            # What was under way between disk and memory is over once every act that had begun has ended.
            await self._shop.settled()
            return tuple(one for one in await self._look() if (one.kind, one.what) in before)

    async def sweep(self, wrong_for_s: int = WRONG_FOR_S) -> tuple[Orphan, ...]:
        """Look, and set right what has been wrong for so long; what was found."""
        found, now = await self.audit(), self._shop.now()
        keys = {(one.kind, one.what) for one in found}
        since = self._since = {key: self._since.get(key, now) for key in keys}
        for orphan in found:  # while another sweep, which a person asked for, may look anew
            if now - since[orphan.kind, orphan.what] >= wrong_for_s:
                await self._set_right(orphan)
        return found

    async def _look(self) -> list[Orphan]:
        shop, carried = self._shop, await self._carried()
        live = await shop.store.live()
        # Nothing is awaited from here on: memory is looked at in one turn of the loop.
        memory = shop.inventory.claims(), frozenset(shop.quotes), frozenset(shop.leases)
        return list(orphans(Books(shop.now(), live, *memory, carried)))

    async def _carried(self) -> frozenset[Id] | None:
        """What the network carries, where its driver can tell and does."""
        tell = getattr(self._shop.driver, "carried", None)
        if tell is None:
            return None
        try:
            return frozenset(await tell())
        except Exception:  # a driver is foreign code
            log.exception("fabric: cannot tell what it carries")
            return None

    async def _set_right(self, orphan: Orphan) -> None:
        shop = self._shop
        try:
            async with shop.locks.hold(f"{orphan.row}:{orphan.what}" if orphan.row else f"claim:{orphan.what}"):
                await self._act(orphan)
        except Problem as problem:
            log.warning("%s %s is still wrong: %s", orphan.kind, orphan.what, problem)
            return
        log.warning("swept: %s %s: %s", orphan.kind, orphan.what, orphan.why)
        self._note(orphan)

    async def _act(self, orphan: Orphan) -> None:
        shop = self._shop
        match orphan.kind:
            case Kind.CLAIM:
                await self._free(orphan.what)
            case Kind.UNCLAIMED if (row := await self._row(orphan)) is not None:
                await self._claim(row)
            case Kind.OVERDUE:
                shop.timers.arm(shop.now(), (orphan.row, orphan.what))
            case Kind.FORGOTTEN if (row := await self._row(orphan)) is not None:
                await self._remember(row)
            case Kind.NETWORK if await shop.store.lease(orphan.what) is None or orphan.what not in shop.leases:
                await self._drive(shop.driver.take_down(orphan.what))
            case Kind.DARK if (lease := shop.leases.get(orphan.what)) is not None:
                await self._drive(shop.driver.bring_up(lease.id, wiring(lease)))

    async def _free(self, claim_id: Id) -> None:
        owners = {quote.id for quote in self._shop.quotes.values()}
        owners |= {lease.claim for lease in self._shop.leases.values()}
        if claim_id not in owners:
            await self._shop.commit(Batch(freed=[claim_id]))

    async def _row(self, orphan: Orphan) -> Quote | Lease | None:
        """The row as it is on disk now, if it is not over."""
        live = await self._shop.store.live()
        rows: tuple[Any, ...] = live.quotes if orphan.row == QUOTE else live.leases
        return next((row for row in rows if row.id == orphan.what), None)

    async def _claim(self, row: Quote | Lease) -> None:
        """Keep for a lease what was sold to it, even where somebody else has some of it by now; a hold only what
        nobody else has."""
        claim = _claim_of(row)
        if isinstance(row, Quote):
            self._shop.take_up(row, claim)
        if row.id not in self._shop.lost:
            await self._shop.commit(Batch(claims=[claim]))

    async def _remember(self, row: Quote | Lease) -> None:
        if isinstance(row, Quote):
            live = await self._shop.store.live()
            self._shop.take_up(row, next((claim for claim in live.claims if claim.id == row.id), None))
        else:
            self._shop.remember_lease(row)
        step: Row = (QUOTE if isinstance(row, Quote) else LEASE, row.id)
        self._shop.timers.arm(self._shop.now(), step)

    async def _drive(self, act: Any) -> None:
        try:
            await act
        except Exception as error:  # a driver is foreign code: whatever it raises means that it was not done
            raise Problem("UNAVAILABLE", f"the network did not do it: {error}") from error


def _claim_of(row: Quote | Lease) -> Claim:
    if isinstance(row, Quote):
        claim = claim_of(row.id, row.segment, row.route)
    else:
        frame = window(row.start_s, fsm.kept_end_s(row))
        kept = structs.replace(row.segment, bandwidth_bps=fsm.kept_bps(row), window=frame)
        claim = claim_of(row.claim, kept, row.route)
    assert claim is not None, "a new segment uses something"
    return claim
