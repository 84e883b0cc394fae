"""Callers known by a bearer key; configuration holds only its SHA-256."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Generic, TypeVar

from schemas.problem import Problem

T = TypeVar("T")


class Keyring(Generic[T]):
    """Who owns which key, by the lower-case hex SHA-256 of the key."""

    def __init__(self, owners: Mapping[str, T]) -> None:
        self._owners = {bytes.fromhex(digest): owner for digest, owner in owners.items()}

    def who(self, authorization: str | None) -> T:
        """The owner of the key in an `Authorization: Bearer KEY` header. Raises `UNAUTHENTICATED`."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Problem("UNAUTHENTICATED", "send the header 'Authorization: Bearer KEY'")
        given = hashlib.sha256(key.strip().encode(errors="surrogateescape")).digest()
        # Every entry is compared, each in constant time: neither a prefix nor a position shows in the timing.
        found = [owner for digest, owner in self._owners.items() if hmac.compare_digest(digest, given)]
        if not found:
            raise Problem("UNAUTHENTICATED", "this key is not known here")
        return found[0]


def key_digest(key: str) -> str:
    """What configuration holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()
