"""The same attackers at whole nodes: a broker's front over HTTP with its door, and an operator's daemon behind TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp.test_utils import TestServer

from federation.broker.api.http import HttpFace, Seams
from federation.broker.authority.access import BuyerAccess
from federation.broker.authority.buyers import Buyers
from federation.broker.authority.door import Door
from federation.broker.config import Limits, Rates
from federation.client.agent import Agent, Proving
from federation.node.seams import SystemClock
from federation.tokens.access import Issuer
from federation.tokens.dpop import make_proof
from federation.tokens.replay import Seen
from federation.trust.certificates import pem
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import generate
from schemas.entity import Jwks
from schemas.price import Money
from schemas.problem import Problem
from schemas.quote import Rfq
from tests.hostile.control import beaten
from tests.support.agents import BROKER, CAROL, Principal, TakenBack
from tests.support.exchange import FakeExchange
from tests.support.footprints import ENTITY
from tests.support.operator_world import BROKER as BROKER_1
from tests.support.operator_world import MANDATE_H, OperatorWorld, plan
from tests.support.seams import CountingEntropy


class Front:
    """A broker's front, an honest agent of Carol's that has its token, and a thief with a network of its own."""

    def __init__(self, url: str, session: aiohttp.ClientSession, given: Agent, taken_back: TakenBack) -> None:
        self.orders, self.session = f"{url}/peerway/v1/orders", session
        self.agent = Proving(given, url, SystemClock(), CountingEntropy("agent"))
        self.taken_back, self.mandate_h = taken_back, doc_hash(given.mandate)

    async def wire(self) -> dict[str, str]:
        """What the agent's next order looks like on the wire."""
        shown: dict[str, str] = await self.agent.headers(self.session, "POST", self.orders)
        return shown

    async def send(self, headers: dict[str, str], key: str) -> int:
        """An order with these headers; the status of its answer."""
        body = b'{"quote": "q-1"}'
        shown = headers | {"Idempotency-Key": key, "Content-Type": "application/json"}
        async with self.session.post(self.orders, data=body, headers=shown) as response:
            self.nonce = response.headers.get("DPoP-Nonce")
            return response.status


@asynccontextmanager
async def front(folder: Path) -> AsyncIterator[Front]:
    """The front serves until the block ends."""
    carol, clock, entropy = Principal(), SystemClock(), CountingEntropy()
    (folder / "carol.jwks").write_bytes(msgspec.json.encode(Jwks((carol.key.jwk(),))))
    access = BuyerAccess(name="carol", entity=CAROL, jwks=str(folder / "carol.jwks"))
    taken_back, given = TakenBack(), carol.agent()
    door = Door(
        Issuer(BROKER, generate(), entropy.token),
        Buyers([access], Rates().table()),
        Seen(),
        b"secret of the door",
        clock,
        revocations=taken_back,
    )
    exchange: Any = FakeExchange()
    server = TestServer(HttpFace(lambda buyer: exchange, door, Limits(), Seams(clock, entropy)).app())
    await server.start_server()
    url = str(server.make_url("")).rstrip("/")
    try:
        async with aiohttp.ClientSession() as session:
            yield Front(url, session, given, taken_back)
    finally:
        await server.close()


async def orders_at_a_broker_with_a_stolen_token(folder: Path) -> None:
    """T5: the token of a request that was logged, and proofs by the thief's key."""
    async with front(folder) as broker:
        token = (await broker.wire())["Authorization"].partition(" ")[2]
        assert await broker.send({"Authorization": f"Bearer {token}"}, "first") == 401
        how = {"now": SystemClock().now(), "jti": "t" * 22, "token": token, "nonce": broker.nonce}
        proof = make_proof(generate(), "POST", broker.orders, **how)
        status = await broker.send({"Authorization": f"DPoP {token}", "DPoP": proof}, "second")
    if status == 401:
        beaten("the token is bound to another key")


async def repeats_an_order_at_a_broker(folder: Path) -> None:
    """T7: a whole request, seen on the way, with an idempotency key of the thief's own."""
    async with front(folder) as broker:
        seen = await broker.wire()
        assert await broker.send(seen, "the agent's") != 401
        status = await broker.send(seen, "the thief's")
    if status == 401:
        beaten("a proof counts once")


async def orders_under_a_mandate_that_was_taken_back(folder: Path) -> None:
    """T5: whoever has the agent's key, and a token of before, goes on after the buyer revoked the mandate."""
    async with front(folder) as broker:
        assert await broker.send(await broker.wire(), "before") != 401
        await broker.taken_back.revoke([CAROL], broker.mandate_h, SystemClock().now())
        status = await broker.send(await broker.wire(), "after")
    if status == 401:
        beaten("the mandate was revoked")


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[OperatorWorld]:
    """An operator's daemon; what is refused to who attacks leaves as it is, not in the group of its tasks."""
    refused: Problem | None = None
    async with OperatorWorld(folder).run() as world:
        try:
            yield world
        except Problem as problem:
            refused = problem
    if refused is not None:
        raise refused


async def shows_an_operator_a_token_over_another_certificate(folder: Path) -> None:
    """T5: a token and a protocol key were stolen from one machine of a broker; the thief sits on another one of it, and
    has a certificate of the same broker, but not the one that the token was given to."""
    async with daemon(folder) as world:
        broker = world.broker
        rfq = Rfq(mandate_h=MANDATE_H, **broker.party(), segment=plan())
        stolen = {"Authorization": f"Bearer {broker.token(rfq.sub, MANDATE_H)}"}
        broker.node.rotate()
        connector = aiohttp.TCPConnector(ssl=broker.node.tls.client_context(ENTITY))
        async with aiohttp.ClientSession(connector=connector) as there:
            sonata = broker.licensed(f"{world.origin}/mefApi/sonata", lambda: there)
            answer = await sonata.quote(sign_jws(broker.key, rfq), rfq, shown=stolen)
    assert answer.quote_jws


async def orders_at_an_operator_at_another_price(folder: Path) -> None:
    """T8: the quote that the daemon holds, with a price of the broker's own in the order that it signs."""
    async with daemon(folder) as world:
        deal = await world.broker.ask(plan())
        placed = await world.broker.order(deal, amount=Money("EUR", 1))
    assert placed.product


async def takes_a_hold_at_an_operator_with_another_quote(folder: Path) -> None:
    """T8: the hold of a dear quote is ordered, and the document says the cheap one of the same broker."""
    async with daemon(folder) as world:
        cheap, dear = await world.broker.ask(plan(gbps=1)), await world.broker.ask(plan(gbps=20))
        assert cheap.answer.quote_jws
        swapped = {"quote_h": doc_hash(cheap.answer.quote_jws), "amount": cheap.held.total}
        placed = await world.broker.order(dear, **swapped)
    assert placed.product


async def calls_an_operator_in_another_brokers_name(folder: Path) -> None:
    """T13: a member's own authority issues a leaf for another broker; the operator's daemon sells to whom it names."""
    async with OperatorWorld(folder).run() as world:
        thief = world.brokers[1].node
        forged = thief.forge(BROKER_1, folder / "forged.pem")
        context = _showing(pem(world.node.certificate).decode(), forged)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{world.base}/quoteManagement/v10/quote", ssl=context) as response,
        ):
            status = response.status
    if status == 401:
        beaten("the leaf is not by the authority of whom it names")
    assert status == 200


def _showing(roots: str, leaf_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=roots)
    context.load_cert_chain(leaf_file)
    return context
