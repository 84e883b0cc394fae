"""The tree of a log against published vectors, and against a plain reading of RFC 9162 section 2.1."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.evidence.tree import (
    NOTHING,
    Growth,
    Read,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    position,
    stored,
    tree_root,
)
from schemas.problem import Problem
from tests.support.merkle import reference

# The leaves, roots and proofs with which implementations of certificate transparency test themselves.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSIONS = {(0, 1): [], (0, 8): [A, B, C], (5, 8): [D, E, ROOTS[4]], (2, 3): [ROOTS[2]]}
CONSISTENCIES = {(1, 1): [], (1, 8): [A, B, C], (6, 8): [F, E, ROOTS[4]], (2, 5): [B, D]}
SIZES = st.integers(1, 70)


def grown(leaves: Sequence[bytes]) -> tuple[Growth, Read]:
    growth = Growth(lambda wanted: [], 0)
    for leaf in leaves:
        growth.add(leaf_hash(leaf))
    return growth, lambda wanted: [growth.nodes[one] for one in wanted]


def numbered(size: int) -> list[bytes]:
    return [str(number).encode() for number in range(size)]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    growth, read = grown(LEAVES[:size])
    assert growth.root.hex() == ROOTS[size]
    assert tree_root(read, size).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSIONS)
def test_published_inclusion_proofs(index: int, size: int) -> None:
    _, read = grown(LEAVES)
    proof = inclusion_proof(read, index, size)
    assert [one.hex() for one in proof] == INCLUSIONS[index, size]
    check_inclusion(leaf_hash(LEAVES[index]), index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCIES)
def test_published_consistency_proofs(old: int, new: int) -> None:
    _, read = grown(LEAVES)
    proof = consistency_proof(read, old, new)
    assert [one.hex() for one in proof] == CONSISTENCIES[old, new]
    check_consistency(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), proof)


@given(SIZES)
def test_what_is_kept_is_kept_once_and_in_order(size: int) -> None:
    growth, read = grown(numbered(size))
    assert len(growth.nodes) == stored(size)
    complete = [(level, i) for level in range(7) for i in range(size >> level)]
    assert sorted(position(*one) for one in complete) == list(range(stored(size)))
    assert growth.root == reference(numbered(size))
    for level, index in complete:
        assert read([position(level, index)])[0] == reference(numbered(size)[index << level : (index + 1) << level])


@given(SIZES, st.data())
def test_a_tree_grows_on_from_what_is_kept(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size))
    whole, read = grown(numbered(size))
    growth = Growth(read, first)
    for leaf in numbered(size)[first:]:
        growth.add(leaf_hash(leaf))
    assert (growth.size, growth.root) == (size, whole.root)
    assert growth.nodes == whole.nodes[stored(first) :]


@given(SIZES, st.data())
def test_each_leaf_is_shown_and_no_other_one(size: int, data: st.DataObject) -> None:
    leaves = numbered(data.draw(st.integers(size, 70)))
    _, read = grown(leaves)
    index, root = data.draw(st.integers(0, size - 1)), reference(leaves[:size])
    proof = inclusion_proof(read, index, size)
    check_inclusion(leaf_hash(leaves[index]), index, size, proof, root)
    other = data.draw(st.integers(-1, size + 1).filter(lambda one: one != index))
    wrong = [(other, size, proof), (index, size, (*proof, root)), (index, size, proof[:-1] if proof else (root,))]
    for at, of, path in wrong:
        with pytest.raises(Problem, match="inclusion"):
            check_inclusion(leaf_hash(leaves[index]), at, of, path, root)
    with pytest.raises(Problem, match="inclusion"):
        check_inclusion(leaf_hash(b"another"), index, size, proof, root)


@given(st.integers(0, 70), st.data())
def test_a_beginning_is_shown_and_no_other_tree(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    _, read = grown(numbered(new))
    before, after, proof = reference(numbered(old)), reference(numbered(new)), consistency_proof(read, old, new)
    check_consistency(old, before, new, after, proof)
    forged = reference([*numbered(old)[:-1], b"another"]) if old else b"\0" * 32
    wrong = [(old, forged, new, after, proof), (new + 1, after, new, after, proof)]
    wrong += [(old, before, new, after, (*proof, after))]
    wrong += [(old, before, new, after, proof[:-1])] if proof else []
    wrong += [(old, before, new, before, proof)] if 0 < old < new else []
    for case in wrong:
        with pytest.raises(Problem, match="consistency"):
            check_consistency(*case)


def test_nothing_comes_before_everything() -> None:
    check_consistency(0, NOTHING, 5, bytes.fromhex(ROOTS[5]), ())
