"""Keys that sign in a microsecond, the same way every time. Everything around the curve is the real code's.

A document is still signed and verified through `federation.trust.jose`, with header, `kid`, times and hash; only the
arithmetic of P-256 is a keyed hash here. One plan of the tests runs with real keys, so that nothing rests on this.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from federation.trust.keys import PrivateKey


class _Numbers(NamedTuple):
    x: int
    y: int


class _Half:
    """Both halves of a pair: whoever verifies here could also sign, and nobody here does."""

    curve = ec.SECP256R1()

    def __init__(self, name: str) -> None:
        self._secret = hashlib.blake2b(name.encode(), digest_size=32).digest()

    def public_key(self) -> _Half:
        return self

    def public_numbers(self) -> _Numbers:
        digest = hashlib.blake2b(self._secret, digest_size=64).digest()
        return _Numbers(int.from_bytes(digest[:32], "big"), int.from_bytes(digest[32:], "big"))

    def sign(self, data: bytes, algorithm: Any) -> bytes:
        digest = hashlib.blake2b(data, key=self._secret, digest_size=64).digest()
        return encode_dss_signature(int.from_bytes(digest[:32], "big"), int.from_bytes(digest[32:], "big"))

    def verify(self, signature: bytes, data: bytes, algorithm: Any) -> None:
        if signature != self.sign(data, algorithm):
            raise InvalidSignature


@lru_cache(maxsize=64)
def sim_key(name: str) -> PrivateKey:
    """The key of a node."""
    return PrivateKey(_Half(name))  # type: ignore[arg-type]


@lru_cache(maxsize=64)
def real_key(name: str) -> PrivateKey:
    """A key of the real curve, from a name."""
    secret = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") >> 1
    return PrivateKey(ec.derive_private_key(secret, ec.SECP256R1()))
