"""An order on its way up, and after a restart, told event by event; test_saga_ends has how it ends."""

from __future__ import annotations

import msgspec
import pytest

from federation.broker.orders.saga.claims import confirm_claims, order_claims, release_claims
from federation.broker.orders.saga.decide import resume
from federation.broker.orders.saga.state import OrderState
from schemas.lease import State
from schemas.problem import CATALOGUE
from schemas.quote import Action
from tests.support.sagas import HOUR_S, Saga, at_end_z, billed
from tests.support.seams import NOW

UP, ACTIVE, COMMITTED, RELEASED = State.UP, State.ACTIVE, State.COMMITTED, State.RELEASED


# --- the way up --------------------------------------------------------------------------------------------


def test_orders_go_to_everybody_at_once() -> None:
    saga = Saga(3)
    assert saga.is_ == "COMMITTED"
    assert saga.wants == ["SendOrder 0", "SendOrder 1", "SendOrder 2"]
    assert saga.state.confirm_by == NOW + 60


def test_nobody_is_confirmed_before_everybody_is_up() -> None:
    saga = Saga(2).got("SendOrder 1", UP)
    assert saga.wants == ["SendOrder 0"]
    saga.got("SendOrder 0", UP)
    assert (saga.is_, saga.wants) == ("UP", ["SendConfirm 0", "SendConfirm 1"])


def test_active_once_everybody_confirmed() -> None:
    saga = Saga(2).all("SendOrder", UP).got("SendConfirm 0", ACTIVE)
    assert saga.is_ == "UP"
    saga.got("SendConfirm 1", ACTIVE)
    assert (saga.is_, saga.wants, saga.wakes_in_s) == ("ACTIVE", [], HOUR_S)
    assert [str(change.state) for change in saga.state.history] == ["COMMITTED", "UP", "ACTIVE"]


def test_a_later_start_is_waited_for_and_then_asked_about() -> None:
    saga = Saga(2, start_in_s=500).all("SendOrder", COMMITTED)
    assert saga.wants == []
    saga.at(55).at(500)
    assert saga.wants == ["AskLease 0", "AskLease 1"]
    saga.got("AskLease 0", UP).got("AskLease 1", COMMITTED)
    assert saga.wants == []
    saga.at(501).got("AskLease 1", UP)
    assert saga.wants == ["SendConfirm 0", "SendConfirm 1"]
    assert saga.state.confirm_by == NOW + 560


@pytest.mark.parametrize(
    "change",
    [at_end_z(label=999), at_end_z(bandwidth_bps=1), at_end_z(mtu=100), at_end_z(route_class="eu")],
    ids=["label", "bandwidth", "mtu", "class"],
)
def test_a_receipt_that_differs_from_the_quote_undoes_the_path(change: object) -> None:
    saga = Saga(2).got("SendOrder 0", UP, change).got("SendOrder 1", UP)  # type: ignore[arg-type]
    assert saga.is_ == "COMPENSATING"
    assert saga.wants == ["SendRelease 0", "SendRelease 1"]
    assert saga.state.void == "https://op0.example"


def test_more_mtu_than_asked_is_no_harm() -> None:
    assert Saga(1).got("SendOrder 0", UP, at_end_z(mtu=9000)).is_ == "UP"


def test_both_sides_of_an_interconnect_must_name_one_label() -> None:
    saga = Saga(2)
    parts = list(saga.state.terms.parts)
    quoted = parts[1].pledge.quoted
    other = msgspec.structs.replace(quoted, a=msgspec.structs.replace(quoted.a, label=555))
    parts[1] = msgspec.structs.replace(parts[1], pledge=msgspec.structs.replace(parts[1].pledge, quoted=other))
    saga.state = msgspec.structs.replace(
        saga.state, terms=msgspec.structs.replace(saga.state.terms, parts=tuple(parts))
    )
    saga.all("SendOrder", UP)
    assert saga.is_ == "COMPENSATING"
    assert saga.state.fault is not None
    assert "where z0 meets a1 the labels differ: 101 and 555" in saga.state.fault.detail


# --- what goes wrong before a confirm ----------------------------------------------------------------------


def test_a_refusal_undoes_the_others() -> None:
    saga = Saga(3).got("SendOrder 0", UP).refused("SendOrder 1")
    assert saga.is_ == "COMPENSATING"
    assert saga.wants == ["SendRelease 0", "DeclineHold 1"]  # the third is still on its way
    saga.got("SendOrder 2", UP)
    assert saga.wants == ["SendRelease 0", "DeclineHold 1", "SendRelease 2"]
    saga.got("SendRelease 0", RELEASED).got("SendRelease 2", RELEASED).declined("DeclineHold 1")
    assert (saga.is_, saga.wants) == ("COMPENSATING", ["AskOutcome 1"])
    saga.missing("AskOutcome 1")
    assert (saga.is_, saga.legs, saga.wants) == ("FAILED", ["RELEASED", "DECLINED", "RELEASED"], [])
    assert saga.state.bill is not None
    assert saga.state.bill.total.micro == 0
    assert saga.state.fault is not None
    assert saga.state.fault.detail == "op1: not today"


def test_every_release_of_an_undone_path_names_who_is_missing() -> None:
    saga = Saga(2).got("SendOrder 0", UP).refused("SendOrder 1")
    claims = release_claims(saga.state, 0)
    assert (claims.void, claims.product, claims.action) == ("https://op1.example", "product-0", Action.RELEASE)
    assert claims.prev_h == saga.state.legs[0].receipt_h


def test_an_unknown_outcome_is_asked_for_before_anything_is_repeated() -> None:
    saga = Saga(2).got("SendOrder 0", UP).lost("SendOrder 1")
    assert saga.wants == []
    saga.at(0.2)
    assert saga.wants == ["AskOutcome 1"]
    saga.missing("AskOutcome 1")
    assert saga.wants == ["SendOrder 1"]
    saga.got("SendOrder 1", UP)
    assert saga.is_ == "UP"


def test_an_order_found_by_asking_counts_as_answered() -> None:
    saga = Saga(2).got("SendOrder 0", UP).lost("SendOrder 1").at(0.2).got("AskOutcome 1", UP)
    assert saga.wants == ["SendConfirm 0", "SendConfirm 1"]


def test_quote_used_is_a_doubt_and_no_refusal() -> None:
    saga = Saga(1).refused("SendOrder 0", "QUOTE_USED").at(0.2)
    assert (saga.is_, saga.wants) == ("COMMITTED", ["AskOutcome 0"])


def test_an_order_that_was_taken_and_failed_is_settled() -> None:
    saga = Saga(2).got("SendOrder 0", UP).lost("SendOrder 1").at(0.2).refused("AskOutcome 1")
    assert (saga.is_, saga.wants) == ("COMPENSATING", ["SendRelease 0", "DeclineHold 1"])
    saga.declined("DeclineHold 1").refused("AskOutcome 1")
    assert saga.legs == ["RELEASING", "DECLINED"]


def test_orders_without_an_answer_are_given_up_in_time() -> None:
    saga = Saga(2).got("SendOrder 0", UP).lost("SendOrder 1").at(54).at(55)
    assert saga.is_ == "COMPENSATING"
    assert saga.wants == ["SendRelease 0", "AskOutcome 1"]
    assert saga.state.fault is not None
    assert saga.state.fault.code == "OPERATOR_UNREACHABLE"


def test_a_segment_that_does_not_come_up_undoes_the_path() -> None:
    saga = Saga(2, start_in_s=500).all("SendOrder", COMMITTED).at(500).got("AskLease 0", UP)
    saga.at(554)
    assert saga.is_ == "COMMITTED"
    assert saga.at(555).is_ == "COMPENSATING"


def test_a_lease_lost_before_its_start_undoes_the_path() -> None:
    saga = Saga(2, start_in_s=500).all("SendOrder", COMMITTED).at(500).got("AskLease 0", RELEASED)
    assert (saga.is_, saga.legs) == ("COMPENSATING", ["RELEASED", "RELEASING"])


def test_not_found_is_no_proof_until_the_quote_is_declined() -> None:
    saga = Saga(2, start_in_s=500).refused("SendOrder 0").lost("SendOrder 1").at(0.2).missing("AskOutcome 1")
    assert saga.wants == ["DeclineHold 0", "DeclineHold 1"]
    saga.declined("DeclineHold 1")
    assert saga.wants == ["DeclineHold 0", "AskOutcome 1"]
    saga.got("AskOutcome 1", COMMITTED)  # it came in between
    assert saga.wants == ["DeclineHold 0", "SendRelease 1"]


def test_after_the_order_has_expired_everywhere_not_found_is_proof() -> None:
    saga = Saga(2).refused("SendOrder 0").lost("SendOrder 1").at(0.2).missing("AskOutcome 1").lost("DeclineHold 1")
    saga.declined("DeclineHold 0").missing("AskOutcome 0").at(89)
    assert saga.wants == ["AskOutcome 1"]
    saga.at(90).missing("AskOutcome 1")
    assert (saga.is_, saga.legs) == ("FAILED", ["DECLINED", "EXPIRED"])


def test_what_was_not_found_before_the_fence_is_asked_again_behind_it() -> None:
    saga = Saga(2).refused("SendOrder 0").lost("SendOrder 1").at(0.2).missing("AskOutcome 1")
    saga.declined("DeclineHold 0").missing("AskOutcome 0")
    assert saga.wants == ["DeclineHold 1"]
    assert saga.at(90).wants == ["AskOutcome 1"]


# --- what goes wrong around the confirm --------------------------------------------------------------------


def test_a_confirm_that_lapsed_voids_those_that_succeeded() -> None:
    saga = Saga(2).all("SendOrder", UP).got("SendConfirm 0", ACTIVE).refused("SendConfirm 1", "INCOMPATIBLE_STATE")
    assert (saga.is_, saga.wants) == ("COMPENSATING", ["SendRelease 0", "SendRelease 1"])
    assert release_claims(saga.state, 0).void == "https://op1.example"
    saga.all("SendRelease", RELEASED)
    assert saga.is_ == "FAILED"
    assert saga.state.bill is not None
    assert (saga.state.bill.total.micro, saga.state.bill.lines, saga.state.bill.start) == (0, (), None)


def test_a_lost_confirm_is_repeated_until_confirm_by_and_then_asked_for() -> None:
    saga = Saga(1).all("SendOrder", UP)
    first = confirm_claims(saga.state, 0, 0)
    saga.lost("SendConfirm 0").at(10)
    assert saga.wants == ["SendConfirm 0"]
    assert confirm_claims(saga.state, 0, 0) == first
    saga.lost("SendConfirm 0").at(60)
    assert saga.wants == ["AskLease 0"]
    assert saga.got("AskLease 0", ACTIVE).is_ == "ACTIVE"


def test_a_confirm_whose_outcome_stays_unknown_is_given_up() -> None:
    saga = Saga(2).all("SendOrder", UP).got("SendConfirm 0", ACTIVE).lost("SendConfirm 1").at(60).lost("AskLease 1")
    assert saga.at(359).is_ == "UP"
    assert saga.at(360).is_ == "COMPENSATING"
    assert saga.state.void == "https://op1.example"


def test_it_is_given_up_before_the_window_ends_and_others_bill() -> None:
    saga = Saga(2, lasts_s=200).all("SendOrder", UP).got("SendConfirm 0", ACTIVE).lost("SendConfirm 1")
    assert saga.at(164).is_ == "UP"
    assert saga.at(165).is_ == "COMPENSATING"


# --- restarts ----------------------------------------------------------------------------------------------


def test_after_a_restart_orders_in_flight_are_in_doubt() -> None:
    saga = Saga(2).got("SendOrder 0", UP).restart()
    assert saga.wants == ["AskOutcome 1"]


def test_after_a_restart_confirms_go_out_again_as_they_were() -> None:
    saga = Saga(2).all("SendOrder", UP)
    before = [confirm_claims(saga.state, leg, 0) for leg in (0, 1)]
    saga.at(3).restart()
    assert saga.wants == ["SendConfirm 0", "SendConfirm 1"]
    assert [confirm_claims(saga.state, leg, 0) for leg in (0, 1)] == before


def test_an_active_order_needs_nothing_after_a_restart() -> None:
    saga = Saga(2).active()
    after, effects = resume(saga.state, saga.at_us)
    assert (after, len(effects)) == (saga.state, 1)


@pytest.mark.parametrize("stage", range(6))
def test_the_journal_is_the_whole_state(stage: int) -> None:
    saga = Saga(2)
    steps = [
        lambda: saga.got("SendOrder 0", UP),
        lambda: saga.got("SendOrder 1", UP),
        lambda: saga.all("SendConfirm", ACTIVE),
        saga.extend,
        saga.release,
        lambda: saga.all("SendRelease", RELEASED, billed(5)),
    ]
    for step in steps[: stage + 1]:
        step()
    assert msgspec.json.decode(msgspec.json.encode(saga.state), type=OrderState) == saga.state


# --- documents ---------------------------------------------------------------------------------------------


def test_the_documents_chain_and_repeat_exactly() -> None:
    saga = Saga(2)
    first = order_claims(saga.state, 1, 0)
    assert (first.action, first.quote_h, first.confirm_by) == (Action.ADD, "1".rjust(43, "q"), NOW + 60)
    assert (first.aud, first.path_root, first.exp - first.iat) == ("https://op1.example", "r" * 43, 60)
    saga.lost("SendOrder 1").at(30).missing("AskOutcome 1")
    assert order_claims(saga.state, 1, 0) == first
    saga.all("SendOrder", UP)
    confirm = confirm_claims(saga.state, 1, 0)
    assert (confirm.order_h, confirm.product) == ("1".rjust(43, "o"), "product-1")
    assert confirm.prev_h == saga.state.legs[1].receipt_h
    saga.all("SendConfirm", ACTIVE).release()
    jtis = {first.jti, order_claims(saga.state, 0, 0).jti, confirm.jti, release_claims(saga.state, 1).jti}
    assert len(jtis) == 4
    assert all(len(jti) == 22 for jti in jtis)


def test_every_fault_code_is_in_the_catalogue() -> None:
    for saga in (
        Saga(2).refused("SendOrder 0"),
        Saga(1).lost("SendOrder 0").at(55),
        Saga(2).got("SendOrder 0", RELEASED),
    ):
        assert saga.state.fault is not None
        assert saga.state.fault.code in CATALOGUE


def test_an_operator_whose_receipts_never_verify_does_not_keep_the_order_open() -> None:
    saga = Saga(2).got("SendOrder 0", UP).lost("SendOrder 1").release().got("SendRelease 0", State.RELEASED)
    while saga.is_ == "RELEASING":
        assert saga.wakes_in_s is not None
        assert saga.wakes_in_s < 1000, "what was not confirmed has lapsed long before"
        saga.at(saga.wakes_in_s)
        if "AskOutcome 1" in saga.wants:
            saga.lost("AskOutcome 1")
    assert saga.is_ == "RELEASED"
    assert saga.legs == ["RELEASED", "EXPIRED"]
