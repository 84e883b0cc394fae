"""The root of a broker: puts everything together, and takes it apart in the opposite order.

One tree of lifetimes: adapters (store, connections to operators) on an exit stack, every running task in one task
group inside it. A task that dies stops the broker. Stopping means: take nothing new, finish or leave what is under way
(orders are journaled and go on at the next start), close connections, close the store.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from federation.broker.api.counter import Counter
from federation.broker.api.http import HttpFace, Seams
from federation.broker.api.tls import agents_tls
from federation.broker.authority.buyers import Buyers
from federation.broker.authority.door import Door, Origins
from federation.broker.authority.power import Buyer
from federation.broker.config import BrokerConfig, OperatorAccess, load_config
from federation.broker.desk import Desk
from federation.broker.discovery.federation import Federation
from federation.broker.market.asking import Terms
from federation.broker.market.kernel import Warming
from federation.broker.market.market import Market
from federation.broker.market.memory import memory_kib
from federation.broker.market.searching import Searching
from federation.broker.market.view import federation_view
from federation.broker.once import Once
from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.recovery import listen_for_hints, recover
from federation.broker.peers.mesh import MeshChannel
from federation.broker.peers.operator import SonataOperator
from federation.broker.peers.reach import Reach
from federation.broker.quotes.ask import Author
from federation.broker.quotes.extension import Extending
from federation.broker.quotes.quoting import Quoting, QuotingLimits
from federation.broker.store.sqlite import SqliteStore, open_database
from federation.node.http import listen
from federation.node.machine import Worker, aside, monotonic_us, turn
from federation.node.mtls.mutual import Mutual
from federation.node.outside import outside
from federation.node.process import run_daemon
from federation.node.seams import Clock, Entropy, SystemClock, SystemEntropy
from federation.sonata.asking import BuyerProfile
from federation.sonata.buyer import SonataBuyer
from federation.tokens.access import Issuer
from federation.tokens.sqlite import ReplayRows
from federation.trust.chain import Member, TrustDomain
from federation.trust.domain import load_domain
from federation.trust.keys import PrivateKey
from federation.trust.keyset import load_key_set
from schemas.answer import FederationView
from schemas.jurisdiction import Attestation
from schemas.problem import Problem, invalid

if TYPE_CHECKING:
    from federation.broker.api.mcp import McpListener

STORE: Final = "broker.sqlite3"
PSEUDONYMS: Final = "pseudonyms"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """Who this broker is and whom it believes."""

    config: BrokerConfig
    key: PrivateKey
    secret: bytes
    domain: TrustDomain
    mutual: Mutual
    clock: Clock
    entropy: Entropy

    def facts(self, entity: str) -> Attestation | None:
        """What recognised auditors attest of an operator now."""
        return self.domain.facts(entity, self.clock.now())

    def marks(self, entity: str) -> frozenset[str]:
        """The types of the trust marks that recognised auditors gave an operator."""
        return self.domain.mark_types(entity, self.clock.now())


def serve_broker(path: Path) -> int:
    """Run the broker configured by `path` until SIGTERM or SIGINT; returns the exit status of the process."""

    async def main(stop: asyncio.Event) -> None:
        identity = identify(load_config(path), SystemClock(), SystemEntropy())
        async with AsyncExitStack() as stack:
            await _Broker(identity, stack).run(stop)

    return run_daemon("peerway broker", main)


def identify(config: BrokerConfig, clock: Clock, entropy: Entropy) -> Identity:
    """Read keys and the trust domain. Raises `Problem` where this broker is not the member that it says it is."""
    key_file = Path(config.keys.private)
    key = load_key_set(read_bytes(key_file), str(key_file)).signer
    domain = load_domain(Path(config.trust.domain), Path(config.trust.anchors), clock.now())
    me = domain.member(config.entity, clock.now())
    role = me.metadata.connectivity_broker
    if role is None or key.kid not in {jwk.kid for jwk in role.jwks.keys}:
        raise invalid(str(key_file), f"is not the key of a broker {config.entity} in the trust domain")
    assert config.keys.tls is not None, "load_config says where"
    mutual = Mutual.open(Path(config.keys.tls), config.entity, (), clock)
    mutual.check_published(me)
    mutual.believe(domain)
    return Identity(config, key, _secret(Path(config.data), entropy), domain, mutual, clock, entropy)


def read_bytes(path: Path) -> bytes:
    """A small file. Raises `Problem`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise invalid(str(path), f"cannot be read ({error.strerror})") from error


def _secret(data: Path, entropy: Entropy) -> bytes:
    """The secret behind buyers' pseudonyms: made once, kept with the store, because operators count holds by them."""
    path = data / PSEUDONYMS
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(entropy.token() + entropy.token(), encoding="ascii")
        return path.read_bytes()
    except OSError as error:
        raise invalid(str(path), f"cannot be kept ({error.strerror})") from error


class _Broker:
    """Everything between an identity and its listeners."""

    def __init__(self, identity: Identity, stack: AsyncExitStack) -> None:
        self._identity, self._stack = identity, stack
        self._config, self._clock, self._entropy = identity.config, identity.clock, identity.entropy

    async def run(self, stop: asyncio.Event) -> None:
        """Open, serve until told to stop, close."""
        config = self._config
        database = await self._stack.enter_async_context(open_database(Path(config.data) / STORE))
        store, door = SqliteStore(database), self._door(ReplayRows(database))
        names = "search", "long search", "graph"
        searches, long, graphs = [await self._stack.enter_async_context(Worker(name)) for name in names]
        egress = await self._stack.enter_async_context(outside(config.trust.egress))
        peers = self._peers(await self._stack.enter_async_context(Reach(self._identity.mutual.tls, egress)))
        federation = Federation(peers, self._clock, self._entropy)
        warming = Warming()
        market = Market(federation, graphs, warming.prepare)
        terms = Terms(config.rates.table(), self._identity.facts, self._identity.marks)
        searching = Searching(
            market, terms, self._clock, searches, monotonic_us=monotonic_us, warming=warming, long=long, turn=turn()
        )
        async with asyncio.TaskGroup() as tasks:
            coordinator = Coordinator(
                key=self._identity.key, peers=peers, store=store, quotes=store, rates=terms.rates,
                clock=self._clock, entropy=self._entropy, tasks=tasks,
            )  # fmt: skip
            quoting = Quoting(searching, peers, self._author(), store, self._quoting_limits())
            desk = Desk(
                searching=searching, quoting=quoting, extending=Extending(quoting), quotes=store, orders=coordinator,
                order_store=store, once=Once(store, self._clock, tasks), clock=self._clock,
                federation=lambda: self._view(market, federation),
            )  # fmt: skip
            running = [
                tasks.create_task(federation.run(), name="discovery"),
                tasks.create_task(market.run(), name="market"),
                tasks.create_task(self._identity.mutual.run(), name="TLS leaf"),
                tasks.create_task(self._warm(warming, market, graphs), name="kernel"),
                *(tasks.create_task(listen_for_hints(p, coordinator), name=f"hints of {e}") for e, p in peers.items()),
            ]
            await recover(store, coordinator)
            async with self._faces(desk, door, tasks) as ports:
                await self._until(stop, market, federation, ports)
                await coordinator.close()
            for task in running:
                task.cancel()

    async def _warm(self, warming: Warming, market: Market, graphs: Worker) -> None:
        """Compile beside everything else; the graph that is there by then gets its arrays too."""
        search = self._config.search
        if search.compiled and search.cache is not None:
            await aside("kernel", functools.partial(warming.warm, Path(search.cache)))
            await graphs(functools.partial(warming.prepare, market.snapshot.graph))

    def _peers(self, reach: Reach) -> Mapping[str, SonataOperator]:
        """Every operator of the domain, or those of the configuration where it names any."""
        members = {member.entity: member for member in self._identity.domain.operators()}
        for access in self._config.operators:
            if access.entity not in members:
                why = self._identity.domain.rejected.get(access.entity, "it is not listed")
                log.warning("%s is no operator of the trust domain: %s", access.entity, why)
        dealt = self._config.operators or [OperatorAccess(entity=entity) for entity in members]
        return {
            access.entity: self._peer(members[access.entity], access.billing_account, reach)
            for access in dealt
            if access.entity in members
        }

    def _peer(self, member: Member, billing_account: str, reach: Reach) -> SonataOperator:
        role, timeout_s = member.metadata.connectivity_operator, self._config.limits.operator_timeout_s
        assert role, "operators() lists operators only"
        contact = self._config.contact
        profile = BuyerProfile(
            name=contact.name, number=contact.number, email_address=contact.email, billing_account=billing_account
        )
        session, dialled = reach.session(member.entity), reach.mesh(member.entity, role.mesh_endpoint)
        buyer = SonataBuyer(session, role.sonata_endpoint, profile, deadline_s=timeout_s)
        mesh = MeshChannel(member.entity, dialled, timeout_s=timeout_s)
        return SonataOperator(
            member.entity, self._config.entity, self._identity.domain, buyer=buyer, mesh=mesh, clock=self._clock
        )

    def _author(self) -> Author:
        who = self._identity
        return Author(self._config.entity, who.key, who.secret, who.clock, who.entropy)

    def _door(self, replay: ReplayRows) -> Door:
        """Who may buy: everybody that the configuration names."""
        who, config = self._identity, self._config
        buyers = Buyers(config.buyers, config.rates.table())
        issuer = Issuer(config.entity, who.key, who.entropy.token)
        return Door(issuer, buyers, replay, who.secret, who.clock)

    def _quoting_limits(self) -> QuotingLimits:
        limits = self._config.limits
        return QuotingLimits(rounds_max=limits.rounds, hold_s=limits.hold_s)

    def _view(self, market: Market, federation: Federation) -> FederationView:
        return federation_view(
            market.snapshot,
            federation.known,
            self._identity.facts,
            memory_kib=memory_kib(),
            discovery_ms=federation.discovery_ms,
        )

    @asynccontextmanager
    async def _faces(self, desk: Desk, door: Door, tasks: asyncio.TaskGroup) -> AsyncIterator[dict[str, int]]:
        """The listeners; leaving closes them and waits for the requests under way."""
        config, at = self._config, self._config.listen

        def exchange_of(buyer: Buyer) -> Counter:
            return Counter(desk, buyer)

        ports: dict[str, int] = {}
        async with AsyncExitStack() as faces:
            origins = Origins("https" if at.tls else "http", at.origins)
            http = HttpFace(exchange_of, door, config.limits, Seams(self._clock, self._entropy), origins)
            ports["http"] = await listen(http.app(), at.host, at.http_port, faces, agents_tls(at.tls))
            if at.mcp:
                mcp = _agents_face(exchange_of, door, config, self._entropy)
                tasks.create_task(mcp.serve(), name="mcp")
                faces.callback(mcp.stop)
                ports["mcp"] = mcp.port
            yield ports

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


def _agents_face(
    exchange_of: Callable[[Buyer], Counter], door: Door, config: BrokerConfig, entropy: Entropy
) -> McpListener:
    """The MCP listener. Imported late: its library takes a second, which a broker without this face need not spend."""
    try:
        from federation.broker.api.mcp import McpListener, mcp_app
    except ModuleNotFoundError as error:
        why = f"{error.name} is not installed: pip install 'peerway[broker]', or set mcp = false under [listen]"
        raise Problem("UNAVAILABLE", why) from error
    app, at = mcp_app(exchange_of, door, config, entropy), config.listen
    return McpListener(app, at.host, at.mcp_port, agents_tls(at.tls))
