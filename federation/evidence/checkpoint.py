"""Checkpoints: what a log signs about its tree, and what others sign below it (C2SP tlog-checkpoint, tlog-cosignature).

The origin of a log, and the name of every key here, is the entity id of a member without `https://`: so a line counts
for the member whose verified metadata hold the key, and for nobody else. A log never vouches for itself: its own key as
a witness does not count, nor does one key for two members.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from federation.evidence.note import (
    Note,
    NoteSigner,
    NoteVerifier,
    Type,
    read_note,
    verify_note,
    write_note,
)
from federation.evidence.tree import HASH_BYTES, check_inclusion, leaf_hash
from federation.trust.keys import b64url, b64url_decode
from schemas.evidence import Inclusion
from schemas.problem import Problem
from schemas.segment import EntityId, Hash

WITNESSES_NEEDED: Final = 2
SIZE_DIGITS_MAX: Final = 18
SCHEME: Final = "https://"


@dataclass(frozen=True)
class Checkpoint:
    """The tree of a log: whose, how many leaves, and the root, 32 bytes."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True)
class Witnessed:
    """A checkpoint that its log signed, and the other members that signed below it: when each did, Unix seconds."""

    checkpoint: Checkpoint
    witnesses: Mapping[EntityId, int]


def origin_of(entity: EntityId) -> str:
    """What the log of a member is called, and its keys: the entity id without its scheme."""
    return entity.removeprefix(SCHEME)


def entity_of(origin: str) -> EntityId:
    """The member that a log, or a key, is called after."""
    return SCHEME + origin


def read_checkpoint(text: str) -> Checkpoint:
    """The signed text of a note as a checkpoint. Further lines may follow and say nothing here.

    Raises `DOCUMENT_INVALID`.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise _refused("expected an origin, a size and a root, each on a line of its own")
    size = lines[1]
    if not (size.isascii() and size.isdigit()) or size != str(int(size[:SIZE_DIGITS_MAX])):
        raise _refused("the size is no number as it would be written")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except binascii.Error as error:
        raise _refused("the root is not in base64") from error
    if len(root) != HASH_BYTES or base64.b64encode(root).decode() != lines[2]:
        raise _refused("the root is no hash of 32 bytes")
    return Checkpoint(lines[0], int(size), root)


def sign_checkpoint(checkpoint: Checkpoint, log: NoteSigner) -> str:
    """A checkpoint as the log's own note."""
    assert (log.verifier.name, log.verifier.type) == (checkpoint.origin, Type.NOTE), "a log signs its own tree"
    return write_note(checkpoint.text, [log.line(checkpoint.text)])


def key_of(entity: EntityId, text: str, kind: Type) -> NoteVerifier:
    """A verifier key from the metadata of a member: of this kind, and called after that member.

    Raises `DOCUMENT_INVALID`.
    """
    found = NoteVerifier.read(text)
    if found.type is not kind or found.name != origin_of(entity):
        raise _refused(f"the verifier key is not one of {entity} for this", f"verifier key of {entity}")
    return found


def verify_log(note: Note, log: EntityId, log_key: str) -> Checkpoint:
    """A checkpoint that this log signed, whoever else did. Raises `DOCUMENT_INVALID`."""
    found = read_checkpoint(note.text)
    if found.origin != origin_of(log):
        raise _refused(f"it is of {found.origin}, not of {origin_of(log)}")
    if not verify_note(note, [key_of(log, log_key, Type.NOTE)]):
        raise _refused(f"{found.origin} did not sign it")
    return found


def witnesses_of(note: Note, log: EntityId, witness_keys: Mapping[EntityId, str]) -> dict[EntityId, int]:
    """The members that signed below a checkpoint, but for the log itself, and when. A key that two members have counts
    once; one that cannot be read is nobody's. Raises `DOCUMENT_INVALID` where a line of one of them does not verify.
    """
    keys: dict[bytes, NoteVerifier] = {}
    for entity, text in sorted(witness_keys.items()):
        try:
            key = key_of(entity, text, Type.COSIGNATURE)
        except Problem:
            continue
        if entity != log:
            keys.setdefault(key.public, key)
    return {entity_of(one.key.name): one.at for one in verify_note(note, keys.values()) if one.at is not None}


def verify_checkpoint(
    note: str, log: EntityId, log_key: str, witness_keys: Mapping[EntityId, str], needed: int = WITNESSES_NEEDED
) -> Witnessed:
    """A checkpoint that may be believed: signed by its log, and below it by at least `needed` other members.

    `log_key` is the `log_key` of the log's verified metadata, `witness_keys` are the `witness_key`s of the members that
    the caller accepts as witnesses, by entity id. Raises `DOCUMENT_INVALID`.
    """
    read = read_note(note)
    checkpoint = verify_log(read, log, log_key)
    found = witnesses_of(read, log, witness_keys)
    if len(found) < needed:
        raise _refused(f"{len(found)} other members signed below it; {needed} are needed", "witnesses")
    return Witnessed(checkpoint, found)


def signers_of(note: str) -> tuple[EntityId, ...]:
    """Who signed it and below it, as its lines say: a verifier needs their statements. Raises `DOCUMENT_INVALID`."""
    return tuple(dict.fromkeys(entity_of(line.name) for line in read_note(note).lines))


def leaf_of(document_h: Hash) -> bytes:
    """The hash of the leaf of a document: the leaf is the 32 bytes of the document's hash.

    Raises `DOCUMENT_INVALID` where that is none.
    """
    try:
        data = b64url_decode(document_h)
    except ValueError as error:
        raise _refused("no hash of a document", "inclusion") from error
    if len(data) != HASH_BYTES:
        raise _refused("no hash of a document", "inclusion")
    return leaf_hash(data)


def write_inclusion(index: int, path: tuple[bytes, ...]) -> Inclusion:
    """An inclusion proof as it travels."""
    return Inclusion(index=index, path=tuple(map(b64url, path)))


def verify_inclusion(document_h: Hash, inclusion: Inclusion, checkpoint: Checkpoint) -> None:
    """That a document stands in the tree of a checkpoint. Raises `DOCUMENT_INVALID`."""
    try:
        path = tuple(map(b64url_decode, inclusion.path))
    except ValueError as error:
        raise _refused("the path is not in base64url", "inclusion") from error
    if any(len(one) != HASH_BYTES for one in path):
        raise _refused("the path holds something else than hashes", "inclusion")
    check_inclusion(leaf_of(document_h), inclusion.index, checkpoint.size, path, checkpoint.root)


def _refused(why: str, field: str = "checkpoint") -> Problem:
    return Problem("DOCUMENT_INVALID", why, field=field)
