"""The golden vectors of `schemas/vectors`: one signed document of every typ, made from a published test key.

`python -m tests.support.vectors` writes the file anew; do so only when a format changes on purpose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from federation.trust.jose import doc_hash, sha256_b64, sign_jws
from federation.trust.keys import load_private
from federation.trust.merkle import merkle_root, path_root
from federation.trust.status import status_bits
from schemas.decision import Decision, Judged, Part, Policy, PolicyRef
from schemas.entity import (
    FACTS_MARK,
    EntityStatement,
    FederationEntity,
    HistoricalKey,
    HistoricalKeys,
    Jwks,
    MarkStatus,
    Metadata,
    OperatorMetadata,
    Revoked,
    StatusList,
    TrustMark,
)
from schemas.interface import Interface, InterfaceKind, Peer
from schemas.jurisdiction import Attestation, ClassFacts
from schemas.lease import State
from schemas.offer import ClassTerms, Delta, Disclosure, Manifest, Offer, Page
from schemas.order import Bill, Confirm, Order, Receipt
from schemas.price import Line, Money, RateTable, Tariff, TimeBand, usage
from schemas.quote import Action, PathQuote, QuotedSegment, Rfq, SegmentQuote
from schemas.segment import End, Limits, Promise, Segment, moment, window
from schemas.statement import BillingStatement, StatedSegment, Use
from schemas.token import TYP_OF
from tests.support.authority_vectors import authority

PATH: Final = Path(__file__).parents[2] / "schemas" / "vectors" / "documents.json"
NOW: Final = 1_795_000_000
SECRET: Final = "yab2Dv0Qy6cSzMSkJMfVPA5Vuf0H0BLUlHZCzcFnHmY"  # published on purpose: it signs nothing else
KEY: Final = load_private(msgspec.json.encode({"kty": "EC", "crv": "P-256", "d": SECRET}), "vector key")
BROKER, OPERATOR, AUDITOR = "https://broker.example", "https://surf.example", "https://auditor.example"
ANCHOR = "https://anchor.example"
HASH: Final = "A" * 43

SEGMENT = Segment(
    a=End("uni-utrecht", 100),
    z=End("enni-utrecht--kpn-utrecht", 201),
    bandwidth_bps=10**10,
    mtu=9000,
    window=window(NOW, NOW + 7200),
    route_class="eu",
)
TARIFF = Tariff(
    currency="EUR",
    set_up_micro=5_000_000,
    hourly_micro=250_000,
    gbps_hourly_micro=40_000,
    zone="Europe/Amsterdam",
    bands=(TimeBand(480, 1080, 1_200_000, (1, 2, 3, 4, 5)),),
)
PROMISE = Promise(latency_us=910, jitter_us=40, loss_ppb=1000, availability_ppb=999_950_000, carbon_mg_gb=12)
TOTAL = Money("EUR", 6_300_000)
LINES = (Line("set_up", 5_000_000), Line("port", 500_000), Line("bandwidth", 800_000))


def _parties(iss: str, aud: str, life_s: int) -> dict[str, Any]:
    return {"iss": iss, "sub": "buyer-pseudonym", "aud": aud, "iat": NOW, "exp": NOW + life_s, "jti": "j" * 22}


def _published(life_s: int) -> dict[str, Any]:
    return {"iss": OPERATOR, "iat": NOW, "exp": NOW + life_s, "jti": "j" * 22}


def _entity() -> EntityStatement:
    role = OperatorMetadata(
        sonata_endpoint="https://surf.example/mefApi/sonata",
        mesh_endpoint="surf.example:8443",
        documents_endpoint="https://surf.example/peerway/v1/documents",
        jwks=Jwks((KEY.jwk(),)),
    )
    return EntityStatement(
        iss=OPERATOR,
        sub=OPERATOR,
        iat=NOW,
        exp=NOW + 86400,
        jwks=Jwks((KEY.jwk(),)),
        metadata=msgspec.to_builtins(
            Metadata(federation_entity=FederationEntity(organization_name="SURF"), connectivity_operator=role)
        ),
        authority_hints=(ANCHOR,),
    )


def _offers() -> tuple[Interface, ClassTerms, Offer]:
    interface = Interface(
        id="enni-utrecht--kpn-utrecht",
        kind=InterfaceKind.ENNI,
        name="Utrecht, KPN",
        city="Utrecht",
        country="NL",
        lat_udeg=52_090_000,
        lon_udeg=5_120_000,
        speed_bps=10**11,
        mtu=9000,
        labels="2-4094",
        peer=Peer("https://kpn.example", "enni-utrecht--surf-utrecht"),
        latency_us=1,
        free=((NOW, 10**11),),
    )
    offer = Offer(
        id="o1",
        a="uni-utrecht",
        z=interface.id,
        route_class="eu",
        hourly_micro=250_000,
        gbps_hourly_micro=40_000,
        promise=PROMISE,
        free=((NOW, 4 * 10**11), (NOW + 3600, 3 * 10**11)),
    )
    return interface, ClassTerms(id="eu", set_up_micro=5_000_000), offer


def _statements() -> list[msgspec.Struct]:
    """One of everything that says who is who."""
    attest = Attestation(
        legal_domicile=("NL",), controlling_parents=("NL",), classes={"eu": ClassFacts(countries=("NL", "DE"))}
    )
    mark = TrustMark(
        iss=AUDITOR, sub=OPERATOR, iat=NOW, exp=NOW + 30 * 86400, trust_mark_type=FACTS_MARK, attest=attest
    )
    bits = StatusList(
        iss=AUDITOR, sub=f"{AUDITOR}/status", iat=NOW, exp=NOW + 3600, ttl=300, status_list=status_bits({3, 17}, 64)
    )
    answer = MarkStatus(iss=AUDITOR, iat=NOW, exp=NOW + 3600, trust_mark=sign_jws(KEY, mark), status="active")
    past = HistoricalKey(
        **msgspec.to_builtins(KEY.jwk()), iat=NOW - 86400, exp=NOW, revoked=Revoked(revoked_at=NOW, reason="superseded")
    )
    history = HistoricalKeys(iss=ANCHOR, iat=NOW, exp=NOW + 86400, keys=(past,))
    return [_entity(), mark, bits, answer, history]


def documents() -> list[msgspec.Struct]:
    """One of every signed document, chained as in a purchase."""
    interface, terms, offer = _offers()
    rfq = Rfq(**_parties(BROKER, OPERATOR, 120), segment=SEGMENT, limits=Limits(latency_us=2000))
    quote = SegmentQuote(
        **_parties(OPERATOR, BROKER, 30),
        rfq_h=doc_hash(sign_jws(KEY, rfq)),
        action=Action.ADD,
        segment=SEGMENT,
        promise=PROMISE,
        tariff=TARIFF,
        lines=LINES,
        total=TOTAL,
        held=True,
    )
    quote_jws = sign_jws(KEY, quote)
    quote_h = doc_hash(quote_jws)
    root = path_root([quote_h])
    path = PathQuote(
        **_parties(BROKER, "buyer", 29),
        intent_h=HASH,
        window=SEGMENT.window,
        bandwidth_bps=SEGMENT.bandwidth_bps,
        path=(QuotedSegment(operator=OPERATOR, quote_h=quote_h, quote=quote_jws, total=TOTAL),),
        path_root=root,
        promise=PROMISE,
        total=TOTAL,
        exit_total=Money("EUR", 0),
        rates_h=HASH,
    )
    order = Order(
        **_parties(BROKER, OPERATOR, 60),
        action=Action.ADD,
        quote_h=quote_h,
        path_root=root,
        amount=TOTAL,
        confirm_by=NOW + 60,
    )
    order_h = doc_hash(sign_jws(KEY, order))
    receipt = Receipt(
        **_parties(OPERATOR, BROKER, 86400),
        order_h=order_h,
        quote_h=quote_h,
        prev_h=None,
        product="product-1",
        state=State.RELEASED,
        segment=SEGMENT,
        bill=Bill(start=moment(NOW), end=moment(NOW + 7200), lines=LINES, total=TOTAL),
    )
    receipt_h = doc_hash(sign_jws(KEY, receipt))
    confirm = Confirm(
        **_parties(BROKER, OPERATOR, 60), order_h=order_h, prev_h=receipt_h, path_root=root, product="product-1"
    )
    page = msgspec.json.encode(Page(7, 0, (interface, terms, offer)))
    manifest = Manifest(
        **_published(86400),
        version=7,
        currency="EUR",
        disclosure=Disclosure.MESH,
        pages=1,
        root=merkle_root([page]),
    )
    delta = Delta(**_published(3600), from_version=7, to_version=8, put=(offer,), drop=(("offer", "o2"),))
    purchase = [manifest, delta, rfq, quote, path, order, receipt, confirm, *_decided(quote_h, root)]
    purchase.append(_stated(receipt, quote_h, root))
    return [*_statements(), *purchase, *authority(KEY, NOW)]


def _stated(receipt: Receipt, quote_h: str, root: str) -> BillingStatement:
    """What it came to: the operator bills less than its tariff comes to, and that counts."""
    token, begin_s, end_s = sign_jws(KEY, receipt), SEGMENT.window.start_s, SEGMENT.window.end_s
    tariff_h = sha256_b64(msgspec.json.encode(TARIFF, order="sorted"))
    use = Use(
        quote_h=quote_h,
        tariff_h=tariff_h,
        bandwidth_bps=SEGMENT.bandwidth_bps,
        term_s=end_s - begin_s,
        start=moment(begin_s),
        end=moment(end_s),
        seconds=end_s - begin_s,
        lines=usage(TARIFF, SEGMENT.bandwidth_bps, begin_s, end_s, end_s - begin_s),
    )
    segment = StatedSegment(
        operator=OPERATOR,
        product=receipt.product,
        state=receipt.state,
        receipt_h=doc_hash(token),
        receipt=token,
        uses=(use,),
        lines=(Line("set_up", TARIFF.set_up_micro), Line("minimum", 0), Line("exit", 0)),
        claimed=TOTAL,
        due=TOTAL,
        total=TOTAL,
    )
    return BillingStatement(
        **_parties(BROKER, "buyer", 86400) | {"sub": "buyer"},
        order="o" * 22,
        state=State.RELEASED,
        path_root=root,
        active=True,
        start=moment(begin_s),
        end=moment(end_s),
        segments=(segment,),
        tariffs={tariff_h: TARIFF},
        rates=RateTable("2026-11-02", {}),
        total=TOTAL,
    )


def _decided(quote_h: str, root: str) -> list[msgspec.Struct]:
    """What the path was decided by: a buyer's own policy, and the decision."""
    text = "permit (principal, action, resource);"
    judged = Judged(part=Part.CARRY, entity=OPERATOR, route_class="eu", quote_h=quote_h, marks=(HASH,), facts_h=HASH)
    decision = Decision(
        **_parties(BROKER, BROKER, 86400) | {"sub": BROKER},
        policies=(PolicyRef(name="acme-open", policy_h=sha256_b64(text.encode())),),
        schema_h=HASH,
        data_class="EU-health",
        judged=(judged,),
        countries=("NL", "DE"),
        sea=False,
        path_root=root,
        at=NOW,
    )
    return [decision, Policy(iss="https://buyer.example", iat=NOW, exp=NOW + 86400, name="acme-open", cedar=text)]


def vectors() -> dict[str, Any]:
    """The file's content."""
    signed = {
        TYP_OF[type(claims)]: {"claims": msgspec.to_builtins(claims), "token": token, "hash": doc_hash(token)}
        for claims in documents()
        for token in [sign_jws(KEY, claims)]
    }
    key = msgspec.to_builtins(KEY.jwk()) | {"d": SECRET}
    return {
        "now": NOW,
        "private_jwk": key,
        "path_root_of_A_and_B": path_root(["A" * 43, "B" * 43]),
        "documents": signed,
    }


if __name__ == "__main__":
    PATH.write_bytes(msgspec.json.format(msgspec.json.encode(vectors()), indent=1) + b"\n")
