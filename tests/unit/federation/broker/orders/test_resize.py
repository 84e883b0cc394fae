"""Another bandwidth, decided event by event: everywhere from its confirm on, or nowhere; and billed by the second."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from federation.broker.orders.saga.claims import back_claims, confirm_claims, order_claims
from federation.broker.orders.saga.extension import final_s
from federation.broker.orders.saga.state import Phase, Standing, came_to_nothing
from schemas.lease import State
from schemas.order import VOID_WITHIN_S, Receipt
from schemas.price import Tariff
from schemas.quote import Action
from schemas.token import SKEW_S
from tests.support.sagas import HOUR_S, Saga, at_end_z, bill
from tests.support.seams import NOW

ACTIVE, RELEASED = State.ACTIVE, State.RELEASED
GBPS = 10**9
HOURLY = Tariff(currency="EUR", gbps_hourly_micro=3_600_000)  # 1,000 micro-units per Gb/s and second


def wide(bps: int = 3 * GBPS, at: int = 10) -> Callable[[Receipt], Receipt]:
    """A receipt with another bandwidth since so many seconds after `NOW`."""
    return lambda receipt: structs.replace(at_end_z(bandwidth_bps=bps)(receipt), iat=NOW + at)


def resizing(bps: int = 3 * GBPS) -> Saga:
    return Saga(2, tariff=HOURLY).active().at(5).resize(bps, HOURLY).all("SendOrder", ACTIVE)


def resized(bps: int = 3 * GBPS) -> Saga:
    return resizing(bps).at(10).got("SendConfirm 0+", ACTIVE, wide(bps)).got("SendConfirm 1+", ACTIVE, wide(bps, 12))


def why(saga: Saga) -> str:
    return saga.state.history[-1].why


def test_it_is_ordered_everywhere_then_confirmed_everywhere() -> None:
    saga = Saga(2, tariff=HOURLY).active().at(5).resize(3 * GBPS, HOURLY)
    assert saga.wants == ["SendOrder 0+", "SendOrder 1+"]
    order = order_claims(saga.state, 0, 1)
    assert (order.action, order.product, order.confirm_by) == (Action.MODIFY, "product-0", NOW + 65)
    saga.got("SendOrder 1+", ACTIVE)
    assert saga.wants == ["SendOrder 0+"]
    saga.got("SendOrder 0+", ACTIVE)
    assert saga.wants == ["SendConfirm 0+", "SendConfirm 1+"]
    assert confirm_claims(saga.state, 0, 1).void is None
    assert saga.state.bandwidth_bps == GBPS
    saga.at(10).got("SendConfirm 0+", ACTIVE, wide()).got("SendConfirm 1+", ACTIVE, wide())
    assert (saga.state.bandwidth_bps, saga.state.end_s, saga.state.extension) == (3 * GBPS, NOW + HOUR_S, None)
    assert (saga.is_, saga.wants, why(saga)) == ("ACTIVE", [], "resized to 3000000000 bit/s")


def test_a_refusal_leaves_the_order_as_it_was() -> None:
    saga = Saga(2).active().resize(3 * GBPS).got("SendOrder 0+", ACTIVE).refused("SendOrder 1+", "CAPACITY_CHANGED")
    assert (saga.is_, saga.state.bandwidth_bps, why(saga)) == ("ACTIVE", GBPS, "not resized: op1: not today")
    assert came_to_nothing(saga.state)
    saga.declined("DeclineHold 1+")
    assert (saga.wants, saga.state.extension) == ([], None)


def test_what_one_did_not_confirm_the_others_take_back() -> None:
    saga = resizing().got("SendConfirm 0+", ACTIVE, wide()).refused("SendConfirm 1+", "INCOMPATIBLE_STATE")
    assert saga.wants == ["SendBack 0+"]
    back = back_claims(saga.state, 0)
    assert (back.void, back.order_h) == ("https://op1.example", confirm_claims(saga.state, 0, 1).order_h)
    assert back.jti != confirm_claims(saga.state, 0, 1).jti
    saga.got("SendBack 0+", ACTIVE)
    assert (saga.is_, saga.state.bandwidth_bps, saga.state.extension) == ("ACTIVE", GBPS, None)
    assert why(saga) == "not resized: op1: not today"
    assert saga.resize(2 * GBPS).wants == ["SendOrder 0+", "SendOrder 1+"], "and it may be asked for again"


def test_taking_back_goes_on_until_it_is_heard_and_asks_first_what_became_of_it() -> None:
    saga = resizing().got("SendConfirm 0+", ACTIVE, wide()).refused("SendConfirm 1+")
    first = back_claims(saga.state, 0)
    saga.lost("SendBack 0+").at(6)
    assert saga.wants == ["AskLease 0+"]
    saga.got("AskLease 0+", ACTIVE, wide()).at(8)
    assert (saga.wants, back_claims(saga.state, 0)) == (["SendBack 0+"], first)
    saga.lost("SendBack 0+").at(60)
    assert saga.wants == ["AskLease 0+"]
    saga.got("AskLease 0+", ACTIVE, wide()).at(70)
    assert back_claims(saga.state, 0).jti != first.jti, "the first would expire on its way"
    saga.refused("SendBack 0+").at(75).restart()
    assert saga.wants == ["AskLease 0+"]
    saga.got("AskLease 0+", ACTIVE)
    assert (saga.wants, saga.state.extension) == ([], None), "it had been taken back all along"


def test_an_old_answer_is_no_proof_that_it_was_taken_back() -> None:
    saga = resizing().lost("SendConfirm 0+").at(70)
    late = saga.flying["AskLease 0+"]
    saga.got("SendConfirm 1+", ACTIVE, wide()).at(100).got("AskLease 0+", ACTIVE)
    assert saga.wants == ["SendBack 1+"]
    saga.flying["AskLease 1+"] = structs.replace(late, leg=1)
    saga.got("AskLease 1+", ACTIVE)
    extension = saga.state.extension
    assert extension is not None
    assert extension.steps[1].standing is Standing.EXTENDED


def test_whoever_cannot_be_told_keeps_it_at_its_own_cost() -> None:
    saga = resizing().got("SendConfirm 0+", ACTIVE, wide()).refused("SendConfirm 1+")
    extension = saga.state.extension
    assert extension is not None
    assert final_s(extension) == NOW + 65 + VOID_WITHIN_S + SKEW_S
    saga.lost("SendBack 0+").at(65 + VOID_WITHIN_S + SKEW_S)
    assert saga.state.extension is None
    assert any("op0 could not be told" in entry.why for entry in saga.state.history)
    saga.at(1_000).release()
    three = bill(990 * 3_000 + 10 * 1_000, start=NOW, end=NOW + 1_000)
    saga.got("SendRelease 0", RELEASED, lambda receipt: structs.replace(receipt, bill=three))
    one = bill(1_000 * 1_000, start=NOW, end=NOW + 1_000)
    saga.got("SendRelease 1", RELEASED, lambda receipt: structs.replace(receipt, bill=one))
    assert saga.state.bill is not None
    assert [line.micro for line in saga.state.bill.lines] == [1_000_000, 1_000_000]


@pytest.mark.parametrize(("bps", "micro"), [(3 * GBPS, 10 * 1_000 + 90 * 3_000), (GBPS // 2, 10 * 1_000 + 90 * 500)])
def test_a_bill_is_borne_by_the_second_at_each_bandwidth(bps: int, micro: int) -> None:
    """One micro-unit more than both tariffs come to is disputed, and not paid."""
    for more in (0, 1):
        saga = resized(bps).at(100).release()
        claimed = bill(micro + more, start=NOW, end=NOW + 100)
        saga.got("SendRelease 0", RELEASED, lambda receipt, claimed=claimed: structs.replace(receipt, bill=claimed))
        saga.got("SendRelease 1", RELEASED)
        assert saga.state.bill is not None
        assert saga.state.bill.lines[0].micro == micro
        assert more == sum("bills" in entry.why for entry in saga.state.history)


def test_a_second_change_counts_from_its_own_confirm() -> None:
    saga = resized().at(20).resize(GBPS, HOURLY).all("SendOrder", ACTIVE)
    saga.all("SendConfirm", ACTIVE, wide(GBPS, 30)).at(100).release()
    claimed = bill(10 * 1_000 + 20 * 3_000 + 70 * 1_000, start=NOW, end=NOW + 100)
    saga.got("SendRelease 0", RELEASED, lambda receipt: structs.replace(receipt, bill=claimed))
    saga.got("SendRelease 1", RELEASED)
    assert saga.state.bill is not None
    assert saga.state.bill.lines[0].micro == claimed.total.micro


def test_what_a_change_frees_is_set_off_against_what_it_costs() -> None:
    saga = Saga(1, tariff=HOURLY).active().at(5).resize(GBPS // 2, HOURLY, total_micro=1_797_500)
    extension = saga.state.extension
    assert extension is not None
    assert extension.freed is not None
    assert extension.freed.micro == (HOUR_S - 65 - SKEW_S) * 1_000 - 2
    total = saga.state.total.micro
    saga.all("SendOrder", ACTIVE).all("SendConfirm", ACTIVE, wide(GBPS // 2))
    assert saga.state.total.micro == max(0, total - extension.freed.micro) + 1_797_500


def test_release_ends_a_change_that_is_being_taken_back() -> None:
    saga = resizing().got("SendConfirm 0+", ACTIVE, wide()).refused("SendConfirm 1+").release()
    assert (saga.is_, saga.wants) == ("RELEASING", ["SendRelease 0", "SendRelease 1"])
    assert saga.state.extension is None or saga.state.extension.phase is Phase.DROPPED
    assert not came_to_nothing(saga.state)
