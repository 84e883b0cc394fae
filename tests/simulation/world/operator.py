"""An operator: the daemon's own shop, desk, timers and recovery, over a store and a network that outlive it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct, structs

from federation.trust.chain import TrustDomain
from operators.access.gate import Gate
from operators.access.signer import Signed, Signer
from operators.catalog.items import span
from operators.config import Approval, Holds, Sales
from operators.fabric.driver import Wiring
from operators.inventory.ledger import Inventory
from operators.orders.caps import HoldCaps
from operators.orders.desk import Desk
from operators.orders.events import LeaseChange
from operators.orders.keeping import Batch
from operators.orders.orphans import Orphan
from operators.orders.recovery import bring_back, recover
from operators.orders.shop import Shop
from operators.orders.sweeping import Sweeper
from operators.orders.timers import Timers
from schemas.order import Receipt
from schemas.problem import Problem
from schemas.quote import SegmentQuote
from tests.simulation.world.clocks import SimClock
from tests.simulation.world.geography import HORIZON_DAYS, Country
from tests.simulation.world.lives import Lived
from tests.support.operator_shop import MemoryStore
from tests.support.seams import CountingEntropy

FOREVER_S = 1e9


@dataclass
class Temper:
    """How an operator behaves: chances (0..1) of what its disk, its network and its word may do."""

    disk_fails: float = 0.0
    fabric_fails: float = 0.0
    fabric_slow: float = 0.0
    lies: float = 0.0


class Disk(MemoryStore):
    """The store, with commits that fail, and a look at every claim that is written: nothing is ever oversold."""

    def __init__(self, operator: SimOperator) -> None:
        super().__init__()
        self._operator = operator
        self.complaints: list[str] = []

    async def commit(self, batch: Batch) -> None:
        await asyncio.sleep(0)
        temper, told = self._operator.temper, self._operator.told
        if temper.disk_fails and self._operator.rng.random() < temper.disk_fails:
            told["disk full"] += 1
            raise Problem("UNAVAILABLE", "the disk is full")
        await super().commit(batch)
        for claim in batch.claims:
            self._fits(claim)
        await asyncio.sleep(0)

    def _fits(self, new: Any) -> None:
        """What overlaps a claim, against what there is: reckoned from the rows alone."""
        claims = [one for one in self.rows["claims"].values() if one.start_s < new.end_s and new.start_s < one.end_s]
        for at in {new.start_s, *(one.start_s for one in claims if one.start_s > new.start_s)}:
            here = [one for one in claims if one.start_s <= at < one.end_s]
            for resource in new.bps():
                used = sum(one.bps().get(resource, 0) for one in here)
                if used > self._operator.capacity[resource]:
                    self.complaints.append(f"{self._operator.name} sold {used} bit/s of {resource}")
            ends = [end for one in here for end in one.ends]
            if len(ends) != len(set(ends)):
                self.complaints.append(f"{self._operator.name} gave a label twice: {ends}")


class Fabric:
    """The network itself: what is up in it stays up whatever becomes of the daemon."""

    bounds = True

    def __init__(self, operator: SimOperator) -> None:
        self._operator = operator
        self.up: dict[str, Wiring] = {}
        self.complaints: list[str] = []

    async def bring_up(self, product: str, wiring: Wiring) -> None:
        """Slowly, perhaps not at all, and perhaps without the daemon hearing of it."""
        await self._try("bring up")
        self.up[product] = wiring
        ends = [(e.interface, e.label) for w in self.up.values() for e in (w.segment.a, w.segment.z)]
        if len(ends) != len(set(ends)):
            self.complaints.append(f"{self._operator.name} has two segments up under one label: {ends}")
        await asyncio.sleep(0)

    async def take_down(self, product: str) -> None:
        """As slowly."""
        await self._try("take down")
        self.up.pop(product, None)
        await asyncio.sleep(0)

    async def carried(self) -> tuple[str, ...]:
        """See `Driver.carried`."""
        return tuple(self.up)

    async def _try(self, what: str) -> None:
        rng, temper, told = self._operator.rng, self._operator.temper, self._operator.told
        if temper.fabric_slow and rng.random() < temper.fabric_slow:
            told["slow fabric"] += 1
            await asyncio.sleep(rng.uniform(1, 30))
        else:
            await asyncio.sleep(rng.uniform(0.001, 0.05))
        if temper.fabric_fails and rng.random() < temper.fabric_fails:
            told["broken fabric"] += 1
            raise RuntimeError(f"the network did not {what}")


@dataclass
class Liar:
    """A signer whose word is not always what its books say."""

    honest: Signer
    operator: SimOperator

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def sign(self, claims: Struct) -> Signed:
        rng, temper = self.operator.rng, self.operator.temper
        if temper.lies and rng.random() < temper.lies:
            self.operator.told["lie"] += 1
            self.operator.lied = True
            claims = _twisted(claims, rng)
        return self.honest.sign(claims)


def _twisted(claims: Struct, rng: random.Random) -> Struct:
    if isinstance(claims, Receipt):
        z = structs.replace(claims.segment.z, label=(claims.segment.z.label or 1) + 1)
        wrong = structs.replace(claims.segment, z=z)
        less = structs.replace(claims.segment, bandwidth_bps=claims.segment.bandwidth_bps // 2)
        return structs.replace(claims, segment=rng.choice((wrong, less)))
    if isinstance(claims, SegmentQuote):
        slower = structs.replace(claims.promise, latency_us=claims.promise.latency_us + rng.choice((100, 50_000)))
        dearer = structs.replace(claims.total, micro=claims.total.micro + 1)
        return structs.replace(claims, **rng.choice(({"promise": slower}, {"total": dearer})))
    return claims


@dataclass
class SimOperator(Lived):
    """One operator and its incarnations. `told` counts what went wrong, by kind."""

    country: Country
    key: Any
    rng: random.Random
    clock: SimClock
    domain: TrustDomain
    told: Counter[str]
    holds: Holds = field(default_factory=Holds)
    sales: Sales = field(default_factory=Sales)
    sweeps: bool = False
    temper: Temper = field(default_factory=Temper)
    lied: bool = False
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.entity, self.name = self.country.entity, self.country.name
        drawn = self.country.network.footprint
        self.capacity = {link.id: link.capacity_bps for link in drawn.links}
        self.capacity |= {interface.id: interface.speed_bps for interface in drawn.interfaces}
        self.store, self.fabric = Disk(self), Fabric(self)
        self._entropy = CountingEntropy(self.name[:3].lower())
        self.unborn()

    @property
    def by_hand(self) -> bool:
        """Whether a person answers for new leases."""
        return self.sales.approval is Approval.MANUAL

    async def confirm(self, broker: str, token: str) -> str:
        """What the mesh asks the desk."""
        assert self.desk is not None, "only one that serves is asked"
        return await self.desk.confirm(broker, token)

    def lease_events(self, broker: str) -> AsyncGenerator[LeaseChange, None]:
        """What the mesh tells a broker of its leases."""
        assert self.desk is not None, "only one that serves is listened to"
        changes: AsyncGenerator[LeaseChange, None] = self.desk.shop.events.watch(broker)
        return changes

    async def live(self) -> None:
        desk = Desk(self._shop())
        await recover(desk.shop)
        self.desk = self.life.desk = desk
        timers = asyncio.ensure_future(desk.shop.timers.run(desk.lifecycle.step))
        if self.sweeps:
            self._sweeping = asyncio.ensure_future(Sweeper(desk.shop, self._swept).run())
        await bring_back(desk.shop)
        await timers

    def _swept(self, orphan: Orphan) -> None:
        self.told[f"swept at an operator: {orphan.kind}"] += 1

    def look(self) -> None:
        """The clock was set: have the timers look at it."""
        if self.desk is not None and not self.life.over:
            self.desk.shop.timers.arm(self.clock.now(), ("quote", "none"))

    def _shop(self) -> Shop:
        network, clock = self.country.network, self.clock
        signer = Liar(Signer(self.entity, self.key, clock, self._entropy), self)
        return Shop(
            signer=signer,  # type: ignore[arg-type]
            gate=Gate(self.entity, (), _Believed(self.domain), clock),  # type: ignore[arg-type]
            network=network,
            inventory=Inventory.of(network.footprint),
            caps=HoldCaps(self.holds, {name: one.speed_bps for name, one in network.interfaces.items()}),
            store=self.store,
            driver=self.fabric,
            timers=Timers(clock, FOREVER_S),
            holds=self.holds,
            sales=self.sales,
            horizon=lambda: span(clock.now(), HORIZON_DAYS).to_s,
            changed=lambda resources: None,
        )


@dataclass
class _Believed:
    """A membership that never changes."""

    domain: TrustDomain

    def again(self) -> TrustDomain:
        return self.domain
