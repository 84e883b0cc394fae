"""A trust domain as a folder, and the configured anchors as a file: reading only, nothing is believed here.

members                                  one `ENTITY-ID FOLDER` per line, a hint
anchor/entity-configuration.jwt
FOLDER/entity-configuration.jwt          the member about itself
FOLDER/subordinate-statement.jwt         the anchor about the member
FOLDER/marks/*.jwt                       auditors about the member
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from federation.trust.chain import DomainFiles, MemberFiles, TrustDomain, verify_domain
from schemas.entity import Jwks
from schemas.problem import Problem, invalid

FOLDER: Final = re.compile(r"[a-z0-9][a-z0-9.\-]{0,62}")
DOCUMENT_BYTES_MAX: Final = 64 * 1024
CONFIGURATION, STATEMENT, MEMBERS = "entity-configuration.jwt", "subordinate-statement.jwt", "members"
ANCHOR: Final = "anchor"


def load_domain(folder: Path, anchors_file: Path, now: int) -> TrustDomain:
    """Read and verify a trust domain. Raises `Problem` where a file is missing or no anchor verifies."""
    try:
        return verify_domain(read_domain(folder), read_anchors(anchors_file), now)
    except Problem as problem:
        if problem.code != "DOCUMENT_INVALID":
            raise
        # Only the anchor's own configuration can spoil a whole domain.
        detail = f"{problem.detail}; the anchors believed are those in {anchors_file}"
        raise Problem(problem.code, detail, field=str(folder / ANCHOR / CONFIGURATION)) from problem


def read_anchors(path: Path) -> dict[str, Jwks]:
    """Anchors this node trusts: a JSON object from entity id to JWK set. Raises `Problem`."""
    try:
        return msgspec.json.decode(_read(path), type=dict[str, Jwks])
    except msgspec.MsgspecError as error:
        raise invalid(str(path), f"{error}; expected an object from anchor id to a JWK set") from error


def read_domain(folder: Path) -> DomainFiles:
    """Everything the folder holds. A member with a missing file is left out by giving it empty documents."""
    members: dict[str, MemberFiles] = {}
    for number, line in enumerate(_read(folder / MEMBERS).decode().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not FOLDER.fullmatch(words[1]):
            raise invalid(f"{folder / MEMBERS}:{number}", "expected an entity id and a folder name")
        members[words[0]] = _member(folder / words[1])
    anchor = _read(folder / ANCHOR / CONFIGURATION).decode("ascii", errors="replace").strip()
    return DomainFiles((anchor,), members)


def _member(folder: Path) -> MemberFiles:
    marks = sorted((folder / "marks").glob("*.jwt"))
    return MemberFiles(_text(folder / CONFIGURATION), _text(folder / STATEMENT), tuple(_text(m) for m in marks))


def _text(path: Path) -> str:
    try:
        return _read(path).decode("ascii", errors="replace").strip()
    except Problem:
        return ""  # a missing document fails verification, and only for the member concerned


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise invalid(str(path), f"cannot be read ({error.strerror})") from error
    if len(data) > DOCUMENT_BYTES_MAX:
        raise invalid(str(path), f"larger than {DOCUMENT_BYTES_MAX} bytes")
    return data
