"""Metadata policy: the facts that the specification publishes, and each rule of every operator."""

from __future__ import annotations

from typing import Any

import pytest

from federation.trust.metadata_policy import applied, merged
from schemas.problem import Problem

ANCHOR_POLICY = {
    "grant_types": {
        "default": ["authorization_code"],
        "subset_of": ["authorization_code", "refresh_token"],
        "superset_of": ["authorization_code"],
    },
    "token_endpoint_auth_method": {
        "one_of": ["private_key_jwt", "self_signed_tls_client_auth"],
        "essential": True,
    },
    "token_endpoint_auth_signing_alg": {"one_of": ["PS256", "ES256"]},
    "subject_type": {"value": "pairwise"},
    "contacts": {"add": ["helpdesk@federation.example.org"]},
}
INTERMEDIATE_POLICY = {
    "grant_types": {"subset_of": ["authorization_code"]},
    "token_endpoint_auth_method": {"one_of": ["self_signed_tls_client_auth"]},
    "contacts": {"add": ["helpdesk@org.example.org"]},
}
MERGED = {
    "grant_types": {
        "default": ["authorization_code"],
        "superset_of": ["authorization_code"],
        "subset_of": ["authorization_code"],
    },
    "token_endpoint_auth_method": {"one_of": ["self_signed_tls_client_auth"], "essential": True},
    "token_endpoint_auth_signing_alg": {"one_of": ["PS256", "ES256"]},
    "subject_type": {"value": "pairwise"},
    "contacts": {"add": ["helpdesk@federation.example.org", "helpdesk@org.example.org"]},
}
# What the subject says, with sector_identifier_uri and policy_uri already set by its superior.
SAID = {
    "redirect_uris": ["https://rp.example.org/callback"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "self_signed_tls_client_auth",
    "contacts": ["rp_admins@rp.example.org"],
    "sector_identifier_uri": "https://org.example.org/sector-ids.json",
    "policy_uri": "https://org.example.org/policy.html",
}
RESOLVED = SAID | {
    "grant_types": ["authorization_code"],
    "subject_type": "pairwise",
    "contacts": ["rp_admins@rp.example.org", "helpdesk@federation.example.org", "helpdesk@org.example.org"],
}


def rp(parameters: Any) -> dict[str, Any]:
    return {"openid_relying_party": parameters}


def merge(*policies: Any) -> Any:
    return merged([rp({"p": policy}) for policy in policies])["openid_relying_party"]["p"]


def apply(policy: Any, *values: Any) -> Any:
    """What becomes of `p`, absent when no value is given; absent afterwards is the word."""
    said = rp({"p": values[0]} if values else {})
    return applied(merged([rp({"p": policy})]), said)["openid_relying_party"].get("p", "absent")


def test_a_standard_operator_is_never_named_as_critical() -> None:
    """OpenID Federation 1.1, section 3.2: only operators beyond the standard ones are."""
    with pytest.raises(Problem, match="one_of is a standard operator"):
        merged([{"type": {"p": {"one_of": ["a"]}}}], frozenset({"one_of"}))


def test_the_published_example_merges_as_published() -> None:
    """OpenID Federation section 6.1.5, figures 12 to 14."""
    assert merged([rp(ANCHOR_POLICY), rp(INTERMEDIATE_POLICY)]) == rp(MERGED)


def test_the_published_example_resolves_as_published() -> None:
    """OpenID Federation section 6.1.5, figures 15 and 16."""
    assert applied(merged([rp(ANCHOR_POLICY), rp(INTERMEDIATE_POLICY)]), rp(SAID)) == rp(RESOLVED)


@pytest.mark.parametrize(
    ("essential", "given", "wanted"),
    [
        (True, ["a", "e"], ["a"]),
        (False, ["a", "e"], ["a"]),
        (True, ["d", "e"], []),
        (False, ["d", "e"], []),
        (True, None, "error"),
        (False, None, "absent"),
    ],
)
def test_the_published_table_of_essential_and_subset_of(essential: bool, given: Any, wanted: Any) -> None:
    """OpenID Federation section 6.1.3.1, table 1."""
    policy = {"essential": essential, "subset_of": ["a", "b", "c"]}
    values = () if given is None else (given,)
    if wanted == "error":
        with pytest.raises(Problem, match="essential"):
            apply(policy, *values)
    else:
        assert apply(policy, *values) == wanted


APPLIED: list[tuple[Any, tuple[Any, ...], Any]] = [
    ({"value": 7}, (), 7),
    ({"value": False}, (True,), False),
    ({"value": None}, ("x",), "absent"),
    ({"value": ["a"]}, (["b"],), ["a"]),
    ({"add": ["a", "b"]}, (), ["a", "b"]),
    ({"add": ["a", "b"]}, (["b", "c"],), ["b", "c", "a"]),
    ({"add": [{"k": 1}]}, ([{"k": 1}],), [{"k": 1}]),
    ({"default": "x"}, (), "x"),
    ({"default": "x"}, ("y",), "y"),
    ({"one_of": ["x", "y"]}, ("y",), "y"),
    ({"one_of": ["x", "y"]}, (), "absent"),
    ({"one_of": [1, 2]}, (2,), 2),
    ({"subset_of": ["a", "b"]}, (["b", "c"],), ["b"]),
    ({"subset_of": ["a", "b"]}, (["c"],), []),
    ({"superset_of": ["a"]}, (["b", "a"],), ["b", "a"]),
    ({"superset_of": ["a"]}, (), "absent"),
    ({"essential": True}, ({"any": "thing"},), {"any": "thing"}),
    ({"add": ["a"], "default": ["x"]}, (), ["a"]),
    ({"default": ["a", "z"], "subset_of": ["a"]}, (), ["a"]),
    ({"add": ["a"], "subset_of": ["a", "b"], "superset_of": ["a"]}, (["b", "c"],), ["b", "a"]),
    ({"value": ["a", "b"], "add": ["a"], "subset_of": ["a", "b", "c"], "superset_of": ["b"]}, (), ["a", "b"]),
    ({"value": "x", "one_of": ["x", "y"], "default": "y", "essential": True}, (), "x"),
    ({"value": None, "essential": False}, ("x",), "absent"),
    ({"regexp": ".*"}, ("x",), "x"),
]


@pytest.mark.parametrize(("policy", "values", "wanted"), APPLIED)
def test_each_operator_does_what_it_should(policy: Any, values: tuple[Any, ...], wanted: Any) -> None:
    assert apply(policy, *values) == wanted


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        ({"one_of": ["x", "y"]}, "z"),
        ({"one_of": [1]}, True),
        ({"one_of": ["x"]}, ["x"]),
        ({"superset_of": ["a", "b"]}, ["a"]),
        ({"superset_of": ["a"]}, "a"),
        ({"subset_of": ["a"]}, "a"),
        ({"add": ["a"]}, "a"),
    ],
)
def test_what_an_operator_refuses_kills_the_chain(policy: Any, value: Any) -> None:
    with pytest.raises(Problem) as caught:
        apply(policy, value)
    assert caught.value.code == "DOCUMENT_INVALID"
    assert caught.value.field == "openid_relying_party.p"


def test_a_parameter_named_scope_is_an_array_of_words() -> None:
    """OpenID Federation section 6.1.3.1.8."""
    policy = merged([rp({"scope": {"default": ["openid"], "subset_of": ["openid", "email"]}})])
    assert applied(policy, rp({"scope": "email phone openid"})) == rp({"scope": "email openid"})
    assert applied(policy, rp({})) == rp({"scope": "openid"})


COMBINATIONS: list[tuple[Any, bool]] = [
    ({"value": ["a"], "add": ["b"]}, False),
    ({"value": "a", "add": ["a"]}, False),
    ({"value": None, "default": "x"}, False),
    ({"value": "x", "one_of": ["y"]}, False),
    ({"value": ["a", "b"], "subset_of": ["a"]}, False),
    ({"value": ["a"], "superset_of": ["a", "b"]}, False),
    ({"value": None, "essential": True}, False),
    ({"add": ["a"], "one_of": ["a"]}, False),
    ({"one_of": ["a"], "subset_of": ["a"]}, False),
    ({"one_of": ["a"], "superset_of": ["a"]}, False),
    ({"add": ["b"], "subset_of": ["a"]}, False),
    ({"superset_of": ["a", "b"], "subset_of": ["a"]}, False),
    ({"subset_of": ["a"], "superset_of": ["a"]}, True),
    ({"add": ["a"], "superset_of": ["b"]}, True),
    ({"add": ["a"], "default": ["b"], "essential": False}, True),
    ({"one_of": ["a"], "default": "b"}, True),
    ({"add": "a"}, False),
    ({"one_of": []}, False),
    ({"one_of": [True]}, False),
    ({"essential": 1}, False),
    ({"default": None}, False),
    (["value"], False),
]


@pytest.mark.parametrize(("policy", "allowed"), COMBINATIONS)
def test_which_operators_may_stand_together(policy: Any, allowed: bool) -> None:
    if allowed:
        merge(policy)
    else:
        with pytest.raises(Problem):
            merge(policy)


MERGES: list[tuple[Any, Any, Any]] = [
    ({"value": "x"}, {"value": "x"}, {"value": "x"}),
    ({"value": "x"}, {"value": "y"}, None),
    ({"value": 1}, {"value": True}, None),
    ({"default": "x"}, {"default": "y"}, None),
    ({"add": ["a"]}, {"add": ["b", "a"]}, {"add": ["a", "b"]}),
    ({"one_of": ["a", "b"]}, {"one_of": ["b", "c"]}, {"one_of": ["b"]}),
    ({"one_of": ["a"]}, {"one_of": ["b"]}, None),
    ({"subset_of": ["a"]}, {"subset_of": ["b"]}, {"subset_of": []}),
    ({"superset_of": ["a"]}, {"superset_of": ["b"]}, {"superset_of": ["a", "b"]}),
    ({"essential": True}, {"essential": False}, {"essential": True}),
    ({"essential": False}, {"essential": True}, {"essential": True}),
    ({"value": ["a", "b"]}, {"subset_of": ["a"]}, None),
    ({"subset_of": ["a", "b"]}, {"add": ["c"]}, None),
    ({"one_of": ["a"]}, {"subset_of": ["a"]}, None),
    ({"value": "x"}, {"essential": True}, {"value": "x", "essential": True}),
]


@pytest.mark.parametrize(("superior", "subordinate", "wanted"), MERGES)
def test_how_two_policies_become_one(superior: Any, subordinate: Any, wanted: Any) -> None:
    if wanted is None:
        with pytest.raises(Problem):
            merge(superior, subordinate)
    else:
        assert merge(superior, subordinate) == wanted


def test_an_operator_that_nobody_knows_is_ignored_unless_it_is_critical() -> None:
    policies = [rp({"p": {"regexp": "^x", "essential": True}})]
    assert merged(policies) == rp({"p": {"essential": True}})
    with pytest.raises(Problem, match="regexp"):
        merged(policies, frozenset({"regexp"}))


def test_a_policy_for_a_type_that_the_subject_lacks_makes_no_such_type() -> None:
    assert applied(merged([rp({"p": {"value": 1}})]), {"other": {"p": 2}}) == {"other": {"p": 2}}
