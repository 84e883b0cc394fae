"""A broker that sells one path from memory: enough for what lies in front of a desk."""

from __future__ import annotations

import msgspec
from msgspec import structs

from federation.trust.jose import sign_jws
from schemas.answer import (
    AllowanceView,
    AskedOperator,
    AuditedOperator,
    AuditFinding,
    AuditView,
    BackupView,
    Binding,
    Change,
    EndView,
    EvidenceView,
    Exclusion,
    FederationView,
    FrontView,
    LeaseView,
    MeasurementView,
    OperatorView,
    OrderView,
    PathView,
    PoliciesView,
    PolicyView,
    QuotePending,
    QuoteView,
    Relaxation,
    ResizeView,
    RevocationView,
    SearchAnswer,
    SegmentView,
    StatementView,
)
from schemas.authority import AUTHORITY_TYPE, Authority, Deed, Spend
from schemas.backup import Apart, BackupRequest
from schemas.evidence import Profile
from schemas.intent import Intent, Objective
from schemas.lease import TERMINAL, State
from schemas.order import Bill
from schemas.price import Line, Money
from schemas.problem import Outcome, Problem, not_found
from schemas.quote import Action
from schemas.request import Extension, Measurement, Resize, Way
from schemas.segment import Promise, Window, moment, window
from schemas.statement import BillingStatement
from tests.support.seams import NOW
from tests.support.vectors import KEY, vectors

EUR = Money("EUR", 12_345_678)
PROMISE = Promise(latency_us=9_876, jitter_us=120, loss_ppb=1_000, availability_ppb=999_500_000, carbon_mg_gb=4)


def segment(operator: str, a: str, z: str, label: int | None = None) -> SegmentView:
    return SegmentView(
        operator=f"https://{operator.lower()}.example",
        operator_name=operator,
        route_class="any",
        a=EndView(interface=f"uni-{a.lower()}", city=a, country="NL", label=label),
        z=EndView(interface=f"enni-{z.lower()}", city=z, country="DE", label=label),
        promise=PROMISE,
        price=EUR,
        total=EUR,
    )


PATH = PathView(
    segments=(segment("SURF", "Utrecht", "Amsterdam"), segment("GÉANT", "Amsterdam", "Milan")),
    promise=PROMISE,
    total=EUR,
    countries=("DE", "IT", "NL"),
    why="cheapest",
)


def no_path(span: Window) -> SearchAnswer:
    """Why nothing fits in `span`."""
    return SearchAnswer(
        found=False,
        window=span,
        floor_us=4_321,
        binding=(Binding(limit="latency_us", asked="5000", floor="9876"),),
        relaxations=(Relaxation(limits=("latency_us",), change="latency 9876", total=EUR, promise=PROMISE),),
        excluded=(Exclusion(operator="https://x.example", operator_name="X", rule="parents", detail="GB"),),
    )


def front_view(objectives: tuple[Objective, ...]) -> FrontView:
    """A front of forty paths, each a cent dearer and a microsecond faster than the one before; there are more."""
    paths = (
        structs.replace(
            PATH,
            total=Money("EUR", EUR.micro + 10_000 * step),
            promise=structs.replace(PROMISE, latency_us=PROMISE.latency_us - step),
            why=f"number {step}",
        )
        for step in range(40)
    )
    return FrontView(objectives=objectives, paths=tuple(paths), complete=False, least=EUR.micro, why="incomplete")


def backup_view(asked: BackupRequest) -> BackupView:
    """A pair; for `city` there is none, but one without the backup's own limits."""
    if asked.apart is Apart.CITY:
        relaxation = Relaxation(
            limits=("backup",), change="accept any backup", total=Money("EUR", 3 * EUR.micro), promise=PROMISE
        )
        shared, why = ("the city Utrecht NL",), "whatever paths are taken, both use the city Utrecht NL"
        return BackupView(apart=asked.apart, found=False, proven=True, why=why, shared=shared, relaxation=relaxation)
    total = Money("EUR", 2 * EUR.micro + 1_000_000)
    dearer = structs.replace(PATH, total=Money("EUR", EUR.micro + 1_000_000), why="EUR 1.00 dearer than the primary")
    return BackupView(
        apart=asked.apart, found=True, proven=True, primary=PATH, backup=dearer, total=total, why="the cheapest in sum"
    )


class FakeExchange:
    """One buyer's exchange: quotes HELD at once, orders ACTIVE at once, everything remembered.

    A bandwidth of 13 bit/s has no path. `fail` is raised by the next call.
    """

    def __init__(self) -> None:
        self.quotes: dict[str, QuoteView] = {}
        self.all_orders: dict[str, OrderView] = {}
        self.keys: dict[str, tuple[object, str]] = {}
        self.intents: list[Intent] = []
        self.grants: list[tuple[str, ...]] = []
        self.beats: list[str] = []
        self.orphans: list[AuditFinding] = []
        self.fail: Exception | None = None

    def _begin(self) -> None:
        if fail := self.fail:
            self.fail = None
            raise fail

    def _once(self, key: str, request: object, name: str) -> str:
        known, made = self.keys.setdefault(key, (request, name))
        if known != request:
            raise Problem("IDEMPOTENCY_CONFLICT", "this key came with another body", field="Idempotency-Key")
        return made

    async def search(
        self,
        intent: Intent,
        paths: int,
        *,
        front: tuple[Objective, ...] | None = None,
        backup: BackupRequest | None = None,
    ) -> SearchAnswer:
        self._begin()
        self.intents.append(intent)
        span = window(NOW, NOW + (intent.duration_s or 3600))
        if intent.bandwidth_bps == 13:
            return no_path(span)
        view = None if front is None else front_view(front)
        pair = None if backup is None else backup_view(backup)
        answer = SearchAnswer(found=True, window=span, paths=(PATH,) * paths, proven=True, floor_us=4_321, took_us=420)
        return structs.replace(answer, front=view, backup=pair)

    async def quote(
        self, intent: Intent, key: str, grants: tuple[str, ...] = (), wait_s: int | None = 0
    ) -> QuoteView | QuotePending:
        """Where operators may take long, one does: until somebody waits."""
        self._begin()
        self.intents.append(intent)
        self.grants.append(grants)
        if intent.bandwidth_bps == 13:
            span = window(NOW, NOW + (intent.duration_s or 3600))
            told = msgspec.to_builtins(no_path(span))
            raise Problem("NO_FEASIBLE_PATH", "no path within 5000 us", extra=told)
        name = self._once(key, intent, f"q{len(self.quotes) + 1}")
        view = QuoteView(
            id=name,
            state=State.HELD,
            action=Action.ADD,
            expires_at=moment(NOW + 30),
            window=window(NOW, NOW + (intent.duration_s or 3600)),
            path=PATH,
            total=EUR,
            exit_total=Money("EUR", 1_000_000),
            document="e30.e30.sig",
        )
        quoted = self.quotes.setdefault(name, view)
        if intent.answer_within_s is None:
            return quoted
        return QuotePending(
            id=name,
            state=State.ASKED,
            asked_at=moment(NOW),
            answer_by=moment(NOW + intent.answer_within_s),
            outcome=Outcome.PENDING,
            waiting_for=(AskedOperator(operator="https://surf.example", operator_name="SURF"),),
        )

    async def get_quote(self, quote_id: str, wait_s: int = 0) -> QuoteView:
        self._begin()
        if quote_id not in self.quotes:
            raise not_found(f"quote {quote_id}")
        return self.quotes[quote_id]

    async def decline(self, quote_id: str, key: str) -> QuoteView:
        view = structs.replace(await self.get_quote(quote_id), state=State.DECLINED)
        if view.order:
            raise Problem("INCOMPATIBLE_STATE", f"quote {quote_id} was ordered", extra={"order": view.order})
        self.quotes[quote_id] = view
        return view

    async def order(self, quote_id: str, key: str) -> OrderView:
        self._begin()
        quote = await self.get_quote(quote_id)
        name = self._once(key, quote_id, f"o{len(self.all_orders) + 1}")
        if name in self.all_orders:
            return self.all_orders[name]
        if quote.order:
            raise Problem("QUOTE_USED", f"quote {quote_id} became order {quote.order}")
        self.quotes[quote_id] = structs.replace(quote, state=State.COMMITTED, order=name)
        self.all_orders[name] = OrderView(
            id=name,
            state=State.ACTIVE,
            quote=quote_id,
            window=quote.window,
            bandwidth_bps=10**10,
            total=quote.total,
            segments=tuple(
                LeaseView(
                    operator=s.operator,
                    operator_name=s.operator_name,
                    product=f"p-{s.operator_name}",
                    state=State.ACTIVE,
                    a=s.a,
                    z=s.z,
                )
                for s in quote.path.segments
            ),
            history=(Change(state=State.COMMITTED, at=moment(NOW)), Change(state=State.ACTIVE, at=moment(NOW + 1))),
        )
        return self.all_orders[name]

    async def get_order(self, order_id: str, wait_s: int) -> OrderView:
        self._begin()
        if order_id not in self.all_orders:
            raise not_found(f"order {order_id}")
        return self.all_orders[order_id]

    async def orders(self, limit: int = 100, after: str | None = None) -> tuple[OrderView, ...]:
        self._begin()
        latest = list(self.all_orders.values())[::-1]
        begin = next((place + 1 for place, one in enumerate(latest) if one.id == after), 0)
        return tuple(latest[begin : begin + limit])

    async def extend(self, order_id: str, extension: Extension, key: str) -> OrderView:
        order = await self.get_order(order_id, 0)
        if order.state in TERMINAL:
            raise Problem("INCOMPATIBLE_STATE", f"order {order_id} is {order.state}")
        self._once(key, (order_id, extension), order_id)
        end = extension.end or moment(order.window.end_s + (extension.by_s or 0))
        self.all_orders[order_id] = structs.replace(order, window=structs.replace(order.window, end=end))
        return self.all_orders[order_id]

    async def resize(self, order_id: str, asked: Resize, key: str) -> ResizeView:
        order = await self.get_order(order_id, 0)
        if order.state in TERMINAL:
            raise Problem("INCOMPATIBLE_STATE", f"order {order_id} is {order.state}")
        self._once(key, (order_id, asked), order_id)
        self.all_orders[order_id] = structs.replace(order, bandwidth_bps=asked.bandwidth_bps)
        return ResizeView(way=Way.IN_PLACE, order=self.all_orders[order_id])

    async def release(self, order_id: str, key: str) -> OrderView:
        order = await self.get_order(order_id, 0)
        bill = Bill(
            start=moment(NOW + 1),
            end=moment(NOW + 61),
            lines=(Line("bandwidth", 500_000), Line("exit", 1_000_000)),
            total=Money("EUR", 1_500_000),
        )
        half = structs.replace(
            bill, lines=(Line("bandwidth", 250_000), Line("exit", 500_000)), total=Money("EUR", 750_000)
        )
        leases = tuple(structs.replace(lease, state=State.RELEASED, bill=half) for lease in order.segments)
        self.all_orders[order_id] = structs.replace(order, state=State.RELEASED, segments=leases, bill=bill)
        return self.all_orders[order_id]

    async def heartbeat(self, order_id: str, key: str) -> OrderView:
        self.beats.append(order_id)
        return await self.get_order(order_id, 0)

    async def measure(self, order_id: str, measured: Measurement, key: str) -> MeasurementView:
        self._begin()
        if order_id not in self.all_orders:
            raise not_found(f"order {order_id}")
        return MeasurementView(
            id=self._once(key, order_id, "m-1"), order=order_id, at=moment(NOW), latency_us=measured.latency_us,
            promised_us=PROMISE.latency_us,
        )  # fmt: skip

    async def measurements(self, order_id: str) -> tuple[MeasurementView, ...]:
        self._begin()
        return ()

    async def revoke(self, mandate_h: str, key: str) -> RevocationView:
        self._begin()
        return RevocationView(mandate=self._once(key, mandate_h, mandate_h), revoked_at=moment(NOW))

    async def evidence(self, order_id: str, profile: Profile) -> EvidenceView:
        self._begin()
        if order_id not in self.all_orders:
            raise not_found(f"order {order_id}")
        return EvidenceView(order=order_id, profile=profile, bundle='{"city":"Zürich"}\n')

    async def allowance(self) -> AllowanceView:
        self._begin()
        spend = Spend(ccy="EUR", per_order_micro=50_000_000, total_micro=200_000_000, until=NOW + 86_400)
        allowed = Authority(
            type=AUTHORITY_TYPE, actions=tuple(Deed), max_bandwidth_bps=10**11, spend=spend, max_hops=6, depth=1
        )
        return AllowanceView(mandate="m" * 43, agent="agent-7", authority=allowed, left=Money("EUR", 187_654_322))

    async def policies(self) -> PoliciesView:
        self._begin()
        text = "permit (principal, action, resource);"
        policy = PolicyView(name="eu-only", policy_h="p" * 43, text=text, own=False)
        return PoliciesView(policies=(policy,), data_classes={"EU-personal": ("eu-only",)})

    async def statement(self, order_id: str) -> StatementView:
        order = await self.get_order(order_id, 0)
        if order.bill is None:
            raise Problem("INCOMPATIBLE_STATE", f"the order is {order.state}")
        claims = msgspec.convert(vectors()["documents"]["billing-statement+jwt"]["claims"], BillingStatement)
        claims = structs.replace(claims, order=order_id)
        return StatementView(order=order_id, document=sign_jws(KEY, claims), statement=claims)

    async def audit(self) -> AuditView:
        self._begin()
        surf = AuditedOperator(
            operator="https://surf.example", operator_name="SURF", reached=True, leases=len(self.all_orders), holds=0
        )
        return AuditView(at=moment(NOW), clean=not self.orphans, operators=(surf,), findings=tuple(self.orphans))

    async def federation(self) -> FederationView:
        self._begin()
        return FederationView(
            operators=(
                OperatorView(
                    entity="https://surf.example",
                    name="SURF",
                    connected=True,
                    disclosure="mesh",
                    version=3,
                    interfaces=12,
                    offers=66,
                    interconnects=4,
                    attested=True,
                    component=0,
                ),
            ),
            interfaces=12,
            interconnects=4,
            one_sided=1,
            offers=66,
            components=(("https://surf.example",),),
            memory_kib=64_000,
            discovery_ms=321,
            epoch=7,
        )

    async def document(self, document_h: str) -> str:
        self._begin()
        if document_h != "h" * 43:
            raise not_found("this document")
        return "e30.e30.sig"
