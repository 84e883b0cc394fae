"""What is signed in a purchase: from the mandate to the release, over some operators, with one extension if asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import structs

from federation.evidence.verify.narrowing import house_hash
from federation.policy.engine import schema_h
from federation.policy.facts import Subject, facts_h, manager, subject
from federation.tokens.grant import grants_hash
from federation.tokens.narrows import passed_on, slice_for
from federation.trust.issue import STATUS_LIFE_S, STATUS_TTL_S
from federation.trust.jose import doc_hash, sha256_b64, sign_jws
from federation.trust.keys import PrivateKey
from federation.trust.merkle import path_root
from federation.trust.status import status_bits
from schemas.access import AccessToken, Actor, Confirmation, DelegationGrant
from schemas.authority import AUTHORITY_TYPE, Authority, Deed, Spend
from schemas.decision import Decision, Judged, Part, Policy, PolicyRef
from schemas.entity import FACTS_MARK, Status, StatusIndex, StatusList, TrustMark
from schemas.evidence import House, PolicyText
from schemas.grant import EndpointGrant
from schemas.intent import Intent
from schemas.lease import State
from schemas.mandate import AgentKey, Mandate
from schemas.order import Bill, Confirm, Order, Receipt
from schemas.policy.texts import shipped
from schemas.price import Money, RateTable, Tariff, charge, total
from schemas.quote import Action, PathQuote, QuotedSegment, Rfq, SegmentQuote
from schemas.segment import End, Limits, Promise, Segment, moment, window
from tests.support.evidence.cast import (
    AUDITOR,
    BROKER,
    BUYER,
    COUNTRIES,
    MARK_TYPE,
    OPERATORS,
    OWNER,
    STATUS,
    ends_of,
    facts_of,
    key_of,
    later,
)
from tests.support.evidence.stated import statement_of
from tests.support.seams import NOW

RATES = RateTable("2026-11-02", {"EUR": 1_000_000, "CHF": 1_068_000})
OWN_POLICY = """@id("acme.v1")
permit (principal is Buyer, action in [Action::"carry", Action::"arrange", Action::"manage"], resource)
when { context.now < resource.evidence_exp };
"""
MARK_LIFE_S = 30 * 86400
Bend = Callable[[Any], Any]


@dataclass(frozen=True)
class Plan:
    """What is bought, and what is changed in it: `bends` by the name of a document, `forged` are names of documents
    that a stranger signs."""

    operators: int = 3
    mandated: bool = True
    extended: bool = False
    lapsed: bool = False  # the extension is ordered at the first operator, and never confirmed
    released: bool = True
    policies: tuple[str, ...] = ("acme", "eu-health")
    data_class: str | None = "EU-health"
    bends: Mapping[str, Bend] = field(default_factory=dict)
    forged: frozenset[str] = frozenset()


@dataclass
class Papers:
    """Everything signed, by name."""

    plan: Plan
    tokens: dict[str, str] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    house: House | None = None
    rounds: int = 0

    def sign(self, name: str, key: PrivateKey, claims: Any) -> str:
        """Sign a document under a name; returns its hash."""
        bent = self.plan.bends.get(name, lambda same: same)(claims)
        signer = key_of("https://stranger.example") if name in self.plan.forged else key
        self.claims[name], self.tokens[name] = bent, sign_jws(signer, bent)
        return self.hash(name)

    def hash(self, name: str) -> str:
        return doc_hash(self.tokens[name])

    def bent(self, name: str, value: Any) -> Any:
        """Something unsigned, with its bend."""
        return self.plan.bends.get(name, lambda same: same)(value)

    def named(self, *prefixes: str) -> tuple[str, ...]:
        """The documents whose names begin so."""
        return tuple(token for name, token in self.tokens.items() if name.startswith(prefixes))


def papers(plan: Plan) -> Papers:
    """Sign everything of a purchase."""
    made = Papers(plan)
    _marks(made)
    _authority(made)
    _policies(made)
    Purchase(made).run()
    return made


def _parties(  # noqa: PLR0917 - the claims in their order
    iss: str, aud: str, at: int, life_s: int, jti: str, sub: str
) -> dict[str, Any]:
    return {"iss": iss, "sub": sub, "aud": aud, "iat": at, "exp": at + life_s, "jti": f"{jti:_<22}"[:40]}


def pseudonym(operator: str) -> str:
    return f"buyer-at-{operator.removeprefix('https://')}"


def _marks(made: Papers) -> None:
    key = key_of(f"{AUDITOR} federation")
    times: dict[str, Any] = {"iss": AUDITOR, "iat": later(-86400), "exp": later(-86400) + MARK_LIFE_S}
    for index, entity in enumerate((*OPERATORS[: made.plan.operators], BROKER)):
        facts = made.bent(f"facts:{entity}", facts_of(entity))
        status = Status(status_list=StatusIndex(idx=index, uri=STATUS))
        mark = TrustMark(**times, sub=entity, trust_mark_type=FACTS_MARK, attest=facts, status=status)
        made.sign(f"mark:{entity}", key, mark)
    plain = TrustMark(**times, sub=OPERATORS[0], trust_mark_type=MARK_TYPE)
    made.sign(f"mark:{OPERATORS[0]}:carrier", key, plain)
    for name, at in [("status", -60)] + [("status-later", 540)] * made.plan.extended:
        bits = StatusList(
            iss=AUDITOR,
            sub=STATUS,
            iat=later(at),
            exp=later(at) + (STATUS_LIFE_S if name == "status-later" else 600),
            ttl=STATUS_TTL_S,
            status_list=status_bits({40}, 64),
        )
        made.sign(name, key, bits)


def authority() -> Authority:
    """What the buyer allows."""
    return Authority(
        type=AUTHORITY_TYPE,
        actions=tuple(Deed),
        max_bandwidth_bps=10**11,
        jurisdictions=tuple(sorted({name for pair in COUNTRIES for name in pair})),
        data_class="EU-health",
        excluded_regimes=("US-CLOUD-ACT",),
        spend=Spend(ccy="EUR", per_order_micro=90_000_000, total_micro=200_000_000, until=later(86400)),
        max_hops=6,
        depth=3,
    )


def _authority(made: Papers) -> None:
    if not made.plan.mandated:
        allowed = made.bent("house", structs.replace(authority(), depth=2))
        made.house = House(buyer=BUYER, authority=allowed)
    else:
        claims = Mandate(
            **_parties(BUYER, BROKER, later(-7200), 86400, "mandate", "agent-7"),
            cnf=AgentKey(key_of("agent").kid),
            authorization_details=(authority(),),
        )
        made.sign("mandate", key_of(BUYER), claims)
    grant = EndpointGrant(
        **_parties(OWNER, OPERATORS[0], later(-7200), 86400, "grant", BROKER),
        uni=ends_of(0)[0],
        bandwidth_bps=10**10,
        window=window(later(-7200), later(86400)),
    )
    made.sign("grant", key_of(OWNER), grant)


def _policies(made: Papers) -> None:
    if "acme" in made.plan.policies:
        claims = Policy(iss=BUYER, iat=later(-7200), exp=later(86400), name="acme", cedar=OWN_POLICY)
        made.sign("policy:acme", key_of(BUYER), claims)


def policy_texts(made: Papers) -> tuple[PolicyText, ...]:
    """The policies of the plan."""
    texts = dict(shipped()) | {"acme": OWN_POLICY}
    return tuple(
        PolicyText(name=name, cedar=texts[name], signed=made.tokens.get(f"policy:{name}"))
        for name in made.plan.policies
    )


def intent_of(plan: Plan) -> Intent:
    """What the buyer asked for."""
    return Intent(
        a="Amsterdam",
        z="Marseille",
        bandwidth_bps=10**10,
        duration_s=3600,
        limits=Limits(latency_us=200_000),
        budget=Money("EUR", 500_000_000),
        policy=plan.policies[-1] if plan.policies else None,
        data_class=plan.data_class,
    )


def plain(struct: msgspec.Struct) -> Any:
    """Unsigned data as it is hashed."""
    return msgspec.json.decode(msgspec.json.encode(struct, order="sorted"))


def plain_hash(struct: msgspec.Struct) -> str:
    return sha256_b64(msgspec.json.encode(struct, order="sorted"))


class Purchase:
    """The purchase itself: round 0, an extension where the plan says so, the release."""

    def __init__(self, made: Papers) -> None:
        self.made, self.plan = made, made.plan
        self.operators = OPERATORS[: made.plan.operators]
        self.latest: dict[str, str] = {}
        self.sold: dict[str, list[tuple[Tariff, Segment]]] = {one: [] for one in self.operators}

    def run(self) -> None:
        self.round(0, Action.ADD, 0, window(NOW, later(3600)))
        if self.plan.extended:
            self.round(1, Action.MODIFY, 600, window(later(3600), later(7200)))
        if self.plan.released:
            for operator in self.operators:
                self.release(operator, 1800)
            made = self.made
            made.sign("statement", key_of(BROKER), statement_of(made, RATES, len(self.operators)))

    # --- one round ------------------------------------------------------------------------------------------------

    def round(self, number: int, action: Action, at: int, span: Any) -> None:
        made = self.made
        if made.house is None:
            self.agent_token(number, at - 20)
        for index, operator in enumerate(self.operators):
            self.operator_token(number, index, operator, at - 5)
            self.quote(number, index, operator, action, at, span)
        self.decide(number, at)
        self.seal(number, action, at, span)
        lapses = self.plan.lapsed and number == 1
        for index, operator in enumerate(self.operators[:1] if lapses else self.operators):
            self.order(number, index, operator, action, at + 3)
        if lapses:
            first = self.latest[self.operators[0]]
            self.receipt("receipt:1:0:lapsed", number, 0, State.ACTIVE, at + 70, first, quote_h=made.hash("quote:0:0"))
            return
        for index, operator in enumerate(self.operators):
            self.confirm(number, index, operator, at + 5)
        made.rounds = number + 1

    @property
    def mandate_h(self) -> str:
        house = self.made.house
        return self.made.hash("mandate") if house is None else house_hash(BROKER, house.buyer, house.authority)

    def agent_token(self, number: int, at: int) -> None:
        claims = AccessToken(
            **_parties(BROKER, BROKER, later(at), 300, f"agent{number}", BUYER),
            client_id="agent-7",
            authorization_details=(passed_on(authority()),),
            cnf=Confirmation(jkt=key_of("agent").kid),
            txn=f"txn-{number}",
            mandate_h=self.mandate_h,
            act=Actor(sub="agent-7"),
        )
        self.made.sign(f"agent-token:{number}", key_of(BROKER), claims)

    def operator_token(self, number: int, index: int, operator: str, at: int) -> None:
        house = self.made.house
        own = house.authority if house else self.made.claims[f"agent-token:{number}"].authorization_details[0]
        slice_ = slice_for(own, operator, self.currency(index), RATES)
        chained: dict[str, Any] = {"txn": f"txn-{number}", "mandate_h": self.mandate_h}
        act = Actor(sub=BROKER, act=Actor(sub="agent-there"))
        asked = DelegationGrant(
            **_parties(BROKER, operator, later(at), 60, f"ask{number}{index}", pseudonym(operator)),
            act=act,
            authorization_details=(slice_,),
            **chained,
        )
        self.made.sign(f"delegation:{number}:{index}", key_of(BROKER), asked)
        token = AccessToken(
            **_parties(operator, operator, later(at), 120, f"tok{number}{index}", pseudonym(operator)),
            client_id=BROKER,
            authorization_details=(passed_on(slice_),),
            cnf=Confirmation(x5t="A" * 43),
            act=act,
            **chained,
        )
        self.made.sign(f"operator-token:{number}:{index}", key_of(operator), token)

    def currency(self, index: int) -> str:
        return "CHF" if index == 1 else "EUR"

    def quote(  # noqa: PLR0917 - as in `round`
        self, number: int, index: int, operator: str, action: Action, at: int, span: Any
    ) -> None:
        segment = Segment(
            a=End(ends_of(index)[0], 100 + index),
            z=End(ends_of(index)[1], 101 + index),
            bandwidth_bps=10**10,
            mtu=9000,
            window=span,
            route_class="eu",
        )
        product = f"product-{index}" if action is Action.MODIFY else None
        rfq = Rfq(
            **_parties(BROKER, operator, later(at - 1), 60, f"rfq{number}{index}", pseudonym(operator)),
            action=action,
            segment=segment,
            product=product,
            data_class=self.plan.data_class,
            destinations=("NL", "FR"),
            mandate_h=self.mandate_h,
            grant_h=grants_hash([self.made.tokens["grant"]]) if index == 0 else None,
        )
        rfq_h = self.made.sign(f"rfq:{number}:{index}", key_of(BROKER), rfq)
        tariff = Tariff(
            currency=self.currency(index),
            set_up_micro=0 if number else 1_000_000,
            hourly_micro=250_000,
            gbps_hourly_micro=400_000,
            exit_micro=500_000,
        )
        tariff = self.made.bent(f"tariff:{number}:{index}", tariff)
        lines = charge(tariff, segment.bandwidth_bps, span.start_s, span.end_s, span.duration_s)
        claims = SegmentQuote(
            **_parties(operator, BROKER, later(at), 30, f"quote{number}{index}", pseudonym(operator)),
            rfq_h=rfq_h,
            action=action,
            segment=segment,
            promise=Promise(9000, 40, 1000, 999_950_000, 12),
            tariff=tariff,
            lines=lines,
            total=Money(tariff.currency, total(lines)),
            held=True,
            product=product,
        )
        self.made.sign(f"quote:{number}:{index}", key_of(operator), claims)
        self.sold[operator].append((tariff, segment))

    def decide(self, number: int, at: int) -> None:
        made, subjects = self.made, list[Subject]()
        for entity in (*self.operators, BROKER):
            subjects.append(self.subject(entity))
        managers = [manager(one, self.made.claims[f"mark:{one.entity}"].attest) for one in subjects]
        refs = tuple(PolicyRef(name=text.name, policy_h=sha256_b64(text.cedar.encode())) for text in policy_texts(made))
        judged = [self.judged(one, number) for one in (*subjects, *managers)]
        crossed = [one.countries for one in subjects if one.part is Part.CARRY]
        hashes = [made.hash(f"quote:{number}:{index}") for index in range(len(self.operators))]
        seas = {one.sea for one in subjects if one.part is Part.CARRY}
        claims = Decision(
            **_parties(BROKER, BROKER, later(at), 10 * 365 * 86400, f"decision{number}", BROKER),
            policies=refs,
            schema_h=schema_h(),
            data_class=self.plan.data_class,
            judged=tuple(judged),
            countries=None if None in crossed else tuple(sorted({name for one in crossed for name in one or ()})),
            sea=True if True in seas else None if None in seas else False,
            path_root=path_root(hashes),
            at=later(at),
        )
        made.sign(f"decision:{number}", key_of(BROKER), claims)

    def marks_of(self, entity: str) -> tuple[str, ...]:
        return tuple(name for name in self.made.tokens if name.split(":carrier")[0] == f"mark:{entity}")

    def subject(self, entity: str) -> Subject:
        marks = [self.made.claims[name] for name in self.marks_of(entity)]
        part, route_class = (Part.ARRANGE, None) if entity == BROKER else (Part.CARRY, "eu")
        # The chain of the auditor and its status list end before the marks do, which changes no fact.
        until = min(m.exp for m in marks)
        return subject(part, entity, route_class, marks[0].attest, frozenset(m.trust_mark_type for m in marks), until)

    def judged(self, of: Subject, number: int) -> Judged:
        marks = tuple(self.made.hash(name) for name in self.marks_of(of.entity))
        carried = of.part is Part.CARRY
        index = self.operators.index(of.entity) if carried else 0
        return Judged(
            part=of.part,
            entity=of.entity,
            route_class=of.route_class if carried else None,
            quote_h=self.made.hash(f"quote:{number}:{index}") if carried else None,
            marks=marks,
            facts_h=facts_h(of),
        )

    def seal(self, number: int, action: Action, at: int, span: Any) -> None:
        made, path, promise, leaving = self.made, [], None, 0
        for index, operator in enumerate(self.operators):
            quote = made.claims[f"quote:{number}:{index}"]
            token = made.tokens[f"quote:{number}:{index}"]
            paid = RATES.convert(quote.total, "EUR")
            path.append(QuotedSegment(operator=operator, quote_h=doc_hash(token), quote=token, total=paid))
            promise = quote.promise if promise is None else promise.then(Promise(latency_us=50)).then(quote.promise)
            leaving += RATES.convert(Money(quote.tariff.currency, quote.tariff.exit_micro), "EUR").micro
        claims = PathQuote(
            **_parties(BROKER, BUYER, later(at), 29, f"path{number}", BUYER),
            action=action,
            order="order-1" if number else None,
            intent_h=plain_hash(made.bent("intent", intent_of(self.plan))),
            window=span,
            bandwidth_bps=10**10,
            path=tuple(path),
            path_root=path_root([row.quote_h for row in path]),
            promise=promise or Promise(),
            total=Money("EUR", sum(row.total.micro for row in path)),
            exit_total=Money("EUR", leaving),
            rates_h=plain_hash(made.bent("rates", RATES)),
            mandate_h=self.mandate_h,
            decision_h=made.hash(f"decision:{number}"),
        )
        made.sign(f"path-quote:{number}", key_of(BROKER), claims)

    # --- orders and what comes of them ----------------------------------------------------------------------------

    def order(self, number: int, index: int, operator: str, action: Action, at: int) -> None:
        made, quote = self.made, self.made.claims[f"quote:{number}:{index}"]
        claims = Order(
            **_parties(BROKER, operator, later(at), 60, f"order{number}{index}", pseudonym(operator)),
            action=action,
            quote_h=made.hash(f"quote:{number}:{index}"),
            product=quote.product,
            path_root=made.claims[f"path-quote:{number}"].path_root,
            amount=quote.total,
            confirm_by=later(at + 60),
            mandate_h=self.mandate_h,
            decision_h=made.hash(f"decision:{number}"),
            grant_h=made.claims[f"rfq:{number}:{index}"].grant_h,
        )
        made.sign(f"order:{number}:{index}", key_of(BROKER), claims)
        state = State.ACTIVE if number else State.UP
        self.receipt(f"receipt:{number}:{index}:ordered", number, index, state, at, self.latest.get(operator))

    def confirm(self, number: int, index: int, operator: str, at: int) -> None:
        made = self.made
        claims = Confirm(
            **_parties(BROKER, operator, later(at), 60, f"confirm{number}{index}", pseudonym(operator)),
            order_h=made.hash(f"order:{number}:{index}"),
            prev_h=self.latest[operator],
            path_root=made.claims[f"path-quote:{number}"].path_root,
            product=f"product-{index}",
        )
        confirm_h = made.sign(f"confirm:{number}:{index}", key_of(BROKER), claims)
        self.receipt(f"receipt:{number}:{index}:active", number, index, State.ACTIVE, at, confirm_h)

    def receipt(  # noqa: PLR0917 - as in `order`
        self, name: str, number: int, index: int, state: State, at: int, prev_h: str | None, **also: Any
    ) -> None:
        made, operator = self.made, self.operators[index]
        segment = made.claims[f"quote:0:{index}"].segment
        if number and not name.endswith(("ordered", "lapsed")):
            end = made.claims[f"quote:1:{index}"].segment.window.end
            segment = structs.replace(segment, window=structs.replace(segment.window, end=end))
        claims = Receipt(
            **_parties(operator, BROKER, later(at), 10 * 365 * 86400, name.replace(":", ""), pseudonym(operator)),
            order_h=made.hash(f"order:{number}:{index}"),
            quote_h=made.hash(f"quote:{number}:{index}"),
            prev_h=prev_h,
            product=f"product-{index}",
            state=state,
            segment=segment,
            confirm_by=later(at + 60) if name.endswith("ordered") else None,
        )
        claims = structs.replace(claims, **also)
        self.latest[operator] = made.sign(name, key_of(operator), claims)

    def release(self, operator: str, at: int) -> None:
        made, index = self.made, self.operators.index(operator)
        number = made.rounds - 1
        claims = Order(
            **_parties(BROKER, operator, later(at), 60, f"release{index}", pseudonym(operator)),
            action=Action.RELEASE,
            product=f"product-{index}",
            prev_h=self.latest[operator],
        )
        release_h = made.sign(f"release:{index}", key_of(BROKER), claims)
        also = {"order_h": release_h, "bill": self.bill(operator, 5, at)}
        self.receipt(f"receipt:{number}:{index}:released", number, index, State.RELEASED, at, claims.prev_h, **also)

    def bill(self, operator: str, start: int, end: int) -> Bill:
        """Set-up, use of the first window, and leaving early."""
        tariff, segment = self.sold[operator][0]
        lines = charge(tariff, segment.bandwidth_bps, later(start), later(end), 3600, early=True)
        return Bill(
            start=moment(later(start)), end=moment(later(end)), lines=lines,
            total=Money(tariff.currency, total(lines)),
        )  # fmt: skip
