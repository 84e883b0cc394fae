"""From the history of a lease to Sonata's histories of its quote, its order and its product. Pure.

A lease has one history; Sonata tells it three times. Every step that Sonata's own table does not allow from where
the resource stands is left out: a lease that fails after it was UP leaves its order `completed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

from federation.sonata.protocols import Change
from schemas.lease import State
from schemas.sonata.states import ORDER, PRODUCT, QUOTE, OrderState, ProductStatus, QuoteState

S = TypeVar("S", bound=str)
Q, OS, P = QuoteState, OrderState, ProductStatus

_QUOTE: Final[Mapping[State, tuple[QuoteState, ...]]] = MappingProxyType(
    {
        State.ASKED: (Q.ACKNOWLEDGED, Q.IN_PROGRESS),
        State.QUOTED: (Q.ORDERABLE,),
        State.HELD: (Q.ORDERABLE,),
        State.EXPIRED: (Q.EXPIRED, Q.UNABLE_TO_PROVIDE),
        State.DECLINED: (Q.DECLINED, Q.CANCELLED),
        State.COMMITTED: (Q.ACCEPTED,),
    }
)
_ORDER: Final[Mapping[State, tuple[OrderState, ...]]] = MappingProxyType(
    {
        State.COMMITTED: (OS.ACKNOWLEDGED, OS.IN_PROGRESS),
        State.UP: (OS.COMPLETED,),
        State.FAILED: (OS.FAILED,),
        State.RELEASING: (OS.ASSESSING_CANCELLATION, OS.PENDING_CANCELLATION),
        State.RELEASED: (OS.CANCELLED,),
    }
)
_PRODUCT: Final[Mapping[State, tuple[ProductStatus, ...]]] = MappingProxyType(
    {
        State.COMMITTED: (P.PENDING_ACTIVE,),
        State.UP: (P.ACTIVE,),
        State.COMPENSATING: (P.PENDING_TERMINATE,),
        State.FAILED: (P.TERMINATED, P.CANCELLED),
        State.RELEASING: (P.PENDING_TERMINATE,),
        State.RELEASED: (P.TERMINATED, P.CANCELLED),
    }
)


def quote_history(lease: Iterable[Change[State]]) -> tuple[Change[QuoteState], ...]:
    """Of a quote that was made: `approved.orderable`, then accepted, declined or expired.

    One that was not answered at once was `inProgress` before: let go then it is cancelled, without an answer unable to
    provide."""
    return _told(lease, _QUOTE, QUOTE)


def refused_quote(at: int) -> tuple[Change[QuoteState], ...]:
    """Of a quote that was refused at once."""
    return (Change(Q.UNABLE_TO_PROVIDE, at),)


def refused_later(asked_at: int, at: int, why: str = "") -> tuple[Change[QuoteState], ...]:
    """Of a quote that was refused, or not answered, some time after it was asked for."""
    return (*waiting_quote(asked_at), Change(Q.UNABLE_TO_PROVIDE, at, why))


def waiting_quote(at: int) -> tuple[Change[QuoteState], ...]:
    """Of a quote that was asked for and is not answered yet."""
    return (Change(Q.ACKNOWLEDGED, at), Change(Q.IN_PROGRESS, at))


def budgetary_quote(at: int) -> tuple[Change[QuoteState], ...]:
    """Of a price without commitment: answered, and never orderable."""
    return (Change(Q.ANSWERED, at),)


def order_history(lease: Iterable[Change[State]]) -> tuple[Change[OrderState], ...]:
    """Of the order that added a lease: completed when it is UP, cancelled when it is released before."""
    return _told(lease, _ORDER, ORDER)


def order_steps(at: int, *ends: Change[OrderState]) -> tuple[Change[OrderState], ...]:
    """Of an order without a lease of its own (modify, release): accepted at `at`, then in progress until `ends`."""
    return (Change(OS.ACKNOWLEDGED, at), Change(OS.IN_PROGRESS, at), *ends)


def product_history(
    lease: Iterable[Change[State]], pending: Sequence[tuple[int, int | None]] = ()
) -> tuple[Change[ProductStatus], ...]:
    """Of a lease as a product. `pending` holds spans in which a modify order waited for its end (None: still)."""
    told = _told(lease, _PRODUCT, PRODUCT)
    for start, end in pending:
        told = _with_pending(told, start, end)
    return told


def _told(
    lease: Iterable[Change[State]],
    words: Mapping[State, tuple[S, ...]],
    table: Mapping[S, frozenset[S]],
) -> tuple[Change[S], ...]:
    told: list[Change[S]] = []
    for change in lease:
        for state in words.get(change.state, ()):
            if not told or state in table[told[-1].state]:
                told.append(Change(state, change.at, change.why))
    return tuple(told)


def _with_pending(
    told: tuple[Change[ProductStatus], ...], start: int, end: int | None
) -> tuple[Change[ProductStatus], ...]:
    """A span of `active.pendingChange`, inside the time in which the product was active."""
    before = [change for change in told if change.at <= start]
    after = told[len(before) :]
    if not before or before[-1].state is not P.ACTIVE:
        return told
    closes = [at for at in (end, after[0].at if after else None) if at is not None]
    back = (Change(P.ACTIVE, min(closes)),) if closes else ()
    return (*before, Change(P.PENDING_CHANGE, start), *back, *after)
