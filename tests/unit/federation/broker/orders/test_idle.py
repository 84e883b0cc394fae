"""Heartbeats: who is silent for too long is released, and nobody sooner."""

from __future__ import annotations

import inspect
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from federation.broker.authority.power import Buyer
from federation.broker.desk import Desk
from federation.broker.orders.saga.events import HolderHeard, Tick
from federation.broker.orders.saga.idle import idle_at_s
from federation.broker.orders.saga.state import OrderState
from schemas.lease import State
from tests.support.sagas import HOUR_S, Saga
from tests.support.seams import NOW

IDLE_S = 80


def quiet(start_in_s: int = 0) -> Saga:
    """A path of two segments whose holder has to be heard every 80 s."""
    return Saga(2, start_in_s=start_in_s, idle_release_s=IDLE_S)


def beat(saga: Saga, at_s: float) -> OrderState:
    saga.at(at_s)
    return saga.tell(HolderHeard(saga.at_us)).state


def why(saga: Saga) -> str:
    return saga.state.history[-1].why


def test_a_silent_holder_loses_the_lease_an_eighth_late_and_never_sooner() -> None:
    saga = quiet().active()
    assert (saga.wants, saga.wakes_in_s) == ([], 90)
    assert saga.at(89).is_ == "ACTIVE"
    assert saga.at(90).wants == ["SendRelease 0", "SendRelease 1"]
    assert (saga.is_, why(saga)) == ("RELEASING", "its holder was silent for 80 s")


def test_a_heartbeat_begins_another_period_and_close_ones_are_not_written_down() -> None:
    saga = quiet().active()
    before = saga.state
    assert beat(saga, 9).heard_s == before.heard_s, "less than an eighth of 80 s: nothing to write down"
    assert beat(saga, 10).heard_s == NOW + 10
    assert saga.wakes_in_s == 10 + 90
    assert saga.at(99).is_ == "ACTIVE"


def test_without_such_an_intent_silence_is_no_reason() -> None:
    saga = Saga(2).active()
    assert saga.wakes_in_s == HOUR_S
    assert beat(saga, 100).heard_s == 0
    assert idle_at_s(saga.state) is None


def test_the_first_period_begins_when_the_path_is_active() -> None:
    saga = quiet(start_in_s=1000).all("SendOrder", State.COMMITTED)
    assert (saga.at(500).is_, idle_at_s(saga.state)) == ("COMMITTED", None)
    saga.at(1001).all("AskLease", State.UP).all("SendConfirm", State.ACTIVE)
    assert (saga.is_, idle_at_s(saga.state)) == ("ACTIVE", NOW + 1001 + 90)


def test_a_restart_grants_another_period_also_to_one_that_was_due() -> None:
    saga = quiet().active()
    saga.at_us = (NOW + 2000) * 1_000_000
    assert saga.restart().is_ == "ACTIVE"
    assert saga.at(2089).is_ == "ACTIVE"
    assert saga.at(2090).is_ == "RELEASING"


def test_a_wish_to_extend_is_a_sign_of_life() -> None:
    saga = quiet().active().at(80).extend()
    assert idle_at_s(saga.state) == NOW + 80 + 90


def test_after_the_end_a_heartbeat_changes_nothing() -> None:
    saga = quiet().active().release().all("SendRelease", State.RELEASED)
    assert (beat(saga, 50).state, saga.wants, idle_at_s(saga.state)) == (State.RELEASED, [], None)


@given(st.lists(st.integers(1, 120), max_size=30))
@example([10, 80])
@example([9, 80])
def test_it_is_released_after_a_period_of_silence_and_an_eighth_at_most(pauses: list[int]) -> None:
    saga, heard_s = quiet().active(), 0
    for pause_s in pauses:
        silence_ends_s = heard_s + pause_s
        if pause_s <= IDLE_S:
            assert beat(saga, silence_ends_s).state is State.ACTIVE
            heard_s = silence_ends_s
            continue
        saga.at(silence_ends_s)
        late = pause_s >= IDLE_S + IDLE_S // 8
        assert saga.is_ == "RELEASING" or not late
        return
    at_s = idle_at_s(saga.state)
    assert at_s is not None
    assert heard_s + IDLE_S <= at_s - NOW <= heard_s + IDLE_S + IDLE_S // 8


def test_a_broker_that_was_stopped_could_hear_nobody() -> None:
    saga = quiet().active()
    saga.at_us = (NOW + 500) * 1_000_000
    assert saga.tell(Tick(saga.at_us, stalled=True)).is_ == "ACTIVE"
    assert saga.at(500 + 90).is_ == "RELEASING"


@pytest.mark.asyncio
async def test_a_beat_writes_no_key_down() -> None:
    beats: list[tuple[str, str, str | None]] = []

    class Beaten:
        async def heartbeat(self, *whose: Any) -> None:
            beats.append(whose)

    wanted = inspect.signature(Desk).parameters.values()
    parts: dict[str, Any] = {one.name: None for one in wanted if one.default is one.empty}
    desk = Desk(**parts | {"orders": Beaten()})  # without anything that keeps keys
    for number in range(2):
        await desk.heartbeat(Buyer("ann"), "order", f"key {number}")
    assert beats == [("ann", "order", None)] * 2
