"""A longer window: confirmed on every segment, or the order stays as it was."""

from __future__ import annotations

from msgspec import structs

from federation.broker.orders.saga.bill import unused
from federation.broker.orders.saga.claims import confirm_claims, order_claims, release_claims
from federation.broker.orders.saga.state import came_to_nothing
from schemas.lease import State
from schemas.price import Tariff
from schemas.quote import Action
from tests.support.sagas import HOUR_S, Saga, bill, billed, until
from tests.support.seams import NOW

ACTIVE, RELEASED = State.ACTIVE, State.RELEASED
LONGER = until(NOW + 2 * HOUR_S)


def pending() -> Saga:
    """Both operators hold the extension, the confirms are out."""
    return Saga(2).active().at(100).extend().all("SendOrder", ACTIVE)


def why(saga: Saga) -> str:
    return saga.state.history[-1].why


def test_the_order_names_the_lease_the_new_quote_and_a_deadline_before_the_end() -> None:
    saga = Saga(2).active().at(100).extend()
    assert saga.wants == ["SendOrder 0+", "SendOrder 1+"]
    claims = order_claims(saga.state, 1, 1)
    assert (claims.action, claims.product, claims.quote_h) == (Action.MODIFY, "product-1", "1".rjust(43, "e"))
    assert (claims.confirm_by, claims.path_root) == (NOW + 160, "e" * 43)
    assert claims.jti != order_claims(saga.state, 1, 0).jti
    near = Saga(1, lasts_s=130).active().at(100).extend()
    assert order_claims(near.state, 0, 1).confirm_by == NOW + 130


def test_nobody_is_confirmed_before_everybody_holds_it() -> None:
    saga = Saga(2).active().extend().got("SendOrder 0+", ACTIVE)
    assert saga.wants == ["SendOrder 1+"]
    saga.got("SendOrder 1+", ACTIVE)
    assert saga.wants == ["SendConfirm 0+", "SendConfirm 1+"]
    confirm = confirm_claims(saga.state, 0, 1)
    assert confirm.prev_h == saga.state.extension.steps[0].receipt_h  # type: ignore[union-attr]
    assert confirm.path_root == "e" * 43


def test_the_end_moves_when_everybody_has_confirmed() -> None:
    saga = pending().got("SendConfirm 0+", ACTIVE, LONGER)
    assert saga.state.end_s == NOW + HOUR_S
    saga.got("SendConfirm 1+", ACTIVE, LONGER)
    assert (saga.is_, saga.state.end_s, saga.state.total.micro) == ("ACTIVE", NOW + 2 * HOUR_S, 17)
    assert (saga.wants, saga.wakes_in_s) == ([], 2 * HOUR_S)
    assert why(saga).startswith("extended until ")
    assert all(leg.in_force and leg.in_force.window.end_s == saga.state.end_s for leg in saga.state.legs)


def test_a_refusal_leaves_the_order_as_it_was_and_lets_the_holds_go() -> None:
    saga = Saga(3).active().extend().got("SendOrder 0+", ACTIVE).refused("SendOrder 1+")
    assert (saga.is_, saga.state.end_s) == ("ACTIVE", NOW + HOUR_S)
    assert saga.wants == ["DeclineHold 1+", "DeclineHold 2+"]
    assert why(saga) == "not extended: op1: not today"
    assert saga.state.fault is not None
    saga.declined("DeclineHold 1+").refused("DeclineHold 2+")
    assert (saga.state.extension, saga.wants) == (None, [])


def test_orders_of_an_extension_without_an_answer_are_given_up() -> None:
    saga = Saga(2).active().extend().got("SendOrder 0+", ACTIVE).lost("SendOrder 1+").at(1)
    assert saga.wants == ["AskOutcome 1+"]
    saga.missing("AskOutcome 1+")
    assert saga.wants == ["SendOrder 1+"]
    saga.lost("SendOrder 1+").at(54.9)
    assert saga.state.extension is not None
    saga.at(55)
    assert (saga.is_, saga.state.extension) == ("ACTIVE", None)  # its hold had expired by then
    assert why(saga) == "not extended: op1 did not answer the order in time"


def test_a_lost_confirm_is_repeated_and_then_asked_for() -> None:
    saga = pending().got("SendConfirm 0+", ACTIVE, LONGER).lost("SendConfirm 1+").at(110)
    assert saga.wants == ["SendConfirm 1+"]
    saga.lost("SendConfirm 1+").at(160)
    assert saga.wants == ["AskLease 1+"]
    saga.got("AskLease 1+", ACTIVE).at(180)  # not yet proof: its clock may be late
    assert saga.wants == ["AskLease 1+"]
    saga.got("AskLease 1+", ACTIVE, LONGER)
    assert saga.state.end_s == NOW + 2 * HOUR_S


def test_an_extension_that_nobody_got_lapses() -> None:
    saga = pending().refused("SendConfirm 0+").refused("SendConfirm 1+")
    assert (saga.is_, saga.state.extension, saga.state.end_s) == ("ACTIVE", None, NOW + HOUR_S)
    assert [leg.over for leg in saga.state.legs] == [None, None]


def test_where_one_lapsed_the_others_are_released_at_the_old_end() -> None:
    saga = pending().got("SendConfirm 0+", ACTIVE, LONGER).refused("SendConfirm 1+", "INCOMPATIBLE_STATE")
    assert (saga.is_, saga.state.extension, saga.state.end_s) == ("ACTIVE", None, NOW + HOUR_S)
    assert why(saga) == "not extended: op1: not today"
    saga.at(HOUR_S)
    assert saga.wants == ["SendRelease 0", "AskLease 1"]
    assert release_claims(saga.state, 0).void == "https://op1.example"
    saga.got("SendRelease 0", RELEASED, billed(5)).got("AskLease 1", RELEASED, billed(6))
    assert saga.is_ == "RELEASED"
    assert saga.state.bill is not None
    assert saga.state.bill.total.micro == 11


def test_nobody_pays_for_time_that_the_path_did_not_get() -> None:
    """Whoever was given more time than the others, and releases late, bills what nobody had."""
    tariff = Tariff(currency="EUR", set_up_micro=10, hourly_micro=3_600)
    saga = Saga(2, tariff=tariff).active().at(100).extend().all("SendOrder", ACTIVE)
    saga.got("SendConfirm 0+", ACTIVE, LONGER).refused("SendConfirm 1+", "INCOMPATIBLE_STATE")
    assert unused(saga.state, NOW + HOUR_S).micro == 0
    saga.at(HOUR_S).got("AskLease 1", RELEASED, billed(10)).lost("SendRelease 0").at(2 * HOUR_S)
    whole = bill(10 + 2 * 3_600, end=NOW + 2 * HOUR_S)
    saga.got("AskLease 0", RELEASED, lambda receipt: structs.replace(receipt, bill=whole))
    assert saga.is_ == "RELEASED"
    assert saga.state.bill is not None
    assert saga.state.bill.total.micro == 10 + 3_600 + 10


def test_once_one_confirm_lapsed_no_other_is_repeated() -> None:
    saga = pending().refused("SendConfirm 0+").lost("SendConfirm 1+").at(101)
    assert saga.wants == ["AskLease 1+"]


def test_a_lapse_seen_in_the_inventory_is_believed_after_every_clock_has_passed() -> None:
    saga = pending().lost("SendConfirm 0+").lost("SendConfirm 1+").at(160)
    saga.got("AskLease 0+", ACTIVE).got("AskLease 1+", ACTIVE)
    assert saga.state.extension is not None
    saga.at(191).got("AskLease 0+", ACTIVE).got("AskLease 1+", ACTIVE)
    assert (saga.is_, saga.state.extension) == ("ACTIVE", None)


def test_release_during_an_extension_ends_everything() -> None:
    saga = Saga(2).active().extend().got("SendOrder 0+", ACTIVE).release()
    assert saga.is_ == "RELEASING"
    assert saga.wants == ["SendRelease 0", "SendRelease 1", "DeclineHold 1+"]
    assert release_claims(saga.state, 0).void is None
    saga.got("SendOrder 1+", ACTIVE)  # too late to matter
    saga.all("SendRelease", RELEASED, billed(1))
    assert saga.is_ == "RELEASED"


def test_the_end_waits_for_confirms_that_may_have_moved_it() -> None:
    saga = Saga(2, lasts_s=120).active().at(100).extend(1000).all("SendOrder", ACTIVE)
    saga.got("SendConfirm 0+", ACTIVE, until(NOW + 1120)).lost("SendConfirm 1+").at(121)
    assert (saga.is_, saga.wants) == ("ACTIVE", ["AskLease 1+"])
    saga.got("AskLease 1+", ACTIVE, until(NOW + 1120))
    assert (saga.is_, saga.state.end_s) == ("ACTIVE", NOW + 1120)


def test_but_not_for_ever() -> None:
    saga = Saga(2, lasts_s=120).active().at(100).extend(1000).all("SendOrder", ACTIVE)
    saga.got("SendConfirm 0+", ACTIVE, until(NOW + 1120)).lost("SendConfirm 1+").at(419)
    assert saga.is_ == "ACTIVE"
    assert saga.at(420).is_ == "RELEASING"


def test_a_lease_that_ended_meanwhile_is_noticed() -> None:
    saga = Saga(2, lasts_s=120).active().at(100).extend(1000).all("SendOrder", ACTIVE)
    saga.lost("SendConfirm 0+").lost("SendConfirm 1+").at(125).got("AskLease 0+", RELEASED, billed(2))
    assert saga.legs == ["RELEASED", "ACTIVE"]


def test_after_a_restart_its_orders_are_in_doubt_too() -> None:
    saga = Saga(2).active().extend().got("SendOrder 0+", ACTIVE).restart()
    assert saga.wants == ["AskOutcome 1+"]
    again = pending().restart()
    assert again.wants == ["SendConfirm 0+", "SendConfirm 1+"]


def test_a_second_extension_begins_where_the_first_ended() -> None:
    saga = pending().all("SendConfirm", ACTIVE, LONGER).extend()
    first = order_claims(saga.state, 0, 2)
    assert saga.wants == ["SendOrder 0+", "SendOrder 1+"]
    assert first.jti != order_claims(pending().state, 0, 1).jti
    saga.all("SendOrder", ACTIVE).all("SendConfirm", ACTIVE, until(NOW + 3 * HOUR_S))
    assert saga.state.end_s == NOW + 3 * HOUR_S


def test_answers_about_an_extension_that_is_over_change_nothing() -> None:
    saga = Saga(2).active().extend().refused("SendOrder 0+")
    saga.declined("DeclineHold 0+").declined("DeclineHold 1+")
    before = saga.state
    saga.got("SendOrder 1+", ACTIVE)
    assert saga.state == before


def test_what_operators_were_told_to_confirm_did_not_come_to_nothing() -> None:
    """Otherwise the set-up fee of whoever took it would be charged to no budget, once the order is released."""
    saga = pending().release()
    assert saga.is_ == "RELEASING"
    assert not came_to_nothing(saga.state), "the confirms are out"
    assert not came_to_nothing(saga.refused("SendConfirm 0+").refused("SendConfirm 1+").state), "a repeated one may be"
    assert came_to_nothing(Saga(2).active().at(100).extend().release().state), "only the orders were out"
