"""Leaves and authorities of running operators and of the broker that calls them are replaced; no call may fail.

First a broker's adapters alone, calling as fast as they can; then a whole federation in one process, under its buyers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from federation.broker.broker import serve
from federation.broker.circle import Circle, identify
from federation.broker.config import load_config as load_broker
from federation.broker.peers.mesh import MeshChannel
from federation.broker.peers.reach import Reach
from federation.client.broker import BrokerClient
from federation.node.identity.membership import Membership
from federation.node.mtls.mutual import Mutual
from federation.node.mtls.own import AUTHORITY, AUTHORITY_KEY, make_authority
from federation.node.outside import outside
from federation.node.seams import SystemClock, SystemEntropy
from federation.node.settings import EgressRules
from federation.trust.certificates import Certificate
from federation.trust.chain import TrustDomain
from federation.trust.domain import load_domain
from federation.trust.keys import PrivateKey, generate
from federation.trust.keyset import load_key_set
from operators.config import load_config as load_operator
from operators.daemon import operator
from schemas.intent import Intent
from schemas.problem import Problem
from tests.support.federation import BROKER_ENTITY, ENDS, GBPS, BrokerPlan, TinyFederation, retried, tiny_federation
from tests.support.footprints import ENTITY
from tests.support.operator_world import BROKER, OperatorWorld, plan
from tests.support.speaking import BEGIN, DECADES_S, keys

pytestmark = pytest.mark.asyncio
WITHIN_S = 60
BOUGHT = 4  # quotes between two changes
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, duration_s=600)
ROUNDS = 4  # of every kind of call, on both sides of every change


class Load:
    """A broker's own adapters, calling without a pause; a call that fails ends the test."""

    def __init__(self, world: OperatorWorld, reach: Reach) -> None:
        base = f"{world.origin}/mefApi/sonata"
        self._broker = world.broker
        self._broker.sonata = self._sonata = self._broker.licensed(base, reach.session(ENTITY))
        self._mesh = MeshChannel(ENTITY, reach.mesh(ENTITY, f"127.0.0.1:{world.running.grpc}"))
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


class Node(NamedTuple):
    """A daemon's own TLS and whom it believes."""

    entity: str
    mutual: Mutual
    members: Membership


@asynccontextmanager
async def one_process(folder: Path) -> AsyncIterator[tuple[TinyFederation, list[Node]]]:
    """Three operators and a broker, the real daemons' roots beside one another."""
    clock, entropy, stop = SystemClock(), SystemEntropy(), asyncio.Event()
    async with tiny_federation(folder, desk=BrokerPlan().patient(), start=False) as made, AsyncExitStack() as stack:
        running = []
        for one in made.plans:
            config = load_operator(folder / one.name / "config.toml")
            running.append(await stack.enter_async_context(operator(config, clock, entropy)))
        identity = identify(load_broker(folder / "broker" / "config.toml"), clock, entropy)
        circles: list[Circle] = []
        async with asyncio.TaskGroup() as tasks:
            broker = tasks.create_task(serve(identity, stop, circles.append))
            async with made.client() as client:
                await retried(lambda: client.quote(INTENT))
            nodes = [Node(one.entity, one.mutual, one.members) for one in running]
            yield made, [*nodes, Node(BROKER_ENTITY, circles[0].mutual, circles[0].members)]
            stop.set()
            await broker


async def buying(client: BrokerClient, answered: list[str]) -> None:
    """Quotes by Sonata at every operator of the path, declined again; a failure ends the test."""
    while True:
        quote = await client.quote(INTENT)
        await client.decline(quote.id)
        answered.append(quote.id)


async def test_what_a_daemon_signs_with_a_retired_key_is_refused(tmp_path: Path) -> None:
    async with one_process(tmp_path) as (made, nodes), made.client() as client:

        async def publish(*keys: PrivateKey) -> None:
            made.domain.publish_keys(nodes[0].entity, *keys)
            for node in nodes:
                await node.members.refresh()

        first = load_key_set((tmp_path / made.plans[0].name / "key.json").read_bytes(), "key").signer
        await client.decline((await client.quote(INTENT)).id)
        await publish(generate())
        with pytest.raises(Problem) as caught:
            await client.quote(INTENT)
        assert caught.value.code == "DOCUMENT_INVALID"
        assert "kid names no key of the signer" in json.dumps(caught.value.as_dict())
        await publish(generate(), first)
        await client.decline((await client.quote(INTENT)).id)


async def test_an_operator_refuses_what_a_broker_signs_with_a_retired_key(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path, now=SystemClock().now())
    async with world.run():
        retired, fresh = world.broker.key, generate()
        assert (await world.broker.ask(plan(start=world.clock.now()))).answer.quote_jws
        world.domain.publish_keys(BROKER, fresh)
        world.broker.key = fresh
        assert (await world.broker.ask(plan(start=world.clock.now()))).answer.quote_jws, "read of at once"
        world.broker.key = retired
        with pytest.raises(Problem) as caught:
            await world.broker.ask(plan(start=world.clock.now()))
        assert caught.value.code == "DOCUMENT_INVALID"
        assert "kid names no key of the signer" in (tmp_path / "data" / "audit.jsonl").read_text()


async def test_a_whole_federation_changes_its_keys_under_its_buyers(tmp_path: Path) -> None:
    async with one_process(tmp_path) as (made, nodes), made.client() as client, asyncio.TaskGroup() as tasks:
        answered: list[str] = []
        load = [tasks.create_task(buying(client, answered)) for _ in range(2)]

        async def more() -> None:
            wanted = len(answered) + BOUGHT
            async with asyncio.timeout(WITHIN_S):
                while len(answered) < wanted:
                    await asyncio.sleep(0.01)

        await more()
        for node in nodes:
            assert node.mutual.own.renew(now_at_once=True)
            node.mutual.tls.refresh()
        await more()
        spares = {node.entity: tmp_path / f"spare-{node.entity[8:]}" for node in nodes}
        second = {entity: laid_over(spare, entity, seed) for seed, (entity, spare) in enumerate(spares.items(), 50)}
        for node in nodes:
            made.domain.publish_tls(node.entity, node.mutual.own.certificate, second[node.entity])
        for node in nodes:
            await node.members.refresh()
        await more()
        for node in nodes:
            switch(node.mutual, spares[node.entity])
        await more()
        for node in nodes:
            made.domain.publish_tls(node.entity, second[node.entity])
        for node in nodes:
            await node.members.refresh()
        await more()
        for node in nodes:
            believed = {entity: found.certificates for entity, found in node.mutual.speakers.authorities.items()}
            assert believed == {entity: (one,) for entity, one in second.items()}
        for task in load:
            task.cancel()
