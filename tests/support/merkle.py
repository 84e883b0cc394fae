"""The Merkle tree hash as RFC 9162 section 2.1.1 defines it: slow, and what ours is compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def reference(leaves: Sequence[bytes]) -> bytes:
    """The root over the leaves in order."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = max(2**i for i in range(20) if 2**i < len(leaves))
    return hashlib.sha256(b"\x01" + reference(leaves[:k]) + reference(leaves[k:])).digest()
