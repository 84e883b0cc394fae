"""What an operator keeps against what the journal knows (pure).

The journal is read after the operator was asked: what it begins is written there before any operator hears of it, so
nothing that is under way looks like an orphan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from federation.broker.orders.saga.claims import jti
from federation.broker.orders.saga.state import Leg, OrderState
from federation.broker.peers.protocols import Kept
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.quotes.waiting import Waiting
from schemas.lease import BILLABLE, TERMINAL
from schemas.segment import EntityId, Hash, Id

Place = tuple[EntityId, str]  # at an operator: a product, the jti of an order, or a quote


class Kind(StrEnum):
    """What may be wrong: a lease or a hold that nobody owns, or a lease that its order believes in and is not there."""

    LEASE = "lease"
    HOLD = "hold"
    MISSING = "missing"


class Owner(NamedTuple):
    """Whose something is."""

    order: Id | None
    buyer: str
    agent: Hash | None


class Ours(NamedTuple):
    """What the journal knows: leases of live orders, orders that are out by their `jti`, leases that are in force by
    our books, quotes that may be ordered or are, and operators that may have a quote for us whose id is not known."""

    leases: Mapping[Place, Owner]
    ordered: Mapping[Place, Owner]
    in_force: Mapping[Place, Owner]
    quotes: Mapping[Place, Owner]
    unsure: frozenset[EntityId] = frozenset()


class Suspect(NamedTuple):
    """Something to be looked at again; `owner` where our books name one."""

    kind: Kind
    operator: EntityId
    what: str
    owner: Owner | None = None


def ours(states: Iterable[OrderState], quotes: Iterable[StoredQuote], waiting: Sequence[Waiting] = ()) -> Ours:
    """What the orders that are not over, and the quotes that are open or waited for, own."""
    leases, ordered, in_force = dict[Place, Owner](), dict[Place, Owner](), dict[Place, Owner]()
    open_ = dict[Place, Owner]()
    for quote in quotes:
        owner = Owner(None, quote.buyer, quote.agent)
        open_ |= {(held.operator, held.quote_id): owner for held in quote.held}
    for one in waiting:
        open_ |= dict.fromkeys(_asked(one), Owner(None, one.buyer, one.agent))
    for state in states:
        owner = Owner(state.terms.id, state.terms.buyer, state.terms.agent)
        for into, places in zip((leases, ordered, in_force, open_), _places(state), strict=True):
            into.update(dict.fromkeys(places, owner))
    questions = [question for one in waiting for question in one.questions]
    unsure = frozenset(one.ask.operator for one in questions if one.quote_id is None)
    return Ours(leases, ordered, in_force, open_, unsure)


def compare(operator: EntityId, kept: Kept, known: Ours) -> Iterator[Suspect]:
    """Everything at an operator that our books do not explain, or the other way round."""
    for lease in kept.leases:
        place, ordered = (operator, lease.product), (operator, lease.order_jti or "")
        if place not in known.leases and ordered not in known.ordered:
            yield Suspect(Kind.LEASE, operator, lease.product)
    for quote in kept.quotes:
        if (operator, quote) not in known.quotes and operator not in known.unsure:
            yield Suspect(Kind.HOLD, operator, quote)
    there = {lease.product for lease in kept.leases}
    for (entity, product), owner in known.in_force.items():
        if entity == operator and product not in there:
            yield Suspect(Kind.MISSING, operator, product, owner)


def _places(state: OrderState) -> tuple[list[Place], list[Place], list[Place], list[Place]]:
    pairs = list(zip(state.terms.parts, state.legs, strict=True))
    leases = [(part.operator, leg.product) for part, leg in pairs if leg.product is not None]
    ordered = [(part.operator, jti(state, index, "order", 0)) for index, (part, _) in enumerate(pairs)]
    in_force = [
        (part.operator, leg.product)
        for part, leg in pairs
        if state.state in BILLABLE and leg.product is not None and _believed(leg)
    ]
    quotes = [(part.operator, part.pledge.quote_id) for part, _ in pairs]
    if state.extension is not None:
        quotes += [(part.operator, one.quote_id) for (part, _), one in zip(pairs, state.extension.pledges, strict=True)]
    return leases, ordered, in_force, quotes


def _asked(waiting: Waiting) -> list[Place]:
    held = [(one.operator, one.quote_id) for one in waiting.held]
    return held + [(one.ask.operator, one.quote_id) for one in waiting.questions if one.quote_id is not None]


def _believed(leg: Leg) -> bool:
    return leg.state not in TERMINAL
