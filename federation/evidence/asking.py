"""Asking other members to sign below a checkpoint: the client's side of C2SP tlog-witness.

What a witness has signed last need not be kept: one that is asked with another size says so, and is asked again from
there. A witness that does not answer is left alone for ever longer, up to a minute; the others are asked meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from federation.evidence.checkpoint import Checkpoint
from federation.evidence.note import Note, NoteVerifier, read_lines, verify_note, write_line
from federation.evidence.witness import CONFLICT, write_request
from federation.trust.fetch import Post
from schemas.problem import Problem
from schemas.segment import EntityId

ADD_CHECKPOINT: Final = "/witness/add-checkpoint"
TRIES: Final = 2
AGAIN_S: Final = 2
AGAIN_S_MAX: Final = 60
SIZE_DIGITS_MAX: Final = 18
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Witness:
    """A member that signs below the checkpoints of others: the base of its log endpoint, and its key."""

    entity: EntityId
    endpoint: str
    key: NoteVerifier


class Proofs(Protocol):
    """The log that asks."""

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """That a tree of `old` leaves became the one of `new`."""
        ...


class Panel:
    """The witnesses of one log. `choose` names them in the order in which they are asked, and is asked every time."""

    def __init__(
        self, choose: Callable[[], Awaitable[Sequence[Witness]]], post: Post, proofs: Proofs, now: Callable[[], int]
    ) -> None:
        """`now` gives Unix seconds."""
        self._choose, self._post, self._proofs, self._now = choose, post, proofs, now
        self._sizes: dict[EntityId, int] = {}
        self._silent: dict[EntityId, tuple[int, int]] = {}  # how often in a row, and until when it is left alone

    async def lines(self, checkpoint: Checkpoint, note: str, at_once: int) -> dict[NoteVerifier, str]:
        """The lines of those that sign below `note` now, `at_once` of them being asked. Who does not sign has none."""
        now = self._now()
        asked = [one for one in await self._choose() if self._silent.get(one.entity, (0, 0))[1] <= now][:at_once]
        found = await asyncio.gather(*(self._ask(one, checkpoint, note) for one in asked))
        return {one.key: line for one, line in zip(asked, found, strict=True) if line is not None}

    async def _ask(self, witness: Witness, checkpoint: Checkpoint, note: str) -> str | None:
        try:
            line = await self._signed(witness, checkpoint, note)
        except Problem as problem:
            times = self._silent.get(witness.entity, (0, 0))[0] + 1
            self._silent[witness.entity] = times, self._now() + min(AGAIN_S * 2 ** min(times, 8), AGAIN_S_MAX)
            tell = log.warning if times == 1 else log.debug
            tell("%s does not sign the checkpoint of %s leaves: %s", witness.entity, checkpoint.size, problem)
            return None
        self._silent.pop(witness.entity, None)
        self._sizes[witness.entity] = checkpoint.size
        return line

    async def _signed(self, witness: Witness, checkpoint: Checkpoint, note: str) -> str:
        for _ in range(TRIES):
            old = self._sizes.get(witness.entity, 0)
            proof = await self._proofs.consistency(old, checkpoint.size)
            answer = await self._post.post(witness.endpoint + ADD_CHECKPOINT, write_request(old, proof, note))
            if answer.status == 200:
                return _line_of(witness, checkpoint, answer.body)
            if answer.status != CONFLICT:
                raise _refused(f"it answers with status {answer.status}")
            self._sizes[witness.entity] = _size(answer.body, checkpoint.size)
        raise _refused(f"it answers with status {CONFLICT}: it has signed another tree of this size")


def _line_of(witness: Witness, checkpoint: Checkpoint, body: bytes) -> str:
    """The witness's own line among those that it answered."""
    lines = read_lines(body)
    mine = [line for line in lines if (line.name, line.key_id) == (witness.key.name, witness.key.key_id)][:1]
    if not verify_note(Note(checkpoint.text, tuple(mine)), [witness.key]):
        raise _refused("its answer holds no line of its own key")
    return write_line(mine[0])


def _size(body: bytes, here: int) -> int:
    """How many leaves the witness has signed, which cannot be more than there are."""
    text = body.decode("ascii", "replace").removesuffix("\n")
    if not text.isascii() or not text.isdigit() or len(text) > SIZE_DIGITS_MAX:
        raise _refused("it does not say what it has signed")
    if int(text) > here:
        raise _refused(f"it has signed {text} leaves, and here are {here}: was an old copy restored?")
    return int(text)


def _refused(why: str) -> Problem:
    return Problem("UNAVAILABLE", why)
