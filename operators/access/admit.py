"""What a broker may ask of this operator: one pure answer over bytes, keys and a time, before any handler sees it.

Order of the checks, from cheap to dear; a caller learns from none of them which one failed:
(1) seen before: the same bytes are answered as they were, another document with the same `jti` is refused
(2) who speaks: a member that is believed now, and a broker
(3) the document: signed by the very caller, for us, in time
(4) the token: ours, bound to the caller's certificate, for this caller, this buyer and this mandate
(5) narrowing: what is asked lies within what the token allows
(6) the order names the quote that was held, at its price, for the buyer and under the mandate it was quoted for
(7) endpoints: the UNIs at both ends are the caller's own, or their owners' grants are here
(8) this operator's own policy, where it has one, permits the sale: `selling`

To release and to confirm needs no token: both only carry out what was ordered under one, and what a broker owes must
not hang on a mandate that may have ended (a lease outlives it; nothing may stay up because nobody may end it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from federation.tokens.access import verify_access
from federation.tokens.grant import Asker, check_endpoints, grants_hash, verify_grant
from federation.trust.chain import Member
from federation.trust.jose import doc_hash, unverified, verify_jws
from federation.trust.keys import PublicKey
from operators.access.selling import Selling, Wanted
from schemas.access import AccessToken, Confirmation
from schemas.authority import Authority, Deed
from schemas.grant import EndpointGrant
from schemas.order import Confirm, Order
from schemas.problem import Problem
from schemas.quote import Action, Rfq, SegmentQuote
from schemas.segment import EntityId, Hash, Segment

Claims = TypeVar("Claims", Rfq, Order, Confirm)


class Caller(NamedTuple):
    """Who is at the other end of the connection, as the handshake showed: entity id, and `x5t#S256` of its leaf."""

    entity: EntityId
    x5t: Hash


class Shown(NamedTuple):
    """What a request brings: a document, the caller's access token, and endpoint grants where an end needs them."""

    document: str
    token: str | None = None
    grants: tuple[str, ...] = ()


class Held(NamedTuple):
    """A quote that this operator gave and holds: its claims and hash, and what its rfq named."""

    quote: SegmentQuote
    quote_h: Hash
    mandate_h: Hash | None = None
    grant_h: Hash | None = None


@dataclass(frozen=True)
class Admitted(Generic[Claims]):
    """A document that may be acted on, its hash, the authority behind it; `again`: it was already, answer as before."""

    claims: Claims
    hash: Hash
    access: AccessToken | None = None
    again: bool = False


@dataclass(frozen=True)
class Admission:
    """What this operator knows when it is asked.

    `keys` verify its own tokens; `member` finds who is believed at a time; `owners` are the UNIs that belong to others,
    `owner_keys` finds what verifies their grants at a time; `seen` finds the hash of a document by issuer and `jti`, if
    it had an effect; `selling` holds its own policy, without which it sells to every broker that is served.
    """

    me: EntityId
    keys: Mapping[str, PublicKey]
    member: Callable[[EntityId, int], Member]
    owners: Mapping[str, EntityId]
    owner_keys: Callable[[EntityId, int], Mapping[str, PublicKey]]
    seen: Callable[[EntityId, str], Hash | None]
    selling: Selling | None = None

    def rfq(self, shown: Shown, caller: Caller, now: int) -> Admitted[Rfq]:
        """An rfq under a token. Raises `Problem`."""
        if again := self._again(shown, caller, Rfq):
            return again
        rfq = self._document(shown, caller, Rfq, now)
        access = self._access(shown, caller, rfq, now)
        within(access.authorization_details[0], Deed.QUOTE, rfq.segment, self.me, now)
        self._endpoints(shown, rfq, now)
        self.check_sale(Wanted.of(rfq), now)
        return Admitted(rfq, doc_hash(shown.document), access)

    def order(self, shown: Shown, caller: Caller, held: Callable[[Hash], Held | None], now: int) -> Admitted[Order]:
        """An order: under a token, for a quote that is held; to release, the document alone. Raises `Problem`."""
        if again := self._again(shown, caller, Order):
            return again
        order = self._document(shown, caller, Order, now)
        if order.action is Action.RELEASE:
            return Admitted(order, doc_hash(shown.document))
        access = self._access(shown, caller, order, now)
        quoted = _quoted(order, caller, held)
        authority = access.authorization_details[0]
        deed = Deed.ORDER if order.action is Action.ADD else Deed.EXTEND
        within(authority, deed, quoted.quote.segment, self.me, now)
        affordable(authority, order)
        return Admitted(order, doc_hash(shown.document), access)

    def confirm(self, shown: Shown, caller: Caller, now: int) -> Admitted[Confirm]:
        """A confirm: the document alone. Raises `Problem`."""
        if again := self._again(shown, caller, Confirm):
            return again
        return Admitted(self._document(shown, caller, Confirm, now), doc_hash(shown.document))

    def check_sale(self, wanted: Wanted, now: int) -> None:
        """That this operator's own policy permits it, where it has one. Raises `POLICY_DENIED`."""
        if self.selling is not None:
            self.selling.check(wanted, now)

    def _again(self, shown: Shown, caller: Caller, kind: type[Claims]) -> Admitted[Claims] | None:
        """A document that had an effect was verified then: it is answered even after it has expired."""
        claims = unverified(shown.document, kind)
        before = self.seen(caller.entity, claims.jti)
        if before is None:
            return None
        found = doc_hash(shown.document)
        if before != found:
            raise Problem("IDEMPOTENCY_CONFLICT", "another document of yours had the same jti", field="jti")
        return Admitted(claims, found, again=True)

    def _document(self, shown: Shown, caller: Caller, kind: type[Claims], now: int) -> Claims:
        member = self.member(caller.entity, now)
        if member.metadata.connectivity_broker is None:
            raise Problem("POLICY_DENIED", f"{caller.entity} is no broker")
        return verify_jws(shown.document, kind, member.keys, now=now, iss=caller.entity, aud=self.me)

    def _access(self, shown: Shown, caller: Caller, claims: Rfq | Order, now: int) -> AccessToken:
        if shown.token is None:
            raise Problem("UNAUTHENTICATED", "an access token of this operator is missing")
        bound = Confirmation(x5t=caller.x5t)
        access = verify_access(shown.token, self.keys, me=self.me, bound=bound, now=now)
        same = {
            "client_id": access.client_id == caller.entity,
            "sub": access.sub == claims.sub,
            "mandate_h": access.mandate_h == claims.mandate_h,
        }
        for name, agrees in same.items():
            if not agrees:
                raise Problem("POLICY_DENIED", f"the token is for another {name}", field=name)
        return access

    def _endpoints(self, shown: Shown, rfq: Rfq, now: int) -> None:
        if rfq.grant_h != grants_hash(shown.grants):
            raise Problem("DOCUMENT_INVALID", "grant_h is not the hash of the grants that came along", field="grant_h")
        grants = [self._grant(token, now) for token in shown.grants]
        check_endpoints(rfq.segment, self.owners, Asker(rfq.iss, rfq.sub), grants)

    def _grant(self, token: str, now: int) -> EndpointGrant:
        return verify_grant(token, lambda owner: self.owner_keys(owner, now), operator=self.me, now=now)


def within(authority: Authority, deed: Deed, segment: Segment, me: EntityId, now: int) -> None:
    """What is asked lies within the authority. Raises `POLICY_DENIED` naming the axis."""
    allowed = {
        "actions": deed in authority.actions,
        "locations": authority.locations is not None and me in authority.locations,
        "max_bandwidth_bps": segment.bandwidth_bps <= authority.max_bandwidth_bps,
        "spend.until": now < authority.spend.until,
    }
    for axis, holds in allowed.items():
        if not holds:
            raise Problem("POLICY_DENIED", f"the authority does not reach so far: {axis}", field=axis)


def affordable(authority: Authority, order: Order) -> None:
    """The order's amount is within what one order may cost, in the same currency. Raises `POLICY_DENIED`."""
    spend, amount = authority.spend, order.amount
    if amount is None or amount.currency != spend.ccy or amount.micro > min(spend.per_order_micro, spend.total_micro):
        raise Problem("POLICY_DENIED", "the authority does not reach so far: spend", field="amount")


def _quoted(order: Order, caller: Caller, held: Callable[[Hash], Held | None]) -> Held:
    """The quote behind an order, which repeats what was quoted. Raises `HOLD_LOST`, `DOCUMENT_INVALID`."""
    found = held(order.quote_h) if order.quote_h else None
    if found is None or found.quote.aud != caller.entity:
        raise Problem("HOLD_LOST", "the order names no quote that is held for you", field="quote_h")
    same = {
        "sub": order.sub == found.quote.sub,
        "action": order.action is found.quote.action,
        "product": order.product == found.quote.product,
        "amount": order.amount == found.quote.total,
        "mandate_h": order.mandate_h == found.mandate_h,
        "grant_h": order.grant_h == found.grant_h,
        "path_root": order.path_root is not None,
    }
    for name, agrees in same.items():
        if not agrees:
            raise Problem("DOCUMENT_INVALID", f"{name} is not that of the quote", field=name)
    return found
