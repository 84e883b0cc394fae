"""The operator daemon: puts one operator together and keeps it running until told to stop.

Everything one operator owns hangs in one exit stack: store, then what time does, then the listeners. It is taken down
in the opposite order: take nothing new, finish what is under way, cancel what only repeats, close the store. Several
operators may share a process; each has its own stack, port and data directory.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from federation.evidence.log import Log
from federation.evidence.sqlite import LogRows
from federation.node.audit import STRANGER, Audit
from federation.node.bearer import Keyring
from federation.node.callers import Guesses, address_rates, callers, rates, refusals
from federation.node.certificate import server_tls
from federation.node.health import health_app
from federation.node.http import listen
from federation.node.identity.keyfile import KeyFile
from federation.node.identity.membership import Membership, membership
from federation.node.identity.presence import Presence
from federation.node.limits import Buckets, Rate
from federation.node.mtls.mutual import Mutual
from federation.node.outside import outside
from federation.node.rpc import Guard
from federation.node.seams import Clock, Entropy, SystemClock, SystemEntropy
from federation.node.sqlite import Database
from federation.policy.folder import read_policy
from federation.sonata.delivery import Delivery
from federation.sonata.seller import BASE
from federation.tokens.access import Issuer
from federation.tokens.brokers import BrokerTokens
from federation.tokens.endpoint import TokenEndpoint
from federation.tokens.sqlite import ReplayRows
from federation.trust.belief import Book
from federation.trust.certificates import x5c
from federation.trust.chain import Member
from federation.trust.egress import Egress
from federation.trust.statements import Elsewhere
from operators.access.admit import Admission
from operators.access.gate import Gate
from operators.access.owners import Owners, owners_of
from operators.access.rights import Heeding
from operators.access.selling import Selling, selling
from operators.access.signer import Signer
from operators.api.hatch import open_hatch
from operators.api.http import PEERWAY, operator_app
from operators.api.mesh import MeshService, mesh_server, serve_mesh
from operators.catalog.items import span
from operators.catalog.layout import lay_out
from operators.catalog.publisher import Publisher
from operators.config import OperatorConfig, Show, load_config
from operators.fabric.driver import Driver, find_driver
from operators.inventory import footprint
from operators.inventory.ledger import Inventory
from operators.orders.caps import HoldCaps
from operators.orders.desk import Desk
from operators.orders.orphans import Orphan
from operators.orders.recovery import bring_back, recover
from operators.orders.shop import Shop
from operators.orders.sweeping import Sweeper
from operators.orders.timers import Timers
from operators.pricing.network import Network
from operators.store.sqlite import SqliteStore
from operators.store.tables import MIGRATIONS
from schemas.authority import AUTHORITY_TYPE
from schemas.entity import FederationEntity, Metadata, OperatorMetadata
from schemas.offer import Disclosure
from schemas.problem import Problem, invalid

KEEP_LOST_QUOTES_S: Final = 86_400
AT_ONCE: Final = 100  # quotes or leases forgotten in one transaction
PAUSE_S: Final = 0.05
DAY_S: Final = 86_400
STORE: Final = "operator.sqlite"
BROKERS: Final = "connectivity_broker"
HOUSEKEEPING_S: Final = 3_600.0
DRAIN_S: Final = 10.0
PROBES: Final = Rate(per_second=50, burst=1_000)
log = logging.getLogger(__name__)


class Running(NamedTuple):
    """One operator that serves: its ports, and its parts for whoever embeds it."""

    entity: str
    http: int
    grpc: int
    public: int | None
    health: int | None
    desk: Desk
    publisher: Publisher
    mutual: Mutual
    members: Membership
    delivery: Delivery


class Faces(NamedTuple):
    """What brokers call: Sonata and documents, the mesh, the token endpoint, where documents stand in the log."""

    desk: Desk
    publisher: Publisher
    tokens: TokenEndpoint
    evidence: Log


async def run(paths: Sequence[Path], stop: asyncio.Event) -> None:
    """Serve every operator configured in `paths` until `stop` is set; one JSON line on stdout for each when ready."""
    clock, entropy = SystemClock(), SystemEntropy()
    async with AsyncExitStack() as stack:
        for path in paths:
            began_us = clock.now_us()
            config = load_config(path)
            running = await stack.enter_async_context(operator(config, clock, entropy))
            _tell(running, (clock.now_us() - began_us) // 1000)
        await stop.wait()


def _tell(running: Running, ms: int) -> None:
    offers = running.publisher.offers
    others = {"public": running.public, "health": running.health}
    ports = {"http": running.http, "grpc": running.grpc} | {name: port for name, port in others.items() if port}
    line = {"ready": running.entity, **ports, "offers": offers, "ms": ms}
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def operator(
    config: OperatorConfig, clock: Clock, entropy: Entropy, driver: Driver | None = None
) -> AsyncIterator[Running]:
    """One operator, from its configuration until the block ends. Raises `Problem` where it cannot start."""
    protocol = KeyFile.open(Path(config.keys.private), "keys.private")
    signer, network = Signer(config.entity, protocol.signer, clock, entropy), _network(config)
    inventory = Inventory.of(network.footprint)
    publisher = _publisher(config, network, inventory, signer)
    async with AsyncExitStack() as stack:
        egress = await stack.enter_async_context(outside(config.trust.egress))
        members = await _members(stack, config, signer, egress)
        mutual = _mutual(config, clock, members)
        gate = Gate(config.entity, [broker.entity for broker in config.brokers], members, clock)
        issuer = Issuer(config.entity, protocol.signer, entropy.token)
        database = await stack.enter_async_context(Database(Path(config.data) / STORE, MIGRATIONS))
        store = SqliteStore(database)
        shop = Shop(
            signer=signer,
            gate=gate,
            network=network,
            inventory=inventory,
            caps=HoldCaps(config.holds, {name: i.speed_bps for name, i in network.interfaces.items()}),
            store=store,
            driver=driver or find_driver(config.fabric, "fabric"),
            bounded_elsewhere=config.bounded_elsewhere,
            timers=Timers(clock),
            holds=config.holds,
            sales=config.selling,
            horizon=lambda: span(clock.now(), config.calendar.horizon_days).to_s,
            changed=publisher.mark,
            billing_account=config.billing_account,
            admission=_admission(config, issuer, gate, network, _selling(config, members)),
        )
        await recover(shop)
        publisher.open()
        desk = Desk(shop)
        group = await _background(stack, desk, publisher, mutual, config.keep_ended_days * DAY_S)
        tokens = Heeding(BrokerTokens(issuer, gate.keys_of, ReplayRows(database)), gate)
        audit = stack.enter_context(Audit(Path(config.data), clock, entropy))
        evidence = Log(
            config,
            config.evidence,
            LogRows(database),
            members=members,
            post=Elsewhere(egress, config.trust.egress.places),
            clock=clock,
            record=functools.partial(_unsigned, audit),
        )
        http, grpc = await _serve(stack, config, Faces(desk, publisher, tokens, evidence), mutual, audit)
        said = functools.partial(_said, config, protocol, mutual, (http, grpc))

        def presence() -> Presence:
            return Presence(config, protocol, lambda named: said(evidence.said(named)), clock)

        public = await _present(stack, group, config, presence, evidence)
        await _join(stack, group, config, members)
        health = await _health(stack, config, clock)
        stack.callback(group.create_task(evidence.run(), name="log").cancel)
        delivery = Delivery(store, Elsewhere(egress, config.trust.egress.places), clock.now)
        shop.telling.news = delivery.news
        stack.callback(group.create_task(delivery.run(), name="events").cancel)
        await _look_after(stack, group, config, desk, audit)
        yield Running(config.entity, http, grpc, public, health, desk, publisher, mutual, members, delivery)


async def _serve(
    stack: AsyncExitStack, config: OperatorConfig, faces: Faces, mutual: Mutual, audit: Audit
) -> tuple[int, int]:
    """Both listeners, behind the same guard; their ports."""
    desk, publisher, tokens, evidence = faces
    gate, clock, at = desk.shop.gate, desk.shop.signer.clock, config.listen
    buckets = Buckets(config.limits.rate)
    keys = Keyring({buyer.key_sha256: f"{config.entity}/buyers/{buyer.name}" for buyer in config.buyers})

    def judge(leaf: bytes) -> str:
        return gate.admit(mutual.judge(leaf))

    guard = (refusals(audit), callers(judge, keys, Guesses(clock)), rates(buckets, clock))
    record = functools.partial(_record, audit)
    app = operator_app(desk, config.contact, guard, tokens, record, inclusions=evidence.inclusions)
    tls = mutual.tls
    http = await listen(app, at.host, at.http_port, stack, tls.server_context())
    mesh = mesh_server(MeshService(desk, publisher), Guard(judge, buckets, audit, clock))
    return http, await serve_mesh(mesh, tls.server_credentials(), at.host, at.grpc_port, stack)


def _record(audit: Audit, caller: str | None, reason: str) -> None:
    """Why somebody got no token."""
    audit.note(Problem("UNAUTHENTICATED", reason), caller=caller or STRANGER, act="POST /oauth/token")


async def _look_after(
    stack: AsyncExitStack, group: asyncio.TaskGroup, config: OperatorConfig, desk: Desk, audit: Audit
) -> None:
    """Sweep on rounds, and take the owner's orders."""
    sweeper = Sweeper(desk.shop, functools.partial(_swept, audit))
    stack.callback(group.create_task(sweeper.run(), name="sweeper").cancel)
    await open_hatch(Path(config.data), desk, sweeper, stack)


def _swept(audit: Audit, found: Orphan) -> None:
    """What was set right in the operator's own books."""
    text = f"{found.kind} {found.what}: {found.why}"
    audit.note(Problem("INCOMPATIBLE_STATE", text), caller=found.broker or STRANGER, act="sweep")


def _unsigned(audit: Audit, problem: Problem, about: str) -> None:
    """Why the checkpoint of a member was not signed."""
    audit.note(problem, caller=about, act="POST /witness/add-checkpoint")


async def _background(
    stack: AsyncExitStack, desk: Desk, publisher: Publisher, mutual: Mutual, kept_s: int
) -> asyncio.TaskGroup:
    """What repeats while the operator runs; one of these that dies takes the daemon down with it."""
    group = await stack.enter_async_context(asyncio.TaskGroup())
    shop = desk.shop
    tasks = [
        group.create_task(shop.timers.run(desk.lifecycle.step), name="timers"),
        group.create_task(publisher.run(), name="publisher"),
        group.create_task(_keep_house(shop, kept_s), name="housekeeping"),
        group.create_task(bring_back(shop), name="fabric"),
        group.create_task(mutual.run(), name="TLS leaf"),
    ]
    stack.push_async_callback(_drain, shop)
    for task in tasks:
        stack.callback(task.cancel)
    return group


async def _present(
    stack: AsyncExitStack, group: asyncio.TaskGroup, config: OperatorConfig, make: Callable[[], Presence], evidence: Log
) -> int | None:
    """Tell anybody who this operator is, and what its log has; the port of the public listener, where it has one."""
    at = config.listen
    if at.public_port is None:
        return None
    presence = make()
    app = presence.app()
    evidence.publish(app)
    port = await listen(app, at.host, at.public_port, stack, server_tls(config.public.tls, "public.tls"))
    stack.callback(group.create_task(presence.run(), name="keys").cancel)
    return port


async def _health(stack: AsyncExitStack, config: OperatorConfig, clock: Clock) -> int | None:
    """Tell whatever watches over the process that everything is up; the port, where it has one."""
    at = config.listen
    if at.health_port is None:
        return None
    return await listen(health_app(address_rates(Buckets(PROBES), clock)), at.host, at.health_port, stack)


def _said(
    config: OperatorConfig, protocol: KeyFile, mutual: Mutual, ports: tuple[int, int], named: FederationEntity
) -> Metadata:
    """What this operator says of its endpoints and keys."""
    host = config.listen.names[0]
    host = f"[{host}]" if ":" in host else host
    base = f"https://{host}:{ports[0]}"
    role = OperatorMetadata(
        sonata_endpoint=f"{base}{BASE}",
        mesh_endpoint=f"{host}:{ports[1]}",
        documents_endpoint=f"{base}{PEERWAY}/documents",
        jwks=protocol.keys.public(),
        tls_ca=tuple(map(x5c, mutual.own.published())),
        token_endpoint=f"{base}/oauth/token",
        authorization_details_types_supported=(AUTHORITY_TYPE,),
    )
    return Metadata(federation_entity=named, connectivity_operator=role)


async def _join(stack: AsyncExitStack, group: asyncio.TaskGroup, config: OperatorConfig, members: Membership) -> None:
    """Look once for whom there is, then again and again."""
    if config.trust.domain is None:
        await members.refresh()
    stack.callback(group.create_task(members.run(), name="trust domain").cancel)


async def _drain(shop: Shop) -> None:
    """Let acts under way end; what does not end in time is found by the next start."""
    try:
        async with asyncio.timeout(DRAIN_S):
            await shop.drain()
    except TimeoutError:
        log.warning("%s acts did not end within %s s", len(shop.acts), DRAIN_S)
    await shop.lower()


async def _forget(prune: Callable[[int, int], Awaitable[int]], before_s: int) -> None:
    """A little at a time, so that nobody who buys waits for it."""
    while True:
        if await prune(before_s, AT_ONCE) < AT_ONCE:
            return
        await asyncio.sleep(PAUSE_S)


async def _keep_house(shop: Shop, kept_s: int) -> None:
    """Forget the past of the calendar, quotes that came to nothing, and leases that ended `kept_s` ago."""
    while True:
        now = shop.now()
        shop.inventory.forget_before(now)
        try:
            await _forget(shop.store.prune, now - KEEP_LOST_QUOTES_S)
            await _forget(shop.store.prune_ended, now - kept_s)
        except Problem as problem:
            log.warning("nothing pruned: %s", problem)
        await asyncio.sleep(HOUSEKEEPING_S)


async def _members(stack: AsyncExitStack, config: OperatorConfig, signer: Signer, egress: Egress) -> Membership:
    """The brokers of the trust domain; a folder must list this operator with this key."""
    members = await stack.enter_async_context(
        membership(config.trust, config.entity, Path(config.data), egress, signer.clock, entity_types=[BROKERS])
    )
    if config.trust.domain is None:
        return members
    domain = members.domain
    if config.entity not in domain.members:
        why = domain.rejected.get(config.entity, "it is not in its members file")
        raise invalid("entity", f"{config.entity} is no member of the trust domain {config.trust.domain}: {why}")
    if signer.key.kid not in domain.members[config.entity].keys:
        raise invalid("keys.private", f"the trust domain does not list this key for {config.entity}")
    return members


def _mutual(config: OperatorConfig, clock: Clock, members: Membership) -> Mutual:
    """This operator's own TLS files, which a folder must name already; believes the members from now on."""
    assert config.keys.tls is not None, "load_config says where"
    me = None if config.trust.domain is None else members.domain.members[config.entity]
    hosts = config.listen.hosts or (_hosts(me) if me else config.listen.names)
    mutual = Mutual.open(Path(config.keys.tls), config.entity, hosts, clock, strangers=bool(config.buyers))
    if me is not None:
        mutual.check_published(me)
    members.on_change(mutual.believe)
    return mutual


def _hosts(me: Member) -> tuple[str, ...]:
    """The hosts of the endpoints in this operator's metadata, in order and each once."""
    role = me.metadata.connectivity_operator
    if role is None:
        raise invalid("entity", f"{me.entity} is no operator in the trust domain")
    urls = (role.sonata_endpoint, role.documents_endpoint, f"//{role.mesh_endpoint}")
    return tuple(dict.fromkeys(host for url in urls if (host := urlsplit(url).hostname)))


def _selling(config: OperatorConfig, members: Membership) -> Selling | None:
    """This operator's own policy, on facts as auditors attest them when it is asked. Raises `Problem`."""
    if config.policy is None:
        return None
    file, book = Path(config.policy.file), Book()
    try:
        return selling(
            file.stem, read_policy(file), config.entity, lambda entity, now: book.attested(members.domain, entity, now)
        )
    except Problem as problem:
        raise invalid(f"policy.file: {file}", problem.detail) from problem


def _admission(config: OperatorConfig, issuer: Issuer, gate: Gate, network: Network, own: Selling | None) -> Admission:
    """What brokers may ask. Documents that had an effect are answered before it is asked, by the store."""
    return Admission(
        me=config.entity,
        keys=issuer.keys(),
        member=lambda entity, _: gate.member(entity),
        owners=owners_of(network.footprint),
        owner_keys=Owners(config.owners).keys_of,
        seen=lambda iss, jti: None,
        selling=own,
    )


def _network(config: OperatorConfig) -> Network:
    path = Path(config.footprint)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise invalid(f"footprint: {path}", f"cannot be read ({error.strerror})") from error
    drawn = footprint.load(data, str(path))
    if drawn.entity != config.entity:
        raise invalid(f"footprint: {path}", f"belongs to {drawn.entity}, not to {config.entity}")
    return Network(drawn, config.route_classes, config.currency, config.zone)


def _publisher(config: OperatorConfig, network: Network, inventory: Inventory, signer: Signer) -> Publisher:
    wanted = None if config.disclosure is Show.AUTO else Disclosure(config.disclosure.value)
    return Publisher(
        network,
        inventory,
        lay_out(network, wanted),
        signer,
        horizon_days=config.calendar.horizon_days,
        granularity_bps=config.calendar.granularity_bps,
    )
