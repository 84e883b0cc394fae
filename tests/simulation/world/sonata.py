"""How a broker's Sonata client and an operator's Sonata routes meet without sockets: the real ones at both ends.

The client gets what looks like an aiohttp session, the routes what looks like an aiohttp request; bodies, envelopes,
errors and documents are what they are in the daemons. The mesh is reduced to its confirm and the news of leases.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from federation.node.callers import CALLER
from federation.sonata.envelopes import SellerProfile
from federation.sonata.seller import BASE, seller_app
from operators.orders.events import LeaseChange
from schemas.problem import Outcome, Problem, from_dict
from tests.simulation.world.lives import CURRENT, outside
from tests.simulation.world.wire import Broken, End, Refused, Wire

PROFILE: Final = SellerProfile(name="Seller", number="+31-30-0000000", email_address="noc@seller.example")
CONFIRM_S: Final = 10.0
FAULT: Final = b"the fault is in this seller's log"


class _Body:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def is_eof(self) -> bool:
        return True

    def read_nowait(self) -> bytes:
        data, self.data = self.data, b""
        return data

    async def readany(self) -> bytes:
        return self.read_nowait()


class _Route(NamedTuple):
    resource: Any


class _Match(dict[str, str]):
    route: _Route


class Request(dict[Any, Any]):
    """As much of an aiohttp request as the routes look at."""

    def __init__(self, method: str, path: str, query: Mapping[str, str], body: bytes, caller: str) -> None:
        super().__init__({CALLER: caller})
        self.method, self.path, self.query = method, path, query
        self.headers: dict[str, str] = {}
        self.content, self.content_length = _Body(body), len(body)
        self.match_info = _Match()


class Reply(NamedTuple):
    """As much of an aiohttp response as the client looks at."""

    status: int
    headers: Mapping[str, str]
    content: _Body


class Routes:
    """The seller's application without a listener, for every operator: the desk is that of the life it runs in."""

    def __init__(self) -> None:
        front: Any = _Front()
        app = seller_app(front, PROFILE, [])
        self._errors: Any = app.middlewares[0]
        self._table = [(r.method, str(r.resource and r.resource.canonical), r) for r in app.router.routes()]

    async def __call__(self, request: Request) -> Reply:
        """Answer a request as the daemon would."""
        answer = await self._errors(request, self._handler(request))
        return Reply(answer.status, answer.headers, _Body(bytes(answer.body or b"")))

    def _handler(self, request: Request) -> Callable[..., Awaitable[web.StreamResponse]]:
        for method, pattern, route in self._table:
            found = _matched(pattern, request.path) if method in {request.method, "*"} else None
            if found is not None:
                request.match_info.update(found)
                request.match_info.route = _Route(route.resource)
                return route.handler
        raise AssertionError(f"no route for {request.method} {request.path}")


@functools.lru_cache(maxsize=4096)
def _matched(pattern: str, path: str) -> Mapping[str, str] | None:
    head, one, _ = pattern.partition("{id}")
    if not one:
        return {} if pattern == path else None
    name = path.removeprefix(head) if path.startswith(head) else ""
    return {"id": unquote(name)} if name and "/" not in name else None


class _Front:
    """The desk of whichever incarnation serves."""

    def __getattr__(self, name: str) -> Any:
        life = CURRENT.get()
        assert life is not None, "an operator serves within a life of its own"
        return getattr(life.desk, name)


@functools.cache
def routes() -> Routes:
    """The application, put together once."""
    return Routes()


class Seller(End, Protocol):
    """An operator as its callers reach it."""

    faults: list[str]

    async def confirm(self, broker: str, token: str) -> str:
        """The receipt that answers a confirm."""
        ...

    def lease_events(self, broker: str) -> AsyncGenerator[LeaseChange, None]:
        """What changes of the leases of a broker from now on."""
        ...


class Session:
    """What the client takes for its aiohttp session."""

    def __init__(self, wire: Wire, source: End, target: Seller) -> None:
        self._wire, self._source, self._target = wire, source, target

    def request(self, method: str, url: URL, *, data: bytes | None, headers: Any, **_: Any) -> _Exchange:
        path = url.path.partition(BASE)[2]
        request = functools.partial(Request, method, path, dict(url.query), data or b"", self._source.entity)
        return _Exchange(self, request)

    async def send(self, request: Callable[[], Request]) -> Reply:
        """One request, one answer, or what a broken connection raises."""
        try:
            reply = await self._wire.send(self._source, self._target, lambda: routes()(request()))
        except Refused:
            refused = OSError(111, "Connection refused")
            raise aiohttp.ClientConnectorError(None, refused) from None  # type: ignore[arg-type]
        except Broken:
            raise aiohttp.ServerDisconnectedError from None
        if FAULT in reply.content.data:
            self._target.faults.append(f"a fault in {request().path}")
        return reply


class _Exchange:
    def __init__(self, session: Session, request: Callable[[], Request]) -> None:
        self._session, self._request = session, request

    async def __aenter__(self) -> Reply:
        return await self._session.send(self._request)

    async def __aexit__(self, *_: object) -> None:
        pass


class Mesh:
    """The mesh of one operator as a broker calls it: `confirm`, and the news of its leases."""

    def __init__(self, wire: Wire, source: End, target: Seller) -> None:
        self._wire, self._source, self._target = wire, source, target

    async def confirm(self, document: bytes) -> bytes:
        """See `MeshChannel.confirm`: a problem of the operator crosses as JSON, a lost answer is unknown."""
        token, extra = document.decode(), {"operator": self._target.entity}
        try:
            async with asyncio.timeout(CONFIRM_S):
                work = functools.partial(self._target.confirm, self._source.entity, token)
                return (await self._wire.send(self._source, self._target, work)).encode()
        except Problem as problem:
            said = from_dict(msgspec.json.decode(msgspec.json.encode(problem.as_dict())))
            raise said.with_outcome(Outcome.NONE, **extra) from problem
        except (Refused, Broken, TimeoutError) as error:
            why = f"{self._target.entity} did not answer"
            raise Problem("OPERATOR_UNREACHABLE", why, outcome=Outcome.UNKNOWN, extra=extra) from error

    async def lease_events(self) -> AsyncGenerator[LeaseChange, None]:
        """See `MeshChannel.lease_events`: until the operator is no more; any of them may be lost, or come late."""
        gone = Problem("OPERATOR_UNREACHABLE", f"{self._target.entity} does not listen")
        if not self._target.serving or not self._wire.connected((self._source.entity, self._target.entity)):
            raise gone
        heard: asyncio.Queue[LeaseChange | None] = asyncio.Queue()
        telling = self._target.life.ask(self._tell(heard))
        telling.add_done_callback(lambda done: _over(done, heard))
        while (change := await heard.get()) is not None:
            yield change
        raise gone

    async def _tell(self, heard: asyncio.Queue[LeaseChange | None]) -> None:
        """What the operator does for one stream, until nobody listens any more."""
        listener = self._source.life
        async with aclosing(self._target.lease_events(self._source.entity)) as changes:
            async for change in changes:
                if listener.over:
                    return
                hear = functools.partial(heard.put_nowait, change)
                self._wire.tell(self._target, self._source, hear, "lease hint")


def _over(telling: asyncio.Future[None], heard: asyncio.Queue[LeaseChange | None]) -> None:
    telling.exception()
    outside(functools.partial(heard.put_nowait, None), 0.01)
