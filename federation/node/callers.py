"""Who calls over HTTP, how often it may, and what it is told when refused: aiohttp middlewares, mounted in this order.

    web.Application(middlewares=[problem_middleware, refusals(audit), callers(judge), rates(buckets, clock)])

`judge` gives the verified entity behind a peer's leaf (DER), or raises `UNAUTHENTICATED`: the `judge` of
`federation.trust.speakers` with the present second. Handlers then ask `caller_of` and `leaf_of`. Where a listener also
takes callers without a certificate, they are known by their bearer keys, under the names that the keyring gives them.
`federation.node.rpc` does the same for gRPC. A public listener mounts `address_rates` alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from federation.node.audit import STRANGER, Audit
from federation.node.bearer import Keyring
from federation.node.limits import Buckets, Rate
from federation.node.seams import Clock
from federation.trust.certificates import thumbprint
from schemas.problem import Problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Judge = Callable[[bytes], str]
CALLER: Final = web.RequestKey("caller", str)
LEAF: Final = web.RequestKey("leaf", str)
WRONG_KEYS: Final = Rate(per_second=1, burst=20)  # of one address


def caller_of(request: web.Request) -> str:
    """The entity that speaks on this connection. Only behind `callers`."""
    return request[CALLER]


def leaf_of(request: web.Request) -> str:
    """`x5t#S256` of the certificate that the caller shows on this connection. Only behind `callers`.

    Raises `UNAUTHENTICATED` where it shows none and is known by a key.
    """
    if LEAF not in request:
        raise Problem("UNAUTHENTICATED", "no certificate came with the connection")
    return request[LEAF]


class Guesses:
    """Wrong bearer keys, counted by address: after too many no key of that address is looked at for a while.

    A right one is not looked at either, or the answer would tell that it is.
    """

    def __init__(self, clock: Clock, rate: Rate = WRONG_KEYS) -> None:
        self._clock, self._wrong = clock, Buckets(rate)

    def who(self, keys: Keyring[str], request: web.Request) -> str:
        """Whose key a request shows. Raises `UNAUTHENTICATED`, `TOO_MANY_REQUESTS`."""
        address, now_us = network_of(request.remote or ""), self._clock.now_us()
        if wait_s := self._wrong.look(address, now_us):
            why = f"too many wrong keys came from your address; the next is looked at in {wait_s} s"
            raise Problem("TOO_MANY_REQUESTS", why, retry_after_s=wait_s)
        try:
            return keys.who(request.headers.get("Authorization"))
        except Problem:
            self._wrong.take(address, now_us)
            raise


def callers(judge: Judge, keys: Keyring[str] | None = None, guesses: Guesses | None = None) -> Middleware:
    """Nobody gets past who is not a member by the authority of its own, or has one of `keys` and no certificate.

    `guesses` goes with `keys`. Raises `UNAUTHENTICATED`, `TOO_MANY_REQUESTS`.
    """
    assert (keys is None) == (guesses is None), "whoever takes keys counts the wrong ones"

    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        leaf = _leaf(request)
        if leaf is not None:
            request[CALLER], request[LEAF] = judge(leaf), thumbprint(leaf)
        elif keys is not None and guesses is not None:
            request[CALLER] = guesses.who(keys, request)
        else:
            raise Problem("UNAUTHENTICATED", "no certificate came with the connection")
        return await handler(request)

    return known


def rates(buckets: Buckets, clock: Clock) -> Middleware:
    """One caller's haste is its own: `TOO_MANY_REQUESTS` with the seconds to wait, and no work done."""

    @web.middleware
    async def paced(request: web.Request, handler: Handler) -> web.StreamResponse:
        check_rate(buckets, caller_of(request), clock)
        return await handler(request)

    return paced


def address_rates(buckets: Buckets, clock: Clock) -> Middleware:
    """The same for a public listener, where nobody has a name: one bucket per IPv4 address or IPv6 network."""

    @web.middleware
    async def paced(request: web.Request, handler: Handler) -> web.StreamResponse:
        check_rate(buckets, network_of(request.remote or ""), clock)
        return await handler(request)

    return paced


def refusals(audit: Audit) -> Middleware:
    """Refusals that say which check failed are written down, and leave without saying so."""

    @web.middleware
    async def veiled(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            raise audit.refused(problem, caller=request.get(CALLER, STRANGER), act=_act(request)) from problem

    return veiled


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Whose address this is: one IPv4 address, or the IPv6 network of 64 bits that one caller usually has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "?"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
    return str(getattr(found, "ipv4_mapped", None) or found)


def check_rate(buckets: Buckets, caller: str, clock: Clock) -> None:
    """Raises `TOO_MANY_REQUESTS` where the bucket of `caller` is empty."""
    wait_s = buckets.take(caller, clock.now_us())
    if wait_s:
        raise Problem("TOO_MANY_REQUESTS", f"too many requests; the next in {wait_s} s", retry_after_s=wait_s)


def _leaf(request: web.Request) -> bytes | None:
    connection = request.transport.get_extra_info("ssl_object") if request.transport else None
    leaf = connection.getpeercert(binary_form=True) if connection else None
    return bytes(leaf) if leaf else None


def _act(request: web.Request) -> str:
    """Method and route as configured: a path as sent may hold names."""
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource else '?'}"
