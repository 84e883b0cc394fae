"""A trust domain as a folder, and the configured anchors as a file: what is read is a hint until it verifies.

members                                  one `ENTITY-ID FOLDER` per line, a hint
anchor/entity-configuration.jwt
FOLDER/entity-configuration.jwt          the member about itself
FOLDER/subordinate-statement.jwt         the anchor about the member, or an intermediate that is a member itself
FOLDER/marks/*.jwt                       auditors about the member, beside those in its configuration
status/*.jwt                             status lists of auditors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from federation.trust.chain import DEPTH_MAX, Chain, Member, TrustDomain, member_of, verify_chain
from federation.trust.jose import unverified
from federation.trust.marks import Grounds, carried_marks, verify_marks
from schemas.entity import EntityStatement, Jwks, StatusList
from schemas.problem import Problem, invalid

FOLDER: Final = re.compile(r"[a-z0-9][a-z0-9.\-]{0,62}")
DOCUMENT_BYTES_MAX: Final = 64 * 1024
CONFIGURATION, STATEMENT, MEMBERS = "entity-configuration.jwt", "subordinate-statement.jwt", "members"
ANCHOR, MARKS, STATUS = "anchor", "marks", "status"


@dataclass(frozen=True)
class MemberFiles:
    """What was found about one member: its own configuration, its superior's statement, marks about it."""

    configuration: str
    statement: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DomainFiles:
    """What was found of a trust domain. Nothing here is believed yet; `status_lists` are by uri."""

    anchor_configurations: tuple[str, ...]
    members: Mapping[str, MemberFiles]
    status_lists: Mapping[str, str]


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


def verify_domain(files: DomainFiles, anchors: Mapping[str, Jwks], now: int) -> TrustDomain:
    """Verify every member against the configured `anchors`; one bad member never spoils the others.

    Raises `DOCUMENT_INVALID` when no anchor's own configuration verifies.
    """
    roots = _roots(files, anchors, now)
    chains, members, rejected = dict(roots), dict[str, Member](), dict[str, str]()
    for entity in files.members:
        try:
            chain = verify_chain(chain_in(files, entity, frozenset(roots)), anchors, now)
            if chain.entity != entity:
                raise Problem("DOCUMENT_INVALID", "the statements speak about another entity")
            members[entity], chains[entity] = member_of(chain), chain
        except Problem as problem:
            rejected[entity] = str(problem)
    configurations = {anchor: chain.root for anchor, chain in roots.items()}
    grounds, marks = Grounds(chains, configurations, files.status_lists, now), {}
    for entity in members:
        tokens = (*files.members[entity].marks, *carried_marks(chains[entity].own))
        marks[entity], _ = verify_marks(tokens, entity, grounds)
    return TrustDomain(members, marks, rejected, {entity: chain.tokens for entity, chain in chains.items()})


def chain_in(files: DomainFiles, entity: str, roots: frozenset[str]) -> tuple[str, ...]:
    """The statements of a folder about `entity` in order, up to an anchor. Raises `DOCUMENT_INVALID` without one."""
    tokens, current = [files.members[entity].configuration], entity
    for _ in range(DEPTH_MAX):
        tokens.append(files.members[current].statement)
        superior = unverified(tokens[-1], EntityStatement).iss
        if superior in roots:
            found = [one for one in files.anchor_configurations if unverified(one, EntityStatement).iss == superior]
            return (*tokens, found[0])
        if superior not in files.members:
            raise Problem("DOCUMENT_INVALID", f"{superior} is no configured trust anchor")
        current = superior
    raise Problem("DOCUMENT_INVALID", f"no configured trust anchor within {DEPTH_MAX} superiors")


def _roots(files: DomainFiles, anchors: Mapping[str, Jwks], now: int) -> dict[str, Chain]:
    named = {unverified(token, EntityStatement).iss: token for token in files.anchor_configurations}
    roots = {anchor: verify_chain((token,), anchors, now) for anchor, token in named.items() if anchor in anchors}
    if not roots:
        raise Problem("DOCUMENT_INVALID", "no configured trust anchor has a valid configuration in this trust domain")
    return roots


def read_anchors(path: Path) -> dict[str, Jwks]:
    """Anchors this node trusts: a JSON object from entity id to JWK set. Raises `Problem`."""
    try:
        return msgspec.json.decode(_read(path), type=dict[str, Jwks])
    except msgspec.MsgspecError as error:
        raise invalid(str(path), f"{error}; expected an object from anchor id to a JWK set") from error


def read_members(folder: Path) -> dict[str, Path]:
    """The folder of each member that the `members` file lists. Raises `Problem` naming the line at fault."""
    members: dict[str, Path] = {}
    for number, line in enumerate(_read(folder / MEMBERS).decode(errors="replace").splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not FOLDER.fullmatch(words[1]):
            raise invalid(f"{folder / MEMBERS}:{number}", "expected an entity id and a folder name")
        members[words[0]] = folder / words[1]
    return members


def read_domain(folder: Path) -> DomainFiles:
    """Everything the folder holds. A member with a missing file is left out by giving it empty documents."""
    members = {entity: _member(place) for entity, place in read_members(folder).items()}
    anchor = _read(folder / ANCHOR / CONFIGURATION).decode("ascii", errors="replace").strip()
    return DomainFiles((anchor,), members, _status_lists(folder / STATUS))


def _member(folder: Path) -> MemberFiles:
    marks = sorted((folder / MARKS).glob("*.jwt"))
    return MemberFiles(
        read_text(folder / CONFIGURATION), read_text(folder / STATEMENT), tuple(read_text(m) for m in marks)
    )


def _status_lists(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.glob("*.jwt")):
        token = read_text(path)
        try:
            found[unverified(token, StatusList).sub] = token
        except Problem:
            continue  # as good as absent: the marks that name it do not count
    return found


def read_text(path: Path) -> str:
    """A document, or nothing where it cannot be read."""
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
