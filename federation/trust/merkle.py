"""Merkle tree hash of RFC 9162 section 2.1.1: over the pages of a sheet, and over the quotes of a path in order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from federation.trust.keys import b64url

LEAF, NODE = b"\x00", b"\x01"


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Root over the leaves in order, base64url."""
    return b64url(_root([hashlib.sha256(LEAF + leaf).digest() for leaf in leaves]))


def path_root(quote_hashes: Sequence[str]) -> str:
    """Root over the ordered hashes of the segment quotes: each operator signs up to the same path."""
    return merkle_root([quote_h.encode() for quote_h in quote_hashes])


def _root(hashes: list[bytes]) -> bytes:
    if len(hashes) <= 1:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(NODE + _root(hashes[:split]) + _root(hashes[split:])).digest()
