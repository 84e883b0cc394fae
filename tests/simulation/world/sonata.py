"""How a broker's Sonata client and an operator's Sonata routes meet without sockets: the real ones at both ends.

The client gets what looks like an aiohttp session, the routes what looks like an aiohttp request; bodies, envelopes,
errors and documents are what they are in the daemons. The mesh is reduced to its confirm.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from federation.node.callers import CALLER
from federation.sonata.envelopes import SellerProfile
from federation.sonata.seller import BASE, seller_app
from schemas.problem import Outcome, Problem, from_dict
from tests.simulation.world.lives import CURRENT
from tests.simulation.world.wire import Broken, End, Refused, Wire

PROFILE: Final = SellerProfile(name="Seller", number="+31-30-0000000", email_address="noc@seller.example")
CONFIRM_S: Final = 10.0


class _Body:
    """All of it at once, and then its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def is_eof(self) -> bool:
        return True

    def read_nowait(self) -> bytes:
        data, self._data = self._data, b""
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

    async def confirm(self, broker: str, token: str) -> str:
        """The receipt that answers a confirm."""
        ...


class Session:
    """What the client takes for its aiohttp session."""

    def __init__(self, wire: Wire, source: End, target: Seller) -> None:
        self._wire, self._source, self._target = wire, source, target

    def request(self, method: str, url: URL, *, data: bytes | None, **_: Any) -> _Exchange:
        path = url.raw_path.partition(BASE)[2]
        request = functools.partial(Request, method, path, dict(url.query), data or b"", self._source.entity)
        return _Exchange(self, request)

    async def send(self, request: Callable[[], Request]) -> Reply:
        """One request, one answer, or what a broken connection raises."""
        try:
            return await self._wire.send(self._source, self._target, lambda: routes()(request()))
        except Refused:
            refused = OSError(111, "Connection refused")
            raise aiohttp.ClientConnectorError(None, refused) from None  # type: ignore[arg-type]
        except Broken:
            raise aiohttp.ServerDisconnectedError from None


class _Exchange:
    def __init__(self, session: Session, request: Callable[[], Request]) -> None:
        self._session, self._request = session, request

    async def __aenter__(self) -> Reply:
        return await self._session.send(self._request)

    async def __aexit__(self, *_: object) -> None:
        pass


class Mesh:
    """The mesh of one operator as a broker calls it: `confirm` alone."""

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
