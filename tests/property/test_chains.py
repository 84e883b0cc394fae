"""Chains under random lies: whatever one statement is turned into, nobody is trusted who was not before."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import der_to_raw_signature

from federation.trust.chain import member_of, verify_chain
from federation.trust.issue import jwks
from federation.trust.jose import verify_jws
from federation.trust.keys import b64url, b64url_decode, generate
from schemas.entity import EntityStatement
from schemas.problem import Problem
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import ANCHOR, LEAF, MIDDLE, Tree, resign, superior

UPPER = "https://upper.example"
TREE = Tree(FixedClock())
TREE.add(ANCHOR)
TREE.add(UPPER, ANCHOR, metadata=superior(UPPER))
TREE.add(MIDDLE, UPPER, metadata=superior(MIDDLE))
TREE.add(LEAF, MIDDLE)
TOKENS = TREE.chain(LEAF, MIDDLE, UPPER, ANCHOR)
ANCHORS = TREE.anchors()
SIGNERS = [TREE.nodes[entity].key for entity in (LEAF, MIDDLE, UPPER, ANCHOR, ANCHOR)]
THIEF = generate()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from([LEAF, MIDDLE, UPPER, ANCHOR]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = st.sampled_from(
    "iss sub iat exp jwks metadata authority_hints metadata_policy metadata_policy_crit constraints crit trust_marks "
    "trust_mark_issuers trust_mark_owners source_endpoint other".split()
)


def believed(tokens: list[str]) -> Any:
    """The member, or None; nothing but a `Problem` may come out otherwise."""
    try:
        return member_of(verify_chain(tokens, ANCHORS, NOW + 1))
    except Problem:
        return None


@given(st.integers(0, 4), st.integers(0, 10_000), st.integers(1, 127))
def test_no_changed_byte_survives(position: int, at: int, flip: int) -> None:
    token = TOKENS[position]
    at %= len(token)
    changed = token[:at] + chr(ord(token[at]) ^ flip) + token[at + 1 :]
    assert believed([*TOKENS[:position], changed, *TOKENS[position + 1 :]]) is None


@given(st.integers(0, 4), CLAIMS, JSON)
def test_no_claim_changed_without_the_key_survives(position: int, claim: str, value: Any) -> None:
    head, body, signature = TOKENS[position].split(".")
    claims = json.loads(b64url_decode(body))
    if claims.get(claim) == value:
        return
    changed = ".".join((head, b64url(json.dumps(claims | {claim: value}).encode()), signature))
    assert believed([*TOKENS[:position], changed, *TOKENS[position + 1 :]]) is None


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=7))
def test_no_other_order_survives(order: list[int], picked: list[int]) -> None:
    for chosen in (order, picked):
        found = believed([TOKENS[index] for index in chosen])
        assert found is None or (list(chosen), found.entity) in (
            (list(range(5)), LEAF),
            ([4], ANCHOR),
        )


class Raw:
    """Signs what no honest issuer would."""

    @staticmethod
    def signed(position: int, claims: Any) -> str:
        key = SIGNERS[position]
        head = {"alg": "ES256", "typ": "entity-statement+jwt", "kid": key.kid}
        text = f"{b64url(json.dumps(head).encode())}.{b64url(json.dumps(claims).encode())}"
        der = key.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        return f"{text}.{b64url(der_to_raw_signature(der, key.key.curve))}"


@given(st.integers(0, 4), CLAIMS, JSON)
def test_whatever_an_issuer_signs_ends_in_a_member_or_a_problem(position: int, claim: str, value: Any) -> None:
    """Also by a real key: an anchor or a superior that errs or lies ends no node, and makes nobody somebody else."""
    claims = json.loads(b64url_decode(TOKENS[position].split(".")[1])) | {claim: value}
    found = believed([*TOKENS[:position], Raw.signed(position, claims), *TOKENS[position + 1 :]])
    assert found is None or found.entity == LEAF


@given(st.integers(0, 4))
def test_a_statement_signed_by_a_stranger_is_never_part_of_a_chain(position: int) -> None:
    for claims in ({}, {"jwks": jwks(THIEF)}):
        forged = resign(THIEF, TOKENS[position], **claims)
        assert verify_jws(forged, EntityStatement, {THIEF.kid: THIEF.key.public_key()}, now=NOW + 1)
        assert believed([*TOKENS[:position], forged, *TOKENS[position + 1 :]]) is None
