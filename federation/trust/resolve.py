"""From an entity id to a verified chain and its marks (OpenID Federation 1.1, section 10), within fixed limits.

(1) read the entity's configuration; (2) for each of its authority_hints read that superior's configuration and its
statement, nearest superiors first, anchors before others; (3) where an anchor is reached, verify the chain from its
configured keys down; (4) refuse what is older than what was believed before; (5) of several chains take the shortest,
then the one that lasts longest. Marks count only with a chain of their issuer and a fresh status list.

A failure that passes (nobody answers) leaves a chain believed until it expires; a definite one (the superior knows no
such entity, or what it says does not verify) ends it at once. An entity cannot prolong its own life by being silent:
then its former configuration is judged by what its superiors say now.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from federation.trust.cache import ENTRIES_MAX, FAILURE_S, Cache, Loaded, Seen
from federation.trust.chain import (
    DEPTH_MAX,
    HINTS_MAX,
    Chain,
    Mark,
    Member,
    best_chain,
    member_of,
    verify_chain,
)
from federation.trust.jose import unverified, verify_jws
from federation.trust.marks import MARKS_MAX, Grounds, carried_marks, issuers_named, lists_named, verify_marks
from federation.trust.statements import Statements
from schemas.entity import EntityStatement, Jwks, StatusList
from schemas.problem import Problem

FETCHES_MAX: Final = 16
RESOLVE_S: Final = 10.0
STEPS_MAX: Final = 32  # asking a superior, also where its answer is at hand
LISTS_MAX: Final = 8  # status lists read for one entity
SUPERIOR_FRESH_S: Final = 300.0
STATUS_FRESH_S: Final = 300.0
FRESH_S_MIN: Final = 30.0
FRESH_S_MAX: Final = 43_200.0
JITTER: Final = 0.1
PASSING: Final = frozenset({"UNAVAILABLE", "OPERATOR_UNREACHABLE", "TOO_MANY_REQUESTS", "PAYLOAD_TOO_LARGE"})


@dataclass(frozen=True)
class Attempt:
    """One way up that was tried: the ids from the entity upwards, what was done, and what ended it (None: trusted)."""

    path: tuple[str, ...]
    steps: tuple[str, ...]
    failure: str | None = None
    passing: bool = False


@dataclass(frozen=True)
class Resolution:
    """What is known of an entity: its chain and member, or why there is none; its marks, with the chains of those who
    gave them; every way that was tried."""

    entity: str
    chain: Chain | None
    member: Member | None
    marks: tuple[Mark, ...] = ()
    marks_refused: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    issuers: tuple[Chain, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether it is not trusted only because somebody did not answer, and may be soon."""
        return self.member is None and bool(self.attempts) and all(one.passing for one in self.attempts)

    @property
    def why_not(self) -> str:
        """Why the entity is not trusted, each reason once; empty when it is."""
        reasons = [one.failure for one in self.attempts if one.failure]
        return "" if self.member else "; ".join(dict.fromkeys(reasons)) or "no way to a trust anchor"


@dataclass
class _Search:
    """One search for chains: what it may still cost, and what it tried."""

    entity: str
    fetches_left: int = FETCHES_MAX
    steps_left: int = STEPS_MAX
    attempts: list[Attempt] = field(default_factory=list)
    from_cache: set[tuple[str, ...]] = field(default_factory=set)
    unverified: bool = False  # whether a complete way did not verify
    silent: bool = False  # whether the entity did not answer

    def spend(self) -> None:
        if self.fetches_left == 0:
            raise Problem("DOCUMENT_INVALID", f"more than {FETCHES_MAX} documents would have to be read")
        self.fetches_left -= 1

    def step(self) -> None:
        if self.steps_left == 0:
            raise Problem("DOCUMENT_INVALID", f"more than {STEPS_MAX} ways would have to be tried")
        self.steps_left -= 1


@dataclass(frozen=True)
class _Partial:
    """A way up so far: `tokens` are what the chain has, `top` is the configuration of the last of the path."""

    path: tuple[str, ...]
    tokens: tuple[str, ...]
    steps: tuple[str, ...]
    top: str

    @property
    def hints(self) -> tuple[str, ...]:
        return (unverified_of(self.top).authority_hints or ())[:HINTS_MAX]


class Resolver:
    """Resolves entities against the anchors of this node's own configuration.

    `now` gives Unix seconds, `rng` spreads refreshes, `seen` is what was believed before; after `fresh_s_max` seconds
    everything is read again, whatever its life. All methods may be called concurrently; the work for one entity is done
    once.
    """

    def __init__(
        self,
        statements: Statements,
        anchors: Mapping[str, Jwks],
        *,
        now: Callable[[], int],
        rng: random.Random,
        seen: Seen | None = None,
        fresh_s_max: float = FRESH_S_MAX,
    ) -> None:
        self.statements, self.anchors = statements, anchors
        self.seen = seen or Seen()
        self._now, self._rng, self._fresh_s_max = now, rng, fresh_s_max
        self._superiors: Cache[str] = Cache()
        self._lists: Cache[str] = Cache()
        self._chains: Cache[Resolution] = Cache()
        self._believed: dict[str, Chain] = {}

    async def resolve(self, entity: str) -> Resolution:
        """The entity with its marks. Does not raise: what failed is in the resolution."""
        found = await self.resolve_chain(entity)
        if found.chain is None:
            return found
        marks, refused, issuers = await self._marks(found.chain)
        return Resolution(entity, found.chain, found.member, marks, refused, found.attempts, issuers)

    async def resolve_chain(self, entity: str) -> Resolution:
        """The entity without its marks; cached until half of the chain's life, failures for a minute."""
        return await self._chains.get(entity, lambda: self._resolve(entity))

    def forget(self, entity: str) -> None:
        """Read the entity anew at the next question, for instance because a member says that it changed.

        What was believed of it stays so where nobody answers.
        """
        self._chains.forget(entity)
        self._superiors.forget(("configuration", entity))

    async def root(self, anchor: str) -> EntityStatement:
        """The verified configuration of a configured anchor. Raises `Problem`."""
        found = await self.resolve_chain(anchor)
        if found.chain is None or anchor not in self.anchors:
            raise Problem("DOCUMENT_INVALID", found.why_not or "no configured anchor", field=anchor)
        return found.chain.root

    async def listed(self, superior: EntityStatement, entity_types: Sequence[str] = ()) -> tuple[str, ...]:
        """The ids that a superior lists, a hint; with `entity_types` at least those. Raises `Problem`."""
        async with asyncio.timeout(RESOLVE_S):
            return await self.statements.subordinates(superior, entity_types)

    async def close(self) -> None:
        """End the work under way."""
        for cache in (self._superiors, self._lists, self._chains):
            await cache.close()

    # --- chains -----------------------------------------------------------------------------------------------

    async def _resolve(self, entity: str) -> Loaded[Resolution]:
        search = _Search(entity)
        chain: Chain | None = None
        try:
            async with asyncio.timeout(RESOLVE_S):
                chain = await self._search(search)
                if chain is None and search.unverified and search.from_cache and entity in self._believed:
                    # A superior may have changed its keys since its configuration was read for somebody else.
                    for key in search.from_cache:
                        self._superiors.forget(key)
                    search = _Search(entity, search.fetches_left)
                    chain = await self._search(search)
        except TimeoutError:
            failure = f"the answers took longer than {RESOLVE_S:g} s"
            search.attempts.append(Attempt((entity,), (), failure, passing=True))
        old = self._still_believed(search) if chain is None else None
        fresh_s = FAILURE_S
        if chain is not None and not search.silent:
            fresh_s = self._half(chain.exp)
        chain = chain or old
        if chain is None:
            self._believed.pop(entity, None)
            return Resolution(entity, None, None, attempts=tuple(search.attempts)), fresh_s
        self._believed[entity] = chain
        while len(self._believed) > ENTRIES_MAX:
            self._believed.pop(next(iter(self._believed)))
        return Resolution(entity, chain, member_of(chain), attempts=tuple(search.attempts)), fresh_s

    def _still_believed(self, search: _Search) -> Chain | None:
        """The former chain, where nothing but silence on exactly that way stands against it."""
        old = self._believed.get(search.entity)
        if old is None or old.exp <= self._now():
            return None
        on_its_way = [one for one in search.attempts if one.path == old.path[: len(one.path)]]
        return old if on_its_way and all(one.passing for one in on_its_way) else None

    async def _search(self, search: _Search) -> Chain | None:
        try:
            token, said = await self._own(search)
        except Problem as problem:
            search.attempts.append(_failed((search.entity,), ("reading its configuration",), problem))
            return None
        start = _Partial((search.entity,), (token,), ("read its configuration", *said), token)
        if search.entity in self.anchors:
            return self._judge(search, start, (token,))
        frontier = [start]
        for _ in range(DEPTH_MAX):
            found = [chain for partial in frontier for chain in await self._reached(search, partial)]
            if chain := best_chain(found):
                return chain
            frontier = [up for partial in frontier for up in await self._higher(search, partial)]
        search.attempts += [
            Attempt(up.path, up.steps, f"no trust anchor within {DEPTH_MAX} superiors") for up in frontier
        ]
        return None

    async def _own(self, search: _Search) -> tuple[str, tuple[str, ...]]:
        """The entity's configuration; the one believed before where it does not answer now."""
        search.spend()
        try:
            token = await self.statements.configuration(search.entity)
            if unverified_of(token).iss != search.entity:
                raise Problem("DOCUMENT_INVALID", f"it is the configuration of {unverified_of(token).iss}")
        except Problem as problem:
            old = self._believed.get(search.entity)
            if problem.code not in PASSING or old is None or old.exp <= self._now():
                raise
            search.silent = True
            return old.tokens[0], (f"it does not answer ({problem.detail}), so the one believed before is used",)
        return token, ()

    async def _reached(self, search: _Search, partial: _Partial) -> list[Chain]:
        """The chains that end at an anchor directly above."""
        chains = []
        for hint in self._hints(search, partial):
            if hint in self.anchors and hint not in partial.path:
                up = await self._step(search, partial, hint)
                if up and (chain := self._judge(search, up, (*up.tokens, up.top))):
                    chains.append(chain)
        return chains

    async def _higher(self, search: _Search, partial: _Partial) -> list[_Partial]:
        """The ways one step further up, past the anchors."""
        hints, found = self._hints(search, partial), []
        if not hints:
            search.attempts.append(Attempt(partial.path, partial.steps, f"{partial.path[-1]} names no superior"))
        for hint in hints:
            if hint in self.anchors:
                continue
            if hint in partial.path:
                path = (*partial.path, hint)
                search.attempts.append(Attempt(path, partial.steps, f"the way leads back to {hint}"))
            elif up := await self._step(search, partial, hint):
                found.append(up)
        return found

    def _hints(self, search: _Search, partial: _Partial) -> tuple[str, ...]:
        """The superiors to ask, those of the former chain first: what they say now must not wait for anybody else."""
        old = self._believed.get(search.entity)
        return tuple(sorted(partial.hints, key=lambda hint: old is None or hint not in old.path))

    async def _step(self, search: _Search, partial: _Partial, superior: str) -> _Partial | None:
        """One step up to `superior`: its configuration, and what it says of the entity below."""
        below = partial.path[-1]
        path, steps = (*partial.path, superior), (*partial.steps, f"asked {superior} about {below}")
        try:
            search.step()
            top = await self._configuration(search, superior)
            above = unverified_of(top)
            statement = await self._statement(search, above, below)
            claimed = unverified_of(statement)
            if (above.iss, claimed.iss, claimed.sub) != (superior, superior, below):
                raise Problem("DOCUMENT_INVALID", f"the answers are not by {superior} about {below}")
        except Problem as problem:
            search.attempts.append(_failed(path, steps, problem))
            return None
        return _Partial(path, (*partial.tokens, statement), steps, top)

    def _judge(self, search: _Search, way: _Partial, tokens: tuple[str, ...]) -> Chain | None:
        try:
            chain = verify_chain(tokens, self.anchors, self._now())
            if chain.entity != search.entity:
                raise Problem("DOCUMENT_INVALID", "the statements speak about another entity")
            member_of(chain)
            self._check_age(chain)
        except Problem as problem:
            search.attempts.append(_failed(way.path, (*way.steps, "verified the chain"), problem))
            search.unverified = True
            return None
        self.seen.remember(chain.issued)
        steps = (*way.steps, f"verified the chain with the configured keys of {chain.anchor}")
        search.attempts.append(Attempt(way.path, steps))
        return chain

    def _check_age(self, chain: Chain) -> None:
        """An older statement than before is refused, and is no reason to drop the newer one: it may be a replay."""
        try:
            self.seen.check(chain.issued)
        except Problem as problem:
            raise Problem("UNAVAILABLE", problem.detail, field=problem.field) from problem

    async def _configuration(self, search: _Search, superior: str) -> str:
        return await self._read(search, ("configuration", superior), lambda: self.statements.configuration(superior))

    async def _statement(self, search: _Search, superior: EntityStatement, entity: str) -> str:
        if entity == search.entity:
            search.spend()
            return await self.statements.statement(superior, entity)
        key = ("statement", superior.iss, entity)
        return await self._read(search, key, lambda: self.statements.statement(superior, entity))

    async def _read(self, search: _Search, key: tuple[str, ...], read: Callable[[], Awaitable[str]]) -> str:
        """What stands above many entities is read once for all of them, and counts only for the one that reads it."""

        async def load() -> Loaded[str]:
            async with asyncio.timeout(RESOLVE_S):
                token = await read()
            return token, min(SUPERIOR_FRESH_S, self._half(unverified_of(token).exp))

        if self._superiors.holds(key):
            search.from_cache.add(key)
        else:
            search.spend()
        return await self._superiors.get(key, load)

    def _half(self, exp: int) -> float:
        """Seconds until half of the life that is left, give or take a tenth, so that members do not come at once."""
        spread = 1 + JITTER * (2 * self._rng.random() - 1)
        return min(self._fresh_s_max, max(FRESH_S_MIN, (exp - self._now()) / 2 * spread))

    # --- marks ------------------------------------------------------------------------------------------------

    async def _marks(self, chain: Chain) -> tuple[tuple[Mark, ...], tuple[str, ...], tuple[Chain, ...]]:
        tokens = list(carried_marks(chain.own))
        with suppress(Problem):
            tokens += await self.statements.marks(chain.entity)
        tokens = tokens[:MARKS_MAX]
        if not tokens:
            return (), (), ()
        roots = await self._roots()
        named = sorted(issuers_named(tokens, roots))[:MARKS_MAX]
        resolved = [(await self.resolve_chain(issuer)).chain for issuer in named]
        issuers = {one.entity: one for one in resolved if one}
        grounds = Grounds(issuers, roots, {}, self._now())
        lists = await self._status_lists(tokens, chain.entity, grounds)
        marks, refused = verify_marks(tokens, chain.entity, Grounds(issuers, roots, lists, self._now()))
        return marks, refused, tuple(issuers[name] for name in sorted({mark.issuer for mark in marks}))

    async def _roots(self) -> dict[str, EntityStatement]:
        roots = {}
        for anchor in sorted(self.anchors):
            with suppress(Problem):
                roots[anchor] = await self.root(anchor)
        return roots

    async def _status_lists(self, tokens: list[str], entity: str, grounds: Grounds) -> dict[str, str]:
        lists = {}
        for uri, issuer in sorted(lists_named(tokens, entity, grounds))[:LISTS_MAX]:
            with suppress(Problem, TimeoutError):
                load = functools.partial(self._status_list, uri, grounds.issuers[issuer])
                lists[uri] = await self._lists.get((uri, issuer), load)
        return lists

    async def _status_list(self, uri: str, issuer: Chain) -> Loaded[str]:
        """A list by the issuer of a mark, not older than the one before."""
        async with asyncio.timeout(RESOLVE_S):
            token = await self.statements.status(uri)
        found = verify_jws(token, StatusList, issuer.keys, now=self._now(), iss=issuer.entity)
        issued = {(found.iss, uri): found.iat}
        self.seen.check(issued)
        self.seen.remember(issued)
        return token, float(max(1, min(found.ttl, STATUS_FRESH_S)))


def unverified_of(token: str) -> EntityStatement:
    """A statement's claims before it is verified: where to look next, and nothing else."""
    return unverified(token, EntityStatement)


def _failed(path: tuple[str, ...], steps: tuple[str, ...], problem: Problem) -> Attempt:
    return Attempt(path, steps, str(problem), passing=problem.code in PASSING)
