"""The root of a broker: puts everything together, and takes it apart in the opposite order.

One tree of lifetimes: adapters (store, connections to operators) on an exit stack, every running task in one task
group inside it. A task that dies stops the broker. Stopping means: take nothing new, finish or leave what is under way
(orders are journaled and go on at the next start), close connections, close the store.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from federation.broker import recorded
from federation.broker.api.faces import Faces
from federation.broker.api.hatch import open_hatch
from federation.broker.authority.buyers import Buyers
from federation.broker.authority.door import Door
from federation.broker.authority.filing import Filing
from federation.broker.circle import Circle, Identity, believe, identify
from federation.broker.config import load_config
from federation.broker.desk import Desk
from federation.broker.discovery.federation import Federation
from federation.broker.evidence.gathering import Gathering
from federation.broker.housekeeping import Housekeeping
from federation.broker.market.asking import Terms
from federation.broker.market.kernel import Warming
from federation.broker.market.market import Market
from federation.broker.market.memory import memory_kib
from federation.broker.market.searching import Searching
from federation.broker.market.sites import Sites
from federation.broker.market.view import federation_view
from federation.broker.measuring import Measuring
from federation.broker.once import Once
from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.recovery import Hints, recover
from federation.broker.orders.statements import Statements
from federation.broker.peers.confirms import Confirms
from federation.broker.peers.logs import OperatorLogs
from federation.broker.peers.mesh import MeshChannel
from federation.broker.peers.news import BASE as TOLD
from federation.broker.peers.news import News
from federation.broker.peers.operator import Right, SonataOperator
from federation.broker.peers.reach import Reach
from federation.broker.peers.token_source import PostedTokens, token_endpoint
from federation.broker.peers.tokens import Fetched, Need, OperatorTokens
from federation.broker.policies import Policies, open_policies
from federation.broker.quotes.ask import Author
from federation.broker.quotes.extension import Extending
from federation.broker.quotes.permits import Permits
from federation.broker.quotes.quoting import Quoting, QuotingLimits
from federation.broker.quotes.slow import ROUND_S, Slow
from federation.broker.roster import Roster
from federation.broker.standing import Standing
from federation.broker.store.opened import BrokerStore, Front, Opened, in_front, open_store
from federation.broker.sweeping.office import Office, always
from federation.broker.sweeping.sweeper import Sweeper, Tools
from federation.evidence.log import Log
from federation.evidence.protocols import LogStore
from federation.node.audit import Audit
from federation.node.machine import Worker, aside, monotonic_us, turn
from federation.node.outside import outside
from federation.node.process import run_daemon
from federation.node.seams import SystemClock, SystemEntropy
from federation.sonata.asking import BuyerProfile
from federation.sonata.buyer import SonataBuyer
from federation.tokens.access import Issuer
from federation.trust.chain import Member
from federation.trust.domain import read_anchors
from federation.trust.egress import Egress
from federation.trust.statements import Elsewhere
from schemas.answer import FederationView

if TYPE_CHECKING:
    from federation.broker.replicas.replica import Replica

SWEEPING: Final = "sweeping"  # the office of the replica that sweeps, and forgets what is old
SWITCH_S: Final = 0.0005  # how long a thread that computes keeps others waiting for the interpreter
log = logging.getLogger(__name__)


def serve_broker(path: Path) -> int:
    """Run the broker configured by `path` until SIGTERM or SIGINT; returns the exit status of the process."""

    async def main(stop: asyncio.Event) -> None:
        await serve(identify(load_config(path), SystemClock(), SystemEntropy()), stop)

    return run_daemon("peerway broker", main)


async def serve(
    identity: Identity, stop: asyncio.Event, known: Callable[[Circle], object] = lambda circle: None
) -> None:
    """Run this broker until `stop` is set; who embeds it is told whom it believes before the first call."""
    async with AsyncExitStack() as stack:
        await _Broker(identity, stack).run(stop, known)


class _Broker:
    """Everything between an identity and its listeners."""

    def __init__(self, identity: Identity, stack: AsyncExitStack) -> None:
        self._identity, self._stack = identity, stack
        self._config, self._clock, self._entropy = identity.config, identity.clock, identity.entropy
        self._faces = Faces(identity)

    async def run(self, stop: asyncio.Event, known: Callable[[Circle], object]) -> None:
        """Open, serve until told to stop, close."""
        config = self._config
        opened = await self._stack.enter_async_context(open_store(config, self._entropy))
        store, front = opened.store, in_front(opened, self._clock)
        replica = await self._among_replicas(opened)
        audit = self._stack.enter_context(Audit(Path(config.data), self._clock, self._entropy))
        buyers = Buyers(config.buyers, config.rates.table())
        policies = open_policies(config, buyers, self._clock.now())
        door = self._door(front, store, buyers, audit)
        sys.setswitchinterval(SWITCH_S)
        names = "search", "long search", "graph"
        searches, long, graphs = [await self._stack.enter_async_context(Worker(name)) for name in names]
        egress = await self._stack.enter_async_context(outside(config.trust.egress))
        circle = await believe(self._identity, egress, self._stack)
        known(circle)
        evidence = self._log(opened.log, circle, egress, audit)
        self._news = News(self._identity.secret)
        presence = await self._faces.present(self._stack, circle.mutual, evidence, self._news)
        reach = await self._stack.enter_async_context(Reach(circle.mutual.tls, egress))
        peers = await self._roster(circle, reach, self._right(circle, reach, front.filing))
        standing = Standing(store, self._clock)
        circle.members.on_change(standing.follow)
        federation = Federation(peers.present, self._clock, self._entropy)
        warming = Warming()
        market = Market(federation, graphs, warming.prepare)
        terms = self._terms(circle, policies, market, audit)
        searching = Searching(
            market, terms, self._clock, searches, monotonic_us=monotonic_us, warming=warming, long=long, turn=turn()
        )
        async with asyncio.TaskGroup() as tasks:
            coordinator = self._coordinator(peers, store, tasks, replica)
            office = replica.office(SWEEPING) if replica else always
            sweeper = self._sweeper(peers, store, coordinator, audit, office)
            quoting = Quoting(searching, peers, self._author(), front.quotes, self._quoting_limits())
            slow = self._slow(quoting, store, market, tasks, replica)
            turns = replica.turns if replica else None
            desk = Desk(
                searching=searching, quoting=quoting, extending=Extending(quoting), quotes=front.quotes,
                orders=coordinator, order_store=store, ledger=store, revocations=store, clock=self._clock,
                once=Once(store, self._clock, tasks, turns), once_quotes=front.once(self._clock, tasks, turns),
                policies=policies, gathering=self._gathering(circle, reach, store, evidence),
                federation=lambda: self._view(market, federation, circle),
                measuring=self._measuring(store, market, circle), sweeper=sweeper, slow=slow,
                statements=Statements(self._identity.key, store),
            )  # fmt: skip
            work = {
                "discovery": federation.run(), "market": market.run(), "TLS leaf": circle.mutual.run(),
                "trust domain": circle.members.run(), "who is who": standing.run(), "log": evidence.run(),
                "sweeper": self._look_after(store, sweeper, market, office), "slow quotes": slow.run(),
                "kernel": self._warm(warming, market, graphs),
            }  # fmt: skip
            work |= {"meanwhile": front.meanwhile.run()} if front.meanwhile else {}
            work |= {"keys": presence.run()} if presence else {}
            running = [tasks.create_task(one, name=name) for name, one in work.items()]
            hints = Hints(coordinator, tasks)
            for peer in peers.present.values():
                hints.join(peer)
            peers.on_change(federation, hints)
            running += replica.start(coordinator, tasks) if replica else await self._recovered(store, coordinator)
            async with self._faces.open(desk, door, tasks) as ports:
                await self._until(stop, market, federation, ports)
                await coordinator.close()
                await slow.close()
            hints.close()
            for task in running:
                task.cancel()

    def _coordinator(
        self, peers: Roster, store: BrokerStore, tasks: asyncio.TaskGroup, replica: Replica | None
    ) -> Coordinator:
        who, rates = self._identity, self._config.rates.table()
        return Coordinator(
            key=who.key, peers=peers, store=store, quotes=store, rates=rates, clock=who.clock, entropy=who.entropy,
            tasks=tasks, permits=Permits(who.secret, rates), ownership=replica.ownership if replica else None,
        )  # fmt: skip

    async def _among_replicas(self, opened: Opened) -> Replica | None:
        """This process among those that share a store, with the secret that they share; none where it is alone."""
        if opened.shared is None:
            return None
        from federation.broker.replicas.replica import Replica, living_among

        life = living_among(self._config, opened.shared, self._entropy)
        replica = Replica(self._config, opened.shared, opened.store, await self._stack.enter_async_context(life))
        secret = await replica.secret(self._identity.secret)
        self._identity = dataclasses.replace(self._identity, secret=secret)
        return replica

    async def _recovered(self, store: BrokerStore, coordinator: Coordinator) -> list[asyncio.Task[None]]:
        """Alone, every unfinished order is ours; nothing has to run for that."""
        await recover(store, coordinator)
        return []

    async def _roster(self, circle: Circle, reach: Reach, right: Right) -> Roster:
        """The operators, which follow whoever is a member from now on."""
        peers = Roster(functools.partial(self._peer, circle, reach, right), self._config.operators)
        if self._config.trust.domain is None:
            await circle.members.refresh()
        circle.members.on_change(peers.follow)
        return peers

    def _sweeper(self, peers: Roster, store: BrokerStore, orders: Coordinator, audit: Audit, office: Office) -> Sweeper:
        note = functools.partial(recorded.swept, audit)
        return Sweeper(Tools(lambda: peers.present, store, orders, self._author(), note), office)

    def _slow(
        self, quoting: Quoting, store: BrokerStore, market: Market, tasks: asyncio.TaskGroup, replica: Replica | None
    ) -> Slow:
        """Quotes that operators take long for, each carried by a task."""

        def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            return tasks.create_task(work, name=name)

        every_s = min(ROUND_S, 2.0 * self._config.store.takeover_s)
        return Slow(quoting, store, self._news, spawn, ready=market.ready.wait, among=replica, every_s=every_s)

    def _measuring(self, store: BrokerStore, market: Market, circle: Circle) -> Measuring:
        sites = Sites(lambda: market.snapshot.sheets, circle.facts)
        return Measuring(store, store, store, sites.where, clock=self._clock, entropy=self._entropy)

    def _terms(self, circle: Circle, policies: Policies, market: Market, audit: Audit) -> Terms:
        """What every question of this broker shares."""
        sites = Sites(lambda: market.snapshot.sheets, circle.facts, functools.partial(recorded.contradicted, audit))
        return Terms(
            self._config.rates.table(),
            circle.facts,
            circle.marks,
            circle.believed,
            evidence=circle.attested,
            policies=policies.applying,
            broker=self._config.entity,
            sites=sites.agree,
            doubt=sites.doubt,
        )

    def _log(self, rows: LogStore, circle: Circle, egress: Egress, audit: Audit) -> Log:
        """What this broker signed and received, and its office as a witness of others."""
        config, record = self._config, functools.partial(recorded.unsigned, audit)
        post = Elsewhere(egress, config.trust.egress.places)
        return Log(
            config,
            config.evidence,
            rows,
            members=circle.members,
            post=post,
            clock=self._clock,
            record=record,
        )

    async def _look_after(self, store: BrokerStore, sweeper: Sweeper, market: Market, office: Office) -> None:
        """Rounds from when every operator has been heard of once, and whenever the owner of the broker asks."""
        async with AsyncExitStack() as hatch, asyncio.TaskGroup() as tasks:
            await open_hatch(Path(self._config.data), sweeper, hatch)
            tasks.create_task(Housekeeping(store, self._clock, office).run(), name="housekeeping")
            await market.ready.wait()
            await sweeper.run()

    async def _warm(self, warming: Warming, market: Market, graphs: Worker) -> None:
        """Compile beside everything else; the graph that is there by then gets its arrays too."""
        search = self._config.search
        if search.compiled and search.cache is not None:
            await aside("kernel", functools.partial(warming.warm, Path(search.cache)))
            await graphs(functools.partial(warming.prepare, market.snapshot.graph))

    def _gathering(self, circle: Circle, reach: Reach, store: BrokerStore, log: Log) -> Gathering:
        """What makes evidence of orders."""

        def endpoint(operator: str) -> str:
            role = circle.members.domain.member(operator, self._clock.now()).metadata.connectivity_operator
            assert role, "asked of operators only"
            return role.documents_endpoint

        anchors = read_anchors(Path(self._config.trust.anchors))
        logs, stated = OperatorLogs(reach, endpoint), Statements(self._identity.key, store)
        return Gathering(store, log, logs, anchors, aside=functools.partial(aside, "evidence"), statements=stated)

    def _right(self, circle: Circle, reach: Reach, filing: Filing) -> Right:
        """How this broker gets tokens of operators: one cache for all of them."""
        who = self._identity

        def endpoint(operator: str) -> str:
            member = circle.members.domain.member(operator, self._clock.now())
            return token_endpoint(operator, member.metadata.connectivity_operator)

        issuer = Issuer(self._config.entity, who.key, who.entropy.token)

        async def keep(need: Need, fetched: Fetched) -> None:
            if need.party is not None:
                await filing.file(need.party, need.operator, (fetched.asked, fetched.token))

        tokens = OperatorTokens(PostedTokens(issuer, endpoint, reach, who.clock), who.clock, keep)
        self._stack.push_async_callback(tokens.close)
        return Right(tokens, lambda: circle.mutual.x5t)

    def _peer(self, circle: Circle, reach: Reach, right: Right, member: Member, billing_account: str) -> SonataOperator:
        role, timeout_s = member.metadata.connectivity_operator, self._config.limits.operator_timeout_s
        assert role, "operators() lists operators only"
        contact = self._config.contact
        profile = BuyerProfile(
            name=contact.name, number=contact.number, email_address=contact.email, billing_account=billing_account
        )
        session, dialled = reach.session(member.entity), reach.mesh(member.entity, role.mesh_endpoint)
        buyer = SonataBuyer(session, role.sonata_endpoint, profile, deadline_s=timeout_s)
        here, members = self._config.entity, circle.members
        return SonataOperator(
            member.entity,
            here,
            lambda: members.domain,
            buyer=buyer,
            confirms=Confirms(member.entity, session, role.documents_endpoint, deadline_s=timeout_s),
            mesh=MeshChannel(member.entity, dialled),
            clock=self._clock,
            right=right,
            heed=circle.heed,
            callback=f"{here}{TOLD}/{self._news.word(member.entity)}" if self._config.listen.public_port else None,
        )

    def _author(self) -> Author:
        who = self._identity
        return Author(self._config.entity, who.key, who.secret, who.clock, who.entropy)

    def _door(self, front: Front, store: BrokerStore, buyers: Buyers, audit: Audit) -> Door:
        """Who may buy: everybody that the configuration names."""
        who, config = self._identity, self._config
        issuer = Issuer(config.entity, who.key, who.entropy.token)
        record = functools.partial(recorded.unknown, audit)
        return Door(
            issuer, buyers, front.replay, who.secret, who.clock,
            revocations=front.revocations, record=record, filing=store,
        )  # fmt: skip

    def _quoting_limits(self) -> QuotingLimits:
        limits = self._config.limits
        return QuotingLimits(
            rounds_max=limits.rounds,
            total_s_max=limits.quote_s,
            hold_s=limits.hold_s,
            at_once_max=limits.quotes_at_once,
        )

    def _view(self, market: Market, federation: Federation, circle: Circle) -> FederationView:
        return federation_view(
            market.snapshot,
            federation.known,
            circle.facts,
            memory_kib=memory_kib(),
            discovery_ms=federation.discovery_ms,
        )

    async def _until(
        self, stop: asyncio.Event, market: Market, federation: Federation, ports: Mapping[str, int]
    ) -> None:
        """Say when every operator has answered once, then wait for the end."""
        stopping = asyncio.ensure_future(stop.wait())
        ready = asyncio.ensure_future(market.ready.wait())
        try:
            await asyncio.wait({stopping, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                counts = {"operators": len(market.snapshot.sheets), "ms": federation.discovery_ms}
                sys.stdout.write(json.dumps({"ready": self._config.entity, **ports, **counts}) + "\n")
                sys.stdout.flush()
            await stopping
        finally:
            stopping.cancel()
            ready.cancel()
