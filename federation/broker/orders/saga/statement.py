"""The billing statement of an order that is over, written from its state (pure): what `path_bill` sums, and why.

It is a function of the state and the receipts alone, its times included, so it is the same document whenever it is
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from federation.broker.orders.saga.bill import Reckoning, Used, due, reckoned
from federation.broker.orders.saga.claims import JTI_CHARS
from federation.broker.orders.saga.state import Leg, OrderState, Part
from federation.trust.jose import sha256_b64
from schemas.order import Bill
from schemas.price import Money, Tariff
from schemas.segment import Hash, moment
from schemas.statement import STATEMENT_LIFE_S, BillingStatement, StatedSegment, Use

NOTHING = Reckoning((), (), Money("XXX", 0))


def statement_claims(state: OrderState, receipts: Mapping[Hash, str]) -> BillingStatement:
    """The statement of an order with a bill; `receipts` are the last ones of its segments, by their hashes."""
    assert state.bill is not None, "only an order that is over has a statement"
    bills = [leg.bill if state.was_active else None for leg in state.legs]
    found = [reckoned(state, index, bill) if bill else NOTHING for index, bill in enumerate(bills)]
    triples = zip(state.terms.parts, state.legs, found, strict=True)
    tariffs = [used.pledge.tariff for one in found for used in one.used]
    ended_s = int(state.history[-1].at.timestamp())
    return BillingStatement(
        iss=state.terms.issuer,
        sub=state.terms.buyer,
        aud=state.terms.buyer,
        iat=ended_s,
        exp=ended_s + STATEMENT_LIFE_S,
        jti=sha256_b64(f"{state.terms.id}/statement".encode())[:JTI_CHARS],
        order=state.terms.id,
        state=state.state,
        path_root=state.terms.path_root,
        active=state.was_active,
        start=state.bill.start,
        end=state.bill.end,
        segments=tuple(_segment(state, index, one, receipts) for index, one in enumerate(triples)),
        tariffs={tariff_hash(tariff): tariff for tariff in tariffs if tariff},
        rates=state.terms.rates,
        total=state.bill.total,
    )


def tariff_hash(tariff: Tariff) -> Hash:
    """base64url SHA-256 over the tariff as JSON with sorted members."""
    return sha256_b64(msgspec.json.encode(tariff, order="sorted"))


def _segment(
    state: OrderState, index: int, of: tuple[Part, Leg, Reckoning], receipts: Mapping[Hash, str]
) -> StatedSegment:
    part, leg, found = of
    owed = _owed(state, index, leg.bill, part)
    return StatedSegment(
        operator=part.operator,
        product=leg.product,
        state=leg.state,
        receipt_h=leg.receipt_h,
        receipt=receipts.get(leg.receipt_h or ""),
        uses=tuple(_use(used) for used in found.used),
        lines=found.lines,
        claimed=leg.bill.total if leg.bill else None,
        due=owed,
        total=state.terms.rates.convert(owed, state.total.currency),
    )


def _owed(state: OrderState, index: int, bill: Bill | None, part: Part) -> Money:
    if bill is None or not state.was_active:
        return Money(part.pledge.amount.currency, 0)
    return due(state, index, bill)


def _use(used: Used) -> Use:
    assert used.pledge.tariff is not None, "use is reckoned by tariffs"
    return Use(
        quote_h=used.pledge.quote_h,
        tariff_h=tariff_hash(used.pledge.tariff),
        bandwidth_bps=used.pledge.quoted.bandwidth_bps,
        term_s=used.pledge.quoted.window.duration_s,
        start=moment(used.from_s),
        end=moment(used.until_s),
        seconds=used.until_s - used.from_s,
        lines=used.lines,
    )
