"""What keeps a log up to date beside everything else: new documents into the tree, a checkpoint, its witnesses.

Nothing waits for it. Each step is on disk before the next, so a node that was killed goes on where it was; a checkpoint
is kept before anybody sees it, so the log never signs two trees of one size. While too few witnesses answer, the same
checkpoint, or a newer one, is shown to them again.
"""

from __future__ import annotations

import asyncio
import logging

from federation.evidence.asking import Panel
from federation.evidence.checkpoint import WITNESSES_NEEDED, Checkpoint, sign_checkpoint, verify_log
from federation.evidence.note import NoteSigner, NoteVerifier, read_note
from federation.evidence.protocols import SIGNED, WITNESSED, Kept, LogStore
from schemas.problem import Problem
from schemas.segment import EntityId

log = logging.getLogger(__name__)


class Sequencer:
    """Keeps one log; `step` does all there is to do now, `run` again and again."""

    def __init__(
        self,
        entity: EntityId,
        rows: LogStore,
        signer: NoteSigner,
        panel: Panel,
        *,
        every_s: float,
        asked: int,
        needed: int = WITNESSES_NEEDED,
    ) -> None:
        """`asked` witnesses are asked at once, of which `needed` must sign."""
        self._entity, self._rows, self._signer, self._panel = entity, rows, signer, panel
        self._every_s, self._at_once, self._needed = every_s, asked, needed
        self._lines: tuple[int, dict[NoteVerifier, str]] = 0, {}

    async def run(self) -> None:
        """Until cancelled. A fault is logged; the next step begins anew from what is on disk."""
        while True:
            try:
                await self.step()
            except Problem as problem:
                log.warning("the log is not kept up to date: %s", problem)
            except Exception:
                log.exception("a fault in keeping the log; it is tried again")
            await asyncio.sleep(self._every_s)

    async def step(self) -> bool:
        """Whether everything that was filed before is covered by a witnessed checkpoint now. Raises `Problem`."""
        while await self._rows.take():
            pass
        size, root = await self._rows.tree()
        if size == 0 or await self._done(WITNESSED, size):
            return True
        checkpoint = Checkpoint(self._signer.verifier.name, size, root)
        note = sign_checkpoint(checkpoint, self._signer)
        if not await self._done(SIGNED, size):
            await self._rows.keep(SIGNED, Kept(size, note))
        lines = await self._asked(checkpoint, note)
        if len(lines) < self._needed:
            return False
        below = "".join(lines[key] for key in sorted(lines, key=lambda key: key.name))
        await self._rows.keep(WITNESSED, Kept(size, note + below))
        return True

    async def _asked(self, checkpoint: Checkpoint, note: str) -> dict[NoteVerifier, str]:
        """The lines below this checkpoint, those of earlier steps among them."""
        size, before = self._lines
        found = (before if size == checkpoint.size else {}) | await self._panel.lines(checkpoint, note, self._at_once)
        self._lines = checkpoint.size, found
        return found

    async def _done(self, kind: str, size: int) -> bool:
        """Whether the newest checkpoint of this kind covers everything, and is signed with the key of today."""
        kept = await self._rows.checkpoint(kind)
        if kept is None or kept.size < size:
            return False
        try:
            verify_log(read_note(kept.note), self._entity, str(self._signer.verifier))
        except Problem:
            return False
        return True
