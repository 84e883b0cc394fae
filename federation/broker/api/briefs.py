"""What an agent is told: the answers of the MCP tools, units in every name, two kilobytes at most.

The full views are for programs (`schemas/answer.py`); these are what fits into a model's attention.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from federation.broker.api.arguments import MBPS, Countries
from federation.broker.api.backups import BackupBrief, backup_brief
from federation.broker.api.fronts import FrontBrief, front_brief
from schemas.answer import (
    AllowanceView,
    OrderView,
    PathView,
    QuotePending,
    QuoteView,
    ResizeView,
    SearchAnswer,
    SegmentView,
)
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.order import Bill
from schemas.price import Money
from schemas.request import Way
from schemas.segment import Time, Window, moment

EXCLUDED_MAX: Final = 8
COSTS_MAX: Final = 3


class StretchBrief(Struct, frozen=True, kw_only=True):
    """One operator's part of a path."""

    operator: str
    route_class: str
    from_place: str
    to_place: str
    latency_us: int
    price: Money


class PathBrief(Struct, frozen=True, kw_only=True):
    """A path in a few lines; `countries` null where they are not attested."""

    total: Money
    latency_us: int
    availability_ppb: int
    carbon_mg_per_gb: int
    segments: tuple[StretchBrief, ...]
    countries: Countries = None
    why: str = ""


class SearchBrief(Struct, frozen=True, kw_only=True):
    """Candidates, or what binds, what physics allows, and what would help."""

    found: bool
    paths: tuple[PathBrief, ...]
    physical_floor_us: int
    front: FrontBrief | None = None
    backup: BackupBrief | None = None
    binding: tuple[str, ...] = ()
    relaxations: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    excluded_count: int = 0
    limit_costs: tuple[str, ...] = ()
    next_actions: tuple[str, ...] = ()


class QuoteBrief(Struct, frozen=True, kw_only=True):
    """A firm quote; `policies` permitted everybody concerned. One that is ASKED is not there yet: it is `waiting_for`
    operators until `answer_by`."""

    quote_id: str
    state: State
    order_id: str | None = None
    expires_at: Time | None = None
    window: Window | None = None
    total: Money | None = None
    exit_total: Money | None = None
    path: PathBrief | None = None
    answer_by: Time | None = None
    waiting_for: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    next_actions: tuple[str, ...] = ()


class OrderBrief(Struct, frozen=True, kw_only=True):
    """An order and the lease it became."""

    order_id: str
    state: State
    window: Window
    bandwidth_bps: int
    total: Money
    operators: dict[str, State]
    why: str | None = None
    outcome: str | None = None
    bill: Bill | None = None
    idle_release_at: Time | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    next_actions: tuple[str, ...] = ()


class MandateBrief(Struct, frozen=True, kw_only=True):
    """What may be done, and what is left to be spent; a list that is null does not limit."""

    left: Money
    total: Money
    per_order: Money
    orders_until: Time
    actions: tuple[str, ...]
    max_bandwidth_mbps: int
    max_segments: int
    only_operators: tuple[str, ...] | None = None
    countries_crossed: Countries = None
    data_class: str | None = None
    excluded_regimes: tuple[str, ...] = ()
    operator_marks: tuple[str, ...] = ()


class OrderLine(Struct, frozen=True, kw_only=True):
    """An order in a line; `total` is that of its bill once there is one."""

    order_id: str
    state: State
    end: Time
    bandwidth_bps: int
    total: Money
    operators: tuple[str, ...]


class OrdersBrief(Struct, frozen=True, kw_only=True):
    """The latest orders first."""

    orders: tuple[OrderLine, ...]
    next_actions: tuple[str, ...] = ()


class ResizeBrief(Struct, frozen=True, kw_only=True):
    """Which way a lease gets another bandwidth, and the order to use from now on."""

    way: Way
    order: OrderBrief


def search_brief(answer: SearchAnswer) -> SearchBrief:
    """A search's answer for an agent."""
    return SearchBrief(
        found=answer.found,
        paths=tuple(path_brief(path) for path in answer.paths[: 1 if answer.front or answer.backup else None]),
        physical_floor_us=answer.floor_us,
        front=None if answer.front is None else front_brief(answer.front),
        backup=None if answer.backup is None else backup_brief(answer.backup),
        binding=tuple(f"{b.limit}: asked {b.asked}, best possible {b.floor or 'unknown'}" for b in answer.binding),
        relaxations=tuple(
            f"{r.change}: {r.total.micro} micro {r.total.currency}, {r.promise.latency_us} us"
            for r in answer.relaxations
        ),
        excluded=tuple(_distinct(f"{e.operator_name}: {e.detail}" for e in answer.excluded))[:EXCLUDED_MAX],
        excluded_count=len(answer.excluded),
        limit_costs=tuple(cost.words for cost in answer.costs[:COSTS_MAX]),
        next_actions=("quote",) if answer.found else ("search_paths with one of the relaxations",),
    )


def path_brief(path: PathView) -> PathBrief:
    """A path for an agent."""
    return PathBrief(
        total=path.total,
        latency_us=path.promise.latency_us,
        availability_ppb=path.promise.availability_ppb,
        carbon_mg_per_gb=path.promise.carbon_mg_gb,
        segments=tuple(_stretch(segment) for segment in path.segments),
        countries=path.countries,
        why=path.why,
    )


def quote_brief(quote: QuoteView | QuotePending) -> QuoteBrief:
    """A quote for an agent."""
    if isinstance(quote, QuotePending):
        asked = quote.state is State.ASKED
        return QuoteBrief(
            quote_id=quote.id,
            state=quote.state,
            answer_by=quote.answer_by,
            waiting_for=tuple(one.operator_name for one in quote.waiting_for),
            next_actions=("get_quote until it is HELD",) if asked else ("quote",),
        )
    return QuoteBrief(
        quote_id=quote.id,
        state=quote.state,
        order_id=quote.order,
        expires_at=quote.expires_at,
        window=quote.window,
        total=quote.total,
        exit_total=quote.exit_total,
        path=path_brief(quote.path),
        policies=() if quote.decision is None else quote.decision.policies,
        next_actions=_after_quote(quote),
    )


def order_brief(order: OrderView) -> OrderBrief:
    """An order for an agent."""
    return OrderBrief(
        order_id=order.id,
        state=order.state,
        window=order.window,
        bandwidth_bps=order.bandwidth_bps,
        total=order.total,
        operators={lease.operator_name: lease.state for lease in order.segments},
        why=order.why,
        outcome=order.outcome,
        bill=order.bill,
        idle_release_at=order.idle_release_at,
        replaces=order.replaces,
        replaced_by=order.replaced_by,
        next_actions=_after(order),
    )


def mandate_brief(told: AllowanceView) -> MandateBrief:
    """A mandate for an agent."""
    allowed, spend = told.authority, told.authority.spend
    return MandateBrief(
        left=told.left,
        total=Money(spend.ccy, spend.total_micro),
        per_order=Money(spend.ccy, spend.per_order_micro),
        orders_until=moment(spend.until),
        actions=allowed.actions,
        max_bandwidth_mbps=allowed.max_bandwidth_bps // MBPS,
        max_segments=allowed.max_hops,
        only_operators=allowed.locations,
        countries_crossed=allowed.jurisdictions,
        data_class=allowed.data_class,
        excluded_regimes=allowed.excluded_regimes,
        operator_marks=allowed.required_marks,
    )


def orders_brief(orders: tuple[OrderView, ...], limit: int) -> OrdersBrief:
    """Orders for an agent; a short page is the last."""
    lines = tuple(
        OrderLine(
            order_id=order.id,
            state=order.state,
            end=order.window.end,
            bandwidth_bps=order.bandwidth_bps,
            total=order.bill.total if order.bill else order.total,
            operators=tuple(lease.operator_name for lease in order.segments),
        )
        for order in orders
    )
    more = ("list_orders with after for older ones",) if len(orders) == limit else ()
    return OrdersBrief(orders=lines, next_actions=more)


def resize_brief(resized: ResizeView) -> ResizeBrief:
    """A change of bandwidth for an agent."""
    return ResizeBrief(way=resized.way, order=order_brief(resized.order))


def _after_quote(quote: QuoteView) -> tuple[str, ...]:
    if quote.order is not None:
        return (f"get_order {quote.order}",)
    return ("place_order before expires_at",) if quote.state in {State.HELD, State.QUOTED} else ("quote",)


def _after(order: OrderView) -> tuple[str, ...]:
    if order.state in TERMINAL:
        return () if order.replaced_by is None else (f"get_order {order.replaced_by}, which took its place",)
    if order.state is State.RELEASING:
        return ("get_order with wait_s",)
    if order.state in BILLABLE:
        beat = ("heartbeat before idle_release_at, or it is released",) if order.idle_release_at else ()
        return (*beat, "release_lease when done: it is billed to the second")
    return ("get_order with wait_s", "release_lease to give it up")


def _stretch(segment: SegmentView) -> StretchBrief:
    return StretchBrief(
        operator=segment.operator_name,
        route_class=segment.route_class,
        from_place=segment.a.city or segment.a.interface,
        to_place=segment.z.city or segment.z.interface,
        latency_us=segment.promise.latency_us,
        price=segment.total,
    )


def _distinct(lines: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(lines)
