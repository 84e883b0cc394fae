"""Every operator of the trust domain that this broker has a key for, each watched by a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from federation.broker.discovery.known import Known
from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.discovery.watch import Watch
from federation.broker.peers.protocols import OperatorPeer
from federation.node.seams import Clock, Entropy


class Federation:
    """The sheets of all operators, fresh. `ready` is set once every operator has answered or failed once."""

    def __init__(self, peers: Mapping[str, OperatorPeer], clock: Clock, entropy: Entropy) -> None:
        self._peers, self._clock, self._entropy = peers, clock, entropy
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
        """Watch every operator until cancelled."""
        self._begun = asyncio.get_running_loop().time()
        self._settle(None)
        async with asyncio.TaskGroup() as tasks:
            for entity, peer in self._peers.items():
                watch = Watch(peer, self, self._clock, self._entropy)
                tasks.create_task(watch.run(), name=f"offers of {entity}")

    def put(self, sheet: OperatorSheet) -> None:
        """Take the sheet of an operator that answers."""
        absent = {entity: why for entity, why in self.known.absent.items() if entity != sheet.entity}
        self._learn({**self.known.sheets, sheet.entity: sheet}, absent, moved=True)
        self._settle(sheet.entity)

    def absent(self, entity: str, why: str, *, drop: bool) -> None:
        """Note why an operator does not answer; with `drop`, forget its sheet."""
        dropped = drop and entity in self.known.sheets
        sheets = {e: sheet for e, sheet in self.known.sheets.items() if not (dropped and e == entity)}
        self._learn(sheets, {**self.known.absent, entity: why}, moved=dropped)
        self._settle(entity)

    def _learn(self, sheets: Mapping[str, OperatorSheet], absent: Mapping[str, str], *, moved: bool) -> None:
        """A new state of knowledge; the epoch moves only with the offers."""
        epoch = self.known.epoch + int(moved)
        news = moved or absent != self.known.absent
        self.known = Known(epoch, self.known.roster, MappingProxyType(sheets), MappingProxyType(absent))
        if news:
            self.changed.set()

    def _settle(self, entity: str | None) -> None:
        self._pending.discard(entity or "")
        if not self._pending and not self.ready.is_set():
            self.discovery_ms = round((asyncio.get_running_loop().time() - self._begun) * 1000)
            self.ready.set()
