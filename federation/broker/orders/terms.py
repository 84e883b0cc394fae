"""From a stored path quote to the terms of an order, or of a change of it (pure)."""

from __future__ import annotations

import msgspec

from federation.broker.orders.saga import extension
from federation.broker.orders.saga.events import ExtendAsked
from federation.broker.orders.saga.pace import EXTEND_BEFORE_S, SECOND_US
from federation.broker.orders.saga.state import OrderState, Part, Phase, Pledge, Terms
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.quotes.tally import confirm_within_s
from federation.broker.spend.protocols import Wanted
from federation.trust.jose import sha256_b64
from schemas.lease import TERMINAL, State
from schemas.order import CHANGES_MAX
from schemas.price import Money, RateTable
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import moment
from schemas.statement import USES_MAX


def order_terms(quote: StoredQuote, order_id: str, rates: RateTable, now_s: int, replaces: str | None = None) -> Terms:
    """The terms of a new order, in place of another if `replaces` names one. Raises INCOMPATIBLE_STATE for a quote of
    an extension, QUOTE_EXPIRED."""
    claims = quote.claims
    if claims.action is not Action.ADD:
        raise Problem("INCOMPATIBLE_STATE", f"this quote extends order {claims.order}; use it there", field="quote")
    _in_time(quote, now_s)
    if claims.rates_h != rates_hash(rates):
        raise Problem("QUOTE_EXPIRED", "the exchange rates have changed since it was given; ask for a new one")
    return Terms(
        id=order_id,
        buyer=quote.buyer,
        issuer=claims.iss,
        quote=quote.id,
        path_root=claims.path_root,
        start_s=claims.window.start_s,
        bandwidth_bps=claims.bandwidth_bps,
        placed_s=now_s,
        parts=_parts(quote),
        total=claims.total,
        rates=_needed(quote, rates),
        agent=quote.agent,
        idle_release_s=quote.intent.idle_release_s,
        replaces=replaces,
        confirm_within_s=confirm_within_s(quote.held),
    )


def extend_asked(quote: StoredQuote, state: OrderState, at_us: int) -> ExtendAsked:
    """The event with which more time, or another bandwidth, is ordered. Raises INCOMPATIBLE_STATE, QUOTE_EXPIRED."""
    claims = quote.claims
    if claims.action is not Action.MODIFY or claims.order != state.terms.id:
        raise Problem("INCOMPATIBLE_STATE", "this quote does not extend this order", field="quote")
    _in_time(quote, at_us // SECOND_US)
    if state.state is not State.ACTIVE:
        raise Problem("INCOMPATIBLE_STATE", not_active(state, "can be changed"))
    if state.extension is not None and state.extension.phase is not Phase.DROPPED:
        raise Problem("INCOMPATIBLE_STATE", "another change is under way; wait for its outcome")
    most = min(CHANGES_MAX, USES_MAX // len(state.legs) - 1)
    if state.extensions >= most:
        raise Problem("INCOMPATIBLE_STATE", f"the order was changed {most} times, and is not again; order anew")
    resized = claims.bandwidth_bps != state.bandwidth_bps
    if state.end_s != (claims.window.end_s if resized else claims.window.start_s):
        raise Problem(
            "INCOMPATIBLE_STATE", f"the order ends at {moment(state.end_s):%Y-%m-%dT%H:%M:%SZ}; ask for a new quote"
        )
    if at_us // SECOND_US >= state.end_s - EXTEND_BEFORE_S:
        raise Problem("INCOMPATIBLE_STATE", f"too late: a change needs {EXTEND_BEFORE_S} s before the end")
    _same_path(quote, state)
    return ExtendAsked(at_us, extension.begun(
        state, at_us,
        quote=quote.id, path_root=claims.path_root, until_s=claims.window.end_s, total=claims.total,
        pledges=tuple(_pledge(held, quote) for held in quote.held),
        bandwidth_bps=claims.bandwidth_bps if resized else None,
    ))  # fmt: skip


def not_active(state: OrderState, what: str) -> str:
    """Why an order that is not ACTIVE is not changed, and which one took its place."""
    if state.state in TERMINAL and state.replaced_by is not None:
        return f"the order is {state.state}; order {state.replaced_by} took its place"
    return f"the order is {state.state}; only an ACTIVE one {what}"


def wanted_of(quote: StoredQuote, expense: str, rates: RateTable, freed: Money | None = None) -> Wanted:
    """What an order, or a change of it, may come to at most, to be set aside of a budget: its price, and leaving
    everywhere at once, without what it frees of what was set aside before."""
    claims = quote.claims
    added = claims.total.micro + claims.exit_total.micro
    most = Money(claims.total.currency, max(0, added - (freed.micro if freed else 0)))
    return Wanted(id=expense, most=most, rates=rates)


def rates_hash(rates: RateTable) -> str:
    """`rates_h` of a path quote: SHA-256 of the table as JSON with sorted members."""
    return sha256_b64(msgspec.json.encode(rates, order="sorted"))


def _in_time(quote: StoredQuote, now_s: int) -> None:
    if now_s >= quote.claims.exp:
        raise Problem(
            "QUOTE_EXPIRED", f"it was firm until {moment(quote.claims.exp):%Y-%m-%dT%H:%M:%SZ}; ask for a new one"
        )


def _same_path(quote: StoredQuote, state: OrderState) -> None:
    quoted = [(held.operator, held.quote.product) for held in quote.held]
    leased = [(part.operator, leg.product) for part, leg in zip(state.terms.parts, state.legs, strict=True)]
    if quoted != leased:
        raise Problem("INCOMPATIBLE_STATE", "this quote is for other leases than those of the order", field="quote")


def _parts(quote: StoredQuote) -> tuple[Part, ...]:
    return tuple(
        Part(
            operator=held.operator,
            name=view.operator_name,
            sub=held.quote.sub,
            a=view.a,
            z=view.z,
            pledge=_pledge(held, quote),
        )
        for held, view in zip(quote.held, quote.path.segments, strict=True)
    )


def _pledge(held: HeldQuote, quote: StoredQuote) -> Pledge:
    return Pledge(
        quote_id=held.quote_id,
        quote_h=held.quote_h,
        quoted=held.quote.segment,
        amount=held.quote.total,
        held_until=held.quote.exp,
        tariff=held.quote.tariff,
        mandate_h=quote.power.mandate_h if quote.power else None,
        grant_h=held.grant_h,
        decision_h=quote.claims.decision_h,
    )


def _needed(quote: StoredQuote, rates: RateTable) -> RateTable:
    """The rates of the currencies that occur. Raises `Problem` where one is missing."""
    currency = quote.claims.total.currency
    for held in quote.held:
        rates.convert(held.quote.total, currency)
    used = {currency, *(held.quote.total.currency for held in quote.held)}
    return RateTable(rates.date, {name: rates.worth_ppm[name] for name in sorted(used) if name in rates.worth_ppm})
