"""Signed notes: text with signature lines below it, by Ed25519 keys with a name (C2SP signed-note).

Two kinds of key are spoken here: a log's, which signs the text, and a witness's, which signs the text with a time
(C2SP tlog-cosignature, type 4). Lines of keys that nobody knows are nobody's business; a line that says it is of a
known key and does not verify spoils the note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.problem import Problem

NOTE_BYTES_MAX: Final = 16 * 1024
LINES_MAX: Final = 64
KEY_BYTES: Final = 32
ID_BYTES: Final = 4
TIME_BYTES: Final = 8
TIME_MAX: Final = 2**63 - 1
DASH: Final = "\u2014 "
PRIVATE: Final = "PRIVATE+KEY+"
CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f\x85\u2028\u2029]")


class Type(IntEnum):
    """What a key signs: a note, or a witness's timed statement about one."""

    NOTE = 1
    COSIGNATURE = 4


class Line(NamedTuple):
    """One signature line as it stands there: the name of the key, its id, the signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """The text, which ends with a newline, and the lines below it."""

    text: str
    lines: tuple[Line, ...]


class Signed(NamedTuple):
    """A line that verified: by which key, and when, where it tells (Unix seconds)."""

    key: NoteVerifier
    at: int | None


@dataclass(frozen=True)
class NoteVerifier:
    """The public half of a key: its name, its type and 32 bytes."""

    name: str
    type: Type
    public: bytes

    @classmethod
    def read(cls, text: str) -> Self:
        """A verifier key `name+id+base64`. Raises `DOCUMENT_INVALID`."""
        parts = text.split("+", 2)
        try:
            key = _decoded(parts[2])
            found = cls(parts[0], Type(key[0]), key[1:])
        except (IndexError, ValueError) as error:
            raise _refused("no verifier key of a log or a witness", "verifier key") from error
        if not _is_name(found.name) or len(found.public) != KEY_BYTES or parts[1] != found.key_id.hex():
            raise _refused("the id of the verifier key is not that of its name and key", "verifier key")
        return found

    @cached_property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart; no proof of anything."""
        return hashlib.sha256(f"{self.name}\n".encode() + bytes([self.type]) + self.public).digest()[:ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_encoded(bytes([self.type]) + self.public)}"

    def check(self, text: str, signature: bytes) -> int | None:
        """When the text was signed, where the signature tells. Raises `DOCUMENT_INVALID` where it does not verify."""
        at, message = None, text.encode()
        if self.type is Type.COSIGNATURE:
            at, signature = int.from_bytes(signature[:TIME_BYTES], "big"), signature[TIME_BYTES:]
            message = _timed(text, at)
        try:
            if at is not None and at > TIME_MAX:
                raise InvalidSignature
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise _refused(f"the line of {self.name} does not verify", "note") from error
        return at


class NoteSigner:
    """A private key with a name."""

    def __init__(self, name: str, kind: Type, key: Ed25519PrivateKey) -> None:
        assert _is_name(name), "names hold no space and no plus"
        self._key = key
        self.verifier = NoteVerifier(name, kind, key.public_key().public_bytes_raw())

    @classmethod
    def read(cls, text: str) -> Self:
        """A private key `PRIVATE+KEY+name+id+base64`, on one line. Raises `DOCUMENT_INVALID`."""
        parts = text.strip().removeprefix(PRIVATE).split("+", 2)
        try:
            secret = _decoded(parts[2])
            found = cls(parts[0], Type(secret[0]), Ed25519PrivateKey.from_private_bytes(secret[1:]))
        except (IndexError, ValueError, AssertionError) as error:
            raise _refused("no private key of a log or a witness", "key") from error
        if parts[1] != found.verifier.key_id.hex():
            raise _refused("the id of the private key is not that of its name and key", "key")
        return found

    @classmethod
    def generate(cls, name: str, kind: Type) -> Self:
        """A fresh key from the operating system's randomness."""
        return cls(name, kind, Ed25519PrivateKey.generate())

    def dump(self) -> str:
        """The private key for a file that only its owner may read."""
        secret = bytes([self.verifier.type]) + self._key.private_bytes_raw()
        return f"{PRIVATE}{self.verifier.name}+{self.verifier.key_id.hex()}+{_encoded(secret)}"

    def line(self, text: str, now: int | None = None) -> str:
        """The signature line below `text`; a witness says when it signs, Unix seconds."""
        assert (now is not None) == (self.verifier.type is Type.COSIGNATURE), "a witness tells the time, a log does not"
        message = text.encode() if now is None else _timed(text, now)
        timed = b"" if now is None else now.to_bytes(TIME_BYTES, "big")
        blob = self.verifier.key_id + timed + self._key.sign(message)
        return f"{DASH}{self.verifier.name} {_encoded(blob)}\n"


def write_note(text: str, lines: Sequence[str]) -> str:
    """A text and its signature lines, each of which ends with a newline, as one note."""
    assert text.endswith("\n"), "signed text ends with a newline"
    assert lines, "a note is signed"
    return f"{text}\n{''.join(lines)}"


def read_note(data: str | bytes) -> Note:
    """Take a note apart; nothing of it is believed yet. Raises `DOCUMENT_INVALID`."""
    note = _text(data)
    text, blank, below = note.rpartition("\n\n")
    if not blank or not below.endswith("\n"):
        raise _refused("no signature lines below an empty one", "note")
    return Note(f"{text}\n", read_lines(below))


def read_lines(data: str | bytes) -> tuple[Line, ...]:
    """Signature lines alone, as a witness answers. Raises `DOCUMENT_INVALID`."""
    lines = _text(data).splitlines(keepends=True)
    if not 0 < len(lines) <= LINES_MAX:
        raise _refused(f"expected 1 to {LINES_MAX} signature lines", "note")
    return tuple(_line(line) for line in lines)


def verify_note(note: Note, keys: Iterable[NoteVerifier]) -> tuple[Signed, ...]:
    """The lines of `keys`, one for each key that signed, in the order of the lines.

    Raises `DOCUMENT_INVALID` where a line of a known key does not verify.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found: dict[NoteVerifier, Signed] = {}
    for line in note.lines:
        key = known.get((line.name, line.key_id))
        if key is not None and key not in found:
            found[key] = Signed(key, key.check(note.text, line.signature))
    return tuple(found.values())


def write_line(line: Line) -> str:
    """A line as it was read."""
    return f"{DASH}{line.name} {_encoded(line.key_id + line.signature)}\n"


def _line(line: str) -> Line:
    name, _, blob = line.removeprefix(DASH).removesuffix("\n").partition(" ")
    try:
        decoded = _decoded(blob)
    except ValueError as error:
        raise _refused("a signature is not in base64", "note") from error
    if not (line.startswith(DASH) and line.endswith("\n")) or not _is_name(name) or len(decoded) <= ID_BYTES:
        raise _refused("a line is no signature line", "note")
    return Line(name, decoded[:ID_BYTES], decoded[ID_BYTES:])


def _text(data: str | bytes) -> str:
    """UTF-8 of a fair size without control characters but the newline, and with no other kind of line end."""
    try:
        text = data if isinstance(data, str) else data.decode()
        size = len(text.encode())
    except UnicodeError as error:
        raise _refused("not UTF-8", "note") from error
    if size > NOTE_BYTES_MAX:
        raise _refused(f"larger than {NOTE_BYTES_MAX} bytes", "note")
    if CONTROL.search(text):
        raise _refused("holds control characters", "note")
    return text


def _timed(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(char.isspace() or char < " " for char in name)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    """Standard base64 in its one canonical form. Raises `ValueError`."""
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if _encoded(found) != text:
        raise ValueError("not the canonical form")
    return found


def _refused(why: str, field: str) -> Problem:
    return Problem("DOCUMENT_INVALID", why, field=field)
