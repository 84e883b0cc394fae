"""How an effect is carried out: sign its document, ask the operator, turn the answer into an event.

Signing is deterministic, so a document signed again after a crash is the same document.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from federation.broker.orders.protocols import Filed
from federation.broker.orders.saga.claims import back_claims, confirm_claims, order_claims, release_claims
from federation.broker.orders.saga.effects import (
    Act,
    AskLease,
    AskOutcome,
    DeclineHold,
    SendBack,
    SendConfirm,
    SendOrder,
    SendRelease,
    TellOrder,
)
from federation.broker.orders.saga.events import (
    Answer,
    Declined,
    Heard,
    Missing,
    Receipted,
    Refused,
    Unanswered,
    Untold,
)
from federation.broker.orders.saga.state import Fault, OrderState
from federation.broker.orders.turns import Turns
from federation.broker.peers.protocols import HeldQuote, LeaseReceipt, OperatorPeer, Permit
from federation.broker.quotes.permits import Permits
from federation.broker.quotes.protocols import StoredQuote
from federation.node.seams import Clock
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import PrivateKey
from schemas.order import Confirm, Order
from schemas.problem import Outcome, Problem

log = logging.getLogger(__name__)

# Codes after which the same question may have another answer.
TRANSIENT: Final = frozenset({"OPERATOR_UNREACHABLE", "UNAVAILABLE", "TOO_MANY_REQUESTS", "INTERNAL"})
# What a read may meet that says nothing about the order.
UNREAD: Final = TRANSIENT | {"DOCUMENT_INVALID", "UNAUTHENTICATED", "NOT_IMPLEMENTED"}


Tell = Callable[[OrderState, TellOrder], Awaitable[Heard]]


class Signed(NamedTuple):
    """A document ready to be sent."""

    jws: str
    claims: Order | Confirm

    def filed(self) -> Filed:
        """As it is kept with the order."""
        return Filed(document_h=doc_hash(self.jws), operator=self.claims.aud, document=self.jws)


class Agreed(NamedTuple):
    """The quote that an effect is about, if it is about one, and the permit to order it."""

    held: HeldQuote | None
    permit: Permit | None


class Result(NamedTuple):
    """What came of an effect: an event, and the receipt to be kept with it."""

    event: Answer | Heard
    filed: tuple[Filed, ...] = ()


class Acts:
    """Carries out effects with one key and the peers of one broker; `tell` tells another order."""

    def __init__(
        self,
        key: PrivateKey,
        peers: Mapping[str, OperatorPeer],
        clock: Clock,
        permits: Permits | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._key, self._peers, self._clock, self._permits = key, peers, clock, permits
        self._tell = tell
        self._turns = Turns()

    def document(self, state: OrderState, act: Act) -> Signed | None:
        """The document that an effect sends, if it sends one."""
        claims: Order | Confirm
        match act:
            case SendOrder() | AskOutcome():
                claims = order_claims(state, act.leg, act.change)
            case SendConfirm():
                claims = confirm_claims(state, act.leg, act.change)
            case SendBack():
                claims = back_claims(state, act.leg)
            case SendRelease():
                claims = release_claims(state, act.leg)
            case _:
                return None
        return Signed(sign_jws(self._key, claims), claims)

    async def run(self, state: OrderState, act: Act, signed: Signed | None, quote: StoredQuote | None) -> Result:
        """Ask the operator; exactly one answer, and never an exception but cancellation. An act that is `of_quote` has
        its quote."""
        if isinstance(act, TellOrder):
            return Result(await self._told(state, act))
        operator = state.terms.parts[act.leg].operator
        try:
            peer = self._peers.get(operator)
            if peer is None:
                raise Problem("OPERATOR_UNREACHABLE", f"{operator} is not in the federation now", outcome=Outcome.NONE)
            agreed = self._agreed(act, quote)
            async with self._turns.turn(operator, act):
                found = await _ask(peer, state, act, signed, agreed)
        except Problem as problem:
            return Result(self._problem(act, problem))
        except Exception:
            log.exception("asking %s failed, order %s", operator, state.terms.id)
            return Result(Unanswered(self._clock.now_us(), act, Fault("INTERNAL", "an unexpected fault on our side")))
        return self._answer(act, found, operator)

    async def _told(self, state: OrderState, act: TellOrder) -> Heard:
        """What came of telling another order; where nobody can tell it, nothing did."""
        if self._tell is None:
            return Untold(self._clock.now_us(), act)
        try:
            return await self._tell(state, act)
        except Problem as problem:
            log.debug("order %s was not told: %s", act.order, problem)
        except Exception:
            log.exception("telling order %s failed, order %s", act.order, state.terms.id)
        return Untold(self._clock.now_us(), act)

    def _agreed(self, act: Act, quote: StoredQuote | None) -> Agreed:
        if quote is None:
            return Agreed(None, None)
        held = quote.held[act.leg]
        return Agreed(held, self._permit(quote, held) if isinstance(act, SendOrder) else None)

    def _permit(self, quote: StoredQuote, held: HeldQuote) -> Permit | None:
        """What the operator is shown of the authority that its quote was asked under."""
        if self._permits is None:
            return None
        return self._permits.of(quote.power, quote.buyer, held.operator, held.quote.total.currency)

    def _answer(self, act: Act, found: LeaseReceipt | None, operator: str) -> Result:
        at_us = self._clock.now_us()
        if found is None:
            return Result(Declined(at_us, act) if isinstance(act, DeclineHold) else Missing(at_us, act))
        filed = Filed(document_h=found.receipt_h, operator=operator, document=found.receipt_jws)
        return Result(Receipted(at_us, act, found.receipt, found.receipt_h), (filed,))

    def _problem(self, act: Act, problem: Problem) -> Answer:
        fault = Fault(problem.code, problem.detail)
        reading = isinstance(act, AskOutcome | AskLease)
        lost = problem.outcome is Outcome.UNKNOWN or problem.code in (UNREAD if reading else TRANSIENT)
        kind = Unanswered if lost or isinstance(act, AskLease) else Refused
        return kind(self._clock.now_us(), act, fault)


def of_quote(act: Act | None) -> bool:
    """Whether an act needs the quote that it is about; what follows a receipt needs no more than that."""
    return isinstance(act, SendOrder | AskOutcome | DeclineHold)


async def _ask(
    peer: OperatorPeer, state: OrderState, act: Act, signed: Signed | None, agreed: Agreed
) -> LeaseReceipt | None:
    held = agreed.held
    match act, signed:
        case SendOrder(), Signed(jws=jws, claims=Order() as order):
            return await peer.order(jws, order, held, agreed.permit)
        case AskOutcome(), Signed(jws=jws, claims=Order() as order):
            return await peer.find_order(jws, order, held)
        case SendConfirm() | SendBack(), Signed(jws=jws, claims=Confirm() as confirm):
            return await peer.confirm(jws, confirm)
        case SendRelease(), Signed(jws=jws, claims=Order() as order):
            return await peer.order(jws, order, None)
        case AskLease(), _:
            return await _lease(peer, state, act)
    assert held is not None, "what is declined is a quote"
    await peer.decline(held.quote_id)
    return None


async def _lease(peer: OperatorPeer, state: OrderState, act: AskLease) -> LeaseReceipt | None:
    product, sub = state.legs[act.leg].product, state.terms.parts[act.leg].sub
    assert product is not None, "only a known lease is asked for"
    found = await peer.lease(product)
    if found is not None and found.receipt.sub != sub:
        raise Problem("DOCUMENT_INVALID", f"the receipt of {product} is for another buyer")
    return found
