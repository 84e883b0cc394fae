"""The rule of a witness (C2SP tlog-witness): it signs below a checkpoint that continues what it signed before.

A witness remembers, for each log, the size and the root that it signed last. It never signs a smaller tree, nor one in
which anything of the former is another: so a log cannot show two histories to people who ask for its signature.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from federation.evidence.checkpoint import Checkpoint, entity_of, read_checkpoint, verify_log
from federation.evidence.note import Note, read_note
from federation.evidence.tree import HASH_BYTES, NOTHING, check_consistency
from schemas.problem import Problem, invalid
from schemas.segment import EntityId

PROOF_LINES_MAX: Final = 63
REQUEST_BYTES_MAX: Final = 24 * 1024
OLD: Final = "old "
BAD_REQUEST, FORBIDDEN, UNKNOWN, CONFLICT, UNPROCESSABLE = 400, 403, 404, 409, 422


@dataclass(frozen=True)
class AddCheckpoint:
    """A request: the size that the log believes this witness has signed, the proof from there on, the checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    @property
    def checkpoint(self) -> Checkpoint:
        """What is to be signed. Nothing of it is believed yet."""
        return read_checkpoint(self.note.text)

    @property
    def log(self) -> EntityId:
        """The member whose log it says it is."""
        return entity_of(self.checkpoint.origin)


@dataclass(frozen=True)
class Remembered:
    """What a witness signed last for a log; nothing, before it signed anything."""

    size: int = 0
    root: bytes = NOTHING


@dataclass(frozen=True)
class Refusal:
    """Why a witness does not sign, and the status of its answer.

    `size` is what it signed last; a log that did not know asks again from there. `fork`: this log signed two trees of
    one size, which is proof. A proof that does not lead on is none: whoever asks may have made it up.
    """

    status: int
    why: str
    size: int | None = None
    fork: bool = False


def write_request(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """A request as it travels."""
    lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
    return f"{OLD}{old}\n{lines}\n{note}".encode()


def read_request(body: bytes) -> AddCheckpoint:
    """A request as it came, its form checked and nothing else. Raises `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`."""
    if len(body) > REQUEST_BYTES_MAX:
        raise Problem("PAYLOAD_TOO_LARGE", f"the body is larger than {REQUEST_BYTES_MAX} bytes", field="body")
    head, blank, note = body.partition(b"\n\n")
    try:
        first, *proof = head.decode("ascii").split("\n")
        found = AddCheckpoint(_size(first), tuple(map(_hash, proof)), read_note(note))
        read_checkpoint(found.note.text)
    except (ValueError, Problem) as error:
        raise invalid("body", f"no request to a witness: {error}") from error
    if not blank or len(proof) > PROOF_LINES_MAX:
        raise invalid("body", f"expected at most {PROOF_LINES_MAX} hashes, and an empty line below them")
    return found


def judge(request: AddCheckpoint, log_key: str | None, last: Remembered) -> Checkpoint | Refusal:
    """The checkpoint to be signed and remembered in one step, or why not.

    `log_key` is the key in the verified metadata of the log's member, none where it is no member, or keeps no log.
    """
    asked = request.checkpoint
    if log_key is None:
        return Refusal(UNKNOWN, f"{asked.origin} is no member here that keeps a log")
    try:
        verify_log(request.note, request.log, log_key)
    except Problem as problem:
        return Refusal(FORBIDDEN, problem.detail)
    if request.old > asked.size:
        return Refusal(BAD_REQUEST, f"a log of {request.old} leaves does not become one of {asked.size}")
    if request.old != last.size:
        return Refusal(CONFLICT, f"{last.size} leaves were signed last", last.size)
    if asked.size == last.size and asked.root != last.root:
        return Refusal(CONFLICT, "another tree of the same size was signed before", last.size, fork=True)
    try:
        check_consistency(last.size, last.root, asked.size, asked.root, request.proof)
    except Problem as problem:
        return Refusal(UNPROCESSABLE, problem.detail)
    return asked


def _size(line: str) -> int:
    digits = line.removeprefix(OLD)
    if not line.startswith(OLD) or not digits.isdigit() or len(digits) > 18 or str(int(digits)) != digits:
        raise ValueError("expected the old size on the first line")
    return int(digits)


def _hash(line: str) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except binascii.Error as error:
        raise ValueError("a hash is not in base64") from error
    if len(found) != HASH_BYTES or base64.b64encode(found).decode() != line:
        raise ValueError("a line is no hash of 32 bytes")
    return found
