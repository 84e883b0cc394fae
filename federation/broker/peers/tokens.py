"""Tokens of operators: fetched once for the same authority, kept for most of their life, asked for once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

from federation.broker.authority.filing import Party
from federation.node.seams import Clock
from federation.tokens.assertion import Chained
from schemas.authority import Authority
from schemas.segment import EntityId, Hash

USED_PERCENT: Final = 80  # of a token's life; the rest is for a request under way, and for clocks that differ
KEPT_MAX: Final = 10_000


class Need(NamedTuple):
    """For what a token is needed: at whom, with which slice of which mandate, bound to which of our certificates.

    The slice is part of it: a token got for one agent's authority must not serve another's that is narrower. `party` is
    for whom what is got is filed.
    """

    operator: EntityId
    authority: Authority
    chained: Chained
    x5t: Hash
    party: Party | None = None

    @property
    def name(self) -> tuple[EntityId, Hash, str, str, Authority, Hash]:
        """What two needs that one token serves have in common: all but the transaction."""
        given = self.chained
        return (self.operator, given.mandate_h, given.buyer, given.agent, self.authority, self.x5t)


class Fetched(NamedTuple):
    """A token, for how many seconds it counts, and the document that it was asked for with."""

    token: str
    expires_in_s: int
    asked: str = ""


Keep = Callable[[Need, Fetched], Awaitable[None]]


async def unkept(need: Need, fetched: Fetched) -> None:
    """Where nobody files tokens."""


class TokenSource(Protocol):
    """The token endpoints of operators, as `peers` reaches them."""

    async def fetch(self, need: Need) -> Fetched:
        """Ask an operator for a token. Raises `Problem`."""
        ...


class _Kept(NamedTuple):
    token: str
    until_us: int


class OperatorTokens:
    """A cache before a `TokenSource`. `keep` files a token before it is used for the first time."""

    def __init__(self, source: TokenSource, clock: Clock, keep: Keep = unkept) -> None:
        self._source, self._clock, self._keep = source, clock, keep
        self._kept: dict[tuple[object, ...], _Kept] = {}
        self._fetching: dict[tuple[object, ...], asyncio.Future[str]] = {}

    async def token(self, need: Need) -> str:
        """A token that lasts long enough to be used. Raises what the source raises, to everybody who waits for it."""
        kept = self._kept.get(need.name)
        if kept is not None and self._clock.now_us() < kept.until_us:
            return kept.token
        if need.name not in self._fetching:
            # Registered before anything is awaited; it goes on when the first who asked goes away.
            fetching = asyncio.ensure_future(self._fetch(need))
            self._fetching[need.name] = fetching
            fetching.add_done_callback(lambda done: self._over(need, done))
        return await asyncio.shield(self._fetching[need.name])

    def forget(self, need: Need, token: str) -> None:
        """An operator refused this token: the next call asks for a new one."""
        kept = self._kept.get(need.name)
        if kept is not None and kept.token == token:
            del self._kept[need.name]

    async def close(self) -> None:
        """Give up what is being fetched."""
        pending = tuple(self._fetching.values())
        for fetching in pending:
            fetching.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _fetch(self, need: Need) -> str:
        asked_us = self._clock.now_us()
        fetched = await self._source.fetch(need)
        await self._keep(need, fetched)
        if len(self._kept) >= KEPT_MAX:
            self._kept = {name: kept for name, kept in self._kept.items() if kept.until_us > asked_us}
        if len(self._kept) < KEPT_MAX:
            until_us = asked_us + fetched.expires_in_s * 1_000_000 * USED_PERCENT // 100
            self._kept[need.name] = _Kept(fetched.token, until_us)
        return fetched.token

    def _over(self, need: Need, done: asyncio.Future[str]) -> None:
        del self._fetching[need.name]
        if not done.cancelled():
            done.exception()  # everybody who waited may have gone away, and that is no fault
