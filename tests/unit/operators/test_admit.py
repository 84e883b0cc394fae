"""What a broker may ask of an operator: one good request, and each single thing that spoils it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from federation.trust.jose import doc_hash, sign_jws
from operators.access.admit import Caller, Shown
from schemas.authority import Authority, Deed
from schemas.order import Confirm
from schemas.price import Money
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import End, window
from tests.support.admission import BUYER_THERE, SEGMENT, TOTAL, X5T, Gatehouse, operator_authority
from tests.support.authority import BROKER, BUYER, OPERATOR, OWNER, STRANGER
from tests.support.seams import NOW


@pytest.fixture
def house() -> Gatehouse:
    return Gatehouse()


def refused(work: Callable[[], object], code: str, field: str | None = None) -> None:
    with pytest.raises(Problem) as found:
        work()
    assert (found.value.code, found.value.field) == (code, field)


def spend(**changes: int | str) -> Authority:
    return operator_authority(spend=structs.replace(operator_authority().spend, **changes))


# --- orders --------------------------------------------------------------------------------------------------


def test_a_good_order_is_admitted(house: Gatehouse) -> None:
    order = house.order(house.held(house.rfq()))
    admitted = house.admission.order(house.shown(order), house.caller, house.held_quotes.get, NOW)
    assert (admitted.hash, admitted.again) == (doc_hash(order), False)
    assert admitted.access is not None
    assert admitted.access.mandate_h == admitted.claims.mandate_h


BAD_TOKENS: dict[str, tuple[Callable[[Gatehouse], str | None], str, str | None]] = {
    "none": (lambda h: None, "UNAUTHENTICATED", None),
    "no token": (lambda h: "x.y.z", "UNAUTHENTICATED", None),
    "another kind": (lambda h: h.cast.mandate(), "UNAUTHENTICATED", None),
    "of another operator": (lambda h: h.token(issuer=STRANGER), "UNAUTHENTICATED", None),
    "of the broker itself": (lambda h: h.token(issuer=BROKER), "UNAUTHENTICATED", None),
    "expired": (lambda h: h.token(now=NOW - 120), "UNAUTHENTICATED", None),
    "on another certificate": (lambda h: h.token(x5t="d" * 43), "UNAUTHENTICATED", None),
    "of another client": (lambda h: h.token(client=STRANGER), "POLICY_DENIED", "client_id"),
    "for another buyer": (lambda h: h.token(sub="somebody"), "POLICY_DENIED", "sub"),
    "under another mandate": (lambda h: h.token(mandate_h="m" * 43), "POLICY_DENIED", "mandate_h"),
    "for quotes only": (
        lambda h: h.token(operator_authority(actions=(Deed.QUOTE, Deed.EXTEND))), "POLICY_DENIED", "actions"
    ),
    "for elsewhere": (
        lambda h: h.token(operator_authority(locations=("https://kpn.example",))), "POLICY_DENIED", "locations"
    ),
    "for everywhere": (lambda h: h.token(operator_authority(locations=None)), "POLICY_DENIED", "locations"),
    "for less bandwidth": (
        lambda h: h.token(operator_authority(max_bandwidth_bps=10**10 - 1)), "POLICY_DENIED", "max_bandwidth_bps"
    ),
    "for less money": (lambda h: h.token(spend(per_order_micro=TOTAL.micro - 1)), "POLICY_DENIED", "amount"),
    "for less money in all": (lambda h: h.token(spend(total_micro=TOTAL.micro - 1)), "POLICY_DENIED", "amount"),
    "for other money": (lambda h: h.token(spend(ccy="EUR")), "POLICY_DENIED", "amount"),
    "for a time that is over": (lambda h: h.token(spend(until=NOW)), "POLICY_DENIED", "spend.until"),
}  # fmt: skip


@pytest.mark.parametrize("which", BAD_TOKENS)
def test_an_order_needs_a_token_that_reaches_so_far(house: Gatehouse, which: str) -> None:
    token, code, field = BAD_TOKENS[which]
    shown = Shown(house.order(house.held(house.rfq())), token(house))
    refused(lambda: house.admission.order(shown, house.caller, house.held_quotes.get, NOW), code, field)


BAD_ORDERS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "another quote": ({"quote_h": "q" * 43}, "HOLD_LOST", "quote_h"),
    "no quote": ({"quote_h": None}, "HOLD_LOST", "quote_h"),
    "another amount": ({"amount": Money("CHF", TOTAL.micro - 1)}, "DOCUMENT_INVALID", "amount"),
    "no amount": ({"amount": None}, "DOCUMENT_INVALID", "amount"),
    "another action": ({"action": Action.MODIFY}, "DOCUMENT_INVALID", "action"),
    "another product": ({"product": "p"}, "DOCUMENT_INVALID", "product"),
    "another grant": ({"grant_h": "g" * 43}, "DOCUMENT_INVALID", "grant_h"),
    "no path": ({"path_root": None}, "DOCUMENT_INVALID", "path_root"),
    "signed by another": ({"signer": STRANGER}, "DOCUMENT_INVALID", None),
    "of another": ({"iss": STRANGER}, "DOCUMENT_INVALID", None),
    "for another": ({"aud": "https://kpn.example"}, "DOCUMENT_INVALID", None),
    "expired": ({"iat": NOW - 60, "exp": NOW}, "DOCUMENT_INVALID", None),
    "for a minute and a second": ({"exp": NOW + 61}, "DOCUMENT_INVALID", None),
    "another mandate": ({"mandate_h": "m" * 43}, "POLICY_DENIED", "mandate_h"),
    "no mandate": ({"mandate_h": None}, "POLICY_DENIED", "mandate_h"),
    "another buyer": ({"sub": "somebody"}, "POLICY_DENIED", "sub"),
}


@pytest.mark.parametrize("which", BAD_ORDERS)
def test_an_order_repeats_what_was_quoted(house: Gatehouse, which: str) -> None:
    changes, code, field = BAD_ORDERS[which]
    shown = house.shown(house.order(house.held(house.rfq()), **changes))
    refused(lambda: house.admission.order(shown, house.caller, house.held_quotes.get, NOW), code, field)


def test_a_quote_is_ordered_by_the_broker_it_was_given_to_and_under_its_mandate(house: Gatehouse) -> None:
    for changes, code, field in (
        ({"aud": STRANGER}, "HOLD_LOST", "quote_h"),
        ({"sub": "somebody"}, "DOCUMENT_INVALID", "sub"),
    ):
        shown = house.shown(house.order(house.held(house.rfq(), **changes)))
        refused(lambda s=shown: house.admission.order(s, house.caller, house.held_quotes.get, NOW), code, field)
    held = house.held(house.rfq())
    order = house.order(held)
    house.held_quotes[held.quote_h] = held._replace(mandate_h=None)
    refused(
        lambda: house.admission.order(house.shown(order), house.caller, house.held_quotes.get, NOW),
        "DOCUMENT_INVALID",
        "mandate_h",
    )


def test_only_a_broker_that_is_believed_now_is_heard(house: Gatehouse) -> None:
    shown = house.shown(house.order(house.held(house.rfq())))
    late = NOW + 86400
    refused(lambda: house.admission.order(shown, house.caller, house.held_quotes.get, late), "NOT_FOUND")
    refused(lambda: house.admission.order(shown, Caller(STRANGER, X5T), house.held_quotes.get, NOW), "NOT_FOUND")
    refused(lambda: house.admission.order(shown, Caller(OPERATOR, X5T), house.held_quotes.get, NOW), "POLICY_DENIED")


def test_the_same_bytes_again_are_answered_and_others_with_that_id_refused(house: Gatehouse) -> None:
    held = house.held(house.rfq())
    order, other = house.order(held, jti="j" * 22), house.order(held, jti="j" * 22, confirm_by=NOW)
    house.seen[BROKER, "j" * 22] = doc_hash(order)
    for now in (NOW, NOW + 3600):
        admitted = house.admission.order(Shown(order), house.caller, house.held_quotes.get, now)
        assert (admitted.again, admitted.hash) == (True, doc_hash(order))
    refused(
        lambda: house.admission.order(house.shown(other), house.caller, house.held_quotes.get, NOW),
        "IDEMPOTENCY_CONFLICT",
        "jti",
    )
    assert not house.admission.rfq(house.shown(house.rfq((grant := house.cast.grant(),)), grants=(grant,)),
                                   house.caller, NOW).again  # fmt: skip


def test_releasing_needs_the_document_alone(house: Gatehouse) -> None:
    """A mandate ends; what was ordered under it must still be ended by whoever ordered it."""
    held = house.held(house.rfq())
    release = {"action": Action.RELEASE, "quote_h": None, "product": "p", "amount": None, "mandate_h": None}
    order = house.order(held, **release)
    assert house.admission.order(Shown(order), house.caller, house.held_quotes.get, NOW).claims.product == "p"
    forged = Shown(house.order(held, signer=STRANGER, **release))
    refused(lambda: house.admission.order(forged, house.caller, house.held_quotes.get, NOW), "DOCUMENT_INVALID")


def test_confirming_needs_the_document_alone(house: Gatehouse) -> None:
    claims = Confirm(
        iss=BROKER, sub=BUYER_THERE, aud=OPERATOR, iat=NOW, exp=NOW + 60, jti="j" * 22, order_h="o" * 43,
        prev_h="r" * 43, path_root="p" * 43, product="product-1",
    )  # fmt: skip
    confirm = sign_jws(house.cast.keys[BROKER], claims)
    assert house.admission.confirm(Shown(confirm), house.caller, NOW).claims == claims
    house.seen[BROKER, "j" * 22] = doc_hash(confirm)
    assert house.admission.confirm(Shown(confirm), house.caller, NOW + 3600).again
    forged = sign_jws(house.cast.keys[STRANGER], structs.replace(claims, jti="k" * 22))
    refused(lambda: house.admission.confirm(Shown(forged), house.caller, NOW), "DOCUMENT_INVALID")


def test_extending_is_an_authority_of_its_own(house: Gatehouse) -> None:
    held = house.held(house.rfq(), Action.MODIFY, product="p")
    order = house.order(held)
    only = {deed: Shown(order, house.token(operator_authority(actions=(deed,)))) for deed in (Deed.EXTEND, Deed.ORDER)}
    house.admission.order(only[Deed.EXTEND], house.caller, house.held_quotes.get, NOW)
    refused(
        lambda: house.admission.order(only[Deed.ORDER], house.caller, house.held_quotes.get, NOW),
        "POLICY_DENIED",
        "actions",
    )


# --- rfqs and endpoints ---------------------------------------------------------------------------------------


def ask(house: Gatehouse, *grants: str, **changes: Any) -> None:
    house.admission.rfq(house.shown(house.rfq(grants, **changes), grants=grants), house.caller, NOW)


def test_a_foreign_uni_needs_its_owners_grant(house: Gatehouse) -> None:
    refused(lambda: ask(house), "POLICY_DENIED", "segment.a.interface")
    ask(house, house.cast.grant())
    ask(house, house.cast.grant(sub=BUYER_THERE, via=BROKER))
    turned = structs.replace(SEGMENT, a=SEGMENT.z, z=SEGMENT.a)
    refused(lambda: ask(house, segment=turned), "POLICY_DENIED", "segment.z.interface")
    ask(house, house.cast.grant(), segment=turned)


BAD_GRANTS: dict[str, Callable[[Gatehouse], str]] = {
    "for another broker": lambda h: h.cast.grant(sub=STRANGER),
    "for another buyer": lambda h: h.cast.grant(sub="somebody"),
    "for a buyer of who knows whom": lambda h: h.cast.grant(sub=BUYER_THERE),
    "for whom another broker calls so": lambda h: h.cast.grant(sub=BUYER_THERE, via=STRANGER),
    "for another UNI": lambda h: h.cast.grant(uni="uni-amsterdam"),
    "of somebody who is not the owner": lambda h: h.cast.grant(iss=BUYER, signer=BUYER),
    "for less bandwidth": lambda h: h.cast.grant(bandwidth_bps=10**10 - 1),
    "from later on": lambda h: h.cast.grant(window=window(NOW + 1, NOW + 86400)),
    "until earlier": lambda h: h.cast.grant(window=window(NOW, NOW + 7199)),
}


@pytest.mark.parametrize("which", BAD_GRANTS)
def test_a_grant_that_does_not_reach_so_far(house: Gatehouse, which: str) -> None:
    refused(lambda: ask(house, BAD_GRANTS[which](house)), "POLICY_DENIED", "segment.a.interface")


def test_a_grant_that_does_not_verify(house: Gatehouse) -> None:
    for bad in (
        house.cast.grant(signer=STRANGER),
        house.cast.grant(aud="https://kpn.example"),
        house.cast.grant(iat=NOW - 100, exp=NOW),
    ):
        refused(lambda grant=bad: ask(house, grant), "DOCUMENT_INVALID")
    grant = house.cast.grant()
    swapped = house.shown(house.rfq((house.cast.grant(sub=STRANGER),)), grants=(grant,))
    refused(lambda: house.admission.rfq(swapped, house.caller, NOW), "DOCUMENT_INVALID", "grant_h")


def test_two_foreign_ends_need_two_grants_in_order(house: Gatehouse) -> None:
    house.admission = replace(house.admission, owners={"uni-utrecht": OWNER, "uni-delft": BUYER})
    both = structs.replace(SEGMENT, z=End("uni-delft"))
    first, second = house.cast.grant(), house.cast.grant(iss=BUYER, signer=BUYER, uni="uni-delft")
    refused(lambda: ask(house, first, segment=both), "POLICY_DENIED", "segment.z.interface")
    refused(lambda: ask(house, second, segment=both), "POLICY_DENIED", "segment.a.interface")
    ask(house, first, second, segment=both)


def test_an_owners_own_order_and_the_operators_own_uni_need_none(house: Gatehouse) -> None:
    for owners in ({"uni-utrecht": BROKER}, {}):
        house.admission = replace(house.admission, owners=owners)
        ask(house)
