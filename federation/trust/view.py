"""The trust domain as it stands now: found, resolved, and kept fresh while the node runs.

`TrustView.domain` is an immutable `TrustDomain` that is replaced whenever something in it changes; whoever keeps a view
asks it at every use. Entities are found by listing the subordinates of the anchors, and of intermediates below them,
and by the ids that the node's configuration adds; all of these are hints. Who does not answer is asked again soon, and
then ever more rarely: nodes may start in any order.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from federation.trust.certificates import Authority, read_authority
from federation.trust.chain import Member, TrustDomain
from federation.trust.resolve import STATUS_FRESH_S, Resolution, Resolver
from schemas.entity import EntityStatement
from schemas.problem import Problem

LIST_S: Final = 300.0  # how often superiors are asked whom they list
AGAIN_S: Final = 0.25  # and how soon again, at first, while somebody does not answer
AT_ONCE_MAX: Final = 8
ENTITIES_MAX: Final = 4096
SUPERIORS_MAX: Final = 64  # intermediates whose lists are read
STRANGERS_MAX: Final = 1024
log = logging.getLogger(__name__)


def authorities(domain: TrustDomain, now: int) -> tuple[Authority, ...]:
    """The TLS authorities of every member that is believed at `now`, each for that member alone.

    A member whose authority cannot be used is left out, so that nobody can speak for it, and spoils no other.
    """
    found = []
    for member in domain.members.values():
        if member.tls_ca and member.exp > now:
            try:
                found.append(read_authority(member.entity, member.tls_ca, now=now, exp=member.exp))
            except Problem as problem:
                log.warning("the TLS authority of %s cannot be used: %s", member.entity, problem)
    return tuple(found)


def tell_all(told: Iterable[Callable[[TrustDomain], None]], domain: TrustDomain) -> None:
    """Tell everybody who follows the domain; a fault of one keeps nobody else from hearing who is believed no more."""
    for tell in told:
        try:
            tell(domain)
        except Exception:
            log.exception("a fault in following the members that are believed")


class TrustView:
    """The members that are believed, from `refresh` on; `run` keeps it so until cancelled."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        known: Iterable[str] = (),
        listing: bool = True,
        entity_types: Sequence[str] = (),
        every_s: float = LIST_S,
        rng: random.Random,
    ) -> None:
        """`known` are ids from this node's configuration; without `listing` nobody else is looked for.

        With `entity_types` superiors are asked for these alone. Everything is looked at again `every_s` seconds later.
        """
        self._resolver, self._rng, self._listing = resolver, rng, listing
        self._entity_types, self._every_s = tuple(entity_types), every_s
        self._in_vain, self._silent, self._list_missing = 0, 0, False
        self._known = tuple(dict.fromkeys(known))
        self._entities: tuple[str, ...] = self._known
        self._strangers: dict[str, None] = {}
        self._found: dict[str, Resolution] = {}
        self._reread: dict[str, Resolution] = {}
        self._told: list[Callable[[TrustDomain], None]] = []
        self._places = asyncio.Semaphore(AT_ONCE_MAX)
        self.domain = TrustDomain({})

    def on_change(self, tell: Callable[[TrustDomain], None]) -> None:
        """Have `tell` called with the present domain and with every new one, for instance to reload TLS roots."""
        tell(self.domain)
        self._told.append(tell)

    def again(self) -> TrustDomain:
        """The domain: looking anew takes time, which `run` and `member` take."""
        return self.domain

    async def run(self) -> None:
        """Refresh until cancelled. What cannot be reached is logged and tried again; what expired is believed no more,
        because a `TrustDomain` is asked with the time."""
        while True:
            try:
                await self.refresh()
            except Exception:
                log.exception("a fault in looking for members; those believed stay so until their time is over")
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        silent = [entity for entity, one in self._found.items() if one.silent]
        for entity in silent:
            self._resolver.forget(entity)
        progress = len(silent) < self._silent
        self._silent = len(silent)
        self._in_vain = 0 if not silent and not self._list_missing else 1 if progress else self._in_vain + 1
        soon = AGAIN_S * 2.0 ** min(self._in_vain - 1, 16) if self._in_vain else self._every_s
        return min(soon, self._every_s, STATUS_FRESH_S) * (0.9 + 0.2 * self._rng.random())

    async def refresh(self) -> TrustDomain:
        """Look for members, resolve those whose time has come, and replace the domain where anything changed."""
        self._reread.clear()
        for anchor in self._resolver.anchors:
            self._resolver.forget(anchor)  # whom it lets give marks may be another today
        if self._listing:
            self._entities = await self._discover()
        wanted = tuple(dict.fromkeys((*self._entities, *self._strangers)))[:ENTITIES_MAX]
        found = await asyncio.gather(*(self._resolve(entity) for entity in wanted))
        self._found = {one.entity: self._reread.get(one.entity, one) for one in found}
        self._publish()
        return self.domain

    async def reread(self, entity: str) -> None:
        """Read now what an entity says of itself, and what is said of it. Where nobody answers, nothing changes."""
        if entity not in self._found:
            return
        self._resolver.forget(entity)
        found = self._reread[entity] = await self._resolve(entity)
        self._found[entity] = found
        self._publish()

    async def member(self, entity: str, now: int) -> Member:
        """A member, resolved at once where it is not known yet. Raises `NOT_FOUND`."""
        with suppress(Problem):
            return self.domain.member(entity, now)
        found = await self._resolve(entity)
        if found.member is not None and entity not in self._found and len(self._strangers) < STRANGERS_MAX:
            self._strangers[entity] = None
        if found.member is not None:
            self._found[entity] = found
            self._publish()
        return self.domain.member(entity, now)

    async def listed(self, entity_types: Sequence[str]) -> tuple[str, ...]:
        """The ids that the anchors list now, of these types at least: hints, nobody is looked at. Those known already
        are among them, whatever they are."""
        found = dict.fromkeys(self._found)
        for anchor in self._resolver.anchors if self._listing else ():
            with suppress(Problem, TimeoutError):
                found |= dict.fromkeys(await self._resolver.listed(await self._superior(anchor), entity_types))
        return tuple(one for one in found if one not in self._resolver.anchors)[:ENTITIES_MAX]

    async def _resolve(self, entity: str) -> Resolution:
        async with self._places:
            return await self._resolver.resolve(entity)

    def _publish(self) -> None:
        members = {entity: one.member for entity, one in self._found.items() if one.member}
        rejected = {entity: one.why_not for entity, one in self._found.items() if not one.member}
        marks = {entity: self._found[entity].marks for entity in members}
        for entity in sorted(rejected.keys() - self.domain.rejected.keys()):
            if self._found[entity].silent:
                log.info("%s is not there yet: %s", entity, rejected[entity])
            else:
                log.warning("%s is not trusted: %s", entity, rejected[entity])
        domain = TrustDomain(members, marks, rejected, _statements(self._found.values()))
        changed = domain != self.domain
        self.domain = domain
        if changed:
            tell_all(self._told, domain)

    # --- whom there is ------------------------------------------------------------------------------------------

    async def _discover(self) -> tuple[str, ...]:
        """The ids that anchors and intermediates list now; of a superior that does not answer, those listed before."""
        found, asked, self._list_missing = dict.fromkeys(self._known), set[str](), False
        superiors = list(self._resolver.anchors)
        while superiors and len(asked) < SUPERIORS_MAX and len(found) < ENTITIES_MAX:
            superior = superiors.pop(0)
            asked.add(superior)
            try:
                statement = await self._superior(superior)
                listed = await self._resolver.listed(statement, self._entity_types)
            except (Problem, TimeoutError) as error:
                log.warning("%s does not say whom it lists: %s", superior, error)
                found |= dict.fromkeys(self._entities)
                self._list_missing = True
                continue
            new = [one for one in listed if one not in found and one not in self._resolver.anchors]
            found |= dict.fromkeys(new)
            superiors += [one for one in await self._intermediates(new) if one not in asked]
        return tuple(found)[:ENTITIES_MAX]

    async def _superior(self, entity: str) -> EntityStatement:
        if entity in self._resolver.anchors:
            return await self._resolver.root(entity)
        found = await self._resolver.resolve_chain(entity)
        if found.chain is None:
            raise Problem("DOCUMENT_INVALID", found.why_not, field=entity)
        return found.chain.own

    async def _intermediates(self, entities: list[str]) -> list[str]:
        """Those that are trusted and have a list of their own."""
        found = await asyncio.gather(*(self._chain(entity) for entity in entities[:ENTITIES_MAX]))
        return [one.entity for one in found if one.chain and _lists(one.chain.own)]

    async def _chain(self, entity: str) -> Resolution:
        async with self._places:
            return await self._resolver.resolve_chain(entity)


def _statements(found: Iterable[Resolution]) -> dict[str, tuple[str, ...]]:
    """The statements behind members and behind the issuers of their marks, which this node need not look for itself."""
    chains = [chain for one in found if one.member for chain in (*one.issuers, one.chain) if chain]
    # Of several chains of one issuer the one that lasts longest: marks were verified again with it, or soon will be.
    return {chain.entity: chain.tokens for chain in sorted(chains, key=lambda chain: chain.exp)}


def _lists(own: EntityStatement) -> bool:
    return bool((own.metadata or {}).get("federation_entity", {}).get("federation_list_endpoint"))
