"""Facts of verified marks in the words of the schema: what nobody attests is absent, never empty."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec.structs import replace

from federation.policy.engine import entities
from federation.policy.facts import Subject, attributes, facts_h, facts_json, manager, subject, uid
from schemas.decision import Part
from schemas.jurisdiction import ClassFacts, Management
from tests.support.policies import ATTESTED, MARK, OPERATOR, broker, everybody, segment
from tests.support.seams import NOW


def test_a_segment_has_the_facts_of_its_class() -> None:
    assert attributes(segment()) == {
        "entity": OPERATOR,
        "route_class": "eu",
        "countries": ["DE", "NL"],
        "sea": True,
        "landing_countries": ["DK"],
        "legal_domicile": ["NL"],
        "controlling_parents": ["DE", "NL"],
        "operations": ["NL"],
        "key_custody": ["NL"],
        "assessed_regimes": ["US-CLOUD-ACT", "US-FISA-702"],
        "subject_to": [],
        "seal": 2,
        "certificates": ["ISO 22301", "ISO/IEC 27001"],
        "marks": sorted(MARK),
        "sites_agree": True,
        "evidence_exp": NOW + 86400,
    }


def test_without_an_attestation_nothing_is_known_and_the_evidence_is_over() -> None:
    assert attributes(segment(None)) == {
        "entity": OPERATOR, "route_class": "eu", "marks": sorted(MARK), "sites_agree": True, "evidence_exp": 0,
    }  # fmt: skip


def test_a_class_that_nobody_attests_has_no_geography() -> None:
    known = attributes(segment(route_class="domestic"))
    assert not {"countries", "sea", "landing_countries"} & set(known)
    assert known["legal_domicile"] == ["NL"]


@pytest.mark.parametrize("name", ["legal_domicile", "controlling_parents", "operations", "key_custody"])
def test_an_empty_list_of_countries_is_unknown(name: str) -> None:
    assert name not in attributes(segment(replace(ATTESTED, **{name: ()})))
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        replace(segment(), **{name: frozenset()})


def test_a_class_that_crosses_no_country_is_unknown() -> None:
    empty = replace(ATTESTED, classes={"eu": ClassFacts(countries=(), sea=False, landings=())})
    assert "countries" not in attributes(segment(empty))


@pytest.mark.parametrize(("sea", "known"), [(True, False), (None, False), (False, True)])
def test_landing_nowhere_is_a_fact_only_of_a_class_that_stays_ashore(sea: bool | None, known: bool) -> None:
    nowhere = replace(ATTESTED, classes={"eu": ClassFacts(countries=("NL",), sea=sea, landings=())})
    assert ("landing_countries" in attributes(segment(nowhere))) is known


@pytest.mark.parametrize("name", ["assessed_regimes", "subject_to", "certificates"])
def test_an_empty_list_of_findings_is_a_fact(name: str) -> None:
    assert attributes(segment(replace(ATTESTED, **{name: ()})))[name] == []
    assert name not in attributes(segment(replace(ATTESTED, **{name: None})))


def test_who_manages_itself_is_judged_by_its_own_facts() -> None:
    found = manager(segment(), ATTESTED)
    assert found.part is Part.MANAGE
    assert attributes(found) == {
        "entity": OPERATOR, "legal_domicile": ["NL"], "controlling_parents": ["DE", "NL"], "operations": ["NL"],
        "marks": sorted(MARK), "sites_agree": True, "evidence_exp": NOW + 86400,
    }  # fmt: skip


def test_a_manager_that_is_named_is_judged_by_what_is_attested_of_it_alone() -> None:
    abroad = replace(ATTESTED, management=Management(legal_domicile=("US",), countries=("IN",)))
    found = attributes(manager(broker(abroad), abroad))
    assert found["legal_domicile"] == ["US"]
    assert found["operations"] == ["IN"]
    assert "controlling_parents" not in found


def test_every_subject_fits_the_schema() -> None:
    unknown = (segment(None), broker(None), manager(segment(None), None))
    for one in (*everybody(), *unknown):
        assert uid(one)["id"] in str(entities(one))


def test_the_hash_covers_every_fact_and_nothing_else() -> None:
    told = json.loads(facts_json(segment()))
    assert told == attributes(segment()) | {"part": "carry"}
    assert facts_json(segment()).isascii()
    assert facts_json(broker()).startswith(b'{"assessed_regimes":["US-CLOUD-ACT","US-FISA-702"],"certificates":')
    hashes = {facts_h(one) for one in (*everybody(), segment(route_class="any"), segment(exp=NOW), segment(None))}
    assert len(hashes) == 6
    assert facts_h(segment()) == facts_h(segment())


def test_the_facts_of_a_subject_are_read_back_as_they_were_written() -> None:
    for one in everybody():
        assert msgspec.json.decode(facts_json(one), type=Subject) == one


def test_subjects_of_one_question_have_different_ids() -> None:
    assert len({tuple(uid(one).items()) for one in (*everybody(), segment(route_class="any"))}) == 4


def test_programmer_errors_are_told() -> None:
    with pytest.raises(AssertionError):
        subject(Part.MANAGE, OPERATOR, None, ATTESTED, MARK, NOW)
    with pytest.raises(AssertionError):
        subject(Part.CARRY, OPERATOR, None, ATTESTED, MARK, NOW)
