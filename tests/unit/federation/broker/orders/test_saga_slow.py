"""Orders whose operators need long: asked again and again, confirmed when the last is up, given up at confirm_by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from msgspec import structs

from federation.broker.orders.saga.decide import begin
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.tally import confirm_within_s, too_late, too_slow
from schemas.lease import State
from tests.support.sagas import HOUR_S, Saga
from tests.support.seams import NOW


def slow_saga(within_s: int) -> Saga:
    saga = Saga(2)
    terms = structs.replace(saga.state.terms, confirm_within_s=within_s)
    saga.flying = {}
    saga._decided(*begin(terms, NOW + HOUR_S, saga.at_us))
    return saga


def test_a_segment_that_rises_is_asked_about_less_and_less_often_until_it_is_up() -> None:
    saga = slow_saga(600).got("SendOrder 0", State.UP).got("SendOrder 1", State.COMMITTED)
    assert saga.state.confirm_by == NOW + 600
    asked, at = 0, 0
    while at < 500:
        at += 1
        saga.at(at)
        if "AskLease 1" in saga.wants:
            asked += 1
            saga.got("AskLease 1", State.COMMITTED)
    assert 60 < asked < 200
    assert saga.is_ == "COMMITTED"
    saga.at(590).got("AskLease 1", State.UP)
    assert saga.wants == ["SendConfirm 0", "SendConfirm 1"]


def test_it_is_given_up_a_little_before_nobody_waits_any_longer() -> None:
    saga = slow_saga(600).got("SendOrder 0", State.UP).got("SendOrder 1", State.COMMITTED)
    saga.at(594)
    assert saga.is_ == "COMMITTED"
    saga.at(595)
    assert saga.is_ == "COMPENSATING"
    assert saga.wants == ["SendRelease 0", "SendRelease 1"]


def test_an_operator_that_does_not_answer_an_order_at_all_is_not_waited_for_so_long() -> None:
    saga = slow_saga(600).got("SendOrder 0", State.UP).at(55)
    assert saga.is_ == "COMPENSATING"


def test_a_path_waits_as_long_as_the_least_patient_of_its_operators() -> None:
    def held(within_s: int | None, up_s: int | None = None) -> HeldQuote:
        quote: Any = SimpleNamespace(confirm_within_s=within_s, up_within_s=up_s)
        return HeldQuote(operator="o", quote_id="q", item_id="1", rfq_jws="", quote_jws="", quote_h="h", quote=quote)

    patient, hasty, slow = held(600), held(None), held(600, 300)
    assert (confirm_within_s([patient, slow]), confirm_within_s([patient, hasty])) == (600, 60)
    assert too_slow([patient, slow]) is None
    assert too_slow([patient, hasty]) is None
    assert too_slow([slow, patient, hasty]) is hasty
    assert too_slow([held(600, 590)]) is not None
    assert too_late([patient, slow], 600) is None
    assert too_late([patient, slow], None) is slow
