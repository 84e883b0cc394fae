"""The broker's HTTP face on loopback, with a remembered exchange for each of two buyers behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.test_utils import TestServer

from federation.broker.api.exchange import Exchange
from federation.broker.api.http import HttpFace, Seams
from federation.broker.authority.access import BuyerAccess
from federation.broker.authority.buyers import Buyers
from federation.broker.authority.door import Door
from federation.broker.authority.power import Buyer
from federation.broker.config import Limits, Rates
from federation.client.broker import BrokerClient
from federation.node.bearer import key_digest
from federation.node.seams import SystemClock
from federation.tokens.access import Issuer
from federation.tokens.replay import Seen
from federation.trust.keys import generate
from tests.support.agents import TakenBack
from tests.support.exchange import FakeExchange
from tests.support.seams import CountingEntropy


def face_of(exchange_of: Callable[[Buyer], Exchange], buyers: Sequence[str] = ()) -> HttpFace:
    """A face for buyers with bearer keys such as `alice-key`."""
    entropy, clock = CountingEntropy(), SystemClock()
    accesses = [BuyerAccess(name=name, key_sha256=key_digest(f"{name}-key")) for name in buyers]
    issuer = Issuer("https://broker.example", generate(), entropy.token)
    door = Door(issuer, Buyers(accesses, Rates().table()), Seen(), b"secret", clock, revocations=TakenBack())
    return HttpFace(exchange_of, door, Limits(), Seams(clock, entropy))


class World:
    """Two buyers, `alice-key` and `bob-key`, each with an exchange of its own, behind one server."""

    def __init__(self) -> None:
        self.exchanges = {"alice": FakeExchange(), "bob": FakeExchange()}
        self._server = TestServer(face_of(lambda buyer: self.exchanges[buyer.name], tuple(self.exchanges)).app())

    @property
    def address(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()

    def client(self, key: str = "alice-key") -> BrokerClient:
        return BrokerClient(self.address, key, entropy=CountingEntropy())

    async def raw(self, line: str, **options: Any) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request such as `GET /healthz`."""
        method, _, path = line.partition(" ")
        headers = {"Authorization": "Bearer alice-key"} | options.pop("headers", {})
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.address + path, headers=headers, **options) as response,
        ):
            return response.status, dict(response.headers), await response.read()
