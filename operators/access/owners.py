"""Whose UNIs these are: owners other than the operator, and the keys that verify what they grant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from federation.node.config import read_text
from federation.trust.keys import PublicKey, public_keys
from operators.config import OwnerAccess
from operators.inventory.footprint import Footprint
from schemas.entity import Jwks
from schemas.problem import Problem, invalid
from schemas.segment import EntityId, Id


def owners_of(footprint: Footprint) -> Mapping[Id, EntityId]:
    """The UNIs that belong to others, each with its owner."""
    return {uni.id: uni.owner for uni in footprint.unis if uni.owner != footprint.entity}


class Owners:
    """The owners whose grants are believed, by the configuration."""

    def __init__(self, accesses: Sequence[OwnerAccess]) -> None:
        self._keys = {one.entity: _read(one.jwks) for one in accesses}

    def keys_of(self, entity: EntityId, now: int) -> Mapping[str, PublicKey]:
        """What verifies the grants of an owner. Raises `NOT_FOUND` for one that the configuration does not name."""
        if entity not in self._keys:
            raise Problem("NOT_FOUND", f"the keys of {entity}, which owns a UNI here, are not configured")
        return self._keys[entity]


def _read(path: str) -> Mapping[str, PublicKey]:
    text = read_text(Path(path))
    try:
        return public_keys(msgspec.json.decode(text, type=Jwks))
    except (msgspec.MsgspecError, Problem) as error:
        raise invalid(path, "no public JWK set; make one with: peerway keys public FILE") from error
