"""The trust domain as this node believes it now: found and kept fresh from the anchors down, or read from a folder."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from federation.node.seams import Clock
from federation.node.settings import Trust
from federation.node.whole import write_whole
from federation.trust.cache import Seen
from federation.trust.chain import Member, TrustDomain
from federation.trust.domain import load_domain, read_anchors
from federation.trust.egress import Egress
from federation.trust.resolve import Resolver
from federation.trust.statements import Elsewhere, HttpStatements
from federation.trust.view import TrustView, tell_all
from schemas.problem import Problem

REREAD_S: Final = 30  # how old a copy of a folder may be: whoever writes there tells nobody
SEEN: Final = "statements-seen.json"
log = logging.getLogger(__name__)
Tell = Callable[[TrustDomain], None]


class Membership(Protocol):
    """`domain` is what is believed now, and is another object whenever anything in it has changed."""

    domain: TrustDomain

    def on_change(self, tell: Tell) -> None:
        """Have `tell` called with the present domain, and with every other one."""
        ...

    def again(self) -> TrustDomain:
        """The domain, looked at anew where that can be done at once."""
        ...

    async def refresh(self) -> TrustDomain:
        """Look now."""
        ...

    async def reread(self, entity: str) -> None:
        """Read one member again now, because it seems to have changed. Does not raise for what others say or do not."""
        ...

    async def member(self, entity: str, now: int) -> Member:
        """A member, looked for at once where it is not known yet. Raises `NOT_FOUND`."""
        ...

    async def listed(self, entity_types: Sequence[str]) -> tuple[str, ...]:
        """The ids of all there may be of these types: hints, and maybe others among them."""
        ...

    async def run(self) -> None:
        """Look again and again until cancelled."""
        ...


@asynccontextmanager
async def membership(
    trust: Trust, me: str, data: Path, egress: Egress, clock: Clock, *, entity_types: Sequence[str]
) -> AsyncIterator[Membership]:
    """What `trust` configures: members of `entity_types` and this node itself, or all of a folder.

    Raises `Problem` where the anchors or the folder cannot be read.
    """
    if trust.domain is not None:
        yield Folder(Path(trust.domain), Path(trust.anchors), clock)
        return
    kept = data / SEEN
    seen = Seen(kept.read_bytes() if kept.exists() else b"")
    statements = HttpStatements(Elsewhere(egress, trust.egress.places))
    rng = random.Random()  # noqa: S311 - spreads refreshes
    anchors = read_anchors(Path(trust.anchors))
    resolver = Resolver(statements, anchors, now=clock.now, rng=rng, seen=seen, fresh_s_max=trust.reread_s)
    known = (me, *trust.known)
    view = TrustView(resolver, known=known, entity_types=entity_types, every_s=trust.refresh_s, rng=rng)
    view.on_change(lambda _: _keep(kept, seen))
    try:
        yield view
    finally:
        await resolver.close()
        _keep(kept, seen)


def _keep(path: Path, seen: Seen) -> None:
    """So that a restart opens no door to older statements."""
    try:
        write_whole(path, seen.dump())
    except OSError as error:
        log.warning("%s cannot be kept: %s", path, error)


class Folder:
    """A `Membership` that reads a trust domain's folder."""

    def __init__(self, folder: Path, anchors: Path, clock: Clock) -> None:
        self._folder, self._anchors, self._clock = folder, anchors, clock
        self._told: list[Tell] = []
        self.domain, self._read_at = self._read(), clock.now()

    def on_change(self, tell: Tell) -> None:
        """See `Membership`."""
        tell(self.domain)
        self._told.append(tell)

    def again(self) -> TrustDomain:
        """The domain, read anew where the copy is older than `REREAD_S`. Raises `Problem`."""
        if self._clock.now() - self._read_at >= REREAD_S:
            self.look()
        return self.domain

    def look(self) -> None:
        """Read it now. Raises `Problem`."""
        found, self._read_at = self._read(), self._clock.now()
        changed, self.domain = found != self.domain, found
        if changed:
            tell_all(self._told, found)

    async def refresh(self) -> TrustDomain:
        """Read it now. Raises `Problem`."""
        self.look()
        return self.domain

    async def reread(self, entity: str) -> None:
        """Read it now; what cannot be read leaves what was."""
        try:
            self.look()
        except Problem as problem:
            log.warning("the trust domain cannot be read: %s", problem)

    async def member(self, entity: str, now: int) -> Member:
        """One of the folder. Raises `NOT_FOUND`."""
        return self.again().member(entity, now)

    async def listed(self, entity_types: Sequence[str]) -> tuple[str, ...]:
        """All of the folder."""
        return tuple(self.again().members)

    async def run(self) -> None:
        """Read it again and again until cancelled; what cannot be read leaves what was."""
        while True:
            await asyncio.sleep(REREAD_S)
            try:
                self.again()
            except Problem as problem:
                log.warning("the trust domain cannot be read: %s", problem)

    def _read(self) -> TrustDomain:
        return load_domain(self._folder, self._anchors, self._clock.now())
