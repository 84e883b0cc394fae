"""The one way to call a URL or an endpoint that came from someone else.

(1) the form of the URL is judged before anything is looked up, and again for every request of a session
(2) a name is looked up once per connection, all of its answers are judged, and exactly those are dialled: a name that
    changes its mind between the question and the call (DNS rebinding) gains nothing
(3) no redirect is followed, no proxy or cookie of the environment is used, no compressed answer is accepted
(4) at most one byte more than allowed is read, and everything together has one deadline

`session` serves callers that send more than a GET, with the TLS context of their peer; `target` is for gRPC.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import TracebackType
from typing import Final, NamedTuple, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from federation.trust.destinations import Rules, destination, endpoint, is_public
from federation.trust.fetch import Answer
from schemas.problem import Problem

BODY_BYTES_MAX: Final = 64 * 1024
DEADLINE_S: Final = 3.0
ADDRESSES_MAX: Final = 16
CONNECTIONS_MAX: Final = 64
URLS_KEPT: Final = 256
CONNECTIONS_PER_HOST_MAX: Final = 8
HEADER_BYTES_MAX: Final = 8190
HEADERS_MAX: Final = 64
Lookup = Callable[[str, int], Awaitable[Sequence[tuple[int, str]]]]


class Target(NamedTuple):
    """A gRPC target: the `address:port` that was judged, and the name that its certificate must hold."""

    address: str
    name: str


class Egress:
    """Reads documents of foreign nodes, sends them small ones, and lends guarded sessions. Close it, or use it as a
    context.

    `lookup` gives the address family and address of every answer for a name (`federation.node.dns.Dns`); `roots` is
    the TLS context for `get`, the public roots when absent.
    """

    def __init__(
        self,
        lookup: Lookup,
        *,
        rules: Rules | None = None,
        roots: ssl.SSLContext | None = None,
        bytes_max: int = BODY_BYTES_MAX,
        deadline_s: float = DEADLINE_S,
        allowed: Callable[[str], bool] = is_public,
    ) -> None:
        self._rules = rules or Rules()
        # The form of a URL is judged once: neither it nor the rules change.
        self._there = lru_cache(maxsize=URLS_KEPT)(partial(destination, rules=self._rules))
        self._resolver = _Judging(lookup, self._rules, allowed)
        self._roots = roots or ssl.create_default_context()
        self._bytes_max, self._deadline_s = bytes_max, deadline_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop every connection of `get`."""
        if self._session is not None:
            await self._session.close()

    def session(self, tls: ssl.SSLContext) -> aiohttp.ClientSession:
        """A session in which every request is judged, for whoever closes it. Follows no redirect.

        Its requests raise `INVALID_ARGUMENT` where the URL may not be called, and `aiohttp.TooManyRedirects` over the
        first redirect. Bodies are the caller's to limit.
        """
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            ssl=tls,
            use_dns_cache=False,
            limit=CONNECTIONS_MAX,
            limit_per_host=CONNECTIONS_PER_HOST_MAX,
        )
        return aiohttp.ClientSession(
            connector=connector,
            middlewares=(self._judge,),
            headers={"Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )

    async def get(self, url: str) -> bytes:
        """The body of a 200 answer.

        Raises `INVALID_ARGUMENT` (this URL is not called), `PAYLOAD_TOO_LARGE`, `NOT_FOUND` (404) and `UNAVAILABLE`.
        """
        answer = await self._call("GET", url)
        host = self._there(url).host
        if answer.status == 404:
            raise Problem("NOT_FOUND", f"{host} has no such document")
        if answer.status != 200:
            raise _silent(host, f"answers with status {answer.status}")
        return answer.body

    async def post(self, url: str, body: bytes, content_type: str | None = None) -> Answer:
        """Send `body`, and whatever is answered. Raises `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE` and `UNAVAILABLE`."""
        return await self._call("POST", url, body, {} if content_type is None else {"Content-Type": content_type})

    async def _call(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        there = self._there(url)
        self._session = self._session or self.session(self._roots)
        try:
            where = URL(url, encoded=True)  # as judged, not spelled anew
            asked = self._session.request(method, where, data=body, headers=headers, allow_redirects=False)
            async with asyncio.timeout(self._deadline_s), asked as response:
                wanted = body is not None or response.status == 200
                return Answer(response.status, await self._body(response, there.host) if wanted else b"")
        except TimeoutError as error:
            raise _silent(there.host, f"did not answer within {self._deadline_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _silent(there.host, f"cannot be read ({_reason(error)})") from error

    async def target(self, text: str) -> Target:
        """Where to dial a gRPC endpoint `name:port` of foreign metadata. Raises `INVALID_ARGUMENT`, `UNAVAILABLE`."""
        there = endpoint(text, self._rules)
        if there.authority in self._rules.literals:
            return Target(there.authority, there.host)
        try:
            async with asyncio.timeout(self._deadline_s):
                found = (await self._resolver.resolve(there.host, there.port))[0]
        except (OSError, TimeoutError) as error:
            raise _silent(there.host, "has no address") from error
        host = f"[{found['host']}]" if ":" in found["host"] else found["host"]
        return Target(f"{host}:{found['port']}", there.host)

    async def _judge(self, request: aiohttp.ClientRequest, call: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Every request of a session, and every hop if somebody let it follow redirects."""
        self._there(str(request.url))
        response = await call(request)
        if 300 <= response.status < 400:
            response.close()
            raise aiohttp.TooManyRedirects(response.request_info, (response,))
        return response

    async def _body(self, response: aiohttp.ClientResponse, host: str) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _silent(host, "answers compressed, which nobody asked for")
        body = bytearray()
        while len(body) <= self._bytes_max:
            chunk = await response.content.read(self._bytes_max + 1 - len(body))
            if not chunk:
                return bytes(body)
            body += chunk
        response.close()
        raise Problem("PAYLOAD_TOO_LARGE", f"the answer of {host} is larger than {self._bytes_max} bytes")


class _Judging(AbstractResolver):
    """Gives aiohttp the addresses of a name, all of them judged; what it gives is what is dialled."""

    def __init__(self, lookup: Lookup, rules: Rules, allowed: Callable[[str], bool]) -> None:
        self._lookup, self._rules, self._allowed = lookup, rules, allowed

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        """Every answer, or `OSError`: one bad address spoils the name, for nobody knows which would be dialled."""
        mapped = self._rules.names.get(f"{host}:{port}")
        if mapped is not None:
            address, _, mapped_port = mapped.rpartition(":")
            return [_result(host, int(mapped_port), answer) for answer in await self._lookup(address, int(mapped_port))]
        answers = await self._lookup(host, port)
        if not 0 < len(answers) <= ADDRESSES_MAX:
            raise OSError(None, "no address, or too many")
        if not all(self._allowed(address) for _, address in answers):
            raise OSError(None, "an address behind the name is not public")
        return [_result(host, port, answer) for answer in answers]

    async def close(self) -> None:
        """Nothing to close: the lookup belongs to whoever made it."""


def _result(host: str, port: int, answer: tuple[int, str]) -> ResolveResult:
    family, address = answer
    return {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.TooManyRedirects):
        return "it answers with a redirect"
    told = error.os_error.strerror if isinstance(error, aiohttp.ClientConnectorError) else None
    return told or type(error).__name__


def _silent(host: str, why: str) -> Problem:
    return Problem("UNAVAILABLE", f"{host} {why}")
