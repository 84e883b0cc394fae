"""Merkle roots against a plain reading of RFC 9162 section 2.1.1."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.trust.keys import b64url
from federation.trust.merkle import merkle_root, path_root
from tests.support.merkle import reference


@given(st.lists(st.binary(max_size=4), max_size=40))
def test_roots_follow_the_definition(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == b64url(reference(leaves))


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert merkle_root([]) == b64url(bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))


def test_a_path_is_bound_to_its_order() -> None:
    assert path_root(["a", "b", "c"]) != path_root(["a", "c", "b"])
