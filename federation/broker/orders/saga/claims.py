"""The documents of an order, written from its state; the shell signs them.

A `jti` follows from the order, the segment, the extension and the purpose, so the same intention has the same `jti`
after any crash. Orders and confirms are never written anew: they live as long as the time within which they count.
A release that grew old is written again with the next `jti`: it is legal in every state and answers the present one,
so it needs no asking before.
"""

from __future__ import annotations

from federation.broker.orders.saga.pace import CONFIRM_LIFE_S, ORDER_LIFE_S
from federation.broker.orders.saga.state import OrderState, Sent
from federation.trust.jose import sha256_b64
from schemas.order import Confirm, Order
from schemas.quote import Action
from schemas.segment import Hash

JTI_CHARS = 22


def jti(state: OrderState, leg: int, purpose: str, change: int, n: int = 0) -> str:
    """The id of a document: 128 bits of a hash over the order's own unpredictable id and what the document is for."""
    return sha256_b64(f"{state.terms.id}/{leg}/{purpose}/{change}/{n}".encode())[:JTI_CHARS]


def order_claims(state: OrderState, leg: int, change: int) -> Order:
    """The order for a segment, or the one that extends it."""
    part, sent = state.terms.parts[leg], _order_sent(state, leg, change)
    extension = state.extension if change else None
    pledge = extension.pledges[leg] if extension else part.pledge
    return Order(
        iss=state.terms.issuer,
        sub=part.sub,
        aud=part.operator,
        iat=sent.iat,
        exp=sent.iat + ORDER_LIFE_S,
        jti=jti(state, leg, "order", change),
        action=Action.MODIFY if extension else Action.ADD,
        quote_h=pledge.quote_h,
        product=state.legs[leg].product if extension else None,
        path_root=extension.path_root if extension else state.terms.path_root,
        amount=pledge.amount,
        confirm_by=extension.confirm_by if extension else state.confirm_by,
        mandate_h=pledge.mandate_h,
        decision_h=pledge.decision_h,
        grant_h=pledge.grant_h,
    )


def confirm_claims(state: OrderState, leg: int, change: int) -> Confirm:
    """The confirm of a segment, or of its extension."""
    extension = state.extension if change else None
    sent = extension.steps[leg].confirm if extension else state.legs[leg].confirm
    path_root = extension.path_root if extension else state.terms.path_root
    return _confirm(state, leg, sent, jti(state, leg, "confirm", change), path_root)


def back_claims(state: OrderState, leg: int) -> Confirm:
    """The confirm that takes another bandwidth back where it was confirmed."""
    extension = state.extension
    assert extension is not None, "what is taken back is under way"
    sent = extension.steps[leg].back
    number = sent.n if sent else 0
    return _confirm(state, leg, sent, jti(state, leg, "back", extension.number, number), extension.path_root)


def release_claims(state: OrderState, leg: int) -> Order:
    """The release of a segment."""
    part, lease = state.terms.parts[leg], state.legs[leg]
    assert lease.release is not None, "a release is journaled before it is written"
    return Order(
        iss=state.terms.issuer,
        sub=part.sub,
        aud=part.operator,
        iat=lease.release.iat,
        exp=lease.release.iat + ORDER_LIFE_S,
        jti=jti(state, leg, "release", 0, lease.release.n),
        action=Action.RELEASE,
        product=lease.product,
        prev_h=lease.release.prev_h,
        void=lease.release.void,
    )


def _confirm(state: OrderState, leg: int, sent: Sent | None, name: str, path_root: Hash) -> Confirm:
    part, product = state.terms.parts[leg], state.legs[leg].product
    assert sent is not None, "a confirm is journaled before it is written"
    assert sent.order_h is not None, "a confirm follows an order"
    assert sent.prev_h is not None, "a confirm follows a receipt"
    assert product is not None, "a receipt names the product"
    return Confirm(
        iss=state.terms.issuer,
        sub=part.sub,
        aud=part.operator,
        iat=sent.iat,
        exp=sent.iat + CONFIRM_LIFE_S,
        jti=name,
        order_h=sent.order_h,
        prev_h=sent.prev_h,
        path_root=path_root,
        product=product,
        void=sent.void,
    )


def _order_sent(state: OrderState, leg: int, change: int) -> Sent:
    if not change:
        return state.legs[leg].order
    assert state.extension is not None, "an extension's order belongs to the extension under way"
    return state.extension.steps[leg].order
