"""An operator's admission with everything in order: a broker, its token, an rfq, the quote held for it, an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from federation.tokens.access import Holder, issue_access
from federation.tokens.grant import grants_hash
from federation.tokens.narrows import passed_on, slice_for
from federation.trust.chain import Member
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import PublicKey
from operators.access.admit import Admission, Caller, Held, Shown
from schemas.access import Actor, Confirmation
from schemas.authority import Authority
from schemas.entity import BrokerMetadata, Jwks, Metadata
from schemas.order import Order
from schemas.price import Line, Money, Tariff
from schemas.problem import Problem
from schemas.quote import Action, Rfq, SegmentQuote
from schemas.segment import End, Promise, Segment, window
from tests.support.authority import AUTHORITY, BROKER, OPERATOR, OWNER, RATES, Cast
from tests.support.seams import NOW

X5T = "c" * 43
BUYER_THERE = "buyer-pseudonym"
SEGMENT = Segment(
    a=End("uni-utrecht", 100),
    z=End("enni-utrecht--kpn-utrecht", 201),
    bandwidth_bps=10**10,
    window=window(NOW, NOW + 7200),
    route_class="eu",
)
TOTAL = Money("CHF", 6_300_000)


class Gatehouse:
    """Makes what a broker shows, and the admission that looks at it; every part can be made otherwise."""

    def __init__(self) -> None:
        self.cast = Cast()
        self.mandate_h = doc_hash(self.cast.mandate())
        self.seen: dict[tuple[str, str], str] = {}
        self.believed = {BROKER, OPERATOR}
        self.held_quotes: dict[str, Held] = {}
        self.admission = Admission(
            me=OPERATOR,
            keys=self.cast.keys_of(OPERATOR),
            member=self.member,
            owners={"uni-utrecht": OWNER},
            owner_keys=self.owner_keys,
            seen=lambda iss, jti: self.seen.get((iss, jti)),
        )
        self.caller = Caller(BROKER, X5T)

    def member(self, entity: str, now: int) -> Member:
        """A believed member, as a trust domain finds it."""
        if entity not in self.believed or now >= NOW + 86400:
            raise Problem("NOT_FOUND", f"{entity} is no member of this trust domain")
        key = self.cast.keys[entity]
        role = BrokerMetadata(endpoint=entity, jwks=Jwks((key.jwk(),))) if entity != OPERATOR else None
        keys = {key.kid: self._public(entity)}
        return Member(entity, entity, Metadata(connectivity_broker=role), keys, NOW + 86400)

    def owner_keys(self, entity: str, now: int) -> Mapping[str, PublicKey]:
        """Keys of UNI owners."""
        return self.cast.keys_of(entity)

    def _public(self, entity: str) -> PublicKey:
        return self.cast.keys[entity].key.public_key()

    def token(self, authority: Authority | None = None, *, now: int = NOW, issuer: str = OPERATOR, **at: Any) -> str:
        """An access token of the operator for the broker."""
        given = {"client": BROKER, "sub": BUYER_THERE, "x5t": X5T, "mandate_h": self.mandate_h} | at
        holder = Holder(given["client"], given["sub"], Confirmation(x5t=given["x5t"]), Actor(sub=BROKER))
        return issue_access(
            self.cast.issuer(issuer),
            holder,
            authority or operator_authority(),
            mandate_h=given["mandate_h"],
            txn="txn-1",
            now=now,
            life_s=120,
        )

    def rfq(self, grants: tuple[str, ...] = (), signer: str = BROKER, **changes: Any) -> str:
        """An rfq for the segment."""
        claims = Rfq(
            iss=BROKER,
            sub=BUYER_THERE,
            aud=OPERATOR,
            iat=NOW,
            exp=NOW + 60,
            jti=self.cast.jti(),
            segment=SEGMENT,
            mandate_h=self.mandate_h,
            grant_h=grants_hash(grants),
        )
        return sign_jws(self.cast.keys[signer], structs.replace(claims, **changes))

    def held(self, rfq: str, action: Action = Action.ADD, **changes: Any) -> Held:
        """The quote that the operator gave for an rfq, and holds."""
        claims = SegmentQuote(
            iss=OPERATOR,
            sub=BUYER_THERE,
            aud=BROKER,
            iat=NOW,
            exp=NOW + 30,
            jti=self.cast.jti(),
            rfq_h=doc_hash(rfq),
            action=action,
            segment=SEGMENT,
            promise=Promise(latency_us=900),
            tariff=Tariff(currency="CHF", hourly_micro=1),
            lines=(Line("port", TOTAL.micro),),
            total=TOTAL,
            held=True,
        )
        quote = structs.replace(claims, **changes)
        quote_h = doc_hash(sign_jws(self.cast.keys[OPERATOR], quote))
        self.held_quotes[quote_h] = Held(quote, quote_h, self.mandate_h)
        return self.held_quotes[quote_h]

    def order(self, held: Held, signer: str = BROKER, **changes: Any) -> str:
        """An order for a held quote."""
        claims = Order(
            iss=BROKER,
            sub=BUYER_THERE,
            aud=OPERATOR,
            iat=NOW,
            exp=NOW + 60,
            jti=self.cast.jti(),
            action=held.quote.action,
            quote_h=held.quote_h,
            product=held.quote.product,
            path_root="r" * 43,
            amount=held.quote.total,
            mandate_h=held.mandate_h,
            grant_h=held.grant_h,
        )
        return sign_jws(self.cast.keys[signer], structs.replace(claims, **changes))

    def shown(self, document: str, **changes: Any) -> Shown:
        """A document with a good token."""
        return Shown(document, self.token())._replace(**changes)


def operator_authority(**changes: Any) -> Authority:
    """What a token of the operator allows in the end: three hops below the mandate."""
    slice_ = passed_on(slice_for(passed_on(AUTHORITY), OPERATOR, "CHF", RATES))
    return structs.replace(slice_, **changes)
