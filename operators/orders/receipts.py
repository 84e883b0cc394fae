"""Receipts: what an order, a confirm or time itself came to, signed, each naming the one before."""

from __future__ import annotations

from msgspec import structs

from operators.access.signer import Signer
from operators.orders.fsm import Lease
from operators.orders.keeping import Document
from schemas.lease import State
from schemas.order import RECEIPT_LIFE_S, Receipt
from schemas.segment import Hash


def receipted(
    signer: Signer,
    lease: Lease,
    *,
    follows: Hash | None = None,
    answers: Hash | None = None,
    at: int | None = None,
) -> tuple[Lease, list[Document]]:
    """The lease with a receipt for its present state, and the document; a plain buyer's lease gets none.

    `follows` is the hash of the confirm that brought it there, otherwise the receipt before; `answers` the order that
    it answers where the lease itself no longer says. `at` is when the lease came there, Unix seconds, otherwise now: a
    change of bandwidth counts from the time of its receipt.
    """
    answered = answers or _order(lease)
    if answered is None:
        return lease, []
    now, waiting = signer.clock.now() if at is None else at, lease.amendment
    waits = lease.state in {State.COMMITTED, State.UP}
    deadline = waiting.confirm_by if waiting else lease.confirm_by if waits else None
    claims = Receipt(
        iss=signer.entity,
        sub=lease.buyer,
        aud=lease.broker,
        iat=now,
        exp=now + RECEIPT_LIFE_S,
        jti=signer.entropy.token(),
        order_h=answered,
        quote_h=waiting.quote_h if waiting else lease.quote_h,
        prev_h=follows or lease.receipt_h,
        product=lease.id,
        state=lease.state,
        segment=lease.segment,
        confirm_by=deadline,
        bill=lease.bill,
    )
    signed = signer.sign(claims)
    kept = structs.replace(lease, receipt=signed.token, receipt_h=signed.hash)
    return kept, [Document(signed.hash, lease.broker, signed.token)]


def _order(lease: Lease) -> Hash | None:
    """The order that the present state answers: the release, the change that waits, or the one in force."""
    if lease.release_h is not None:
        return lease.release_h
    return lease.amendment.order_h if lease.amendment else lease.order_h
