"""Policies loaded and decided: Cedar's verdict, the two traps of Cedar, and reasons that a person understands."""

from __future__ import annotations

import cedarpy
import pytest
from msgspec.structs import replace

from federation.policy.context import Purchase, Sale
from federation.policy.engine import decide, decide_sale, load, prefilter, schema_h
from federation.policy.facts import BUYER, Subject, manager, uid
from schemas.jurisdiction import ClassFacts, Management
from schemas.policy.texts import NAMES, shipped
from schemas.problem import Problem
from tests.support.policies import ATTESTED, CONTEXT, OPERATOR, broker, everybody, segment
from tests.support.seams import NOW

SHIPPED = {name: load(name, text) for name, text in shipped().items()}
EVERYBODY = 'permit (principal, action in [Action::"carry", Action::"arrange", Action::"manage"], resource)'


def said(text: str, subject: Subject, context: Purchase = CONTEXT) -> tuple[str, ...]:
    return decide(load("mine", text), subject, context).reasons


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_policy_permits_what_it_is_for(name: str) -> None:
    assert [decide(SHIPPED[name], one, CONTEXT).reasons for one in everybody()] == [(), (), ()]
    assert all(decide(SHIPPED[name], one, CONTEXT).allowed for one in everybody())
    assert SHIPPED[name].id == f"{name}.v1"


def test_hashes_tell_texts_apart() -> None:
    assert len({policy.policy_h for policy in SHIPPED.values()} | {schema_h()}) == len(NAMES) + 1
    assert load("other", shipped()["eu-only"]).policy_h == SHIPPED["eu-only"].policy_h
    assert SHIPPED["eu-only"].ref.policy_h == SHIPPED["eu-only"].policy_h


@pytest.mark.parametrize(
    ("policy", "changed", "why"),
    [
        ("eu-only", {"legal_domicile": ("CH",)}, "has its legal domicile in CH, which policy eu-only does not allow"),
        ("eu-health", {"key_custody": ("NL", "US")}, "has its keys held in US, which policy eu-health does not allow"),
        ("eu-health", {"key_custody": None}, "no auditor attests its key custody"),
        ("eu-health", {"seal": 1}, "has the sovereignty level 1, where policy eu-health asks for at least 2"),
        (
            "eu-health",
            {"assessed_regimes": ("US-FISA-702",)},
            "was not assessed for US-CLOUD-ACT, which policy eu-health asks for",
        ),
        (
            "no-us-control",
            {"controlling_parents": ("NL", "US")},
            "is controlled from US, which policy no-us-control does not allow",
        ),
        (
            "no-us-control",
            {"subject_to": ("US-CLOUD-ACT",)},
            "is subject to US-CLOUD-ACT, which policy no-us-control does not allow",
        ),
        (
            "five-eyes-free",
            {"operations": ("AU", "NZ", "NL")},
            "is run from AU and NZ, which policy five-eyes-free does not allow",
        ),
        (
            "certified-carrier",
            {"certificates": ("ISO 22301",)},
            "holds no certificate ISO/IEC 27001, which policy certified-carrier asks for",
        ),
        ("certified-carrier", {"certificates": None}, "no auditor attests its certificates"),
    ],
)
def test_each_refusal_says_why(policy: str, changed: dict[str, tuple[str, ...]], why: str) -> None:
    verdict = decide(SHIPPED[policy], segment(replace(ATTESTED, **changed)), CONTEXT)
    assert not verdict.allowed
    assert verdict.reasons == (why,)


def test_geography_is_judged_by_route_class_and_landings() -> None:
    assert said(shipped()["eu-only"], segment(route_class="any")) == (
        "may cross GB and US, which policy mine does not allow",
    )
    assert said(shipped()["eu-only"], segment(route_class="domestic")) == (
        "no auditor attests which countries its route class may cross",
        "no auditor attests whether its route class may cross the sea",
        "no auditor attests where its sea cables come ashore",
    )
    lands = replace(ATTESTED, classes={"eu": ClassFacts(countries=("NL",), sea=True)})
    assert said(shipped()["eu-only"], segment(lands)) == ("no auditor attests where its sea cables come ashore",)


def test_a_manager_is_judged_too() -> None:
    abroad = replace(ATTESTED, management=Management(legal_domicile=("US",)))
    assert decide(SHIPPED["eu-only"], segment(abroad), CONTEXT).allowed
    verdict = decide(SHIPPED["eu-only"], manager(segment(abroad), abroad), CONTEXT)
    assert verdict.reasons == (
        "has its legal domicile in US, which policy eu-only does not allow",
        "no auditor attests where it is run from",
    )


def test_what_would_have_to_be_allowed_is_told() -> None:
    (refusal,) = decide(SHIPPED["eu-only"], segment(route_class="any"), CONTEXT).refusals
    assert (refusal.rule, refusal.lacking) == ("eu-only.countries", {"GB", "US"})
    (refusal,) = decide(SHIPPED["eu-health"], segment(replace(ATTESTED, key_custody=None)), CONTEXT).refusals
    assert (refusal.rule, refusal.lacking) == ("eu-health.key_custody", None)


@pytest.mark.parametrize("text", [*shipped().values(), f"{EVERYBODY};"])
def test_no_policy_permits_what_nobody_attests_or_what_has_expired_or_is_contradicted(text: str) -> None:
    assert said(text, segment(None)) == ("no recognised auditor attests any fact about it",)
    assert said(text, broker(None)) == ("no recognised auditor attests any fact about it",)
    assert said(text, segment(exp=NOW)) == ("what auditors attested of it has expired",)
    assert said(text, segment(exp=NOW + 1)) == ()
    why = "what it says of its sites contradicts what an auditor found"
    assert said(text, segment(sites_agree=False)) == (why,)


# --- the two traps of Cedar: raw Cedar falls into each, a policy of ours cannot ---------------------------------


def raw(text: str, attributes: dict[str, object]) -> cedarpy.AuthzResult:
    """Cedar itself, with no schema, on one segment."""
    entity = {"uid": uid(segment()), "attrs": attributes, "parents": []}
    request = {"principal": BUYER, "action": {"type": "Action", "id": "carry"}, "resource": uid(segment())}
    return cedarpy.is_authorized(request | {"context": {"now": NOW}}, text, [entity])


def test_a_forbid_that_fails_opens_the_door_in_cedar_and_is_refused_here() -> None:
    forbid = 'forbid (principal, action, resource) when { resource.legal_domicile.contains("US") };'
    text = f"permit (principal, action, resource);\n{forbid}"
    assert raw(text, {"legal_domicile": ["US"]}).allowed is False
    fallen = raw(text, {})
    assert fallen.allowed
    assert fallen.diagnostics.errors
    with pytest.raises(Problem, match="holds a `forbid`, and one that fails is skipped"):
        load("mine", text)
    ours = f'{EVERYBODY} when {{ resource has legal_domicile && !resource.legal_domicile.contains("US") }};'
    assert said(ours, segment(replace(ATTESTED, legal_domicile=None))) == ("no auditor attests its legal domicile",)


def test_nobody_is_everywhere_allowed_in_cedar_and_unknown_here() -> None:
    clause = '["DE", "NL"].containsAll(resource.countries)'
    assert raw(f"permit (principal, action, resource) when {{ {clause} }};", {"countries": []}).allowed
    ours = f'permit (principal, action == Action::"carry", resource) when {{ resource has countries && {clause} }};'
    nowhere = replace(ATTESTED, classes={"eu": ClassFacts(countries=())})
    assert said(ours, segment(nowhere)) == ("no auditor attests which countries its route class may cross",)


def test_an_error_in_a_permit_is_a_refusal() -> None:
    text = f"{EVERYBODY} when {{ 9223372036854775807 + resource.evidence_exp > 0 }};"
    assert said(text, segment()) == ("policy mine does not permit it",)


# --- what a policy may be made of ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds 0 permits; it needs 1 to 16"),
        ("// nothing", "holds 0 permits; it needs 1 to 16"),
        ("permit (principal, action, resource);" * 17, "holds 17 permits; it needs 1 to 16"),
        (f"{EVERYBODY} when {{", "line 1: is no Cedar policy: unexpected end of input"),
        (f"{EVERYBODY}\nwhen {{ true }}\nwhen {{ resource has }}\n;", "line 3: is no Cedar policy: unexpected token"),
        (f'{EVERYBODY}\nwhen {{ resource.entity == "a }};', "line 2: a string begins here that does not end"),
        (f"{EVERYBODY}\nwhen {{ resource.sttaus == 1 }};", "line 2: attribute `sttaus` .* not found; the schema"),
        (f'{EVERYBODY}\nwhen {{ resource.legal_domicile.contains("NL") }};', "line 2: may find no `legal_domicile`"),
        (
            'permit (principal, action == Action::"cary", resource);',
            'line 1: unrecognized action `Action::"cary"`; there are Action::"carry", Action::"arrange"',
        ),
        ("permit (principal is Byer, action, resource);", "line 1: unrecognized entity type `Byer`; there are Buyer"),
        (
            f"{EVERYBODY} when {{ resource has country }};",
            "asks `resource has country`, which nothing ever has; .*seal",
        ),
        (f"{EVERYBODY} when {{ !(context has class) }};", "asks `context has class`, which nothing ever has; .*data_c"),
        ("permit (principal == ?principal, action, resource);", "holds a template"),
        ("forbid (principal, action, resource);", "make it a condition of the permit"),
        ('permit (principal == Buyer::"x", action, resource);', "names a principal or resource by id"),
        ('permit (principal, action, resource == Segment::"x");', "names a principal or resource by id"),
        (f'{EVERYBODY} when {{ resource == Segment::"x" }};', "names Segment by id; ask for `resource.entity` instead"),
        (f'{EVERYBODY} when {{ ip("10.0.0.1").isLoopback() }};', "calls `is_loopback`"),
        (f'{EVERYBODY} when {{ decimal("1.0") == decimal("1.0") }};', "calls `decimal`"),
        ("x" * 24577, "has 24577 characters, of 24576"),
        (f"{EVERYBODY}; // \u202e", r"holds the character U\+202E"),
        (f"{EVERYBODY}; // \ud800", r"holds the character U\+D800"),
    ],
)
def test_a_text_that_is_no_policy_of_ours_is_refused_with_what_would_be_right(text: str, why: str) -> None:
    with pytest.raises(Problem, match=why) as caught:
        load("mine", text)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.field == "policy mine"


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 9000 + "true" + ")" * 9000,
        "!(" * 6000 + "true" + ")" * 6000,
        "[" * 9000 + "1" + "]" * 9000 + " == 1",
        "&&".join(["true"] * 4000),
        "1 < " + "+".join(["1"] * 9000),
        "resource" + ".a" * 9000,
        'resource["a"]' + '["a"]' * 4000,
        "resource has a" + ".a" * 9000,
        "if true then " * 1000 + "true" + " else true" * 1000,
        "when " * 1000 + "(" * 3000 + "true" + ")" * 3000,
        "// a comment ends here\r" + "(" * 9000 + "true" + ")" * 9000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_is_nested_so_deeply_that_the_parser_ends_the_process(expression: str) -> None:
    with pytest.raises(Problem, match="policy mine"):
        load("mine", f"{EVERYBODY} when {{ {expression} }};")


# --- more than one permit, circumstances, operators ------------------------------------------------------------


def test_one_permit_is_enough_and_nobody_is_permitted_by_none() -> None:
    text = (
        'permit (principal, action == Action::"carry", resource) when { resource has seal && resource.seal >= 3 };\n'
        'permit (principal, action == Action::"carry", resource) when { resource.route_class == "eu" };'
    )
    assert said(text, segment()) == ()
    assert said(text, segment(route_class="any")) == (
        "has the sovereignty level 2, where policy mine asks for at least 3",
        "is of the route class any, which policy mine does not allow",
    )
    assert said(text, broker()) == ("policy mine permits nobody here",)


def test_circumstances_are_asked() -> None:
    text = f'{EVERYBODY} when {{ context has data_class && context.data_class == "EU-health" }};'
    assert said(text, segment(), Purchase(now=NOW, data_class="EU-health")) == ()
    assert said(text, segment()) == ("policy mine is not for data of this class",)
    until = f"{EVERYBODY} when {{ context.now < {NOW} }};"
    assert said(until, segment()) == ("policy mine does not permit it in these circumstances",)


def test_an_operator_decides_whom_it_sells_to() -> None:
    text = (
        'permit (principal is Broker, action == Action::"sell", resource is Segment)\n'
        'when { principal has legal_domicile && ["DE", "NL"].containsAll(principal.legal_domicile) }\n'
        'when { if context has data_class then context.data_class != "secret" else true }\n'
        'when { context has destinations && !context.destinations.contains("US") }\n'
        "when { context.bandwidth_gbps <= 100 };"
    )
    policy = load("mine", text)
    sale = Sale(now=NOW, buyer="p-1", bandwidth_gbps=10, destinations=frozenset({"NL", "IT"}))
    assert decide_sale(policy, broker(), segment(), sale).allowed
    assert not decide_sale(policy, broker(replace(ATTESTED, legal_domicile=("FR",))), segment(), sale).allowed
    for changed in ({"data_class": "secret"}, {"destinations": frozenset({"US"})}, {"bandwidth_gbps": 101}):
        verdict = decide_sale(policy, broker(), segment(), replace(sale, **changed))
        assert not verdict.allowed
        assert verdict.reasons
    assert decide(policy, segment(), CONTEXT).reasons == ("policy mine permits nobody here",)


def test_the_prefilter_refuses_by_operator_and_route_class_with_all_reasons() -> None:
    others = (segment(), segment(route_class="any"), segment(None, entity="https://dfn.example"))
    found = prefilter(SHIPPED["eu-only"], others, CONTEXT)
    assert {key: [one.detail for one in reasons] for key, reasons in found.items()} == {
        (OPERATOR, "any"): ["may cross GB and US, which policy eu-only does not allow"],
        ("https://dfn.example", "eu"): ["no recognised auditor attests any fact about it"],
    }
    assert prefilter(SHIPPED["eu-only"], (), CONTEXT) == {}


def test_what_the_predicate_does_not_understand_passes_it_and_meets_cedar() -> None:
    text = 'permit (principal, action == Action::"carry", resource) when { resource.entity like "https://dfn*" };'
    assert prefilter(load("mine", text), [segment()], CONTEXT) == {}
    assert said(text, segment()) == ("policy mine does not permit it",)


def test_a_verdict_is_not_remembered_beyond_its_policy_its_evidence_and_its_second() -> None:
    first, second = load("mine", EVERYBODY + ";"), load("mine", EVERYBODY + ' when { resource.entity == "x" };')
    one = segment()
    for _ in range(2):
        assert decide(first, one, CONTEXT).allowed
        assert not decide(second, one, CONTEXT).allowed
        assert not decide(first, one, replace(CONTEXT, now=one.evidence_exp)).allowed
        assert not decide(first, replace(one, sites_agree=False), CONTEXT).allowed
