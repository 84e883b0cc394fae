"""Trust marks: whose count, and what a status list takes back. Keys of the past: what they may still prove."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from federation.trust.chain import Chain, verify_chain
from federation.trust.history import key_at, verify_history
from federation.trust.issue import historical_keys, plain_mark, status_list
from federation.trust.jose import unverified
from federation.trust.keys import b64url, generate
from federation.trust.marks import Grounds, carried_marks, lists_named, verify_mark, verify_marks
from federation.trust.status import LIST_BYTES_MAX, is_set, status_bits
from schemas.entity import FACTS_MARK, CarriedMark, EntityStatement, HistoricalKey, Revoked, StatusBits
from schemas.problem import Problem
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import ANCHOR, AUDITOR, FACTS, LEAF, STATUS, Tree, resign

OTHER = "https://other.example"


@pytest.fixture
def tree() -> Tree:
    made = Tree(FixedClock())
    made.add(ANCHOR)
    made.recognise()
    made.add(LEAF, ANCHOR)
    made.add(OTHER, ANCHOR)
    return made


def chain(tree: Tree, *path: str) -> Chain:
    tokens = tree.chain(*path) if len(path) > 1 else tree.chain(*path)[:1]
    return verify_chain(tokens, tree.anchors(), tree.clock.now())


def grounds(tree: Tree, lists: dict[str, str] | None = None) -> Grounds:
    root = chain(tree, ANCHOR)
    issuers = {ANCHOR: root} | {entity: chain(tree, entity, ANCHOR) for entity in (AUDITOR, LEAF, OTHER)}
    return Grounds(issuers, {ANCHOR: root.root}, lists or {}, tree.clock.now())


def test_a_mark_of_a_recognised_issuer_counts_and_lasts_no_longer_than_its_issuer(tree: Tree) -> None:
    mark = verify_mark(tree.attest(LEAF), LEAF, grounds(tree))
    assert (mark.type, mark.issuer, mark.attest, mark.exp) == (FACTS_MARK, AUDITOR, FACTS, NOW + 86400)


def test_marks_are_signed_by_a_federation_key_and_by_no_other(tree: Tree) -> None:
    """OpenID Federation section 7."""
    tree.attest(LEAF)
    tree.nodes[AUDITOR].key = generate()
    with pytest.raises(Problem, match="kid names no key"):
        verify_mark(tree.nodes[LEAF].marks[0], LEAF, grounds(tree))


RECOGNITION: list[tuple[Any, bool]] = [
    ({FACTS_MARK: (AUDITOR,)}, True),
    ({FACTS_MARK: (OTHER, AUDITOR)}, True),
    ({FACTS_MARK: (OTHER,)}, False),
    ({FACTS_MARK: ()}, False),
    ({"https://else.example/mark": (AUDITOR,)}, False),
    ({}, False),
]


@pytest.mark.parametrize(("recognised", "counts"), RECOGNITION)
def test_the_anchor_says_who_may_attest_what_and_an_empty_list_means_nobody(
    tree: Tree, recognised: Any, counts: bool
) -> None:
    tree.issuers[ANCHOR] = recognised
    marks, refused = verify_marks([tree.attest(LEAF)], LEAF, grounds(tree))
    assert (len(marks), len(refused)) == ((1, 0) if counts else (0, 1))


def test_another_anchors_recognition_does_not_help_an_issuer_that_it_does_not_vouch_for(tree: Tree) -> None:
    second = "https://second.example"
    tree.add(second)
    tree.issuers = {second: {FACTS_MARK: (AUDITOR,)}}
    other = verify_chain(tree.chain(second)[:1], tree.anchors(second), NOW).root
    held = grounds(tree)
    both = Grounds(held.issuers, {**held.roots, second: other}, {}, NOW)
    with pytest.raises(Problem, match=r"the anchor of .* does not recognise it"):
        verify_mark(tree.attest(LEAF), LEAF, both)


def test_a_mark_type_with_an_owner_does_not_count(tree: Tree) -> None:
    token = tree.attest(LEAF)
    own = tree.chain(ANCHOR)[0]
    tokens = [resign(tree.nodes[ANCHOR].key, own, trust_mark_owners={FACTS_MARK: {"sub": OTHER}})]
    root = verify_chain(tokens, tree.anchors(), NOW)
    held = grounds(tree)
    with pytest.raises(Problem, match="no auditor that the anchor recognises"):
        verify_mark(token, LEAF, Grounds(held.issuers, {ANCHOR: root.root}, {}, NOW))


def test_a_mark_about_another_one_is_no_mark(tree: Tree) -> None:
    with pytest.raises(Problem, match="another entity"):
        verify_mark(tree.attest(OTHER), LEAF, grounds(tree))


def test_one_bad_mark_spoils_no_other(tree: Tree) -> None:
    forged = plain_mark(generate(), AUDITOR, LEAF, FACTS_MARK, now=NOW)
    marks, refused = verify_marks(["", "a.b.c", forged, tree.attest(LEAF)], LEAF, grounds(tree))
    assert (len(marks), len(refused)) == (1, 3)


def test_a_carried_mark_that_belies_its_label_spoils_the_configuration(tree: Tree) -> None:
    """OpenID Federation 1.1, section 3.2: then the whole statement is rejected."""
    token = tree.attest(LEAF)
    assert carried_marks(chain(tree, LEAF, ANCHOR).own) == (token,)
    own = tree.chain(LEAF, ANCHOR)[0]
    lying = resign(tree.nodes[LEAF].key, own, trust_marks=(CarriedMark(trust_mark_type="x", trust_mark=token),))
    tokens = [lying, *tree.chain(LEAF, ANCHOR)[1:]]
    with pytest.raises(Problem, match="carries a mark as x that is one of"):
        verify_chain(tokens, tree.anchors(), NOW)
    assert carried_marks(unverified(lying, EntityStatement)) == ()


# --- status lists -----------------------------------------------------------------------------------------------


def published(tree: Tree, *revoked: int, uri: str = STATUS, key: Any = None, now: int = NOW) -> dict[str, str]:
    signer = key or tree.nodes[AUDITOR].key
    return {STATUS: status_list(signer, AUDITOR, uri, revoked, 64, now=now)}


def test_a_mark_counts_while_its_list_says_so_and_no_longer_than_the_list(tree: Tree) -> None:
    token = tree.attest(LEAF, index=7)
    assert verify_mark(token, LEAF, grounds(tree, published(tree, 6, 8))).exp == NOW + 3600
    with pytest.raises(Problem, match="revoked"):
        verify_mark(token, LEAF, grounds(tree, published(tree, 7)))


def test_without_its_list_a_mark_does_not_count(tree: Tree) -> None:
    token = tree.attest(LEAF, index=7)
    with pytest.raises(Problem, match="may be revoked"):
        verify_mark(token, LEAF, grounds(tree))
    for lists in (
        published(tree, uri="https://audit.example/other"),
        published(tree, key=generate()),
        published(tree, now=NOW - 3600),
    ):
        with pytest.raises(Problem):
            verify_mark(token, LEAF, grounds(tree, lists))
    with pytest.raises(Problem, match="shorter than the mark's index"):
        verify_mark(tree.attest(LEAF, index=64), LEAF, grounds(tree, published(tree)))


def test_only_genuine_marks_make_anybody_read_a_list(tree: Tree) -> None:
    genuine = tree.attest(LEAF, index=7)
    tree.nodes[AUDITOR].key, real = generate(), tree.nodes[AUDITOR].key
    forged = tree.attest(LEAF, index=9)
    tree.nodes[AUDITOR].key = real
    assert lists_named([forged], LEAF, grounds(tree)) == set()
    assert lists_named([forged, genuine], LEAF, grounds(tree)) == {(STATUS, AUDITOR)}


def test_the_published_example_of_a_status_list() -> None:
    """Token Status List section 4.1: sixteen entries with one bit each, the first in the lowest bit."""
    bits = StatusBits(bits=1, lst="eNrbuRgAAhcBXQ")
    assert [int(is_set(bits, index)) for index in range(16)] == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    made = status_bits([0, 3, 4, 5, 7, 8, 9, 13, 15], 16)
    assert [is_set(made, index) for index in range(16)] == [is_set(bits, index) for index in range(16)]


@pytest.mark.parametrize(
    "lst",
    [
        b64url(zlib.compress(bytes(LIST_BYTES_MAX + 1))),
        b64url(zlib.compress(bytes(200_000_000))[:12_000]),
        b64url(zlib.compress(bytes(64))[:-3]),
        b64url(zlib.compress(bytes(64)) + b"more"),
        "no base64 !",
        "AAAA",
        "",
    ],
)
def test_broken_lists_and_bombs_are_refused(lst: str) -> None:
    with pytest.raises(Problem) as caught:
        is_set(StatusBits(bits=1, lst=lst), 0)
    assert caught.value.code == "DOCUMENT_INVALID"


def test_other_widths_are_not_spoken() -> None:
    with pytest.raises(Problem, match="one bit"):
        is_set(StatusBits(bits=2, lst=status_bits([], 8).lst), 0)


# --- keys of the past -------------------------------------------------------------------------------------------


def past(tree: Tree, revoked: Revoked | None = None, nbf: int = 0) -> tuple[str, Any]:
    former, present = generate(), tree.nodes[ANCHOR].key
    jwk = former.jwk()
    row = HistoricalKey(
        kty=jwk.kty, crv=jwk.crv, x=jwk.x, y=jwk.y, kid=jwk.kid, iat=NOW - 200, exp=NOW - 100, nbf=nbf, revoked=revoked
    )
    token = historical_keys(present, ANCHOR, [row], now=NOW)
    return former.kid, verify_history(token, ANCHOR, {present.kid: present.key.public_key()}, NOW)


def test_a_former_key_proves_what_it_signed_in_its_time(tree: Tree) -> None:
    kid, history = past(tree)
    assert key_at(history, kid, NOW - 150)
    for at in (NOW - 201, NOW - 100, NOW):
        with pytest.raises(Problem, match="not in use"):
            key_at(history, kid, at)
    with pytest.raises(Problem, match="no key of the signer's past"):
        key_at(history, "other", NOW - 150)


def test_a_former_key_counts_not_before_the_time_it_names(tree: Tree) -> None:
    """OpenID Federation 1.1, section 8.7.2: a key may be made earlier than it counts."""
    kid, history = past(tree, nbf=NOW - 160)
    assert key_at(history, kid, NOW - 160)
    with pytest.raises(Problem, match="not in use"):
        key_at(history, kid, NOW - 161)


def test_a_superseded_key_counts_until_then_and_a_compromised_one_never(tree: Tree) -> None:
    kid, history = past(tree, Revoked(revoked_at=NOW - 120, reason="superseded"))
    assert key_at(history, kid, NOW - 121)
    with pytest.raises(Problem, match="superseded"):
        key_at(history, kid, NOW - 120)
    kid, history = past(tree, Revoked(revoked_at=NOW - 120, reason="compromised"))
    with pytest.raises(Problem, match="compromised"):
        key_at(history, kid, NOW - 150)
