"""The predicate and Cedar are two readings of one text: what the predicate refuses Cedar does not permit, and but for
constructs that the predicate leaves alone the two agree. What is dropped from a subject is never permitted after all.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import cedarpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from federation.policy.clauses import SETTINGS, asked, conditions
from federation.policy.context import Purchase, told
from federation.policy.engine import LoadedPolicy, decide, entities, load, prefilter
from federation.policy.facts import ALWAYS, ATTRIBUTES, BUYER, HELD_BY, Subject, uid
from schemas.decision import Part
from schemas.jurisdiction import Attestation, ClassFacts
from schemas.policy.texts import NAMES, shipped
from tests.support.policies import ATTESTED, CONTEXT, everybody, segment
from tests.support.seams import NOW

LONG = bool(os.environ.get("PEERWAY_TEST_LONG"))
RANDOM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
FEW = settings(RANDOM, max_examples=500 if LONG else 25)
MANY = settings(RANDOM, max_examples=1500 if LONG else 50)

PLACES = ("AT", "CH", "DE", "GB", "NL", "US")
REGIMES = ("US-CLOUD-ACT", "US-FISA-702", "CN-NIL")
CERTIFICATES = ("ISO 22301", "ISO/IEC 27001", "SOC 2")
MARKS = ("https://marks.example/facts", "https://marks.example/sovereign")
CLASSES = ("EU-health", "public")
POOLS = {
    **dict.fromkeys(
        ("countries", "landing_countries", "legal_domicile", "controlling_parents", "operations", "key_custody"), PLACES
    ),
    **dict.fromkeys(("assessed_regimes", "subject_to"), REGIMES),
    "certificates": CERTIFICATES,
    "marks": MARKS,
}
NEVER_EMPTY = ("countries", "legal_domicile", "controlling_parents", "operations", "key_custody")


# --- subjects ---------------------------------------------------------------------------------------------------


def names(attribute: str) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(POOLS[attribute]), min_size=int(attribute in NEVER_EMPTY))


@st.composite
def subjects(draw: st.DrawFn, part: Part | None = None) -> Subject:
    """Any subject; every fact that may be unknown sometimes is."""
    part = part or draw(st.sampled_from(tuple(Part)))
    found: dict[str, Any] = {name: draw(st.none() | names(name)) for name in POOLS if name in HELD_BY[part] - {"marks"}}
    if part is Part.CARRY:
        found |= {"route_class": draw(st.sampled_from(("any", "eu"))), "sea": draw(st.none() | st.booleans())}
    if part is not Part.MANAGE:
        found["seal"] = draw(st.none() | st.integers(0, 4))
    return Subject(
        part=part,
        entity=draw(st.sampled_from(("https://surf.example", "https://dfn.example"))),
        marks=draw(names("marks")),
        sites_agree=draw(st.integers(0, 5)) > 0,
        evidence_exp=draw(st.sampled_from((0, NOW, NOW + 1, NOW + 500, NOW + 500, NOW + 500))),
        **found,
    )


@st.composite
def near(draw: st.DrawFn) -> Subject:
    """A subject that every shipped policy permits, but for a fact or two."""
    one = draw(st.sampled_from(everybody()))
    changeable = sorted((HELD_BY[one.part] & set(POOLS)) - {"marks"})
    changed = draw(st.lists(st.sampled_from(changeable), max_size=2, unique=True))
    return replace(one, **{name: draw(st.none() | names(name)) for name in changed})


CONTEXTS = st.builds(Purchase, now=st.just(NOW), data_class=st.none() | st.sampled_from(CLASSES))


# --- policies ---------------------------------------------------------------------------------------------------


def written(values: frozenset[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in sorted(values)) + "]"


@st.composite
def about_sets(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(POOLS)))
    listed = written(draw(st.frozensets(st.sampled_from(POOLS[name]), min_size=1)))
    value, one = f"resource.{name}", f'"{draw(st.sampled_from(POOLS[name]))}"'
    said = draw(
        st.sampled_from(
            (
                f"{listed}.containsAll({value})",
                f"{value}.containsAll({listed})",
                f"{value}.containsAny({listed})",
                f"{listed}.containsAny({value})",
                f"{value}.contains({one})",
                f"{value}.isEmpty()",
                f"{value} == {listed}",
                f"{value} != {listed}",
                f"{value} == {value}",
            )
        )
    )
    return said if name in ALWAYS else f"(resource has {name} && {said})"


@st.composite
def about_others(draw: st.DrawFn) -> str:
    number = draw(st.integers(0, 4))
    compared = draw(st.sampled_from(("<", "<=", ">", ">=", "==", "!=")))
    return draw(
        st.sampled_from(
            (
                "(resource has sea && resource.sea)",
                "(resource has sea && resource.sea == false)",
                f"(resource has seal && resource.seal {compared} {number})",
                f"(resource has seal && {number} {compared} resource.seal)",
                '["https://surf.example", "https://kpn.example"].contains(resource.entity)',
                '(resource is Segment && resource.route_class == "eu")',
                "resource is Broker",
                "resource is Manager",
                '(context has data_class && context.data_class == "EU-health")',
                f"context.now {compared} {NOW}",
                "context.now < resource.evidence_exp",
                "resource.sites_agree",
                'action == Action::"carry"',
                "true",
                "false",
            )
        )
    )


# What the predicate does not understand; each may hold or not, and the second may fail.
OPAQUE = st.sampled_from(
    (
        'resource.entity like "https://s*"',
        f"(resource.evidence_exp + {2**63 - NOW - 400} > 3)",
        "(resource.evidence_exp - 1 > 3)",
    )
)


def combined(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(" && ".join).map("({})".format),
            st.tuples(inner, inner).map(" || ".join).map("({})".format),
            inner.map("!({})".format),
            st.tuples(inner, inner, inner).map(lambda three: "(if {} then {} else {})".format(*three)),
        ),
        max_leaves=5,
    )


HEADS = st.sampled_from(
    (
        "(principal, action, resource)",
        '(principal is Buyer, action in [Action::"carry", Action::"arrange", Action::"manage"], resource)',
        '(principal, action == Action::"carry", resource is Segment)',
        "(principal, action, resource is Broker)",
        '(principal, action in [Action::"arrange", Action::"manage"], resource)',
    )
)


@st.composite
def policies(draw: st.DrawFn, atoms: st.SearchStrategy[str]) -> LoadedPolicy:
    text = ""
    for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
        clauses = draw(st.lists(st.tuples(st.sampled_from(("when", "when", "unless")), combined(atoms)), max_size=3))
        text += f"permit {draw(HEADS)}" + "".join(f"\n{word} {{ {expr} }}" for word, expr in clauses) + ";\n"
    return loaded(text)


@cache
def loaded(text: str) -> LoadedPolicy:
    return load("made", text)


UNDERSTOOD = about_sets() | about_others()


# --- the two readings -------------------------------------------------------------------------------------------


def cedar(policy: LoadedPolicy, subject: Subject, context: Purchase) -> bool:
    """Cedar's own word on the bare text, and what every policy presupposes."""
    request = {"principal": BUYER, "action": {"type": "Action", "id": subject.part.value}, "resource": uid(subject)}
    result = cedarpy.is_authorized(request | {"context": told(context)}, policy.text, entities(subject))
    grounded = subject.evidence_exp > context.now and subject.sites_agree
    return result.allowed and not result.diagnostics.errors and grounded


def refused(policy: LoadedPolicy, subject: Subject, context: Purchase) -> bool:
    outer = {f"context.{name}": value for name, value in told(context).items()}
    return bool(policy.predicates[subject.part.value].against([subject], outer))


SHIPPED = {name: load(name, text) for name, text in shipped().items()}


@pytest.mark.parametrize("name", NAMES)
@given(subject=subjects() | near(), context=CONTEXTS)
@MANY
def test_both_agree_on_shipped_policies(name: str, subject: Subject, context: Purchase) -> None:
    assert refused(SHIPPED[name], subject, context) is not cedar(SHIPPED[name], subject, context)


@given(policy=policies(UNDERSTOOD), cases=st.lists(st.tuples(subjects() | near(), CONTEXTS), min_size=8, max_size=8))
@FEW
def test_both_agree_on_any_policy_of_what_is_understood(
    policy: LoadedPolicy, cases: list[tuple[Subject, Purchase]]
) -> None:
    for subject, context in cases:
        assert refused(policy, subject, context) is not cedar(policy, subject, context), policy.text


@given(
    policy=policies(UNDERSTOOD | OPAQUE),
    cases=st.lists(st.tuples(subjects() | near(), CONTEXTS), min_size=8, max_size=8),
)
@FEW
def test_nothing_that_cedar_permits_is_refused_whatever_the_policy_holds(
    policy: LoadedPolicy, cases: list[tuple[Subject, Purchase]]
) -> None:
    for subject, context in cases:
        permitted = cedar(policy, subject, context)
        assert not (permitted and refused(policy, subject, context)), policy.text
        verdict = decide(policy, subject, context)
        assert verdict.allowed is permitted, policy.text
        assert bool(verdict.reasons) is not permitted
        assert all(reason and reason.isprintable() for reason in verdict.reasons)


@given(policy=policies(UNDERSTOOD), carried=st.lists(subjects(Part.CARRY), max_size=12), context=CONTEXTS)
@FEW
def test_a_thousand_are_judged_as_one_by_one(policy: LoadedPolicy, carried: list[Subject], context: Purchase) -> None:
    singly = {}
    for subject in carried:
        singly |= prefilter(policy, [subject], context)
    together = prefilter(policy, carried, context)
    # Subjects of one operator and class with different facts do not occur; where drawn, the last one counts in both.
    distinct = {(one.entity, one.route_class): one for one in carried}
    if len(distinct) == len(carried):
        assert together == singly


# --- T2: what is left out ---------------------------------------------------------------------------------------


def read(policy: LoadedPolicy, part: Part) -> frozenset[str]:
    """The attributes that a policy reads of a part, of those that may be unknown."""
    (permit,) = cedarpy.policies_to_pst(policy.text).static_policies.values()
    found = (asked(one, "resource") for one in conditions(permit, SETTINGS[part.value]))
    return frozenset().union(*found) - ALWAYS


@pytest.mark.parametrize("name", NAMES)
def test_without_any_fact_that_a_policy_reads_nothing_is_permitted(name: str) -> None:
    for subject in everybody():
        assert cedar(SHIPPED[name], subject, CONTEXT)
        for attribute in sorted(read(SHIPPED[name], subject.part)):
            without = replace(subject, **{attribute: None})
            assert not cedar(SHIPPED[name], without, CONTEXT), (subject.part, attribute)
            assert refused(SHIPPED[name], without, CONTEXT), (subject.part, attribute)
            assert decide(SHIPPED[name], without, CONTEXT).reasons[0].startswith("no auditor attests")


def test_the_shipped_policies_read_every_fact_there_is() -> None:
    """So that no attribute of the schema is one whose loss nobody has tried."""
    found = frozenset[str]().union(*(read(policy, Part.CARRY) for policy in SHIPPED.values()))
    assert found == frozenset(ATTRIBUTES) - ALWAYS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("member", [name for name in Attestation.__struct_fields__ if getattr(ATTESTED, name)])
def test_an_auditor_who_leaves_a_member_out_helps_nobody(name: str, member: str) -> None:
    empty: Any = {} if member == "classes" else None
    without = segment(replace(ATTESTED, **{member: empty}))
    reads = read(SHIPPED[name], Part.CARRY)
    needed = {"countries", "sea", "landing_countries"} if member == "classes" else {member}
    assert decide(SHIPPED[name], without, CONTEXT).allowed is not bool(reads & needed)


@pytest.mark.parametrize("name", ["eu-health", "eu-only", "five-eyes-free"])
@pytest.mark.parametrize("facts", [{"sea": None}, {"landings": None}, {"landings": ()}, {"countries": ()}])
def test_geography_that_is_half_told_is_not_permitted(name: str, facts: dict[str, Any]) -> None:
    half = replace(ATTESTED, classes={"eu": replace(ATTESTED.classes["eu"], **facts)})
    assert not decide(SHIPPED[name], segment(half), CONTEXT).allowed
    ashore = replace(ATTESTED, classes={"eu": ClassFacts(countries=("NL",), sea=False)})
    assert not decide(SHIPPED[name], segment(ashore), CONTEXT).reasons


@pytest.mark.parametrize("compared", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("said", ["resource.seal {} 2", "2 {} resource.seal"])
def test_numbers_are_compared_as_cedar_compares_them(compared: str, said: str) -> None:
    asks = f"resource has seal && {said.format(compared)}"
    policy = load("made", f'permit (principal, action == Action::"carry", resource) when {{ {asks} }};')
    for seal in (1, 2, 3):
        subject = replace(segment(), seal=seal)
        assert refused(policy, subject, CONTEXT) is not cedar(policy, subject, CONTEXT), (asks, seal)
