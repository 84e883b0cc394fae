"""Answers as a person reads them: a line that says it all, and a table for who wants to know more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rich.markup import escape
from rich.table import Table

from federation.cli import units
from federation.cli.screen import plain_table
from schemas.answer import (
    Change,
    DecisionView,
    EndView,
    Exclusion,
    FederationView,
    OrderView,
    PathView,
    QuotePending,
    QuoteView,
    SearchAnswer,
    SegmentView,
)
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.order import Bill
from schemas.price import Money
from schemas.segment import PPB, Promise

# Who asked for it knows it.
_NAMED_BY_THE_BUYER: Final = frozenset(
    {"operators_allowed", "operators_denied", "route_classes", "sites_denied", "cities_denied"}
)
_UNIT: Final = re.compile(r"_(us|ppb|bps)$")
_STYLE: Final = dict.fromkeys(BILLABLE, "green") | {State.FAILED: "red", State.EXPIRED: "red"}


def path_line(path: PathView, seconds: int | None = None) -> str:
    """Price, promises and countries of a path in one line."""
    span = f" for {units.duration(seconds)}" if seconds else ""
    countries = " ".join(path.countries) if path.countries is not None else "not attested"
    return f"[bold]{units.money(path.total)}[/]{span} · {promise_line(path.promise)} · countries: {countries}"


def promise_line(promise: Promise) -> str:
    """The promises of a stretch in one line."""
    return (
        f"{units.latency(promise.latency_us)} one way · jitter {units.latency(promise.jitter_us)} · "
        f"loss {units.share(promise.loss_ppb)} · available {units.share(_floor(promise.availability_ppb))}"
    )


def _floor(ppb: int) -> int:
    """Availability to a thousandth of a percent, rounded down: a promise is never shown better than it is."""
    step = PPB // 10**5
    return ppb // step * step


def path_table(path: PathView) -> Table:
    """A row per segment."""
    table = plain_table("", "Operator", "From → to", "Class", "Latency", "Price", right=("Latency", "Price"))
    for number, segment in enumerate(path.segments, 1):
        table.add_row(
            str(number),
            escape(segment.operator_name),
            f"{_end(segment.a)} → {_end(segment.z)}",
            segment.route_class,
            units.latency(segment.promise.latency_us),
            _price(segment),
        )
    return table


def _end(end: EndView) -> str:
    label = f" [dim]label {end.label}[/]" if end.label is not None else ""
    return f"{escape(end.city or end.interface)} {end.country}{label}"


def _price(segment: SegmentView) -> str:
    own, paid = units.money(segment.price), units.money(segment.total)
    return own if segment.price.currency == segment.total.currency else f"{own} = {paid}"


def search_lines(answer: SearchAnswer) -> Iterator[str | Table]:
    """Candidates best first, or what binds and what would help."""
    if not answer.found:
        yield "[bold red]No path satisfies every limit.[/]"
        yield from binding_lines(answer)
    for number, path in enumerate(answer.paths, 1):
        yield f"[bold]Path {number}[/]  {path_line(path, answer.window.duration_s)}"
        if path.why:
            yield f"[dim]{escape(path.why)}[/]"
        yield path_table(path)
        if number == 1:
            yield from (f"[dim]{escape(cost.words)}[/]" for cost in answer.costs)
    if kept_out := tuple(one for one in answer.excluded if one.rule not in _NAMED_BY_THE_BUYER):
        yield exclusion_table(kept_out)
    proof = "the best of everything published" if answer.proven else "the search ran out of budget: maybe not the best"
    floor = f"physics allows {units.latency(answer.floor_us)} at best"
    yield f"[dim]{proof if answer.found else 'searched everything published'}; {floor}[/]"


def binding_lines(answer: SearchAnswer) -> Iterator[str | Table]:
    """Which limits bind, and the cheapest relaxations."""
    if answer.binding:
        table = plain_table("Limit that binds", "Asked", "Best any path can do")
        for binding in answer.binding:
            table.add_row(limit_name(binding.limit), escape(binding.asked), escape(binding.floor or "none can"))
        yield table
    if answer.relaxations:
        table = plain_table("It would work with", "Price", "Latency", right=("Price", "Latency"))
        for relaxation in answer.relaxations:
            latency = units.latency(relaxation.promise.latency_us)
            table.add_row(escape(relaxation.change), units.money(relaxation.total), latency)
        yield table


def limit_name(limit: str) -> str:
    """A limit as a person says it: `latency` for `latency_us`, for its value is printed with its unit."""
    return escape(_UNIT.sub("", limit).replace("_", " "))


def exclusion_table(excluded: tuple[Exclusion, ...]) -> Table:
    """Who was kept out, by which rule."""
    table = plain_table("Kept out", "Class", "Rule", "Why")
    for one in excluded:
        table.add_row(escape(one.operator_name), one.route_class or "all", limit_name(one.rule), escape(one.detail))
    return table


def quote_lines(quote: QuoteView) -> Iterator[str | Table]:
    """A firm quote."""
    yield f"Quote [bold]{quote.id}[/]  {state_text(quote.state)}  until {units.clock(quote.expires_at)}"
    if quote.order:
        yield f"ordered: see order {quote.order}"
    yield path_line(quote.path, quote.window.duration_s)
    yield f"from {units.clock(quote.window.start)} until {units.clock(quote.window.end)}"
    yield path_table(quote.path)
    if quote.decision is not None:
        yield decision_line(quote.decision)
    exit_cost, rounds = units.money(quote.exit_total), f"{quote.rounds} round{'s' if quote.rounds != 1 else ''}"
    yield f"[dim]released before its end: set-up, use until then, and {exit_cost} to exit; asked in {rounds}[/]"


def pending_lines(pending: QuotePending) -> Iterator[str]:
    """A quote that is not there."""
    yield f"Quote [bold]{pending.id}[/]  {state_text(pending.state)}  by {units.clock(pending.answer_by)}"
    waited = ", ".join(escape(one.operator_name) for one in pending.waiting_for)
    if pending.state is State.ASKED:
        yield f"waiting for {waited or 'the broker'}; look again with: peerway show {pending.id}"
    else:
        yield "it was let go before it was answered"


def decision_line(decision: DecisionView) -> str:
    """By which policies everybody was permitted, and what the path may cross."""
    by = ", ".join(decision.policies) or "no policy was asked for"
    of = f" for data of class {decision.data_class}" if decision.data_class else ""
    sea = {True: ", and the sea", False: "", None: ", and whether the sea is not attested"}[decision.sea]
    crossed = "crosses " + " ".join(decision.countries or ()) + sea
    return escape(f"Decided{of}: {by}; {'what it crosses is not attested' if decision.countries is None else crossed}")


def order_lines(order: OrderView) -> Iterator[str | Table]:
    """An order, its segments, its history and its bill."""
    yield f"Order [bold]{order.id}[/]  {state_text(order.state)}  {units.bandwidth(order.bandwidth_bps)}"
    planned = "" if order.bill else f" · {units.money(order.total)} if kept until then"
    yield f"from {units.clock(order.window.start)} until {units.clock(order.window.end)}{planned}"
    if order.idle_release_at:
        at = units.clock(order.idle_release_at)
        yield f"[dim]released at {at} unless `peerway heartbeat {order.id}` comes before[/]"
    if order.replaces:
        yield f"[dim]in place of order {order.replaces}[/]"
    if order.replaced_by:
        yield f"[yellow]replaced by order {order.replaced_by}[/]"
    if order.why:
        yield f"[yellow]{escape(order.why)}[/]" + (f" (outcome: {order.outcome})" if order.outcome else "")
    table = plain_table("", "Operator", "From → to", "State", "Product", whole=("Operator", "State", "Product"))
    for number, lease in enumerate(order.segments, 1):
        between = f"{_end(lease.a)} → {_end(lease.z)}"
        name, state = escape(lease.operator_name), state_text(lease.state)
        table.add_row(str(number), name, between, state, escape(lease.product or ""))
    yield table
    yield f"[dim]{' → '.join(_step(change) for change in order.history)}[/]"
    if order.bill:
        yield bill_table(order, order.bill)


def _step(change: Change) -> str:
    """A state and when; an ACTIVE lease that was extended or resized is ACTIVE again, so that one says so."""
    word = next((verb for verb in ("extended", "resized") if change.why.startswith(verb)), str(change.state))
    return f"{word} {units.clock(change.at)[11:]}"


def bill_table(order: OrderView, bill: Bill) -> Table:
    """What a lease cost, operator by operator, to the second."""
    names = ("Bill", "Used", "Set-up", "Usage", "Exit", "Total")
    table = plain_table(*names, right=names[1:])
    for lease in order.segments:
        if lease.bill:
            table.add_row(escape(lease.operator_name), *_bill_cells(lease.bill))
    table.add_row("[bold]total[/]", "", "", "", "", f"[bold]{units.exact_money(bill.total)}[/]")
    return table


def _bill_cells(bill: Bill) -> tuple[str, ...]:
    """Seconds, and the lines gathered under three heads, in the operator's own currency."""
    seconds = int((bill.end - bill.start).total_seconds()) if bill.start and bill.end else 0
    sums = dict.fromkeys(("set_up", "usage", "exit"), 0)
    for line in bill.lines:
        sums[line.name if line.name in sums else "usage"] += line.micro
    amounts = (*sums.values(), bill.total.micro)
    return (units.duration(seconds), *(units.exact_money(Money(bill.total.currency, micro)) for micro in amounts))


def orders_table(orders: tuple[OrderView, ...], *, wide: bool = True) -> Table:
    """A row per order; its operators only where the screen is `wide`."""
    columns = ("Order", "State", "Bandwidth", "Until", *(("Over",) if wide else ()), "Total")
    table = plain_table(*columns, right=("Bandwidth", "Total"), whole=("Order", "State"))
    for order in orders:
        total = units.exact_money(order.bill.total) if order.bill else units.money(order.total)
        over = ", ".join(escape(lease.operator_name) for lease in order.segments)
        until = units.clock(order.window.end)
        bandwidth = units.bandwidth(order.bandwidth_bps)
        table.add_row(order.id, state_text(order.state), bandwidth, until, *((over,) if wide else ()), total)
    return table


def federation_lines(view: FederationView, *, wide: bool = True) -> Iterator[str | Table]:
    """Who is there, and whether it hangs together; entity ids only where the screen is `wide`."""
    numbered = ("Interfaces", "Interconnects", "Offers")
    columns = ("Operator", *(("Entity",) if wide else ()), *numbered, "Shows", "Attested", "")
    table = plain_table(*columns, right=numbered, whole=("Operator", "Entity", "Shows", "Attested"))
    for operator in view.operators:
        state = "" if operator.connected else f"[red]{escape(operator.why or 'not connected')}[/]"
        numbers = (str(operator.interfaces), str(operator.interconnects), str(operator.offers))
        attested = "yes" if operator.attested else "no"
        who = (escape(operator.name), *((operator.entity,) if wide else ()))
        table.add_row(*who, *numbers, operator.disclosure, attested, state)
    yield table
    yield (
        f"{len(view.operators)} operators, {view.interfaces} interfaces, {view.interconnects} interconnects "
        f"({view.one_sided} declared by one side only, not believed), {view.offers} offers, "
        f"{len(view.components)} component{'s' if len(view.components) != 1 else ''}; "
        f"known after {view.discovery_ms / 1000:.1f} s, {view.memory_kib / 1024:.0f} MiB"
    )
    if view.capabilities:
        yield "UNIs that lead to: " + ", ".join(
            f"{escape(known.name)} ({known.unis} in {' '.join(known.countries)})" for known in view.capabilities
        )


def state_text(state: State) -> str:
    """A state in its colour."""
    style = _STYLE.get(state, "dim" if state in TERMINAL else "yellow")
    return f"[{style}]{state}[/]"
