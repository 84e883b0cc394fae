"""A broker with a signing key, the seller in memory behind real HTTP on loopback, and a plain Sonata buyer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import ClientSession, web

from federation.node.bearer import Keyring, key_digest
from federation.node.callers import Guesses, callers
from federation.node.http import listen
from federation.sonata.asking import BuyerProfile, Ordered
from federation.sonata.buyer import SonataBuyer
from federation.sonata.envelopes import SellerProfile
from federation.sonata.seller import BASE, seller_app
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import PrivateKey, generate, public_keys
from schemas.entity import Jwks
from schemas.order import Order
from schemas.quote import Action, Rfq
from schemas.segment import End, Segment, moment, window
from schemas.sonata.segment import URN
from tests.support.seams import NOW, CountingEntropy, FixedClock
from tests.support.sonata_desk import MemoryDesk
from tests.support.sonata_official import Inspector

SELLER, BROKER, PLAIN, STRANGER = (f"https://{name}.example" for name in ("seller", "broker", "plain", "stranger"))
KEYS = {BROKER: "broker-key", PLAIN: "plain-key", STRANGER: "stranger-key"}
SELLER_PROFILE = SellerProfile(name="Seller NOC", number="+31-30-0000000", email_address="noc@seller.example")
PROFILE = BuyerProfile(
    name="Broker NOC", number="+49-30-000000", email_address="noc@broker.example", billing_account="BA-1"
)
GBPS = 10**9
START, END = (moment(at).isoformat().replace("+00:00", "Z") for at in (NOW, NOW + 3600))


class Reply(NamedTuple):
    """An answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class World:
    """Everything a test of the two ends touches."""

    def __init__(self, session: ClientSession, url: str, desk: MemoryDesk, clock: FixedClock, key: PrivateKey) -> None:
        self.session, self.url, self.desk, self.clock, self.key = session, url, desk, clock, key
        self.entropy = CountingEntropy("b")
        self.inspector: Inspector | None = None

    def buyer(self, entity: str = BROKER, **limits: Any) -> SonataBuyer:
        return SonataBuyer(lambda: self.session, self.url, PROFILE, bearer=KEYS[entity], **limits)

    async def send(
        self, method: str, path: str, body: object = None, *, entity: str | None = PLAIN, query: str = ""
    ) -> Reply:
        """A request by hand; a body of bytes goes as it is."""
        headers = {"Authorization": f"Bearer {KEYS[entity]}"} if entity else {}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        url = f"{self.url}/{path}{query and '?' + query}"
        async with self.session.request(method, url, data=data, headers=headers) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    def rfq(self, asked: Segment | None = None, **changes: Any) -> tuple[str, Rfq]:
        """A signed rfq of the broker, and its claims."""
        now = self.clock.now()
        claims: dict[str, Any] = {
            "iss": BROKER,
            "sub": "pseudonym-of-a-buyer-1",
            "aud": SELLER,
            "iat": now,
            "exp": now + 60,
        }
        rfq = Rfq(**claims | {"jti": self.entropy.token(), "segment": asked or segment()} | changes)
        return sign_jws(self.key, rfq), rfq

    def order(self, quote_jws: str | None, **changes: Any) -> tuple[str, Order]:
        """A signed order of the broker, and its claims."""
        now = self.clock.now()
        claims: dict[str, Any] = {
            "iss": BROKER,
            "sub": "pseudonym-of-a-buyer-1",
            "aud": SELLER,
            "iat": now,
            "exp": now + 60,
        }
        made = {"jti": self.entropy.token(), "action": Action.ADD, "quote_h": quote_jws and doc_hash(quote_jws)}
        order = Order(**claims | made | {"confirm_by": now + 60} | changes)
        return sign_jws(self.key, order), order

    async def bought(self) -> tuple[str, Rfq]:
        """A segment that is UP: its product id, and the rfq it began with."""
        buyer, (token, rfq) = self.buyer(), self.rfq()
        quote = await buyer.quote(token, rfq)
        ordered = Ordered(quote_id=quote.id, segment=rfq.segment, limits=rfq.limits)
        answer = await buyer.order(*self.order(quote.quote_jws), ordered)
        assert answer.product is not None
        return answer.product, rfq


@asynccontextmanager
async def world(*, inspected: bool = False) -> AsyncIterator[World]:
    """The seller behind HTTP; if `inspected`, the official files judge everything in between."""
    clock, key = FixedClock(), generate()
    trusted = public_keys(Jwks((key.jwk(),)))
    desk = MemoryDesk(generate(), SELLER, {BROKER: trusted, PLAIN: {}, STRANGER: {}}, clock)
    keyring = Keyring({key_digest(bearer): entity for entity, bearer in KEYS.items()})
    async with AsyncExitStack() as stack:
        app = web.Application()
        app.add_subapp(BASE, seller_app(desk, SELLER_PROFILE, [callers(nobody, keyring, Guesses(clock))]))
        session = await stack.enter_async_context(ClientSession())
        url = f"http://127.0.0.1:{await listen(app, '127.0.0.1', 0, stack)}{BASE}"
        inspector = Inspector(session, url)
        if inspected:
            url = f"http://127.0.0.1:{await listen(inspector.app(), '127.0.0.1', 0, stack)}"
        made = World(session, url, desk, clock, key)
        made.inspector = inspector if inspected else None
        yield made
        assert inspector.violations == []


def nobody(leaf: bytes) -> str:
    """This world has no certificates."""
    raise AssertionError(leaf)


def segment(a: int | None = 100, z: int | None = 101, start: int = NOW, end: int = NOW + 3600) -> Segment:
    """A gigabit between the seller's two interfaces."""
    return Segment(a=End("uni-1", a), z=End("enni-1", z), bandwidth_bps=GBPS, window=window(start, end))


def plain_quote(**changes: Any) -> dict[str, Any]:
    """What a buyer sends that has never heard of Peerway beyond the URN."""
    configuration = {
        "@type": URN,
        "a": {"interface": "uni-1", "label": 100},
        "z": {"interface": "enni-1"},
        "bandwidthBps": GBPS,
        "start": START,
        "end": END,
    }
    item = {
        "id": "item-7",
        "action": "add",
        "product": {"productOffering": {"id": "segment"}, "productConfiguration": configuration},
    }
    body = {"buyerRequestedQuoteLevel": "firm", "instantSyncQuote": True, "quoteItem": [item]}
    return body | changes


def plain_order(quote: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The order of such a quote, as answered."""
    contact = {"name": "Buyer", "number": "1", "emailAddress": "b@plain.example"}
    item = quote["quoteItem"][0]
    ordered = {
        "id": "1",
        "action": item["action"],
        "product": item["product"],
        "quoteItem": {"quoteId": quote["id"], "id": item["id"]},
        "requestedCompletionDate": START,
        "requestedItemTerm": item["quoteItemTerm"][0],
        "billingAccount": {"id": "BA-9"},
    }
    return {
        "relatedContactInformation": [{"role": "productOrderContact", **contact}],
        "productOrderItem": [ordered | changes],
    }
