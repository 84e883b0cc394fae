"""What lies in front of every operation: the pace of an address, the record of refusals, the names of a listener."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestServer

from federation.broker.api.http import HttpFace, Seams
from federation.broker.api.mcp import Guarded
from federation.broker.authority.access import BuyerAccess
from federation.broker.authority.buyers import Buyers
from federation.broker.authority.door import GIVEN, LOOPBACK, RATE, TOKEN_PATH, Door, Origins
from federation.broker.authority.filing import Party
from federation.broker.config import Limits, Rates
from federation.client.agent import Agent
from federation.node.bearer import key_digest
from federation.node.seams import SystemClock, SystemEntropy
from federation.tokens.access import Issuer
from federation.tokens.dpop import make_proof
from federation.tokens.endpoint import JWT_BEARER, Connection
from federation.tokens.replay import Seen
from federation.trust.keys import generate
from schemas.entity import Jwks
from schemas.problem import Problem
from tests.support.agents import BROKER, CAROL, Principal, TakenBack
from tests.support.exchange import FakeExchange
from tests.support.seams import CountingEntropy, FixedClock

Told = list[tuple[str, str]]


class Front:
    """A door whose record is a list, and the HTTP face behind it."""

    def __init__(self) -> None:
        self.told: Told = []
        clock, entropy = FixedClock(), CountingEntropy()
        issuer = Issuer("https://broker.example", generate(), entropy.token)
        buyers = Buyers([BuyerAccess(name="alice", key_sha256=key_digest("alice-key"))], Rates().table())
        self.door = Door(issuer, buyers, Seen(), b"secret", clock, revocations=TakenBack(), record=self.record)
        self.app = HttpFace(lambda _: FakeExchange(), self.door, Limits(), Seams(clock, entropy)).app()

    def record(self, problem: Problem, act: str) -> None:
        self.told.append((getattr(problem, "reason", problem.detail), act))


async def status(server: TestServer, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as session, session.request(method, server.make_url(path), **more) as response:
        await response.read()
        return response


@pytest.mark.asyncio
async def test_the_reason_of_a_refusal_is_recorded_and_not_told() -> None:
    front = Front()
    async with TestServer(front.app) as server:
        refused = await status(server, "GET", "/peerway/v1/orders", headers={"Authorization": "DPoP x.y.z"})
        no_token = await status(server, "POST", "/oauth/token", data={"grant_type": "password"})
    assert (refused.status, no_token.status) == (401, 400)
    assert [act for _, act in front.told] == ["GET", "POST /oauth/token"]
    assert all(why for why, _ in front.told)


@pytest.mark.asyncio
async def test_one_address_is_paced_before_anything_is_read() -> None:
    front = Front()
    for _ in range(RATE.burst):
        front.door.pace("127.0.0.1")
    async with TestServer(front.app) as server:
        hasty = await status(server, "GET", "/peerway/v1/orders", headers={"Authorization": "Bearer wrong"})
    assert (hasty.status, hasty.headers["Retry-After"]) == (429, "1")
    assert front.told == []
    front.door.pace("192.0.2.1")  # another address has a bucket of its own


@pytest.mark.asyncio
async def test_an_agent_is_given_so_many_tokens_and_another_still_gets_its_own(tmp_path: Path) -> None:
    carol, clock, filed = Principal(), FixedClock(SystemClock().now()), list[tuple[str, ...]]()

    class Files:
        async def file(self, party: Party, operator: str | None, documents: Sequence[str]) -> None:
            filed.append(tuple(documents))

    issuer = Issuer(BROKER, generate(), SystemEntropy().token)
    (tmp_path / "carol.jwks").write_bytes(msgspec.json.encode(Jwks((carol.key.jwk(),))))
    buyers = Buyers([BuyerAccess(name="carol", entity=CAROL, jwks=str(tmp_path / "carol.jwks"))], Rates().table())
    door = Door(issuer, buyers, Seen(), b"secret", clock, revocations=TakenBack(), filing=Files())
    url = BROKER + TOKEN_PATH

    async def asks(agent: Agent) -> str:
        nonce = door.nonce()["DPoP-Nonce"]
        proof = make_proof(agent.key, "POST", url, now=clock.now(), jti=SystemEntropy().token(), nonce=nonce)
        form = {"grant_type": JWT_BEARER, "assertion": agent.mandate}
        try:
            return str((await door.tokens.answer(form, Connection(proof=proof), clock.now())).status)
        except Problem as problem:
            return f"{problem.code}, {problem.retry_after_s} s"

    hasty, other = carol.agent(), carol.agent()
    answers = [await asks(hasty) for _ in range(GIVEN.burst + 2)]
    assert answers == ["200"] * GIVEN.burst + ["TOO_MANY_REQUESTS, 1 s"] * 2
    assert await asks(other) == "200"
    assert len(filed) == GIVEN.burst + 1, "what was not given was not filed"


async def sent(front: Front, scope: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    async def never(*_: Any) -> None:
        raise AssertionError("nobody gets here")

    reached: Callable[..., Awaitable[None]] = never
    await Guarded(reached, lambda _: FakeExchange(), front.door, Origins("http"))(scope, never, send)
    return messages


@pytest.mark.asyncio
async def test_the_agents_face_is_paced_too_and_speaks_http_alone() -> None:
    front = Front()
    assert await sent(front, {"type": "websocket"}) == [{"type": "websocket.close", "code": 1008}]
    for _ in range(RATE.burst):
        front.door.pace("127.0.0.1")
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [], "client": ("127.0.0.1", 1)}
    begun = (await sent(front, scope))[0]
    assert begun["status"] == 429
    assert (b"retry-after", b"1") in begun["headers"]


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
async def test_the_agents_face_has_no_streams_to_listen_at_and_no_sessions_to_end(method: str) -> None:
    told = (b"authorization", b"Bearer alice-key")
    scope = {"type": "http", "method": method, "path": "/mcp", "headers": [told], "client": ("127.0.0.1", 1)}
    begun, _ = await sent(Front(), scope)
    assert begun["status"] == 405
    assert (b"allow", b"POST") in begun["headers"]


@pytest.mark.parametrize("host", [f"{name}:81" for name in sorted(LOOPBACK - {"::1"})] + ["[::1]:81"])
def test_loopback_names_count_where_loopback_is_bound(host: str) -> None:
    assert Origins("http").url(host, "/x") == f"http://{host}/x"
    assert Origins("https", ("https://broker.example",), loopback=False).url(host, "/x") == ""
    assert Origins("https", ("https://broker.example",), loopback=False).url("broker.example", "/x").endswith("/x")
