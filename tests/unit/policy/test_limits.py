"""An intent's sovereignty limits against what auditors attest: absence is never consent."""

from __future__ import annotations

from importlib.resources import files

import pytest

from federation.policy.limits import judge, refusals
from schemas.jurisdiction import COUNTRIES, Attestation, ClassFacts, Sovereignty
from schemas.problem import Problem

DUTCH = Attestation(
    legal_domicile=("NL",),
    controlling_parents=("NL", "US"),
    classes={"any": ClassFacts(countries=("NL", "DE", "US")), "eu": ClassFacts(countries=("NL", "DE"))},
)


def said(limits: Sovereignty, facts: Attestation | None, route_class: str = "any") -> list[tuple[str, str]]:
    return [(refusal.rule, refusal.detail) for refusal in judge(limits, facts, route_class)]


def test_without_limits_nobody_is_refused() -> None:
    assert judge(Sovereignty(), None, "any") == ()
    assert refusals(Sovereignty(), {}, [("a", "any")]) == {}


def test_a_class_is_judged_by_the_countries_it_may_cross() -> None:
    limits = Sovereignty(countries=("EU",))
    assert judge(limits, DUTCH, "eu") == ()
    (refusal,) = judge(limits, DUTCH, "any")
    assert refusal.rule == "countries"
    assert refusal.lacking == {"US"}
    assert refusal.detail == "may cross US, which the intent does not allow"


def test_every_domicile_and_every_parent_must_be_allowed() -> None:
    limits = Sovereignty(domicile=("NL",), parents=("EEA",))
    assert said(limits, DUTCH) == [("parents", "is controlled from US, which the intent does not allow")]
    assert said(Sovereignty(domicile=("CH",)), DUTCH) == [
        ("domicile", "has its legal domicile in NL, which the intent does not allow")
    ]


def test_all_limits_are_judged_and_all_reasons_told() -> None:
    limits = Sovereignty(countries=("NL",), domicile=("CH",), parents=("CH",))
    assert [(r.rule, r.lacking) for r in judge(limits, DUTCH, "any")] == [
        ("countries", {"DE", "US"}),
        ("domicile", {"NL"}),
        ("parents", {"NL", "US"}),
    ]
    assert said(limits, DUTCH)[2][1] == "is controlled from NL and US, which the intent does not allow"


def test_a_list_that_allows_nothing_refuses_everybody() -> None:
    assert [r.lacking for r in judge(Sovereignty(countries=()), DUTCH, "eu")] == [{"NL", "DE"}]


@pytest.mark.parametrize(
    ("facts", "rule", "detail"),
    [
        (None, "countries", "no recognised auditor attests any fact about it"),
        (None, "domicile", "no recognised auditor attests any fact about it"),
        (Attestation(), "countries", "no auditor attests which countries its route class 'any' may cross"),
        (
            Attestation(classes={"any": ClassFacts(countries=())}),
            "countries",
            "the attestation of its route class 'any' names no country",
        ),
        (Attestation(), "domicile", "no auditor attests its legal domicile"),
        (Attestation(legal_domicile=()), "domicile", "no auditor attests its legal domicile"),
        (Attestation(), "parents", "no auditor attests who controls it"),
        (Attestation(controlling_parents=()), "parents", "no auditor attests who controls it"),
    ],
)
def test_what_nobody_attests_is_refused(facts: Attestation | None, rule: str, detail: str) -> None:
    limits = Sovereignty(**{rule: ("EU", "NL")})
    (refusal,) = judge(limits, facts, "any")
    assert (refusal.rule, refusal.detail, refusal.lacking) == (rule, detail, None)


def test_facts_of_another_class_do_not_count() -> None:
    assert judge(Sovereignty(countries=("EU",)), DUTCH, "gold")[0].lacking is None


def test_the_table_names_only_what_is_refused() -> None:
    facts = {"a": DUTCH, "b": None}
    offered = [("a", "any"), ("a", "eu"), ("b", "any"), ("c", "any")]
    table = refusals(Sovereignty(countries=("EU",)), facts, offered)
    assert sorted(table) == [("a", "any"), ("b", "any"), ("c", "any")]


@pytest.mark.parametrize("name", ["Germany", "de", "EUR", "", "UK", "ZZ"])
def test_a_name_that_is_no_country_is_a_problem(name: str) -> None:
    with pytest.raises(Problem) as raised:
        judge(Sovereignty(domicile=(name,)), DUTCH, "any")
    assert raised.value.field == "sovereignty.domicile"


def test_the_countries_are_those_of_the_standard() -> None:
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    codes = {line.split("\t")[0] for line in table.splitlines() if not line.startswith("#")}
    assert codes | {"XK"} == COUNTRIES
