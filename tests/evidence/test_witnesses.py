"""Witnesses that the owner of a log made itself: members whom it vouches for, or who vouch for one another."""

from __future__ import annotations

import pytest
from msgspec import structs

from federation.evidence.note import Type
from federation.evidence.verify.bundle import Beside, bundled
from federation.evidence.verify.reading import canonical
from federation.evidence.verify.verify import verify
from federation.trust.issue import entity_configuration, jwks, subordinate_statement
from schemas.entity import AuditorMetadata, FederationEntity, Metadata
from schemas.evidence import Bundle, Profile
from tests.support.evidence.bundle import LOOKED, SINCE, bundle_of, log_of
from tests.support.evidence.cast import BROKER, WITNESSES, anchors, chain, key_of, known, later, note_key
from tests.support.evidence.papers import Plan, papers

ALIASES = ("https://alias0.example", "https://alias1.example")
OTHERS = WITNESSES[1:]


def below(superior: str, entity: str) -> tuple[str, ...]:
    """The chain of a member that another member vouches for."""
    own, since = key_of(f"{entity} federation"), later(SINCE)
    named = FederationEntity(
        organization_name=entity, witness_key=str(note_key(entity, Type.COSIGNATURE).verifier), log_key=None
    )
    said = Metadata(federation_entity=named, connectivity_auditor=AuditorMetadata())
    above = key_of(f"{superior} federation")
    return (
        entity_configuration(own, entity, said, authority=superior, now=since, life_s=86400),
        subordinate_statement(above, superior, entity, jwks(own), now=since, life_s=86400),
        *chain(superior, since)[1:],
    )


def witnessed(by: dict[str, tuple[str, ...]]) -> Bundle:
    """Evidence below whose checkpoint these signed, each with its chain."""
    bundle = bundle_of(papers(Plan(2, policies=("eu-health",))), Profile.COUNTRIES, OTHERS)
    own = {entity: rows for entity, rows in bundle.chains.items() if entity not in set(OTHERS[1:])}
    chains = {**own, **{entity: (row,) for entity, row in by.items()}}
    return structs.replace(bundle, chains=chains, logs={BROKER: log_of(bundle.documents, tuple(by))})


def failed(bundle: Bundle) -> dict[str, str]:
    report = verify(canonical(bundle), anchors(), later(LOOKED), known())
    return {check.name: check.detail for check in report.checks if not check.ok}


def straight(*entities: str) -> dict[str, tuple[str, ...]]:
    return {entity: chain(entity, later(SINCE)) for entity in entities}


def test_members_that_the_anchor_knows_are_witnesses() -> None:
    assert failed(witnessed(straight(*OTHERS))) == {}


def test_nobody_that_the_owner_of_a_log_vouches_for_is_its_witness() -> None:
    made = witnessed({alias: below(BROKER, alias) for alias in ALIASES})
    assert failed(made) == {
        "witnesses": f"{ALIASES[0]} is a member by the word of {BROKER}, and is no witness of its log"
    }


def test_a_member_and_somebody_it_vouches_for_are_one_witness() -> None:
    found = failed(witnessed({**straight(OTHERS[0]), ALIASES[0]: below(OTHERS[0], ALIASES[0])}))
    assert found == {"witnesses": f"{ALIASES[0]} is a member by the word of {OTHERS[0]}, and is no other witness"}


@pytest.mark.parametrize("superior", [BROKER, OTHERS[0]])
def test_evidence_is_written_with_witnesses_that_count(superior: str) -> None:
    signers = {**straight(*OTHERS), **{alias: below(superior, alias) for alias in ALIASES}}
    wide = witnessed(signers)
    beside = Beside(
        chains=wide.chains,
        marks=wide.marks,
        status_lists=wide.status_lists,
        policies=wide.policies,
        policy_schema=wide.policy_schema,
    )
    data = bundled(Profile.COUNTRIES, wide.documents, beside, wide.logs, anchors())
    assert verify(data, anchors(), later(LOOKED), known()).failed() == ()
