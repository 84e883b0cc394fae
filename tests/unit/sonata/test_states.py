"""The tables themselves, and the tales that a lease tells three times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from federation.sonata.histories import (
    budgetary_quote,
    order_history,
    order_steps,
    product_history,
    quote_history,
    refused_quote,
)
from federation.sonata.protocols import Change
from schemas.lease import State
from schemas.sonata import states
from schemas.sonata.states import OrderState, QuoteState

TABLES: dict[str, tuple[Mapping[Any, frozenset[Any]], Iterable[Any], set[str]]] = {
    "quote": (
        states.QUOTE,
        states.QuoteState,
        {"accepted", "cancelled", "declined", "expired", "rejected", "unableToProvide"},
    ),
    "quote item": (
        states.QUOTE_ITEM,
        states.QuoteItemState,
        {"abandoned", "answered", "approved.orderable", "approved.orderableAlternate", "rejected", "unableToProvide"},
    ),
    "order": (states.ORDER, states.OrderState, {"cancelled", "completed", "failed", "partial", "rejected"}),
    "order item": (
        states.ORDER_ITEM,
        states.OrderItemState,
        {"cancelled", "completed", "failed", "rejected", "rejected.unassessed", "rejected.validated"},
    ),
    "product": (states.PRODUCT, states.ProductStatus, {"cancelled", "terminated"}),
    "cancel": (states.CANCEL, states.CancelState, {"done", "done.declined", "rejected"}),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_every_state_and_its_final_ones(name: str) -> None:
    table, kind, final = TABLES[name]
    assert set(table) == set(kind)
    assert {state for state, after in table.items() if not after} == final
    assert all(after <= set(kind) for after in table.values())
    assert all(state not in after for state, after in table.items())


def walk(*steps: tuple[State, int]) -> list[Change[State]]:
    return [Change(state, at) for state, at in steps]


def told(history: tuple[Change[Any], ...]) -> list[tuple[str, int]]:
    return [(str(change.state), change.at) for change in history]


USED = walk(
    (State.HELD, 1), (State.COMMITTED, 2), (State.UP, 3), (State.ACTIVE, 4), (State.RELEASING, 8), (State.RELEASED, 9)
)
UNDONE = walk((State.HELD, 1), (State.COMMITTED, 2), (State.RELEASING, 3), (State.RELEASED, 4))
BROKEN = walk((State.HELD, 1), (State.COMMITTED, 2), (State.COMPENSATING, 3), (State.FAILED, 4))
LOST = walk((State.HELD, 1), (State.COMMITTED, 2), (State.UP, 3), (State.COMPENSATING, 4), (State.FAILED, 5))


def test_a_lease_that_was_used() -> None:
    assert told(quote_history(USED)) == [("approved.orderable", 1), ("accepted", 2)]
    assert told(order_history(USED)) == [("acknowledged", 2), ("inProgress", 2), ("completed", 3)]
    assert told(product_history(USED)) == [
        ("pendingActive", 2),
        ("active", 3),
        ("pendingTerminate", 8),
        ("terminated", 9),
    ]


def test_a_lease_undone_before_it_was_up() -> None:
    assert told(order_history(UNDONE))[2:] == [
        ("assessingCancellation", 3),
        ("pendingCancellation", 3),
        ("cancelled", 4),
    ]
    assert told(product_history(UNDONE)) == [("pendingActive", 2), ("cancelled", 4)]


def test_a_fabric_that_fails_before_and_after_up() -> None:
    assert told(order_history(BROKEN))[2:] == [("failed", 4)]
    assert told(product_history(BROKEN)) == [("pendingActive", 2), ("cancelled", 4)]
    assert told(order_history(LOST))[2:] == [("completed", 3)]
    assert told(product_history(LOST))[2:] == [("pendingTerminate", 4), ("terminated", 5)]


@pytest.mark.parametrize(
    ("span", "middle"),
    [
        ((5, 6), [("active.pendingChange", 5), ("active", 6)]),
        ((5, None), [("active.pendingChange", 5), ("active", 8)]),
        ((5, 20), [("active.pendingChange", 5), ("active", 8)]),
        ((2, 3), []),
        ((9, None), []),
    ],
)
def test_a_pending_change_lies_within_the_active_time(
    span: tuple[int, int | None], middle: list[tuple[str, int]]
) -> None:
    history = told(product_history(USED, [span]))
    assert history == [("pendingActive", 2), ("active", 3), *middle, ("pendingTerminate", 8), ("terminated", 9)]


def test_a_change_still_pending_is_the_present_state() -> None:
    assert told(product_history(USED[:4], [(5, 6), (7, None)]))[-3:] == [
        ("active.pendingChange", 5),
        ("active", 6),
        ("active.pendingChange", 7),
    ]


def test_tales_without_a_lease() -> None:
    assert refused_quote(1) == (Change(QuoteState.UNABLE_TO_PROVIDE, 1),)
    assert budgetary_quote(1) == (Change(QuoteState.ANSWERED, 1),)
    end = Change(OrderState.COMPLETED, 5, "confirmed")
    assert [change.state for change in order_steps(2, end)] == ["acknowledged", "inProgress", "completed"]
