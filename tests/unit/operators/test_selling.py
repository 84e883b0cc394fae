"""An operator's own policy: what it lets pass, what each fact that is missing does, and what no policy may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from federation.trust.belief import Attested
from operators.access.selling import SAMPLE, Selling, Wanted, selling
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from tests.support.admission import SEGMENT, Gatehouse
from tests.support.authority import BROKER, OPERATOR
from tests.support.seams import NOW

EUROPEAN = Attestation(legal_domicile=("NL",), controlling_parents=("DE",))
GOOD = Wanted(BROKER, "pseudonym", SEGMENT, "EU-personal", ("DE", "NL"))
OWN_WORD = """\
permit(principal is Broker, action == Action::"sell", resource is Segment)
when { resource.route_class == "eu" && context.now < resource.evidence_exp };
"""


def shop(broker: Attestation | None, text: str = SAMPLE, own: Attestation | None = None) -> Selling:
    def attested(entity: str, now: int) -> Attested:
        facts = {BROKER: broker, OPERATOR: own}.get(entity)
        return Attested(facts, frozenset({"facts"} if facts else ()), now + 60 if facts else 0, ())

    return selling("own", text, OPERATOR, attested)


def refusal(work: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as found:
        work()
    return found.value


def test_what_the_sample_permits() -> None:
    shop(EUROPEAN).check(GOOD, NOW)
    shop(EUROPEAN).check(GOOD._replace(data_class=None), NOW)


@pytest.mark.parametrize(
    "broker",
    [
        None,
        Attestation(),
        Attestation(legal_domicile=("NL",)),
        Attestation(controlling_parents=("NL",)),
        Attestation(legal_domicile=(), controlling_parents=("NL",)),
        Attestation(legal_domicile=("NL", "US"), controlling_parents=("NL",)),
        Attestation(legal_domicile=("NL",), controlling_parents=("NL", "US")),
    ],
)
def test_a_broker_of_which_too_little_or_the_wrong_thing_is_attested_gets_nothing(broker: Attestation | None) -> None:
    assert refusal(lambda: shop(broker).check(GOOD, NOW)).code == "POLICY_DENIED"


@pytest.mark.parametrize(
    "wanted",
    [
        GOOD._replace(data_class="EU-health"),
        GOOD._replace(destinations=None),
        GOOD._replace(destinations=()),
        GOOD._replace(destinations=("DE", "RU")),
        GOOD._replace(segment=structs.replace(SEGMENT, bandwidth_bps=100 * 10**9 + 1)),
        GOOD._replace(broker="https://nobody.example"),
    ],
)
def test_what_the_sample_does_not_permit(wanted: Wanted) -> None:
    told = refusal(lambda: shop(EUROPEAN).check(wanted, NOW))
    assert told.code == "POLICY_DENIED"
    assert "policy own" in told.detail


@pytest.mark.parametrize(
    ("broker", "reason"),
    [
        (Attestation(controlling_parents=("NL",)), "of the broker no auditor attests its legal domicile"),
        (Attestation(legal_domicile=("NL",)), "of the broker no auditor attests who controls it"),
        (
            structs.replace(EUROPEAN, controlling_parents=("NL", "US")),
            "the broker is controlled from US, which policy own does not allow",
        ),
    ],
)
def test_the_record_says_what_is_wrong_with_the_broker(broker: Attestation, reason: str) -> None:
    assert reason in refusal(lambda: shop(broker).check(GOOD, NOW)).detail


def test_of_itself_an_operator_needs_no_auditor() -> None:
    shop(None, OWN_WORD).check(GOOD, NOW)
    other = structs.replace(SEGMENT, route_class="any")
    assert refusal(lambda: shop(None, OWN_WORD).check(GOOD._replace(segment=other), NOW)).code == "POLICY_DENIED"
    where = 'permit(principal, action == Action::"sell", resource) when { resource has countries };'
    assert refusal(lambda: shop(EUROPEAN, where).check(GOOD, NOW)).code == "POLICY_DENIED"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('permit(principal, action == Action::"carry", resource);', "permits no sale"),
        ('forbid(principal, action == Action::"sell", resource);', "forbid"),
        ('permit(principal, action == Action::"sell", resource) when { principal.operations == ["NL"] };', "has"),
        ("permit(", "no Cedar policy"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_when_it_is_read(text: str, why: str) -> None:
    told = refusal(lambda: shop(EUROPEAN, text))
    assert told.code == "INVALID_ARGUMENT"
    assert why in str(told)


def test_it_is_the_last_question_of_an_rfq() -> None:
    house = Gatehouse()
    grants = (house.cast.grant(),)
    strict = replace(house.admission, selling=shop(EUROPEAN))
    shown = house.shown(house.rfq(grants, data_class="EU-health", destinations=("NL",)), grants=grants)
    house.admission.rfq(shown, house.caller, NOW)
    assert refusal(lambda: strict.rfq(shown, house.caller, NOW)).code == "POLICY_DENIED"
    strict.rfq(house.shown(house.rfq(grants, destinations=("NL",)), grants=grants), house.caller, NOW)
