"""What a replica does with what is announced: takes what nobody carries, drops what is over, rights what is wrong."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from msgspec import structs

from federation.broker.orders.saga.state import OrderState
from federation.broker.replicas.announcements import Announced
from federation.broker.replicas.carrying import SWEEP_ROUNDS, Carrying
from schemas.lease import State
from schemas.problem import Problem
from tests.support.sagas import Saga

pytestmark = pytest.mark.asyncio


class Around:
    """Everything around one replica: announcements, store, office, turns, news, and the coordinator."""

    def __init__(self, *announced: tuple[str, str]) -> None:
        self.announced = [Announced(entry, "alice", order) for entry, order in announced]
        self.states: dict[str, OrderState] = {}
        self.took: list[str] = []
        self.carried: tuple[str, ...] = ()
        self.looked: list[str] = []
        self.handed_back: list[str] = []
        self.token, self.away = 1, False
        self.server, self.taken_over = "first", list[str]()

    def carrying(self, takeover_s: float = 10) -> Carrying:
        around, ids = cast(Any, self), self.unfinished_ids
        return Carrying(around, around, around, unfinished=ids, leadership=around, turns=around, takeover_s=takeover_s)

    def order(self, order_id: str, state: State = State.ACTIVE) -> None:
        found = Saga().state
        self.states[order_id] = structs.replace(found, state=state, terms=structs.replace(found.terms, id=order_id))

    async def mine(self) -> list[Announced]:
        if self.away:
            raise Problem("UNAVAILABLE", "the store is away")
        return self.announced

    async def all(self) -> list[Announced]:
        return self.announced

    async def drop(self, entries: list[str]) -> None:
        self.announced = [one for one in self.announced if one.entry not in entries]

    async def hand_back(self, entries: list[str]) -> None:
        self.handed_back = entries

    async def add(self, buyer: str, order_id: str) -> None:
        self.announced.append(Announced(f"e{len(self.announced)}", buyer, order_id))

    async def take_over(self, idle_ms: int, count: int) -> int:
        assert idle_ms == 0, "nobody was in touch for so long"
        self.taken_over.append(self.server)
        return 0

    async def tidy(self) -> None:
        pass

    async def keep(self) -> None:
        pass

    async def lead(self, office: str) -> int:
        return self.token

    async def get_order(self, buyer: str, order_id: str) -> OrderState | None:
        return self.states.get(order_id)

    async def unfinished(self) -> tuple[OrderState, ...]:
        return tuple(self.states.values())

    async def unfinished_ids(self) -> list[str]:
        return [*self.states]

    def carries(self, order_id: str) -> bool:
        return order_id in self.carried

    def take(self, state: OrderState) -> None:
        self.took.append(state.terms.id)
        self.carried += (state.terms.id,)

    def heard(self, order_id: str, version: int) -> None:
        self.looked.append(order_id)


async def rounds(around: Around, carrying: Carrying, count: int = 1) -> None:
    for _ in range(count):
        await carrying._tried(cast(Any, around))


async def test_it_takes_what_nobody_carries_and_drops_what_is_over() -> None:
    around = Around(("e1", "going"), ("e2", "ended"), ("e3", "unwritten"), ("e4", "left"))
    around.order("going")
    around.order("ended", State.RELEASED)
    around.order("left")
    carrying = around.carrying()
    carrying.over("left")
    await rounds(around, carrying, 2)
    assert around.took == ["going"]
    assert [one.order_id for one in around.announced] == ["going", "unwritten"]
    assert set(around.looked) <= {"going"}


async def test_what_others_may_have_taken_is_looked_at() -> None:
    around = Around(("e1", "mine"))
    around.order("mine")
    around.carried = ("not mine any more", "mine")
    await rounds(around, around.carrying())
    assert around.looked == ["not mine any more"]


async def test_the_holder_of_the_office_announces_what_was_lost_and_drops_what_is_announced_twice() -> None:
    around = Around(("e1", "twice"), ("e2", "twice"))
    around.order("twice")
    around.order("lost")
    around.carried = ("twice", "lost")
    carrying = around.carrying()
    around.token = 0
    await rounds(around, carrying, SWEEP_ROUNDS)
    assert [one.order_id for one in around.announced] == ["twice", "twice"], "another holds the office"
    around.token = 2
    await rounds(around, carrying, SWEEP_ROUNDS)
    assert [(one.entry, one.order_id) for one in around.announced] == [("e1", "twice"), ("e1", "lost")]


async def test_a_store_that_is_away_is_no_fault() -> None:
    around = Around(("e1", "going"))
    around.order("going")
    around.away = True
    carrying = around.carrying()
    await rounds(around, carrying)
    assert around.took == []
    around.away = False
    await rounds(around, carrying)
    assert around.took == ["going"]


async def test_nothing_is_remembered_of_what_is_gone() -> None:
    around = Around(("e1", "unwritten"))
    carrying = around.carrying(takeover_s=0)
    carrying.over("never announced")
    await rounds(around, carrying, 3)
    assert around.announced == []
    assert (carrying._over, carrying._without) == (set(), {})


async def test_nothing_is_taken_over_from_those_who_could_not_tell_a_server_that_came_back() -> None:
    """It was away between two looks, and nobody saw that; who looked when it does not know any more."""
    around = Around()
    carrying = around.carrying(takeover_s=0)
    await rounds(around, carrying, 3)
    assert around.taken_over == ["first", "first"]
    around.server = "second"
    await rounds(around, carrying)
    assert "second" not in around.taken_over
    await rounds(around, carrying)
    assert around.taken_over[-1] == "second"


async def test_who_ends_in_good_order_hands_back_what_it_carried() -> None:
    around = Around(("e1", "going"), ("e2", "too"))
    around.order("going")
    around.order("too")
    running = asyncio.create_task(around.carrying().run(cast(Any, around)))
    while len(around.took) < 2:
        await asyncio.sleep(0)
    around.announced[0] = Announced("e3", "alice", "new")  # another has taken the first, and one came since
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert around.handed_back == ["e3", "e2"]
