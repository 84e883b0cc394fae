"""An operator's orders without network, disk or signatures: the real shop over a store in memory.

The store can be told to fail, and forgets nothing else, so a restart is a new shop over the same store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from federation.trust.keys import generate
from operators.access.gate import Named
from operators.access.signer import Signer
from operators.catalog.items import span
from operators.config import Holds, Sales
from operators.fabric.null import NullDriver
from operators.inventory.footprint import Footprint
from operators.inventory.ledger import Inventory
from operators.orders import fsm
from operators.orders.caps import HoldCaps
from operators.orders.desk import Desk
from operators.orders.fsm import Lease, Quote
from operators.orders.keeping import Batch, CancelRow, Live, OrderRow, Seen
from operators.orders.orphans import Books, Kind, orphans
from operators.orders.recovery import recover
from operators.orders.shop import OVER, WAITING, Shop
from operators.orders.timers import Timers
from operators.pricing.card import ClassCard, RateCard
from operators.pricing.network import Network
from schemas.lease import IN_FORCE
from schemas.problem import Problem
from schemas.quote import Action
from tests.support.footprints import ENTITY
from tests.support.seams import CountingEntropy, FixedClock


class MemoryStore:
    """`operators.orders.keeping.Store` in dictionaries. `failing` commits more will fail."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, Any]] = {
            name: {} for name in ("quotes", "leases", "orders", "cancels", "claims", "documents", "seen", "requests")
        }
        self.failing = 0

    async def commit(self, batch: Batch) -> None:
        await asyncio.sleep(0)  # others come in between, as while a disk works
        if self.failing:
            self.failing -= 1
            raise Problem("UNAVAILABLE", "the disk is full")
        for name in ("quotes", "leases", "orders", "cancels", "claims"):
            self.rows[name] |= {row.id: row for row in getattr(batch, name)}
        for claim_id in batch.freed:
            self.rows["claims"].pop(claim_id, None)
        self.rows["documents"] |= {document.hash: document for document in batch.documents}
        for seen in batch.seen:
            assert (seen.iss, seen.jti) not in self.rows["seen"], "a document has one effect"
            self.rows["seen"][seen.iss, seen.jti] = seen
        self.rows["requests"] |= dict(batch.requests)

    async def live(self) -> Live:
        quotes = tuple(quote for quote in self.rows["quotes"].values() if quote.state in WAITING)
        leases = tuple(lease for lease in self.rows["leases"].values() if lease.state not in OVER)
        return Live(quotes, leases, tuple(self.rows["claims"].values()))

    async def seen(self, iss: str, jti: str) -> Seen | None:
        return self.rows["seen"].get((iss, jti))

    async def quote(self, quote_id: str) -> Quote | None:
        return self.rows["quotes"].get(quote_id)

    async def quote_by_hash(self, quote_h: str) -> Quote | None:
        return next((quote for quote in self.rows["quotes"].values() if quote.hash == quote_h), None)

    async def lease(self, product: str) -> Lease | None:
        return self.rows["leases"].get(product)

    async def order(self, order_id: str) -> OrderRow | None:
        return self.rows["orders"].get(order_id)

    async def cancel(self, cancel_id: str) -> CancelRow | None:
        return self.rows["cancels"].get(cancel_id)

    async def request(self, row_id: str) -> bytes:
        return bytes(self.rows["requests"][row_id])

    async def requests(self, row_ids: Sequence[str]) -> Mapping[str, bytes]:
        return {row_id: self.rows["requests"][row_id] for row_id in row_ids if row_id in self.rows["requests"]}

    async def document(self, document_h: str, broker: str) -> str | None:
        found = self.rows["documents"].get(document_h)
        return found.token if found and found.broker == broker else None

    async def quotes(self, broker: str, external_id: str | None) -> Sequence[Quote]:
        return self._of("quotes", broker, external_id)

    async def orders(self, broker: str, external_id: str | None) -> Sequence[OrderRow]:
        return self._of("orders", broker, external_id)

    async def cancels(self, broker: str) -> Sequence[CancelRow]:
        return self._of("cancels", broker, None)

    async def leases(self, broker: str) -> Sequence[Lease]:
        return self._of("leases", broker, None)

    async def prune(self, before_s: int, limit: int) -> int:
        over = [quote for quote in self.rows["quotes"].values() if quote.state in {"EXPIRED", "DECLINED"}]
        lost = [quote for quote in over if quote.history[-1].at < before_s][:limit]
        for quote in lost:
            del self.rows["quotes"][quote.id]
            self.rows["seen"] = {key: one for key, one in self.rows["seen"].items() if one.ref != quote.id}
        return len(lost)

    async def prune_ended(self, before_s: int, limit: int) -> int:
        over = [lease for lease in self.rows["leases"].values() if lease.state in OVER]
        ended = [lease for lease in over if lease.history[-1].at < before_s][:limit]
        for lease in ended:
            of_it = [order for order in self.rows["orders"].values() if order.product == lease.id]
            gone = {lease.id, lease.order_id, lease.claim} | {name for one in of_it for name in (one.id, one.quote_id)}
            for table in ("leases", "orders", "quotes", "requests"):
                self.rows[table] = {name: row for name, row in self.rows[table].items() if name not in gone}
        return len(ended)

    def _of(self, name: str, broker: str, external_id: str | None) -> Sequence[Any]:
        rows = [row for row in self.rows[name].values() if row.broker == broker]
        return [row for row in rows if external_id is None or row.external_id == external_id]


class OpenGate:
    """Believes whatever a test says a token holds."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}

    def token(self, claims: Any) -> str:
        token = f"t.{len(self.claims)}.s"
        self.claims[token] = claims
        return token

    def name(self, token: str, kind: type[Any], field: str) -> Named:
        return Named(self.claims[token].jti, f"{token:h<43}"[:43].replace(".", "-"))

    async def heed(self, token: str, caller: str) -> None:
        """Every key is known."""

    def verify(self, token: str, kind: type[Any], caller: str, field: str) -> Any:
        return self.claims[token]

    def read(self, token: str, kind: type[Any]) -> Any:
        return self.claims[token]


class ShopWorld:
    """A desk over a store in memory, under a fixed clock."""

    def __init__(self, footprint: Footprint, holds: Holds | None = None) -> None:
        self.footprint, self.holds, self.sales = footprint, holds or Holds(), Sales()
        self.clock, self.store, self.gate, self.driver = FixedClock(), MemoryStore(), OpenGate(), NullDriver()
        self.entropy, self.key = CountingEntropy("s"), generate()
        self.desk: Desk

    async def start(self) -> None:
        """A new shop over the same store: the first start, or a restart."""
        card = ClassCard(id="any", rates=RateCard(gbps_km_hourly_micro=400))
        network = Network(self.footprint, [card], "EUR", "UTC")
        signer = Signer(ENTITY, self.key, self.clock, self.entropy)
        shop = Shop(
            signer=signer,
            gate=self.gate,  # type: ignore[arg-type]
            network=network,
            inventory=Inventory.of(self.footprint),
            caps=HoldCaps(self.holds, {name: i.speed_bps for name, i in network.interfaces.items()}),
            store=self.store,
            driver=self.driver,
            timers=Timers(self.clock),
            holds=self.holds,
            sales=self.sales,
            horizon=lambda: span(self.clock.now(), 30).to_s,
            changed=lambda resources: None,
        )
        await recover(shop)
        self.desk = Desk(shop)

    @property
    def shop(self) -> Shop:
        return self.desk.shop

    async def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.shop.timers.look(self.desk.lifecycle.step)
        await self.shop.drain()

    def assert_no_orphan(self, *, late: bool = False) -> None:
        """Nothing in books, memory or network is without its owner; steps of time may be `late`."""
        rows = self.store.rows
        quotes = tuple(quote for quote in rows["quotes"].values() if quote.state in WAITING)
        leases = tuple(lease for lease in rows["leases"].values() if lease.state not in OVER)
        live = Live(quotes, leases, tuple(rows["claims"].values()))
        memory = self.shop.inventory.claims(), frozenset(self.shop.quotes), frozenset(self.shop.leases)
        found = orphans(Books(self.clock.now(), live, *memory, frozenset(self.driver.up)))
        assert [one for one in found if not (late and one.kind is Kind.OVERDUE)] == []

    def assert_sound(self, *, late: bool = False) -> None:
        """Never oversold, no label shared, and every claim belongs to exactly one live row, in memory and on disk.

        Where steps of time may be `late`, the disk has just refused one, and it was not tried again yet.
        """
        claims = self.shop.inventory.claims()
        capacity = {link.id: link.capacity_bps for link in self.footprint.links}
        capacity |= {interface.id: interface.speed_bps for interface in self.footprint.interfaces}
        for at in {claim.start_s for claim in claims}:
            here = [claim for claim in claims if claim.start_s <= at < claim.end_s]
            for resource, most in capacity.items():
                assert sum(claim.bps().get(resource, 0) for claim in here) <= most, (resource, at)
            taken = [end for claim in here for end in claim.ends]
            assert len(taken) == len(set(taken)), ("label", at)
        held = [quote for quote in self.shop.quotes.values() if quote.state == "HELD"]
        owners = [quote.id for quote in held if quote.action is Action.ADD]
        owners += [lease.claim for lease in self.shop.leases.values()]
        changes = {quote.id for quote in held} - set(owners)  # one to less bandwidth holds nothing
        assert sorted(owners) == sorted(claim.id for claim in claims if claim.id not in changes)
        for lease in self.shop.leases.values():
            claim = self.shop.inventory.claim(lease.claim)
            assert claim is not None
            assert (claim.bandwidth_bps, claim.end_s) == (fsm.kept_bps(lease), fsm.kept_end_s(lease)), lease.id
            if lease.state in IN_FORCE:
                there = self.driver.up[lease.id].segment.bandwidth_bps
                assert lease.segment.bandwidth_bps <= there <= fsm.kept_bps(lease), lease.id
        assert {claim.id: claim for claim in claims} == self.store.rows["claims"]
        live = {name: row for name, row in self.store.rows["leases"].items() if row.state not in OVER}
        assert live == self.shop.leases
        self.assert_no_orphan(late=late)
