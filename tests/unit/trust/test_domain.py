"""A trust domain on disk: who is believed, and each lie that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.trust.domain import CONFIGURATION, STATEMENT, load_domain
from federation.trust.issue import entity_configuration, facts_mark, jwks, plain_mark, subordinate_statement
from federation.trust.keys import generate
from federation.trust.throwaway import ANCHOR, ThrowawayDomain
from schemas.entity import FACTS_MARK, Metadata
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from tests.support.seams import NOW

AUDITOR, OPERATOR, STRANGER = "https://audit.example", "https://surf.example", "https://evil.example"
FACTS = Attestation(legal_domicile=("NL",), controlling_parents=("NL",))


@pytest.fixture
def domain(tmp_path: Path) -> ThrowawayDomain:
    made = ThrowawayDomain(tmp_path, NOW)
    made.add_auditor(AUDITOR, "Auditor")
    made.add_operator(OPERATOR, "SURF", sonata="http://h:1", mesh="h:2", documents="http://h:1")
    made.attest(AUDITOR, OPERATOR, FACTS)
    made.write()
    return made


def load(domain: ThrowawayDomain, now: int = NOW + 1):
    return load_domain(domain.folder, domain.anchors_file, now)


def test_members_and_their_facts_are_believed(domain: ThrowawayDomain) -> None:
    trusted = load(domain)
    assert [m.name for m in trusted.operators()] == ["SURF"]
    assert trusted.facts(OPERATOR, NOW + 1) == FACTS
    assert trusted.rejected == {}
    assert trusted.member(OPERATOR, NOW + 1).keys


def test_nothing_is_believed_after_its_time(domain: ThrowawayDomain) -> None:
    trusted = load(domain)
    with pytest.raises(Problem):
        trusted.member(OPERATOR, NOW + 86400)
    assert trusted.facts(OPERATOR, NOW + 31 * 86400) is None
    with pytest.raises(Problem, match="expired"):
        load(domain, NOW + 86400)


def replace(domain: ThrowawayDomain, name: str, token: str) -> None:
    (domain.folder / "surf.example" / name).write_text(token)


def test_a_configuration_signed_by_a_key_the_anchor_did_not_list_is_rejected(domain: ThrowawayDomain) -> None:
    forged = entity_configuration(generate(), OPERATOR, Metadata(), now=NOW, authority=ANCHOR)
    replace(domain, CONFIGURATION, forged)
    assert "kid" in load(domain).rejected[OPERATOR]


def test_a_statement_by_somebody_who_is_not_the_anchor_is_rejected(domain: ThrowawayDomain) -> None:
    key = generate()
    replace(domain, CONFIGURATION, entity_configuration(key, OPERATOR, Metadata(), now=NOW, authority=STRANGER))
    replace(domain, STATEMENT, subordinate_statement(generate(), STRANGER, OPERATOR, jwks(key), now=NOW))
    assert "no configured trust anchor" in load(domain).rejected[OPERATOR]


def test_a_statement_in_the_anchors_name_by_another_key_is_rejected(domain: ThrowawayDomain) -> None:
    key = generate()
    replace(domain, CONFIGURATION, entity_configuration(key, OPERATOR, Metadata(), now=NOW, authority=ANCHOR))
    replace(domain, STATEMENT, subordinate_statement(generate(), ANCHOR, OPERATOR, jwks(key), now=NOW))
    assert OPERATOR in load(domain).rejected


def test_one_members_documents_do_not_make_another(domain: ThrowawayDomain) -> None:
    with (domain.folder / "members").open("a") as members:
        members.write(f"{STRANGER} surf.example\n")
    trusted = load(domain)
    assert STRANGER in trusted.rejected
    assert OPERATOR in trusted.members


def test_a_missing_document_costs_only_its_member(domain: ThrowawayDomain) -> None:
    (domain.folder / "surf.example" / STATEMENT).unlink()
    trusted = load(domain)
    assert set(trusted.rejected) == {OPERATOR}
    assert AUDITOR in trusted.members


def test_another_anchors_keys_make_the_domain_worthless(domain: ThrowawayDomain, tmp_path: Path) -> None:
    other = ThrowawayDomain(tmp_path / "other", NOW)
    other.folder.mkdir()
    other.write()
    with pytest.raises(Problem, match="kid"):
        load_domain(domain.folder, other.anchors_file, NOW + 1)


def mark_by(domain: ThrowawayDomain, issuer: str, about: str = OPERATOR) -> None:
    marks = domain.folder / "surf.example" / "marks"
    for old in marks.glob("*.jwt"):
        old.unlink()
    (marks / "x.jwt").write_text(facts_mark(generate(), issuer, about, FACTS, now=NOW))


@pytest.mark.parametrize("issuer", [AUDITOR, OPERATOR, STRANGER])
def test_marks_by_a_wrong_key_by_itself_or_by_a_stranger_do_not_count(domain: ThrowawayDomain, issuer: str) -> None:
    mark_by(domain, issuer)
    assert load(domain).facts(OPERATOR, NOW + 1) is None


def test_a_mark_of_an_auditor_the_anchor_does_not_recognise_does_not_count(tmp_path: Path) -> None:
    domain = ThrowawayDomain(tmp_path, NOW)
    key = domain.add_auditor(AUDITOR, "Unrecognised", recognised=False)
    domain.add_operator(OPERATOR, "SURF", sonata="http://h:1", mesh="h:2", documents="http://h:1")
    domain.write()
    marks = tmp_path / "surf.example" / "marks"
    marks.mkdir()
    (marks / "x.jwt").write_text(facts_mark(key, AUDITOR, OPERATOR, FACTS, now=NOW))
    assert load(domain).facts(OPERATOR, NOW + 1) is None


AUDITED = "https://marks.example/security/v1"


def test_a_mark_of_any_type_that_its_issuer_may_give_is_kept(domain: ThrowawayDomain) -> None:
    domain.mark(AUDITOR, OPERATOR, AUDITED)
    domain.write()
    trusted = load(domain)
    assert trusted.mark_types(OPERATOR, NOW + 1) == {FACTS_MARK, AUDITED}
    assert trusted.facts(OPERATOR, NOW + 1) == FACTS
    assert trusted.mark_types(OPERATOR, NOW + 31 * 86400) == frozenset()
    assert trusted.mark_types(STRANGER, NOW + 1) == frozenset()


def test_a_mark_of_a_type_that_its_issuer_may_not_give_does_not_count(tmp_path: Path) -> None:
    domain = ThrowawayDomain(tmp_path, NOW)
    key = domain.add_auditor(AUDITOR, "Auditor")
    domain.add_operator(OPERATOR, "SURF", sonata="http://h:1", mesh="h:2", documents="http://h:1")
    domain.write()
    marks = tmp_path / "surf.example" / "marks"
    marks.mkdir()
    (marks / "x.jwt").write_text(plain_mark(key, AUDITOR, OPERATOR, AUDITED, now=NOW))
    trusted = load(domain)
    assert trusted.mark_types(OPERATOR, NOW + 1) == frozenset()
    assert trusted.facts(OPERATOR, NOW + 1) is None


def test_a_mark_about_another_operator_does_not_count(domain: ThrowawayDomain) -> None:
    mark = (domain.folder / "surf.example" / "marks" / "audit.example.jwt").read_text()
    domain.add_operator("https://dfn.example", "DFN", sonata="http://h:1", mesh="h:2", documents="http://h:1")
    domain.write()
    stolen = domain.folder / "dfn.example" / "marks"
    stolen.mkdir()
    (stolen / "x.jwt").write_text(mark)
    assert load(domain).facts("https://dfn.example", NOW + 1) is None


def test_a_broken_members_line_is_named(domain: ThrowawayDomain) -> None:
    (domain.folder / "members").write_text("# a comment\nhttps://surf.example ../../etc\n")
    with pytest.raises(Problem, match=r"members:2: expected an entity id and a folder name"):
        load(domain)
