"""A node's federation keys in a file: a private JWK set whose first key signs and whose others are published along.

That is all a rotation needs: add a key, let everybody learn it, move it to the front, and drop the former one once
nothing that it signed is left. The file is for its owner's eyes only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from federation.trust.keys import PrivateKey, PublicKey, dump_private, load_private
from schemas.entity import Jwks
from schemas.problem import invalid


@dataclass(frozen=True)
class KeySet:
    """Private keys in their order."""

    keys: tuple[PrivateKey, ...]

    @property
    def signer(self) -> PrivateKey:
        """The key that signs."""
        return self.keys[0]

    def public(self) -> Jwks:
        """What others may know of all of them, the signer first."""
        return Jwks(tuple(key.jwk() for key in self.keys))

    def added(self, key: PrivateKey) -> KeySet:
        """With one more key, which does not sign yet."""
        return KeySet((*self.keys, key))

    def signing_with(self, kid: str) -> KeySet:
        """With this key in front. Raises `INVALID_ARGUMENT`."""
        return KeySet((self._of(kid), *(key for key in self.keys if key.kid != kid)))

    def without(self, kid: str) -> KeySet:
        """Without this key, which must not be the one that signs. Raises `INVALID_ARGUMENT`."""
        if self._of(kid) is self.signer:
            raise invalid("KID", "this key signs; put another one in front first: peerway keys use FILE KID")
        return KeySet(tuple(key for key in self.keys if key.kid != kid))

    def _of(self, kid: str) -> PrivateKey:
        found = [key for key in self.keys if key.kid == kid]
        if not found:
            raise invalid("KID", f"no key of the file has this id; it holds {', '.join(key.kid for key in self.keys)}")
        return found[0]


class PresentKey(PrivateKey):
    """The key that signs now: whoever holds it signs with another one after the file was replaced."""

    def __init__(self, keys: KeySet) -> None:
        super().__init__(keys.signer.key)
        self._all: dict[str, PublicKey] = {}
        self.follow(keys)

    def follow(self, keys: KeySet) -> None:
        """Sign with the first of these from now on, and let all of them verify."""
        PrivateKey.__init__(self, keys.signer.key)
        self._all.clear()
        self._all.update((key.kid, key.key.public_key()) for key in keys.keys)

    def verifiers(self) -> Mapping[str, PublicKey]:
        """The keys of the file, as they are at every look."""
        return MappingProxyType(self._all)


def load_key_set(data: bytes, name: str) -> KeySet:
    """Read a private JWK set, or a single private JWK; `name` is what errors call it. Raises `Problem`."""
    try:
        found: Any = json.loads(data)
        rows: Sequence[Any] = found["keys"] if isinstance(found, dict) and "keys" in found else [found]
    except (ValueError, TypeError) as error:
        raise invalid(name, "no private JWK set; make one with: peerway keys new FILE") from error
    if not isinstance(rows, list) or not rows:
        raise invalid(name, "holds no key; make one with: peerway keys new FILE")
    keys = {key.kid: key for key in (load_private(json.dumps(row).encode(), name) for row in rows)}
    return KeySet(tuple(keys.values()))


def dump_key_set(keys: KeySet) -> bytes:
    """The set for a file that only its owner may read."""
    rows = ",\n ".join(dump_private(key).decode() for key in keys.keys)
    return f'{{"keys":[\n {rows}\n]}}\n'.encode()
