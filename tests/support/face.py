"""The broker's HTTP face on loopback, with a remembered exchange for each of two buyers behind it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.test_utils import TestServer

from federation.broker.api.http import HttpFace
from federation.broker.config import Limits
from federation.client.broker import BrokerClient
from federation.node.bearer import Keyring, key_digest
from federation.node.seams import SystemClock
from tests.support.exchange import FakeExchange
from tests.support.seams import CountingEntropy


class World:
    """Two buyers, `alice-key` and `bob-key`, each with an exchange of its own, behind one server."""

    def __init__(self) -> None:
        self.exchanges = {"alice": FakeExchange(), "bob": FakeExchange()}
        buyers = Keyring({key_digest(f"{name}-key"): name for name in self.exchanges})
        face = HttpFace(self.exchanges.__getitem__, buyers, Limits(), SystemClock(), CountingEntropy())
        self._server = TestServer(face.app())

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
