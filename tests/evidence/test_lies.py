"""Lies told with the right keys: everything is signed and consistent, and the check that ought to refuses.

Each lie bends one document before it is signed, so that whatever comes after names it. Where another check must notice
too, because the lie contradicts something else that is signed, it is listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from federation.evidence.verify.reading import DECISIONS_MAX, canonical
from federation.evidence.verify.report import CHECKS
from federation.evidence.verify.verify import verify
from federation.trust.jose import sign_jws
from schemas.authority import Authority
from schemas.boundary import Boundary
from schemas.decision import Decision, Part
from schemas.evidence import BUNDLE_BYTES_MAX, Profile
from schemas.jurisdiction import ClassFacts
from schemas.lease import State
from schemas.price import Line, Money
from schemas.segment import End, window
from tests.support.evidence.bundle import LOOKED, bundle_of, bundled
from tests.support.evidence.cast import BROKER, BUYER, OPERATORS, anchors, key_of, known, later
from tests.support.evidence.papers import Plan, papers

HASH = "Z" * 43


def change(**members: Any) -> Callable[[Any], Any]:
    return lambda claims: structs.replace(claims, **members)


def judged(index: int, **members: Any) -> Callable[[Decision], Decision]:
    def bend(claims: Decision) -> Decision:
        rows = list(claims.judged)
        rows[index] = structs.replace(rows[index], **members)
        return structs.replace(claims, judged=tuple(rows))

    return bend


def authority(**members: Any) -> Callable[[Any], Any]:
    def bend(claims: Any) -> Any:
        given: Authority = claims.authorization_details[0]
        return structs.replace(claims, authorization_details=(structs.replace(given, **members),))

    return bend


def segment(**members: Any) -> Callable[[Any], Any]:
    return lambda claims: structs.replace(claims, segment=structs.replace(claims.segment, **members))


def facts(**members: Any) -> Callable[[Any], Any]:
    return lambda claims: structs.replace(claims, attest=structs.replace(claims.attest, **members))


def paid(claims: Any) -> Any:
    """A total that the segments do not add up to."""
    return structs.replace(claims, total=Money(claims.total.currency, claims.total.micro + 1))


def dearer(claims: Any) -> Any:
    """A bill of one micro-unit more than the use comes to."""
    bill = claims.bill
    lines = (*bill.lines, Line("more", 1_000_000))
    return structs.replace(claims, bill=structs.replace(bill, lines=lines, total=_plus(bill.total, 1_000_000)))


def _plus(money: Money, micro: int) -> Money:
    return Money(money.currency, money.micro + micro)


# name of the document: what is bent, and which check notices
LIES: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "a quote answers another rfq": ("quote:0:1", change(rfq_h=HASH), "documents"),
    "a quote is for another buyer": ("quote:0:1", change(sub="somebody-else"), "documents"),
    "a quote is for another broker": ("quote:0:1", change(aud="https://other.example"), "documents"),
    "a quote has another bandwidth than the rfq": ("quote:0:1", segment(bandwidth_bps=10**9), "documents"),
    "a quote is of another action": ("rfq:0:1", change(product="other"), "documents"),
    "an operator was told of another class of data": ("rfq:0:1", change(data_class=None), "documents"),
    "an order names another quote": ("order:0:1", change(quote_h=HASH), "documents"),
    "an order is for another decision": ("order:0:1", change(decision_h=HASH), "documents"),
    "an order is for another path": ("order:0:1", change(path_root=HASH), "documents"),
    "an order has other grants": ("order:0:0", change(grant_h=None), "documents"),
    "an order comes after the quote": ("order:0:1", change(iat=later(100), exp=later(150)), "documents"),
    "an order is for another mandate": ("order:0:1", change(mandate_h=HASH), "documents"),
    "a receipt answers another order": ("receipt:0:1:ordered", change(order_h=HASH), "documents"),
    "a receipt is for another product": ("receipt:0:1:active", change(product="other"), "documents"),
    "a receipt follows nothing": ("receipt:0:1:active", change(prev_h=HASH), "documents"),
    "a receipt has another label": ("receipt:0:1:active", segment(z=End("if-1-z", 999)), "documents"),
    "a receipt goes back in time": ("receipt:0:1:active", change(iat=later(1)), "documents"),
    "a receipt goes back in state": ("receipt:0:1:released", change(state=State.COMMITTED, bill=None), "documents"),
    "a confirm is for another path": ("confirm:0:1", change(path_root=HASH), "documents"),
    "a confirm is for another order": ("confirm:0:1", change(order_h=HASH), "documents"),
    "a confirm is for another product": ("confirm:0:1", change(product="other"), "documents"),
    "a release follows nothing": ("release:1", change(prev_h=HASH), "documents"),
    "a path quote names another decision": ("path-quote:0", change(decision_h=HASH), "documents"),
    "a path quote has another root": ("path-quote:0", change(path_root=HASH), "path"),
    "a path quote turns the path round": (
        "path-quote:0",
        lambda claims: structs.replace(claims, path=claims.path[::-1]),
        "path",
    ),
    "a path quote promises too much": (
        "path-quote:0",
        lambda claims: structs.replace(claims, promise=structs.replace(claims.promise, latency_us=100)),
        "path",
    ),
    "a path quote outlives its quotes": ("path-quote:0", change(exp=later(40)), "path"),
    "a path quote has another window": ("path-quote:0", change(window=window(later(0), later(7200))), "path"),
    "a decision is about other quotes": ("decision:0", judged(1, quote_h=HASH), "path"),
    "a decision has another root": ("decision:0", change(path_root=HASH), "path"),
    "a decision names another class": ("decision:0", judged(1, route_class="any"), "path"),
    "a decision names another operator": ("decision:0", judged(1, entity=OPERATORS[2]), "path"),
    "neighbours hold different labels": ("receipt:0:1:ordered", segment(a=End("if-1-a", 555)), "path"),
    "a decision names no mark": ("decision:0", judged(1, marks=()), "facts"),
    "a decision names another's mark": ("decision:0", judged(1, marks=(HASH,)), "marks"),
    "a decision has other facts": ("decision:0", judged(1, facts_h=HASH), "facts"),
    "a decision leaves its broker out": (
        "decision:0",
        lambda claims: structs.replace(claims, judged=tuple(j for j in claims.judged if j.part is not Part.ARRANGE)),
        "facts",
    ),
    "a decision leaves a manager out": (
        "decision:0",
        lambda claims: structs.replace(claims, judged=claims.judged[:-1]),
        "facts",
    ),
    "a decision leaves a country out": ("decision:0", change(countries=("DE", "NL")), "facts"),
    "a decision tells a country that is not crossed": (
        "decision:0",
        lambda claims: structs.replace(claims, countries=tuple(sorted({*claims.countries, "SE"}))),
        "facts",
    ),
    "a decision hides the sea": ("decision:0", change(sea=None), "facts"),
    "a decision is judged at another time": ("decision:0", change(at=later(-90_000)), "marks"),
    "a decision names another schema": ("decision:0", change(schema_h=HASH), "policy"),
    "a decision names another text": (
        "decision:0",
        lambda claims: structs.replace(
            claims, policies=(structs.replace(claims.policies[0], policy_h=HASH), *claims.policies[1:])
        ),
        "policy",
    ),
    "a decision leaves the buyer's policy out": ("decision:0", change(policies=()), "policy"),
    "a decision is for another class of data": ("decision:0", change(data_class="public"), "policy"),
    "the mark says a country outside": (
        f"mark:{OPERATORS[1]}",
        facts(classes={"eu": ClassFacts(countries=("US",), sea=False, landings=())}),
        "policy",
    ),
    "the mark says a parent outside": (f"mark:{OPERATORS[1]}", facts(controlling_parents=("GB",)), "policy"),
    "the mark says no domicile": (f"mark:{OPERATORS[1]}", facts(legal_domicile=None), "policy"),
    "the broker's own mark says a domicile outside": (f"mark:{BROKER}", facts(legal_domicile=("US",)), "policy"),
    "a mark is about somebody else": (f"mark:{OPERATORS[1]}", change(sub=OPERATORS[2]), "marks"),
    "a mark was revoked": (
        f"mark:{OPERATORS[1]}",
        lambda claims: structs.replace(
            claims, status=structs.replace(claims.status, status_list=structs.replace(_index(claims), idx=40))
        ),
        "marks",
    ),
    "a mark had ended": (f"mark:{OPERATORS[1]}", change(exp=later(-10)), "marks"),
    "a mark is by an auditor that nobody recognises": (f"mark:{OPERATORS[1]}", change(iss=BROKER), "marks"),
    "the mandate is for another broker": ("mandate", change(aud="https://other.example"), "narrowing"),
    "the mandate had ended": ("mandate", change(iat=later(-80_000), exp=later(-60)), "narrowing"),
    "the mandate allows less bandwidth": ("mandate", authority(max_bandwidth_bps=10**9), "narrowing"),
    "the mandate allows fewer countries": ("mandate", authority(jurisdictions=("DE",)), "narrowing"),
    "the mandate allows fewer segments": ("mandate", authority(max_hops=2), "narrowing"),
    "the mandate names a class of data": ("mandate", authority(data_class="EU-finance"), "narrowing"),
    "the mandate wants a mark that is missing": ("mandate", authority(required_marks=("https://x",)), "narrowing"),
    "the agent's token allows more": ("agent-token:0", authority(max_bandwidth_bps=10**12), "narrowing"),
    "the agent's token is for another key": ("agent-token:0", change(client_id="agent-8"), "narrowing"),
    "the broker asks for more": ("delegation:0:1", authority(max_bandwidth_bps=10**12), "narrowing"),
    "the broker asks for elsewhere too": ("delegation:0:1", authority(locations=OPERATORS[:2]), "narrowing"),
    "the operator's token allows more": ("operator-token:0:1", authority(max_bandwidth_bps=10**12), "narrowing"),
    "the operator's token is for another buyer": ("operator-token:0:1", change(sub="somebody-else"), "narrowing"),
    "the operator's token had ended": ("operator-token:0:1", change(iat=later(-100), exp=later(-40)), "narrowing"),
    "the operator's token allows no orders": ("operator-token:0:1", authority(actions=("quote",)), "narrowing"),
    "an rfq names another mandate": ("rfq:0:1", change(mandate_h=HASH), "narrowing"),
    "an rfq names a grant that is not shown": ("rfq:0:1", change(grant_h=HASH), "narrowing"),
    "the grant is for another UNI": ("grant", change(uni="elsewhere"), "narrowing"),
    "the grant is for whom another broker calls so": ("grant", change(via="https://other.example"), "narrowing"),
    "the grant is for less": ("grant", change(bandwidth_bps=10**9), "narrowing"),
    "the grant is for somebody else": ("grant", change(sub="https://other.example"), "narrowing"),
    "an order pays more than was quoted": ("order:0:1", change(amount=Money("CHF", 1)), "amounts"),
    "a quote asks more than its tariff": ("quote:0:0", lambda claims: structs.replace(paid(claims)), "amounts"),
    "a quote has another line": (
        "quote:0:0",
        lambda claims: structs.replace(claims, lines=(*claims.lines, Line("more", 1))),
        "amounts",
    ),
    "the path's total is another": ("path-quote:0", paid, "amounts"),
    "leaving costs another sum": ("path-quote:0", change(exit_total=Money("EUR", 1)), "amounts"),
    "the path's currency is another": ("path-quote:0", change(total=Money("CHF", 1)), "amounts"),
    "a segment is converted at another rate": (
        "path-quote:0",
        lambda claims: structs.replace(
            claims,
            path=(claims.path[0], structs.replace(claims.path[1], total=Money("EUR", 1)), *claims.path[2:]),
        ),
        "amounts",
    ),
    "the intent is another": ("path-quote:0", change(intent_h=HASH), "amounts"),
    "the rates are others": ("path-quote:0", change(rates_h=HASH), "amounts"),
    "the budget is smaller": ("intent", change(budget=Money("EUR", 1_000_000)), "amounts"),
    "the intent's limit is smaller": (
        "intent",
        lambda asked: structs.replace(asked, limits=structs.replace(asked.limits, latency_us=1000)),
        "amounts",
    ),
    "the intent bounds what the lease may carry": ("intent", change(boundary=Boundary(bytes_max=1)), "path"),
    "the intent asks for another policy": ("intent", change(policy="eu-only"), "policy"),
    "the intent is for another class of data": ("intent", change(data_class="public"), "policy"),
    "a bill asks more than was sold": ("receipt:0:1:released", dearer, "bills"),
    "a bill is in another currency": (
        "receipt:0:1:released",
        lambda claims: structs.replace(
            claims, bill=structs.replace(claims.bill, total=Money("EUR", claims.bill.total.micro))
        ),
        "bills",
    ),
    "a bill goes beyond the release": (
        "receipt:0:1:released",
        lambda claims: structs.replace(claims, bill=structs.replace(claims.bill, end=claims.segment.window.end)),
        "bills",
    ),
    "a voided segment is billed": ("release:1", change(void=OPERATORS[0], iat=later(500), exp=later(550)), "bills"),
    "a quote is faster than light": (
        "quote:0:1",
        lambda claims: structs.replace(claims, promise=structs.replace(claims.promise, latency_us=700)),
        "plausibility",
    ),
    "an order was never answered": ("receipt:0:1:released", change(order_h=HASH), "complete"),
    "a segment was never in force": ("receipt:0:1:active", change(state=State.UP), "complete"),
}


def _index(claims: Any) -> Any:
    return claims.status.status_list


def failed(data: bytes, at: int = LOOKED) -> tuple[str, ...]:
    return verify(data, anchors(), later(at), known()).failed()


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_with_the_right_keys_is_refused_by_the_check_that_ought_to(lie: str) -> None:
    name, bend, check = LIES[lie]
    assert check in failed(bundled(Plan(bends={name: bend})))


@pytest.mark.parametrize(
    "plan",
    [Plan(), Plan(mandated=False), Plan(extended=True), Plan(extended=True, lapsed=True), Plan(released=False)],
)
@pytest.mark.parametrize("profile", Profile)
def test_what_was_bought_in_truth_holds(plan: Plan, profile: Profile) -> None:
    report = verify(bundled(plan, profile), anchors(), later(LOOKED), known())
    assert report.ok, report.failed()
    assert [check.name for check in report.checks] == ["format", *CHECKS[profile]]


def test_a_stranger_signs_nothing() -> None:
    names = [name for name in papers(Plan()).tokens if not name.startswith(("mark", "status"))]
    for name in names:
        assert "signatures" in failed(bundled(Plan(forged=frozenset({name})))), name


def test_a_stranger_attests_nothing() -> None:
    for name in [name for name in papers(Plan()).tokens if name.startswith(("mark", "status"))]:
        assert "marks" in failed(bundled(Plan(forged=frozenset({name})))), name


def test_the_limits_of_the_house_are_those_that_the_documents_name() -> None:
    made = papers(Plan(mandated=False))
    bundle = bundle_of(made)
    assert bundle.house is not None
    wider = structs.replace(bundle.house, authority=structs.replace(bundle.house.authority, max_bandwidth_bps=10**13))
    assert "narrowing" in failed(canonical(structs.replace(bundle, house=wider)))
    other = structs.replace(bundle.house, buyer="somebody-else")
    assert "narrowing" in failed(canonical(structs.replace(bundle, house=other)))


def test_a_buyer_whose_key_nobody_names_is_not_believed() -> None:
    data = bundled(Plan())
    owner = {name: keys for name, keys in known().items() if name != BUYER}
    assert {"chains", "signatures"} <= set(verify(data, anchors(), later(LOOKED), owner).failed())


def test_nothing_comes_from_later_than_it_is_looked_at() -> None:
    assert {"signatures", "witnesses"} <= set(failed(bundled(Plan()), at=1000))


def test_other_anchors_believe_nothing() -> None:
    other = {"https://anchor.example": known()[BUYER]}
    report = verify(bundled(Plan()), other, later(LOOKED), known())
    assert {"chains", "signatures", "marks", "inclusion", "witnesses"} <= set(report.failed())


def test_no_bundle_costs_unbounded_work() -> None:
    made = papers(Plan())
    bundle = bundle_of(made, Profile.COUNTRIES)
    decision = made.claims["decision:0"]
    many = [
        sign_jws(key_of(BROKER), structs.replace(decision, jti=f"{number:022d}")) for number in range(DECISIONS_MAX + 1)
    ]
    report = verify(canonical(structs.replace(bundle, documents=tuple(sorted(many)))), anchors(), later(LOOKED))
    assert report.failed() == ("format",)
    assert verify(b"[" * BUNDLE_BYTES_MAX, anchors(), later(LOOKED)).failed() == ("format",)
    assert verify(b" " * (BUNDLE_BYTES_MAX + 1), anchors(), later(LOOKED)).failed() == ("format",)
