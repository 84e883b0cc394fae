"""The current offer sheet, and the deltas that keep its watchers current.

Whoever changes what is free marks the links and interfaces touched; at most every `COALESCE_S` the items they show
in become one or more signed deltas, and at most every `SLIGHT_S` where a buyer would hardly see the difference (ADR
0033). Versions count up by one per delta and start from the clock's milliseconds, so they never repeat over restarts.
Nothing here is stored: a restart publishes anew, and watchers fetch the sheet again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from typing import Final, NamedTuple

from federation.trust.merkle import merkle_root
from operators.access.signer import Signer
from operators.catalog.items import Key, Renderer, Seen, everything, key, slight, span, touched
from operators.catalog.layout import Layout
from operators.catalog.pages import batches, delta_bytes_max, pages
from operators.inventory.ledger import Inventory
from operators.pricing.network import Network
from schemas.offer import Delta, Item, Manifest
from schemas.segment import Id

COALESCE_S: Final = 0.1
SLIGHT_S: Final = 5.0
MANIFEST_LIFE_S: Final = 6 * 3600
DELTA_LIFE_S: Final = 3600
HISTORY_LIFE_S: Final = 1800  # well within the life of a delta, so that what is resumed still verifies
HISTORY_MAX: Final = 2_000
TICK_S: Final = 600.0  # how often the horizon is looked at while nothing changes


class Behind(Exception):
    """The version that a watcher holds is too old, or not one of this run: it must fetch the sheet again."""


class Sheet(NamedTuple):
    """A signed manifest and its pages."""

    manifest: str
    pages: tuple[bytes, ...]


class _Past(NamedTuple):
    to_version: int
    at_s: int
    token: str


class Publisher:
    """One operator's catalog, as published."""

    def __init__(
        self,
        network: Network,
        inventory: Inventory,
        layout: Layout,
        signer: Signer,
        *,
        horizon_days: int,
        granularity_bps: int,
    ) -> None:
        self._network, self._inventory, self._layout, self._signer = network, inventory, layout, signer
        self._horizon_days, self._granularity_bps = horizon_days, granularity_bps
        self._dirty: set[Id] = set()
        self._changed = asyncio.Event()
        self._moved = asyncio.Condition()
        self._history: deque[_Past] = deque(maxlen=HISTORY_MAX)
        self.version = signer.clock.now_us() // 1000
        self._span = span(signer.clock.now(), horizon_days)
        self._items: dict[Key, Item] = {}
        self._seen: dict[Id, Seen] = {}  # what was free when it was published last
        self._sheet: tuple[int, int, Sheet] | None = None

    @property
    def offers(self) -> int:
        """How many offers are published."""
        return len(self._layout.stretches)

    def open(self) -> None:
        """Publish everything for the first time, once the inventory is as it was before a restart."""
        renderer = self._renderer()
        self._items = everything(self._network, self._layout, renderer)
        self._seen = {name: renderer.seen(name) for name in (*self._network.links, *self._network.interfaces)}

    def mark(self, resources: Iterable[Id]) -> None:
        """What is free on these links and interfaces has changed."""
        self._dirty.update(resources)
        self._changed.set()

    def flush(self, *, slight_too: bool = True) -> int:
        """Publish what was marked; returns the number of deltas, none where nothing that shows has changed.

        Unless `slight_too`, what differs only slightly from what is published stays marked, until there is more.
        """
        rolled = self.roll()
        self._changed.clear()
        renderer = self._renderer()
        seen = {name: renderer.seen(name) for name in self._dirty & self._seen.keys()}
        if not (slight_too or rolled) and all(slight(self._seen[name], now) for name, now in seen.items()):
            return 0
        items = touched(self._layout, renderer, self._network, self._dirty)
        self._seen |= seen
        self._dirty.clear()
        return self._publish([item for item in items.values() if self._items.get(key(item)) != item])

    def roll(self) -> bool:
        """Move the horizon, once a day: everything shows it, so everything is marked."""
        rolled = span(self._signer.clock.now(), self._horizon_days).to_s != self._span.to_s
        if rolled:
            self.mark({*self._network.links, *self._network.interfaces})
        return rolled

    async def run(self) -> None:
        """Publish marked changes, coalesced, for as long as the operator runs."""
        loop, slight_at = asyncio.get_running_loop(), 0.0
        while True:
            try:
                # No wait_for: that of 3.11 can lose a cancellation.
                async with asyncio.timeout_at(slight_at if self._dirty else loop.time() + TICK_S):
                    await self._changed.wait()
            except TimeoutError:
                self.roll()
            else:
                await asyncio.sleep(COALESCE_S)
            count = self.flush(slight_too=loop.time() >= slight_at)
            if count:
                slight_at = loop.time() + SLIGHT_S
                await self._wake()
                # A mesh under load would otherwise publish without a pause: as many pauses as deltas were sent.
                await asyncio.sleep(COALESCE_S * (count - 1))

    def sheet(self) -> Sheet:
        """The sheet of the present version, made when first asked for; its manifest is renewed at half its life."""
        now = self._signer.clock.now()
        if self._sheet is None or self._sheet[0] != self.version:
            cut = tuple(pages(self._items.values(), self.version))
            self._sheet = (self.version, now, Sheet(self._manifest(cut, now), cut))
        elif now - self._sheet[1] > MANIFEST_LIFE_S // 2:
            cut = self._sheet[2].pages
            self._sheet = (self.version, now, Sheet(self._manifest(cut, now), cut))
        return self._sheet[2]

    async def watch(self, from_version: int) -> AsyncGenerator[str, None]:
        """Deltas from a version on, as they happen. Raises `Behind`."""
        while True:
            for past in self.since(from_version):
                from_version = past.to_version
                yield past.token
            async with self._moved:
                while self.version == from_version:
                    await self._moved.wait()

    def since(self, version: int) -> list[_Past]:
        """Deltas after a version, oldest first. Raises `Behind` where the history does not reach that far."""
        missing = self.version - version
        later = list(self._history)[-missing:] if 0 < missing <= len(self._history) else []
        oldest = self._signer.clock.now() - HISTORY_LIFE_S
        if missing and (not later or later[0].at_s < oldest):
            raise Behind(f"version {version} is not in the history; fetch the sheet")
        return later

    async def _wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    def _renderer(self) -> Renderer:
        self._span = span(self._signer.clock.now(), self._horizon_days)
        return Renderer(self._network, self._inventory, self._span, self._granularity_bps)

    def _publish(self, changed: list[Item]) -> int:
        count = 0
        for batch in batches(changed, delta_bytes_max(Delta)):
            now = self._signer.clock.now()
            delta = Delta(
                iss=self._signer.entity,
                iat=now,
                exp=now + DELTA_LIFE_S,
                jti=self._signer.entropy.token(),
                from_version=self.version,
                to_version=self.version + 1,
                put=batch,
            )
            self._history.append(_Past(self.version + 1, now, self._signer.sign(delta).token))
            self._items |= {key(item): item for item in batch}
            self.version += 1
            count += 1
        return count

    def _manifest(self, cut: tuple[bytes, ...], now: int) -> str:
        manifest = Manifest(
            iss=self._signer.entity,
            iat=now,
            exp=now + MANIFEST_LIFE_S,
            jti=self._signer.entropy.token(),
            version=self.version,
            currency=self._network.currency,
            disclosure=self._layout.disclosure,
            pages=len(cut),
            root=merkle_root(cut),
        )
        return self._signer.sign(manifest).token
