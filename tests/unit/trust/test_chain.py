"""Chains through intermediates: what is believed, and every lie and breach that kills a chain."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from msgspec import structs

from federation.trust.certificates import authority, der, leaf
from federation.trust.chain import best_chain, member_of, verify_chain
from federation.trust.issue import jwks, plain_mark
from federation.trust.keys import generate
from schemas.entity import CarriedMark, Constraints, NamingConstraints
from schemas.problem import Problem
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import ANCHOR, LEAF, MIDDLE, Tree, operator, resign, superior

UPPER = "https://upper.example"
PATH = (LEAF, MIDDLE, UPPER, ANCHOR)


MISLABELLED = CarriedMark(
    trust_mark_type="https://t.example/1",
    trust_mark=plain_mark(generate(), "https://audit.example", LEAF, "https://t.example/2", now=NOW),
)


@pytest.fixture
def tree() -> Tree:
    made = Tree(FixedClock())
    made.add(ANCHOR)
    made.add(UPPER, ANCHOR, metadata=superior(UPPER))
    made.add(MIDDLE, UPPER, metadata=superior(MIDDLE))
    made.add(LEAF, MIDDLE)
    return made


def verify(tree: Tree, tokens: list[str] | None = None, now: int = NOW + 1) -> Any:
    return verify_chain(tokens or tree.chain(*PATH), tree.anchors(), now)


def refused(tree: Tree, tokens: list[str] | None = None, *, match: str, now: int = NOW + 1) -> None:
    with pytest.raises(Problem, match=match) as caught:
        member_of(verify(tree, tokens, now))
    assert caught.value.code == "DOCUMENT_INVALID"


def test_a_chain_through_two_intermediates_is_believed(tree: Tree) -> None:
    member = member_of(verify(tree))
    assert (member.entity, member.name, member.path, member.anchor) == (LEAF, "SURF", PATH, ANCHOR)
    assert set(member.federation_keys) == {tree.nodes[LEAF].key.kid}
    assert member.metadata.connectivity_operator is not None
    assert set(member.keys) == {jwk.kid for jwk in member.metadata.connectivity_operator.jwks.keys}


def test_a_chain_lasts_as_long_as_its_shortest_statement(tree: Tree) -> None:
    tree.nodes[MIDDLE].life_s = 600
    assert verify(tree).exp == NOW + 600
    refused(tree, tree.chain(*PATH), match="statement of https://upper.example: expired", now=NOW + 600)


def test_an_anchor_is_a_chain_of_one(tree: Tree) -> None:
    assert verify(tree, tree.chain(ANCHOR)[:1]).path == (ANCHOR,)


@pytest.mark.parametrize("position", range(5))
def test_every_statement_must_be_signed_by_whom_the_one_above_names(tree: Tree, position: int) -> None:
    tokens = tree.chain(*PATH)
    tokens[position] = resign(generate(), tokens[position])
    refused(tree, tokens, match="kid names no key")


@pytest.mark.parametrize("position", range(5))
def test_no_statement_can_be_left_out(tree: Tree, position: int) -> None:
    tokens = tree.chain(*PATH)
    refused(tree, tokens[:position] + tokens[position + 1 :], match=".")


def test_a_key_that_only_the_entity_itself_lists_signs_nothing(tree: Tree) -> None:
    tokens = tree.chain(*PATH)
    thief = generate()
    tokens[0] = resign(thief, tokens[0], jwks=jwks(thief))
    refused(tree, tokens, match="kid names no key")


def test_a_key_that_the_entity_itself_no_longer_lists_signs_nothing(tree: Tree) -> None:
    tokens = tree.chain(*PATH)
    tokens[0] = resign(tree.nodes[LEAF].key, tokens[0], jwks=jwks(generate()))
    refused(tree, tokens, match="kid names no key")


def test_a_superior_that_the_entity_does_not_name_is_none(tree: Tree) -> None:
    tokens = tree.chain(*PATH)
    tokens[0] = resign(tree.nodes[LEAF].key, tokens[0], authority_hints=(ANCHOR,))
    refused(tree, tokens, match="does not name https://middle.example")


CLAIMS: list[tuple[int, dict[str, Any], str]] = [
    (0, {"sub": MIDDLE}, "is about https://middle.example"),
    (0, {"crit": ("jti",)}, "crit"),
    (2, {"crit": ("jti",)}, "crit"),
    (1, {"metadata_policy_crit": ("regexp",)}, "regexp is not understood"),
    (1, {"metadata_policy_crit": ("value",)}, "value is a standard operator"),
    (0, {"trust_anchor_hints": ()}, "trust_anchor_hints is empty"),
    (2, {"trust_anchor_hints": (ANCHOR,)}, "only an entity may say of itself"),
    (4, {"trust_anchor_hints": ("https://other.example",)}, "an entity without superiors"),
    (1, {"constraints": Constraints(allowed_entity_types=("federation_entity",))}, "which is always allowed"),
    (0, {"trust_marks": (MISLABELLED,)}, "carries a mark as https://t.example/1 that is one of https://t.example/2"),
    (3, {"metadata_policy_crit": ("regexp",)}, "regexp is not understood"),
    (3, {"metadata_policy_crit": ()}, "metadata_policy_crit is empty"),
    (0, {"metadata_policy": {"t": {"p": {"value": 1}}}}, "only a superior may say"),
    (0, {"constraints": Constraints(max_path_length=9)}, "only a superior may say"),
    (0, {"authority_hints": ()}, "authority_hints is empty"),
    (1, {"authority_hints": (UPPER,)}, "only an entity may say"),
    (1, {"trust_mark_issuers": {"t": (LEAF,)}}, "only an entity may say"),
    (0, {"metadata": {"connectivity_operator": {"jwks": None}}}, "null is no value"),
    (1, {"sub": MIDDLE}, "a superior's statement is about another entity"),
    (0, {"exp": NOW + 8 * 86400}, "lives longer"),
    (2, {"iat": NOW + 100, "exp": NOW + 200}, "iat lies in the future"),
    (1, {"metadata": {"connectivity_operator": {"jwks": 7}}}, "metadata of"),
]


@pytest.mark.parametrize(("position", "claims", "match"), CLAIMS)
def test_statements_that_say_what_they_may_not(tree: Tree, position: int, claims: dict[str, Any], match: str) -> None:
    tokens = tree.chain(*PATH)
    issuer = (LEAF, MIDDLE, UPPER, ANCHOR, ANCHOR)[position]
    tokens[position] = resign(tree.nodes[issuer].key, tokens[position], **claims)
    refused(tree, tokens, match=match)


def test_a_statement_is_held_to_sixteen_kib_and_a_configuration_is_not(tree: Tree) -> None:
    large = {"other": {"p": "x" * 20_000}}
    tokens = tree.chain(*PATH)
    verify(tree, [resign(tree.nodes[LEAF].key, tokens[0], metadata=large), *tokens[1:]])
    tokens[1] = resign(tree.nodes[MIDDLE].key, tokens[1], metadata=large)
    refused(tree, tokens, match="larger than 16384 bytes")


def test_more_than_four_superiors_are_too_many() -> None:
    tree = Tree(FixedClock())
    ids = [f"https://n{number}.example" for number in range(6)]
    tree.add(ids[5])
    for lower, upper in zip(ids[4::-1], ids[:0:-1], strict=True):
        tree.add(lower, upper)
    assert verify_chain(tree.chain(*ids[1:]), tree.anchors(ids[5]), NOW + 1).path == tuple(ids[1:])
    with pytest.raises(Problem, match="at most 4 superiors"):
        verify_chain(tree.chain(*ids), tree.anchors(ids[5]), NOW + 1)


def test_nobody_stands_twice_in_a_chain(tree: Tree) -> None:
    round_about = tree.chain(LEAF, MIDDLE, UPPER, MIDDLE, ANCHOR)
    refused(tree, round_about, match="stands twice")


def names(*permitted: str, excluded: tuple[str, ...] = ()) -> Constraints:
    return Constraints(naming_constraints=NamingConstraints(permitted=permitted or None, excluded=excluded))


CONSTRAINTS: list[tuple[str, Constraints, bool]] = [
    (ANCHOR, Constraints(max_path_length=2), True),
    (ANCHOR, Constraints(max_path_length=1), False),
    (UPPER, Constraints(max_path_length=1), True),
    (UPPER, Constraints(max_path_length=0), False),
    (MIDDLE, Constraints(max_path_length=0), True),
    (MIDDLE, names(".leaf.example"), True),
    (MIDDLE, names("surf.leaf.example"), True),
    (MIDDLE, names("leaf.example"), False),
    (MIDDLE, names(".surf.leaf.example"), False),
    (MIDDLE, names("other.example"), False),
    (UPPER, names(".leaf.example"), False),
    (UPPER, names(".leaf.example", "middle.example"), True),
    (ANCHOR, names(excluded=("surf.leaf.example",)), False),
    (ANCHOR, names(".example", excluded=(".leaf.example",)), False),
    (ANCHOR, names(".example", excluded=("leaf.example",)), True),
    (ANCHOR, names(".EXAMPLE"), True),
    (ANCHOR, names("https://surf.leaf.example"), False),
    (ANCHOR, Constraints(naming_constraints=NamingConstraints(permitted=())), False),
]


@pytest.mark.parametrize(("by", "constraints", "allowed"), CONSTRAINTS)
def test_constraints_hold_for_everything_below_whoever_sets_them(
    tree: Tree, by: str, constraints: Constraints, allowed: bool
) -> None:
    """OpenID Federation sections 6.2.1 and 6.2.2; the first five are its own example."""
    below = PATH[PATH.index(by) - 1]
    tree.nodes[below].said[by] = {"constraints": constraints}
    if allowed:
        verify(tree)
    else:
        refused(tree, match="constraints")


@pytest.mark.parametrize("by", [MIDDLE, UPPER, ANCHOR])
def test_entity_types_that_a_superior_does_not_allow_are_taken_away(tree: Tree, by: str) -> None:
    """OpenID Federation section 6.2.3; federation_entity always stays."""
    below = PATH[PATH.index(by) - 1]
    tree.nodes[below].said[by] = {"constraints": Constraints(allowed_entity_types=("connectivity_broker",))}
    member = member_of(verify(tree))
    assert (member.name, member.metadata.connectivity_operator, member.keys) == ("SURF", None, {})


def test_the_direct_superior_overrides_metadata_and_the_policy_has_the_last_word(tree: Tree) -> None:
    def set_(value: str) -> dict[str, Any]:
        return {"connectivity_operator": {"mesh_endpoint": value}}

    tree.nodes[LEAF].said[MIDDLE] = {"metadata": set_("new.example:1") | {"connectivity_broker": {"endpoint": "x"}}}
    tree.nodes[MIDDLE].said[UPPER] = {"metadata": set_("not.for.leaf:1")}
    role = member_of(verify(tree)).metadata
    assert role.connectivity_operator is not None
    assert (role.connectivity_operator.mesh_endpoint, role.connectivity_broker) == ("new.example:1", None)
    policy = {"connectivity_operator": {"mesh_endpoint": {"one_of": ["surf.example:8443"]}}}
    tree.nodes[UPPER].said[ANCHOR] = {"policy": policy}
    refused(tree, match="one_of")


def test_a_policy_that_leaves_nothing_usable_kills_the_chain(tree: Tree) -> None:
    policy = {"connectivity_operator": {"jwks": {"value": None}}}
    tree.nodes[UPPER].said[ANCHOR] = {"policy": policy}
    refused(tree, match="metadata of https://surf.leaf.example")


def test_the_shortest_chain_is_best_then_the_one_that_lasts_longest(tree: Tree) -> None:
    long = verify(tree)
    tree.nodes[LEAF].superiors = (MIDDLE, ANCHOR)
    short = verify(tree, tree.chain(LEAF, ANCHOR))
    tree.nodes[ANCHOR].life_s = 100
    soon = verify(tree, tree.chain(LEAF, ANCHOR))
    assert best_chain([long, soon, short]) is short
    assert best_chain([]) is None


def test_the_certificates_of_a_member_come_with_it(tree: Tree) -> None:
    ca = der(authority(generate(), LEAF, now=NOW))
    role = operator().connectivity_operator
    assert role

    def with_ca(*certificates: str) -> None:
        metadata = tree.nodes[LEAF].metadata
        tree.nodes[LEAF].metadata = structs.replace(
            metadata, connectivity_operator=structs.replace(role, tls_ca=certificates)
        )

    with_ca(base64.b64encode(ca).decode())
    assert member_of(verify(tree)).tls_ca == (ca,)
    key = generate()
    issued = leaf(key, authority(key, LEAF, now=NOW), key.key.public_key(), LEAF, ["surf.example"], now=NOW)
    for wrong in (base64.b64encode(der(issued)).decode(), "AAAA", "no base64", base64.b64encode(ca[:-1]).decode()):
        with_ca(wrong)
        refused(tree, match="no certificate of a CA")
