"""Leaves and authorities of a running operator and of a broker that calls it are replaced; no call may fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from federation.broker.peers.mesh import MeshChannel
from federation.broker.peers.reach import Reach
from federation.node.mtls.mutual import Mutual
from federation.node.mtls.own import AUTHORITY, AUTHORITY_KEY, make_authority
from federation.node.outside import outside
from federation.node.seams import SystemClock
from federation.node.settings import EgressRules
from federation.sonata.buyer import SonataBuyer
from federation.trust.certificates import Certificate
from federation.trust.chain import TrustDomain
from federation.trust.domain import load_domain
from tests.support.footprints import ENTITY
from tests.support.operator_world import BROKER, PROFILE, OperatorWorld, plan
from tests.support.speaking import BEGIN, DECADES_S, keys

pytestmark = pytest.mark.asyncio
WITHIN_S = 60
ROUNDS = 4  # of every kind of call, on both sides of every change


class Load:
    """A broker's own adapters, calling without a pause; a call that fails ends the test."""

    def __init__(self, world: OperatorWorld, reach: Reach) -> None:
        base = f"{world.origin}/mefApi/sonata"
        self._broker = world.broker
        self._broker.sonata = self._sonata = SonataBuyer(reach.session(ENTITY), base, PROFILE)
        self._mesh = MeshChannel(ENTITY, reach.mesh(ENTITY, f"127.0.0.1:{world.running.grpc}"), timeout_s=10)
        self.rounds = dict.fromkeys(("reads", "quotes", "sheets"), 0)
        self._news = asyncio.Condition()

    async def run(self) -> None:
        """Call until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, call in (("reads", self._sonata.products), ("quotes", self._quote), ("sheets", self._mesh.sheet)):
                for _ in range(2):
                    tasks.create_task(self._again(name, call))

    async def more(self) -> None:
        """Wait until every kind of call has been answered some times more."""
        wanted = {name: count + ROUNDS for name, count in self.rounds.items()}
        async with asyncio.timeout(WITHIN_S), self._news:
            await self._news.wait_for(lambda: all(self.rounds[name] >= count for name, count in wanted.items()))

    async def _again(self, name: str, call: Callable[[], object]) -> None:
        while True:
            await call()  # type: ignore[misc]
            self.rounds[name] += 1
            async with self._news:
                self._news.notify_all()

    async def _quote(self) -> None:
        deal = await self._broker.ask(plan(gbps=1, start=self._broker.clock.now()))
        await self._sonata.decline(deal.answer.id)


@asynccontextmanager
async def loaded(world: OperatorWorld, mutual: Mutual) -> AsyncIterator[Load]:
    rules = EgressRules(literals=(f"127.0.0.1:{world.running.http}", f"127.0.0.1:{world.running.grpc}"))
    async with outside(rules) as egress, Reach(mutual.tls, egress) as reach, asyncio.TaskGroup() as tasks:
        load = Load(world, reach)
        running = tasks.create_task(load.run())
        yield load
        running.cancel()


def read(world: OperatorWorld) -> TrustDomain:
    return load_domain(world.folder / "trust", world.folder / "trust" / "anchors.json", world.clock.now())


def laid_over(spare: Path, entity: str, seed: int) -> Certificate:
    """Another authority of this node, made beside the one in use; `switch` goes over to it."""
    return make_authority(spare, entity, now=BEGIN, life_s=DECADES_S, key=keys(seed)())


def switch(mutual: Mutual, spare: Path) -> None:
    """What the daemon does when it finds other files."""
    for name in (AUTHORITY_KEY, AUTHORITY):
        (spare / name).replace(mutual.own.leaf_file.with_name(name))
    assert mutual.own.reload()
    mutual.tls.refresh()


async def test_leaves_and_authorities_change_under_load_without_a_failed_call(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path, now=SystemClock().now())  # leaves are issued in between, and TLS has the real time
    async with world.run():
        operator, broker = world.running.mutual, Mutual(world.broker.node.own, world.clock)
        broker.believe(read(world))
        async with loaded(world, broker) as load:
            await load.more()
            for mutual in (operator, broker):
                before = mutual.x5t
                assert mutual.own.renew(now_at_once=True)
                mutual.tls.refresh()
                assert mutual.x5t != before
                await load.more()
            for mutual, entity in ((operator, ENTITY), (broker, BROKER)):
                first, spare = mutual.own.certificate, tmp_path / f"spare-{entity[8:]}"
                second = laid_over(spare, entity, seed=len(entity))
                for named in ((first, second), (second,)):
                    world.domain.publish_tls(entity, *named)
                    await world.running.members.refresh()
                    broker.believe(read(world))
                    await load.more()
                    if len(named) == 2:
                        switch(mutual, spare)
                        await load.more()
            assert operator.speakers.authorities[BROKER].certificates == (broker.own.certificate,)
            assert broker.speakers.authorities[ENTITY].certificates == (operator.own.certificate,)
