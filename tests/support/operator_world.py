"""A real operator on loopback under a fixed clock, and brokers that speak to it as brokers do.

The operator is the daemon's own composition with real HTTP, gRPC and SQLite; only time and ids are the test's. Where
the official Sonata files are at hand, everything that passes between a broker and the operator is judged by them.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
from aiohttp import web
from msgspec import structs

from federation.broker.peers.confirms import Confirms
from federation.node.bearer import key_digest
from federation.sonata.answers import OrderAnswer, QuoteAnswer
from federation.sonata.asking import BuyerProfile, Ordered
from federation.sonata.buyer import SonataBuyer
from federation.sonata.seller import BASE
from federation.tokens.access import Holder, Issuer, issue_access
from federation.trust.certificates import der, pem, thumbprint
from federation.trust.jose import doc_hash, sign_jws, verify_jws
from federation.trust.keys import PrivateKey, dump_private
from federation.trust.throwaway import ThrowawayDomain
from operators.api.http import PEERWAY
from operators.config import OperatorConfig, load_config
from operators.daemon import Running, operator
from operators.fabric.null import NullDriver
from operators.inventory.footprint import Footprint, dump
from schemas.access import Actor, Confirmation
from schemas.authority import AUTHORITY_TYPE, Authority, Deed, Spend
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshStub
from schemas.order import CONFIRM_WITHIN_S, Confirm, Order, Receipt
from schemas.price import MICRO_MAX
from schemas.problem import Problem
from schemas.quote import Action, Rfq, SegmentQuote
from schemas.segment import End, Limits, Segment, window
from tests.support.footprints import ENTITY, GBPS, enni, footprint, link, uni
from tests.support.seams import NOW, CountingEntropy, FixedClock
from tests.support.sonata_official import Inspector, official_folder
from tests.support.speaking import Node

BROKER, OTHER = "https://broker.example", "https://other.example"
BUYER = "pseudonym-of-one-buyer"
HOUR = 3_600
PLAIN_KEY = "key of a plain buyer"
PROFILE = BuyerProfile(name="NOC", number="+49-0", email_address="noc@b.example", billing_account="BA-1")
ROOT_H, MANDATE_H = "R" * 43, "M" * 43
ANYTHING = Authority(
    type=AUTHORITY_TYPE,
    actions=tuple(Deed),
    locations=(ENTITY,),
    max_bandwidth_bps=10**14,
    spend=Spend(ccy="EUR", per_order_micro=MICRO_MAX, total_micro=MICRO_MAX, until=10**11),
    max_hops=16,
    depth=0,
)
UNI_A, UNI_C, ENNI_B = "uni-a", "uni-c", "enni-b--as2-x"

# The clock stands still, so no bucket fills again: who wants to see limits sets them.
PLENTY = "limits = { calls_per_second = 1_000_000, calls_at_once = 1_000_000 }"
CONFIG = """\
entity = "{entity}"
name = "AS 1"
data = "data"
footprint = "footprint.json"
keys = {{ private = "key.json", tls = "tls" }}
trust = {{ domain = "trust", anchors = "trust/anchors.json" }}
listen = {{ http_port = 0, grpc_port = 0 }}
contact = {{ name = "Sales", number = "+31-30-0000000", email = "sales@as1.example" }}
holds = {{ {holds} }}
selling = {{ {selling} }}
{limits}

[[brokers]]
entity = "{broker}"

[[brokers]]
entity = "{other}"

[[buyers]]
name = "plain"
key_sha256 = "{plain_key}"

[[route_classes]]
id = "any"
[route_classes.rates]
port_hourly_micro = {{ uni = 450_000, enni = 300_000 }}
gbps_hourly_micro = 20_000
gbps_km_hourly_micro = 400
set_up_micro = 2_000_000
minimum_micro = 1_000
exit_micro = 5_000_000
minimum_term_s = 60

[[route_classes]]
id = "domestic"
countries = ["NL"]
"""


def drawn() -> Footprint:
    """a - b - c at 10 and 20 km, a detour a - d - c abroad, UNIs at a and c, an ENNI at b that cannot swap labels."""
    links = [link("a", "b", 50, 10), link("b", "c", 100, 20), link("a", "d", 300, 60), link("d", "c", 300, 60)]
    fixed = structs.replace(enni("b", labels="100-101"), swap=False)
    countries = {"a": "NL", "b": "NL", "c": "NL", "d": "DE"}
    return footprint(countries, links, [uni("a"), uni("b"), uni("c", labels="5-6")], [fixed])


def plan(
    a: str = UNI_A,
    z: str = UNI_C,
    *,
    gbps: int = 10,
    start: int = NOW,
    duration_s: int = HOUR,
    label_a: int | None = None,
    label_z: int | None = None,
    **more: Any,
) -> Segment:
    """A segment to ask for."""
    frame = window(start, start + duration_s)
    return Segment(a=End(a, label_a), z=End(z, label_z), bandwidth_bps=gbps * GBPS, window=frame, **more)


@dataclass
class Deal:
    """What a broker holds of one purchase: rfq and quote, then order and receipt."""

    rfq: Rfq
    answer: QuoteAnswer
    quote: SegmentQuote | None = None
    order_h: str = ""
    order_jti: str = ""
    placed: OrderAnswer | None = None
    receipts: list[Receipt] = field(default_factory=list)
    receipt_h: str = ""

    @property
    def held(self) -> SegmentQuote:
        assert self.quote is not None, self.answer.refusal
        return self.quote

    @property
    def product(self) -> str:
        assert self.placed is not None
        assert self.placed.product is not None
        return self.placed.product


class Licensed(SonataBuyer):
    """Shows the operator's own token with every rfq and order, unless a test shows something else."""

    def __init__(self, *given: Any, broker: Broker) -> None:
        super().__init__(*given)
        self._of = broker

    async def quote(
        self,
        rfq_jws: str,
        rfq: Rfq,
        *,
        project_id: str | None = None,
        shown: Mapping[str, str] | None = None,
        answer_by: int | None = None,
    ) -> QuoteAnswer:
        more: dict[str, Any] = {"project_id": project_id, "answer_by": answer_by}
        try:
            right = self._right(rfq) if shown is None else shown
            return await super().quote(rfq_jws, rfq, shown=right, **more)
        except Problem as problem:
            if problem.code != "UNAUTHENTICATED" or shown is not None:
                raise
        # The leaf was renewed between the token and the connection.
        return await super().quote(rfq_jws, rfq, shown=self._right(rfq), **more)

    async def order(
        self,
        order_jws: str,
        document: Order,
        ordered: Ordered | None = None,
        *,
        project_id: str | None = None,
        shown: Mapping[str, str] | None = None,
    ) -> OrderAnswer:
        right = self._right(document) if shown is None else shown
        return await super().order(order_jws, document, ordered, project_id=project_id, shown=right)

    def _right(self, document: Rfq | Order) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._of.token(document.sub, document.mandate_h)}"}


class Broker:
    """One broker of the operator, with the operator's keys to check what it answers; `session` is its own HTTP."""

    def __init__(self, node: Node, key: PrivateKey, operator: PrivateKey) -> None:
        self.node, self.entity, self.clock = node, node.entity, node.clock
        self.key, self._trusted = key, {operator.kid: operator.key.public_key()}
        self.issuer = Issuer(ENTITY, operator, CountingEntropy("at").token)
        entity = self.entity
        self._jti = CountingEntropy(f"j{len(entity)}")
        self.session: aiohttp.ClientSession
        self.sonata: SonataBuyer
        self.confirms: Confirms
        self.mesh: Any = None

    def party(self, sub: str = BUYER, life_s: int = 60) -> dict[str, Any]:
        """The claims that every document of this broker to the operator has."""
        now = self.clock.now()
        jti = self._jti.token()
        return {"iss": self.entity, "sub": sub, "aud": ENTITY, "iat": now, "exp": now + life_s, "jti": jti}

    async def ask(self, segment: Segment, *, sub: str = BUYER, answer_by: int | None = None, **more: Any) -> Deal:
        """A quote, verified if there is one."""
        given: dict[str, Any] = {"mandate_h": MANDATE_H, **more}
        rfq = Rfq(**self.party(sub), segment=segment, **given)
        token = sign_jws(self.key, rfq)
        deal = Deal(rfq, await self.sonata.quote(token, rfq, answer_by=answer_by))
        return self._quoted(deal, token)

    async def look(self, deal: Deal) -> Deal:
        """The same quote, asked for again."""
        deal.answer = await self.sonata.get_quote(deal.answer.id)
        return self._quoted(deal, sign_jws(self.key, deal.rfq))

    def _quoted(self, deal: Deal, rfq_jws: str) -> Deal:
        if deal.answer.quote_jws:
            deal.quote = self.read(deal.answer.quote_jws, SegmentQuote)
            assert deal.quote.rfq_h == doc_hash(rfq_jws)
        return deal

    async def order(self, deal: Deal, **changes: Any) -> OrderAnswer:
        """An order of what was quoted."""
        document = self.order_of(deal, **changes)
        token = sign_jws(self.key, document)
        deal.placed = await self.sonata.order(token, document, self.ordered(deal))
        deal.order_h, deal.order_jti = doc_hash(token), document.jti
        self.note(deal, deal.placed.receipt_jws)
        return deal.placed

    def order_of(self, deal: Deal, **changes: Any) -> Order:
        assert deal.answer.quote_jws is not None
        sub = changes.pop("sub", deal.rfq.sub)
        latest = max(self.clock.now(), deal.rfq.segment.window.start_s if deal.rfq.action is Action.ADD else 0)
        claims = {
            "action": deal.rfq.action,
            "product": deal.rfq.product,
            "quote_h": doc_hash(deal.answer.quote_jws),
            "path_root": ROOT_H,
            "amount": deal.held.total,
            "confirm_by": latest + CONFIRM_WITHIN_S,
            "mandate_h": deal.rfq.mandate_h,
            "grant_h": deal.rfq.grant_h,
        }
        return Order(**self.party(sub), **(claims | changes))

    def ordered(self, deal: Deal) -> Ordered:
        return Ordered(
            quote_id=deal.answer.id, item_id=deal.answer.item_id, segment=deal.held.segment, limits=deal.rfq.limits
        )

    async def confirm(self, deal: Deal, **changes: Any) -> Receipt:
        """The confirm of what was ordered."""
        return self.note(deal, await self.send_confirm(self.confirm_of(deal, **changes)))

    def confirm_of(self, deal: Deal, **changes: Any) -> str:
        claims = {"order_h": deal.order_h, "prev_h": deal.receipt_h, "path_root": ROOT_H, "product": deal.product}
        return sign_jws(self.key, Confirm(**self.party(deal.rfq.sub), **(claims | changes)))

    async def send_confirm(self, token: str) -> str:
        return (await self.confirms.confirm(token.encode())).decode()

    async def release(self, deal: Deal, **changes: Any) -> Receipt:
        """The release of what was ordered."""
        claims = {"action": Action.RELEASE, "product": deal.product, "prev_h": deal.receipt_h}
        document = Order(**self.party(deal.rfq.sub), **(claims | changes))
        token = sign_jws(self.key, document)
        answer = await self.sonata.order(token, document)
        assert answer.state == "completed"
        return self.note(deal, answer.receipt_jws)

    async def lease(self, segment: Segment, **more: Any) -> Deal:
        """A segment bought and confirmed."""
        deal = await self.ask(segment, **more)
        await self.order(deal)
        await self.confirm(deal)
        return deal

    def note(self, deal: Deal, token: str | None) -> Receipt:
        """A receipt, verified, as the latest of the deal."""
        assert token is not None
        receipt = self.read(token, Receipt)
        deal.receipts.append(receipt)
        deal.receipt_h = doc_hash(token)
        return receipt

    def read(self, token: str, kind: type[Any]) -> Any:
        return verify_jws(token, kind, self._trusted, now=self.clock.now(), iss=ENTITY, aud=self.entity)

    def licensed(self, base: str, session: Callable[[], aiohttp.ClientSession] | None = None) -> Licensed:
        """A client of the operator that shows a token with every document."""
        return Licensed(session or (lambda: self.session), base, PROFILE, broker=self)

    def token(self, sub: str, mandate_h: str | None, **changes: Any) -> str:
        """An access token of the operator for this broker's present leaf, as its endpoint would give one."""
        assert self.node.own.leaf is not None
        bound = Confirmation(x5t=thumbprint(der(self.node.own.leaf)))
        authority = structs.replace(ANYTHING, **changes)
        holder = Holder(self.entity, sub, bound, Actor(sub=self.entity))
        given = mandate_h or MANDATE_H
        return issue_access(
            self.issuer, holder, authority, mandate_h=given, txn="txn-1", now=self.clock.now(), life_s=120
        )

    @asynccontextmanager
    async def connected(self, base: str, grpc_port: int) -> AsyncIterator[None]:
        """Over mutual TLS with the operator whose Sonata lies under `base`, until the block ends."""
        tls = self.node.tls
        credentials = tls.channel_credentials(ENTITY)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls.client_context(ENTITY))) as self.session,
            grpc.aio.secure_channel(f"127.0.0.1:{grpc_port}", credentials) as channel,
        ):
            self.sonata, self.mesh = self.licensed(base), MeshStub(channel)
            documents = base.removesuffix(BASE) + f"{PEERWAY}/documents"
            self.confirms = Confirms(ENTITY, lambda: self.session, documents, deadline_s=10)
            yield


class OperatorWorld:
    """The files of one operator, and the operator while it runs."""

    def __init__(
        self, folder: Path, *, network: Footprint | None = None, holds: str = "", selling: str = "", now: int = NOW
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.clock, self.driver = folder, FixedClock(now), NullDriver()
        self.entropy = CountingEntropy("op")
        self.domain = domain = ThrowawayDomain(folder / "trust", now, life_s=7 * 86_400)
        self.node = Node(folder / "tls", ENTITY, self.clock, seed=1, hosts=("127.0.0.1",))
        here = {"sonata": "https://127.0.0.1:1", "mesh": "127.0.0.1:2", "documents": "https://127.0.0.1:1"}
        self.key = domain.add_operator(ENTITY, "AS 1", **here, tls=self.node.certificate)
        self.brokers = []
        for seed, entity in enumerate((BROKER, OTHER), 2):
            node = Node(folder / f"broker-{seed}", entity, self.clock, seed=seed)
            node.believe(self.node)
            key = domain.add_broker(entity, entity, endpoint="https://127.0.0.1:3", tls=node.certificate)
            self.brokers.append(Broker(node, key, self.key))
        domain.write()
        (folder / "key.json").write_bytes(dump_private(self.key))
        (folder / "footprint.json").write_bytes(dump(network or drawn()))
        text = CONFIG.format(
            entity=ENTITY,
            broker=BROKER,
            other=OTHER,
            plain_key=key_digest(PLAIN_KEY),
            holds=holds,
            selling=selling,
            limits=PLENTY,
        )
        (folder / "operator.toml").write_text(text)
        self.running: Running
        self.inspectors: Sequence[Inspector] = ()

    @property
    def config(self) -> OperatorConfig:
        return load_config(self.folder / "operator.toml")

    @property
    def broker(self) -> Broker:
        return self.brokers[0]

    @asynccontextmanager
    async def run(self) -> AsyncIterator[OperatorWorld]:
        """The operator, until the block ends; may be entered again, on the same files."""
        async with AsyncExitStack() as stack:
            self.running = await stack.enter_async_context(operator(self.config, self.clock, self.entropy, self.driver))
            self.origin = f"https://127.0.0.1:{self.running.http}"
            base = f"{self.origin}{BASE}"
            for broker in self.brokers:
                await stack.enter_async_context(broker.connected(base, self.running.grpc))
                if official_folder():
                    watched = await self._inspected(stack, broker.session, base)
                    broker.sonata = broker.licensed(watched)
            anybody = ssl.create_default_context(cadata=pem(self.node.certificate).decode())
            connector = aiohttp.TCPConnector(ssl=anybody)
            self.session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            self.base = await self._inspected(stack, self.session, base) if official_folder() else base
            yield self
        for inspector in self.inspectors:
            assert inspector.violations == []

    async def _inspected(self, stack: AsyncExitStack, session: aiohttp.ClientSession, base: str) -> str:
        inspector = Inspector(session, base)
        self.inspectors = [*self.inspectors, inspector]
        runner = web.AppRunner(inspector.app())
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def pass_time(self, seconds: int) -> None:
        """Let time pass, and what is due happen."""
        self.clock.advance(seconds)
        await self.run_due()

    async def run_due(self) -> None:
        desk = self.running.desk
        desk.shop.timers.look(desk.lifecycle.step)
        await desk.shop.drain()

    def free(self, resource: str, start: int = NOW, end: int = NOW + HOUR) -> int:
        """Gb/s left on an interface or inside."""
        return self.running.desk.shop.inventory.free((resource,), start, end) // GBPS

    def assert_nothing_held(self) -> None:
        shop = self.running.desk.shop
        assert shop.inventory.claims() == ()
        assert (shop.quotes, shop.leases, self.driver.up) == ({}, {}, {})


NO_LIMITS = Limits()
