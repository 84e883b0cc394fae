"""The tree of a log (RFC 9162 section 2.1): growing it, its root, and both of its proofs, made and checked.

A log keeps the hashes of its complete subtrees, in the order in which they become complete: nothing is ever changed,
and a leaf, a root or a proof touches a number of them that grows with the logarithm of the size. Hashes are 32 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from federation.trust.merkle import LEAF, NODE
from schemas.problem import Problem

HASH_BYTES: Final = 32
NOTHING: Final = hashlib.sha256(b"").digest()
# The hashes at some positions, in the order asked for.
Read = Callable[[Sequence[int]], Sequence[bytes]]
Range = tuple[int, int]


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash above two subtrees."""
    return hashlib.sha256(NODE + left + right).digest()


def position(level: int, index: int) -> int:
    """Where the hash of a complete subtree stands: the one over `2^level` leaves from leaf `index * 2^level`.

    Leaf `m` comes after `2m` hashes less one for each 1 in `m`; the subtrees that it completes come right after it.
    """
    last_leaf = ((index + 1) << level) - 1
    return stored(last_leaf) + level


def stored(size: int) -> int:
    """How many hashes a tree of `size` leaves keeps."""
    return 2 * size - size.bit_count()


class Growth:
    """A tree that grows: `size` and `root` now, and `nodes`, the hashes to be kept since it was made."""

    def __init__(self, read: Read, size: int) -> None:
        """From what is kept of a tree of `size` leaves."""
        self.size, self.nodes = size, list[bytes]()
        self._edge = list(read(_positions(0, size)))

    def add(self, leaf: bytes) -> None:
        """One more leaf, by its hash."""
        found, level = leaf, 0
        self.nodes.append(found)
        while self.size >> level & 1:
            found, level = node_hash(self._edge.pop(), found), level + 1
            self.nodes.append(found)
        self._edge.append(found)
        self.size += 1

    @property
    def root(self) -> bytes:
        """Of the tree as it is now."""
        return _joined(self._edge)


def tree_root(read: Read, size: int) -> bytes:
    """The root of the first `size` leaves (section 2.1.1)."""
    return _joined(read(_positions(0, size)))


def inclusion_proof(read: Read, index: int, size: int) -> tuple[bytes, ...]:
    """The audit path of a leaf in the tree of the first `size` leaves (section 2.1.3.1)."""
    assert 0 <= index < size, "a leaf of that tree"
    ranges, start, end = list[Range](), 0, size
    while end - start > 1:
        split = start + _half(end - start)
        if index < split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((start, split))
            start = split
    return _hashes(read, ranges[::-1])


def consistency_proof(read: Read, old: int, new: int) -> tuple[bytes, ...]:
    """That the first `old` leaves are still those of the tree of `new` (section 2.1.4.1); empty from nothing, or to
    the same size.
    """
    assert 0 <= old <= new, "a log only grows"
    if old == 0:
        return ()
    ranges, start, end = list[Range](), 0, new
    while end != old:
        split = start + _half(end - start)
        if old <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((start, split))
            start = split
    if start > 0:
        ranges.append((start, end))
    return _hashes(read, ranges[::-1])


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """A leaf by its hash, its place, and the audit path (section 2.1.3.2). Raises `DOCUMENT_INVALID`."""
    here, last, found = index, size - 1, leaf
    if not 0 <= index < size:
        raise _refused("inclusion", f"no leaf {index} in a tree of {size}")
    for one in path:
        if last == 0:
            raise _refused("inclusion", "the path is too long")
        if here & 1 or here == last:
            found = node_hash(one, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, one)
        here, last = here >> 1, last >> 1
    if last or found != root:
        raise _refused("inclusion", "the path does not lead to the root")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """That one tree is the beginning of another (section 2.1.4.2). Raises `DOCUMENT_INVALID`."""
    if not 0 <= old <= new:
        raise _refused("consistency", f"a log of {old} leaves does not become one of {new}")
    if old in (0, new):
        if proof or (old == 0 and old_root != NOTHING) or (old == new and old_root != new_root):
            raise _refused("consistency", "the roots differ, or a proof stands where none is needed")
        return
    exact = old & (old - 1) == 0
    rest = [old_root, *proof] if exact else list(proof)
    found = _both_roots(old, new, rest) if proof else None
    if found != (old_root, new_root):
        raise _refused("consistency", "the proof does not lead from the one root to the other")


def _both_roots(old: int, new: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots that a proof leads to; none where it is too long or too short."""
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first = second = hashes[0]
    for one in hashes[1:]:
        if last == 0:
            return None
        if here & 1 or here == last:
            first, second = node_hash(one, first), node_hash(one, second)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            second = node_hash(second, one)
        here, last = here >> 1, last >> 1
    return (first, second) if last == 0 else None


def _hashes(read: Read, ranges: Sequence[Range]) -> tuple[bytes, ...]:
    """The hash over each of the ranges, read all at once."""
    wanted = [_positions(start, end) for start, end in ranges]
    found = iter(read([one for positions in wanted for one in positions]))
    return tuple(_joined([next(found) for _ in positions]) for positions in wanted)


def _positions(start: int, end: int) -> list[int]:
    """The complete subtrees that make up a range, from the left: the largest first."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append(position(level, start >> level))
        start += 1 << level
    return found


def _joined(hashes: Sequence[bytes]) -> bytes:
    """The hash over complete subtrees that stand side by side, the largest first."""
    if not hashes:
        return NOTHING
    *rest, found = hashes
    for one in reversed(rest):
        found = node_hash(one, found)
    return found


def _half(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _refused(field: str, why: str) -> Problem:
    return Problem("DOCUMENT_INVALID", why, field=field)
