"""One order in place of another: neither both for longer than it takes, nor none."""

from __future__ import annotations

import pytest

from federation.broker.orders.saga.events import GoesOn, Replaced, Rerouting
from federation.broker.orders.saga.handing import heeding
from federation.broker.orders.saga.state import Handing
from schemas.lease import State
from schemas.problem import Problem
from tests.support.sagas import Saga

ACTIVE, UP, RELEASED = State.ACTIVE, State.UP, State.RELEASED
REROUTE, RELEASE, RETURN = Handing.REROUTE, Handing.RELEASE, Handing.RETURN
NEW, OTHER = "n" * 22, "m" * 22


def new() -> Saga:
    return Saga(2, replaces="o" * 22)


def hears(old: Saga, what: Handing, by: str = NEW) -> Saga:
    return old.tell(heeding(old.state, what, by, old.at_us))


def test_nothing_is_confirmed_before_the_old_order_has_agreed() -> None:
    saga = new()
    assert saga.wants == ["SendOrder 0", "SendOrder 1", "TellOrder REROUTE"]
    saga.all("SendOrder", UP)
    assert (saga.is_, saga.wants) == ("COMMITTED", ["TellOrder REROUTE"])
    saga.told(REROUTE)
    assert (saga.is_, saga.wants) == ("UP", ["SendConfirm 0", "SendConfirm 1"])
    saga.all("SendConfirm", ACTIVE)
    assert (saga.is_, saga.wants) == ("ACTIVE", ["TellOrder RELEASE"])
    saga.told(RELEASE, lost=True).at(1)
    assert saga.wants == ["TellOrder RELEASE"], "until it is heeded"
    saga.told(RELEASE)
    assert (saga.is_, saga.wants) == ("ACTIVE", [])


def test_an_old_order_that_does_not_agree_costs_nothing() -> None:
    saga = new().all("SendOrder", UP).told(REROUTE, refused=True)
    assert saga.is_ == "COMPENSATING"
    assert saga.wants == ["SendRelease 0", "SendRelease 1", "TellOrder RETURN"]
    saga.all("SendRelease", RELEASED)
    assert saga.is_ == "COMPENSATING"
    saga.told(RETURN)
    assert saga.is_ == "FAILED"
    assert saga.state.bill is not None
    assert saga.state.bill.total.micro == 0


def test_an_old_order_that_is_not_heard_of_in_time_is_as_good_as_one_that_does_not_agree() -> None:
    saga = new().all("SendOrder", UP).told(REROUTE, lost=True).at(54)
    assert saga.is_ == "COMMITTED"
    saga.at(55)
    assert (saga.is_, saga.state.fault and saga.state.fault.code) == ("COMPENSATING", "UNAVAILABLE")


def test_one_that_fails_says_so_and_a_late_word_does_not_undo_that() -> None:
    saga = new()
    late = saga.flying["TellOrder REROUTE"]
    saga.refused("SendOrder 0").got("SendOrder 1", UP)
    assert "TellOrder RETURN" in saga.wants
    saga.told(RETURN)
    saga.flying["TellOrder REROUTE"] = late
    saga.told(REROUTE)
    assert saga.state.handed is RETURN


def test_a_restart_tells_again_what_may_not_have_been_heard() -> None:
    saga = new().all("SendOrder", UP).told(REROUTE).all("SendConfirm", ACTIVE).restart()
    assert saga.wants == ["TellOrder RELEASE"]


def test_released_before_it_was_in_force_it_gives_way_and_after_that_it_has_taken_over() -> None:
    before = new().all("SendOrder", UP).told(REROUTE).release()
    assert "TellOrder RETURN" in before.wants
    after = new().all("SendOrder", UP).told(REROUTE).all("SendConfirm", ACTIVE).release()
    assert "TellOrder RELEASE" in after.wants
    after.all("SendRelease", RELEASED)
    assert after.is_ == "RELEASING"
    assert after.told(RELEASE).is_ == "RELEASED"


def test_the_old_order_reroutes_and_ends_when_the_other_is_in_force() -> None:
    old = hears(Saga(2).active(), REROUTE)
    assert (old.is_, old.state.replaced_by) == ("REROUTING", NEW)
    hears(old, REROUTE)
    assert old.is_ == "REROUTING"
    hears(old, RELEASE)
    assert (old.is_, old.wants) == ("RELEASING", ["SendRelease 0", "SendRelease 1"])
    assert old.state.history[-1].why == f"replaced by order {NEW}"
    assert hears(old.all("SendRelease", RELEASED), RELEASE).is_ == "RELEASED"


def test_the_old_order_goes_on_when_the_other_failed() -> None:
    old = hears(hears(Saga(2).active(), REROUTE), RETURN)
    assert (old.is_, old.state.replaced_by) == ("ACTIVE", None)
    with pytest.raises(Problem):
        heeding(old.state, REROUTE, NEW, old.at_us)
    late = old.tell(Rerouting(old.at_us, NEW))
    assert late.is_ == "ACTIVE", "a word that came late changes nothing"
    assert hears(old, REROUTE, OTHER).is_ == "REROUTING"


def test_only_one_order_comes_in_place_of_another() -> None:
    old = hears(Saga(2).active(), REROUTE)
    with pytest.raises(Problem) as caught:
        heeding(old.state, REROUTE, OTHER, old.at_us)
    assert caught.value.code == "INCOMPATIBLE_STATE"
    assert old.tell(Replaced(old.at_us, OTHER)).is_ == "REROUTING"
    assert old.tell(GoesOn(old.at_us, OTHER)).is_ == "REROUTING"


@pytest.mark.parametrize("saga", [Saga(2), Saga(2).active().release(), Saga(2).active().extend()])
def test_what_is_not_in_force_or_is_changing_is_not_replaced(saga: Saga) -> None:
    with pytest.raises(Problem) as caught:
        heeding(saga.state, REROUTE, NEW, saga.at_us)
    assert caught.value.code == "INCOMPATIBLE_STATE"


def test_a_release_by_the_buyer_ends_a_rerouting_order_and_so_does_its_window() -> None:
    assert hears(Saga(2).active(), REROUTE).release().is_ == "RELEASING"
    assert hears(Saga(2).active(), REROUTE).at(3_600).is_ == "RELEASING"
