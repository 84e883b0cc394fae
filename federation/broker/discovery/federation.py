"""Every operator that this broker deals with, each watched by a task of its own; they come and go with the members."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from federation.broker.discovery.known import Known
from federation.broker.discovery.pace import RETRY_MOST_S
from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.discovery.watch import Watch
from federation.broker.peers.protocols import OperatorPeer
from federation.node.seams import Clock, Entropy

T = TypeVar("T")
STARTING_S: Final = 60.0
log = logging.getLogger(__name__)


class Federation:
    """The sheets of all operators, fresh. `ready` is set once every operator has answered or failed once.

    `discovery_ms` is when all that were there then had, those that joined while everybody still starts included.
    """

    def __init__(self, peers: Mapping[str, OperatorPeer], clock: Clock, entropy: Entropy) -> None:
        self._clock, self._entropy = clock, entropy
        self._peers = dict(peers)
        self._tasks: asyncio.TaskGroup | None = None
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._pending = set(peers)
        self._begun = 0.0
        self.known = Known(
            roster=MappingProxyType({entity: peer.name for entity, peer in peers.items()}),
            absent=MappingProxyType(dict.fromkeys(peers, "not asked yet")),
        )
        self.changed = asyncio.Event()
        self.ready = asyncio.Event()
        self.discovery_ms = 0

    async def run(self) -> None:
        """Watch every operator until cancelled, also those that join meanwhile."""
        self._begun = asyncio.get_running_loop().time()
        self._settle(None)
        async with asyncio.TaskGroup() as self._tasks:
            for peer in self._peers.values():
                self._watch(peer)
            await asyncio.Event().wait()

    def join(self, peer: OperatorPeer) -> None:
        """Watch one more operator, or one under another address than before."""
        entity, known = peer.entity, self.known
        self._end(entity)
        self._peers[entity] = peer
        absent = known.absent if entity in known.sheets else {**known.absent, entity: "not asked yet"}
        self._learn({**known.roster, entity: peer.name}, known.sheets, absent, moved=False)
        self._pending.add(entity)
        if self._tasks is not None:
            self._watch(peer)

    def leave(self, entity: str) -> None:
        """Watch an operator no longer, and forget what it offered."""
        self._end(entity)
        if self._peers.pop(entity, None) is not None:
            known = self.known
            left = (_without(entity, known.roster), _without(entity, known.sheets), _without(entity, known.absent))
            self._learn(*left, moved=entity in known.sheets)
            self._settle(entity)

    def _watch(self, peer: OperatorPeer) -> None:
        assert self._tasks is not None, "runs"
        watch = Watch(peer, self, self._clock, self._entropy)
        self._watches[peer.entity] = self._tasks.create_task(_for_ever(watch), name=f"offers of {peer.entity}")

    def _end(self, entity: str) -> None:
        if entity in self._watches:
            self._watches.pop(entity).cancel()

    def put(self, sheet: OperatorSheet) -> None:
        """Take the sheet of an operator that answers."""
        absent = _without(sheet.entity, self.known.absent)
        self._learn(self.known.roster, {**self.known.sheets, sheet.entity: sheet}, absent, moved=True)
        self._settle(sheet.entity)

    def absent(self, entity: str, why: str, *, drop: bool) -> None:
        """Note why an operator does not answer; with `drop`, forget its sheet."""
        dropped = drop and entity in self.known.sheets
        sheets = {e: sheet for e, sheet in self.known.sheets.items() if not (dropped and e == entity)}
        self._learn(self.known.roster, sheets, {**self.known.absent, entity: why}, moved=dropped)
        self._settle(entity)

    def _learn(
        self,
        roster: Mapping[str, str],
        sheets: Mapping[str, OperatorSheet],
        absent: Mapping[str, str],
        *,
        moved: bool,
    ) -> None:
        """A new state of knowledge; the epoch moves only with the offers."""
        epoch = self.known.epoch + int(moved)
        news = moved or absent != self.known.absent or roster != self.known.roster
        self.known = Known(epoch, MappingProxyType(dict(roster)), MappingProxyType(sheets), MappingProxyType(absent))
        if news:
            self.changed.set()

    def _settle(self, entity: str | None) -> None:
        waited = entity in self._pending or entity is None
        self._pending.discard(entity or "")
        if waited and not self._pending:
            took_s = asyncio.get_running_loop().time() - self._begun
            self.discovery_ms = round(took_s * 1000) if took_s < STARTING_S else self.discovery_ms
            self.ready.set()


def _without(entity: str, told: Mapping[str, T]) -> dict[str, T]:
    return {other: what for other, what in told.items() if other != entity}


async def _for_ever(watch: Watch) -> None:
    """Nothing that goes wrong in one watch ends another."""
    while True:
        try:
            await watch.run()
        except Exception:
            log.exception("a watch of offers ended by a fault, and begins anew")
            await asyncio.sleep(RETRY_MOST_S)  # a fault that comes back at once must not fill the log
