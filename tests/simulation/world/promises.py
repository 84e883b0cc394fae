"""The eight promises, judged once everything is quiet. Each yields what breaks it, in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from federation.broker.once import REFUSAL
from federation.broker.orders.saga.pace import END_GRACE_S
from federation.broker.orders.saga.state import Leg, OrderState, Part
from federation.broker.quotes.protocols import StoredQuote
from operators.orders.fsm import Lease
from schemas.lease import BILLABLE, IN_FORCE, TERMINAL, State
from schemas.price import ceil_div, charge, total
from schemas.problem import PASSING
from schemas.quote import Action
from schemas.token import SKEW_S
from tests.simulation.world.books import Books
from tests.simulation.world.broker import RATES, SimBroker
from tests.simulation.world.buyers import SURE, SimBuyer
from tests.simulation.world.geography import COUNTRIES, NAMES, Geography, entity_of
from tests.simulation.world.operator import SimOperator
from tests.simulation.world.statements import stated_wrong
from tests.support.seams import NOW


class Quiet(NamedTuple):
    """The world when nothing moves any more; `now_s` is the true time."""

    operators: dict[str, SimOperator]
    brokers: tuple[SimBroker, ...]
    buyers: tuple[SimBuyer, ...]
    geography: Geography
    now_s: int
    final: bool = False

    def states(self) -> Iterator[OrderState]:
        """Every order of every broker."""
        for books in self.books():
            yield from books.states()

    def books(self) -> list[Books]:
        """What brokers keep; replicas keep it together."""
        return list({id(broker.disk): broker.disk.books for broker in self.brokers}.values())

    def lease(self, part: Part, leg: Leg) -> Lease | None:
        """The lease of a segment in the books of its operator."""
        found: Lease | None = self.operators[part.operator].store.rows["leases"].get(leg.product)
        return found

    def ending(self, one: OrderState | Lease) -> bool:
        """Whether its window ends about now: every clock has an end of its own, and releases take a moment."""
        return -END_GRACE_S - SKEW_S < one.end_s - self.now_s < SKEW_S

    def believable(self, state: OrderState) -> bool:
        """Whether its operators' word is their deed. A broker must not believe what does not verify, so the order of a
        liar settles when the window is over, and not before."""
        return self.final or not any(self.operators[part.operator].lied for part in state.terms.parts)


def broken(world: Quiet) -> list[str]:
    """Every promise that does not hold."""
    promises = (
        settled, all_or_nothing, no_oversell, no_orphan, once, truthful, nothing_lost, honest_bills, within_limits,
        within_authority,
    )  # fmt: skip
    return [f"{promise.__name__}: {what}" for promise in promises for what in promise(world)]


def settled(world: Quiet) -> Iterator[str]:
    """Every order stands still; nobody had to help, and no node died of itself."""
    for state in filter(world.believable, world.states()):
        if world.ending(state):
            continue
        waiting = state.state is State.COMMITTED and state.now_s < state.terms.start_s
        if state.state not in TERMINAL | BILLABLE and not waiting:
            yield f"order {state.terms.id} is {state.state}, legs {[str(leg.state) for leg in state.legs]}"
        if state.state in TERMINAL and any(leg.state not in TERMINAL for leg in state.legs):
            yield f"order {state.terms.id} is over, legs {[str(leg.state) for leg in state.legs]}"
    for books in world.books():
        yield from (f"quote {one.id} is still asked for" for one in books.waiting.values() if one.open)
    for node in (*world.brokers, *world.operators.values()):
        yield from (f"{node.entity} stopped: {fault}" for fault in node.faults)


def all_or_nothing(world: Quiet) -> Iterator[str]:
    """1. A path is ACTIVE on every operator, until the same end and under the same labels, or on none."""
    for state in world.states():
        yield from _labels(state)
    for state in filter(world.believable, world.states()):
        if world.ending(state):
            continue
        leases = [world.lease(part, leg) for part, leg in _pairs(state)]
        said = [lease.state if lease else None for lease in leases]
        active = [found in BILLABLE for found in said]
        if any(active) != all(active) or all(active) != (state.state in BILLABLE):
            yield f"order {state.terms.id} is {state.state}, its operators say {said}"
        sold = {lease.segment.bandwidth_bps for lease in leases if lease}
        if all(active) and sold != {state.bandwidth_bps}:
            yield f"order {state.terms.id} has {state.bandwidth_bps} bit/s, its operators say {sold}"
        ends = {lease.end_s for leg, lease in zip(state.legs, leases, strict=True) if lease and leg.over is None}
        if all(active) and ends - {state.end_s}:
            yield f"order {state.terms.id} ends at {state.end_s}, its operators say {ends}"


def _labels(state: OrderState) -> Iterator[str]:
    """What the operators signed last: no path is ACTIVE with two labels on one interconnect."""
    signed = [leg.in_force for leg in state.legs]
    for left, right in itertools.pairwise(signed):
        if state.state in BILLABLE and left and right and left.z.label != right.a.label:
            yield f"order {state.terms.id} is ACTIVE with labels {left.z.label} and {right.a.label}"


def no_oversell(world: Quiet) -> Iterator[str]:
    """2. Looked at with every write of every operator, in its books and in its network."""
    for operator in world.operators.values():
        yield from operator.store.complaints
        yield from operator.fabric.complaints


def no_orphan(world: Quiet) -> Iterator[str]:
    """3. Nothing is held, leased, claimed or up in a network that no live order owns."""
    owned = {
        (part.operator, leg.product)
        for state in world.states()
        if state.state not in TERMINAL or not world.believable(state)
        for part, leg in _pairs(state)
    }
    for operator in world.operators.values():
        if operator.lied and not world.final:
            continue
        rows = operator.store.rows
        leases = [lease for lease in rows["leases"].values() if lease.state not in TERMINAL]
        for lease in leases:
            if (operator.entity, lease.id) not in owned:
                yield f"{operator.name} keeps {lease.id} in {lease.state}, and no live order owns it"
        for quote in rows["quotes"].values():
            if quote.state is State.HELD:
                yield f"{operator.name} still holds {quote.id}"
        claimed = sorted([lease.claim for lease in leases] + [x.amendment.quote_id for x in leases if x.amendment])
        if claimed != sorted(rows["claims"]):
            yield f"{operator.name} keeps claims {sorted(rows['claims'])}, its leases own {claimed}"
        up = {lease.id for lease in leases if lease.state in IN_FORCE}
        on_the_way = {lease.id for lease in rows["leases"].values() if world.ending(lease)}
        if (up ^ operator.fabric.up.keys()) - on_the_way:
            yield f"{operator.name} has {set(operator.fabric.up)} up in its network, and leases {up}"


def once(world: Quiet) -> Iterator[str]:
    """4. One document per `jti`, one lease per quote, one order per lease, one answer per key."""
    for broker in world.brokers:
        yield from broker.complaints
    for buyer in world.buyers:
        yield from buyer.complaints
    owners: dict[tuple[str, str], str] = {}
    for state in world.states():
        for part, leg in _pairs(state):
            if leg.product and owners.setdefault((part.operator, leg.product), state.terms.id) != state.terms.id:
                yield f"{leg.product} belongs to two orders"
    for operator in world.operators.values():
        claims = [lease.claim for lease in operator.store.rows["leases"].values()]
        if len(claims) != len(set(claims)):
            yield f"{operator.name} made two leases of one quote"


def truthful(world: Quiet) -> Iterator[str]:
    """5. Whoever was told that nothing came of a request finds nothing, though a copy of it was still on its way; but
    after a refusal that may pass, the request may run again under its key."""
    for buyer in world.buyers:
        books = buyer.broker.disk.books
        for deed in buyer.deeds:
            if deed.problem is None or deed.problem.outcome not in SURE:
                continue
            if deed.key in buyer.wire.strays and deed.problem.code in PASSING:
                continue
            _, answer = books.claims.get((buyer.me.asker, deed.key), ("", None))
            if answer in books.waiting.keys() - books.quotes.keys():
                continue  # what was waited for came to nothing
            if answer is not None and not answer.startswith(REFUSAL):
                yield f"{deed.what} was refused with {deed.problem.code}, outcome none, and answered by {answer}"


def nothing_lost(world: Quiet) -> Iterator[str]:
    """6. What was acknowledged is there: quotes and orders at brokers, receipts at operators, wishes to release."""
    for buyer in world.buyers:
        books = buyer.broker.disk.books
        for deed in buyer.deeds:
            if deed.answer is None:
                continue
            asked = deed.what in {"quote", "wait", "decline"}
            kept = books.quotes.keys() | books.waiting.keys() if asked else books.journal.keys()
            if deed.answer not in kept:
                yield f"{deed.what} was acknowledged as {deed.answer}, which is not there"
                continue
            state = books.state(deed.answer) if deed.what == "release" else None
            if state is not None and world.believable(state) and state.state not in TERMINAL:
                yield f"the release of {deed.answer} was acknowledged, and it is {state.state}"
    for state in world.states():
        for part, leg in _pairs(state):
            documents = world.operators[part.operator].store.rows["documents"]
            if leg.receipt_h is not None and leg.receipt_h not in documents:
                yield f"{part.operator} gave receipt {leg.receipt_h} and has forgotten it"


def honest_bills(world: Quiet) -> Iterator[str]:
    """Nobody pays for a path that never was ACTIVE; otherwise the bill is the sum of the segments, converted."""
    for state in world.states():
        if state.state not in TERMINAL:
            continue
        if state.bill is None:
            yield f"order {state.terms.id} is over and has no bill"
            continue
        owed = 0
        for part, leg in _pairs(state):
            lease = world.lease(part, leg)
            micro = lease.bill.total.micro if lease and lease.bill else 0
            if micro and not state.was_active:
                yield f"{part.name} bills {micro} for order {state.terms.id}, which never was ACTIVE"
            worth = state.terms.rates.worth_ppm
            owed += ceil_div(micro * worth[part.pledge.amount.currency], worth[state.total.currency])
        # A liar may bill what its receipts denied to have sold; the broker pays no more than these bear.
        lied = any(world.operators[part.operator].lied for part in state.terms.parts)
        disputed = lied and state.was_active and state.bill.total.micro < owed
        if not disputed and state.bill.total.micro != (owed if state.was_active else 0):
            yield f"order {state.terms.id} bills {state.bill.total.micro}, its segments come to {owed}"
        if state.bill.total.micro != sum(line.micro for line in state.bill.lines):
            yield f"the bill of order {state.terms.id} does not add up"
        if state.state is State.FAILED and state.bill.total.micro:
            yield f"order {state.terms.id} failed and costs something"
    yield from stated_wrong(world.states(), world.operators)


def within_limits(world: Quiet) -> Iterator[str]:
    """7. No quote breaks what was asked: reckoned again from what the operators signed, and from the map."""
    for books in world.books():
        for quote in books.quotes.values():
            yield from (f"quote {quote.id} {what}" for what in _beyond(quote, world.geography))


def _beyond(quote: StoredQuote, geography: Geography) -> Iterator[str]:
    intent, segments = quote.intent, [one.quote.segment for one in quote.held]
    names = [NAMES[[c.entity for c in geography.operators].index(one.operator)] for one in quote.held]
    ends = (f"{segments[0].a.interface}@{names[0]}", f"{segments[-1].z.interface}@{names[-1]}")
    if ends != (_site(intent.a), _site(intent.z)):
        yield f"leads from {ends[0]} to {ends[1]}"
    latency_us = sum(one.quote.promise.latency_us for one in quote.held)
    for left, right in itertools.pairwise(quote.held):
        a, z = left.quote.segment.z, right.quote.segment.a
        ours = geography.snapshot.sheets[left.operator].interfaces[a.interface]
        theirs = geography.snapshot.sheets[right.operator].interfaces[z.interface]
        latency_us += max(ours.latency_us, theirs.latency_us)
        if ours.peer is None or (ours.peer.entity, ours.peer.interface) != (right.operator, z.interface):
            yield f"jumps from {a.interface} to {z.interface}"
        if a.label != z.label:
            yield f"has labels {a.label} and {z.label} on one interconnect"
    if intent.limits.latency_us is not None and latency_us > intent.limits.latency_us:
        yield f"takes {latency_us} us"
    if intent.hops is not None and len(segments) > intent.hops:
        yield f"has {len(segments)} segments"
    if set(names) & set(intent.operators_denied) or len(set(names)) != len(names):
        yield f"leads over {names}"
    countries = {COUNTRIES[NAMES.index(name)] for name in names}
    if intent.sovereignty.countries is not None and countries - set(intent.sovereignty.countries):
        yield f"crosses {sorted(countries)}"
    yield from _mispriced(quote)


def _site(place: str) -> str:
    """A place with its operator by name, whether the intent names it so or by entity id."""
    name, _, operator = place.partition("@")
    return f"{name}@{next((one for one in NAMES if operator in {one, entity_of(NAMES.index(one))}), operator)}"


def _mispriced(quote: StoredQuote) -> Iterator[str]:
    sum_micro = 0
    for one in quote.held:
        frame, tariff = one.quote.segment.window, one.quote.tariff
        lines = charge(tariff, one.quote.segment.bandwidth_bps, frame.start_s, frame.end_s, frame.duration_s)
        if total(lines) != one.quote.total.micro:
            yield f"takes {one.quote.total.micro} for what the tariff makes {total(lines)}"
        sum_micro += RATES.convert(one.quote.total, "EUR").micro
        if one.quote.segment.bandwidth_bps != quote.claims.bandwidth_bps:
            yield "has segments of several bandwidths"
    budget = quote.intent.budget
    if sum_micro != quote.claims.total.micro or (
        budget and quote.claims.action is Action.ADD and sum_micro > budget.micro
    ):
        yield f"costs {quote.claims.total.micro}, its segments {sum_micro}, with a budget of {budget}"


def within_authority(world: Quiet) -> Iterator[str]:
    """8. No mandate pays for more than it may: what its orders came to, and may still come to."""
    for books in world.books():
        yield from books.complaints
        spent: dict[str, int] = {}
        most: dict[str, int] = {}
        for state in books.states():
            power = books.quotes[state.terms.quote].power
            if power is None:
                continue
            bill = state.bill.total if state.state in TERMINAL and state.bill else state.total
            worth = RATES.convert(bill, power.authority.spend.ccy).micro
            if worth > power.authority.spend.per_order_micro and not state.extensions:
                yield f"order {state.terms.id} costs {worth}, more than one order may"
            spent[power.mandate_h] = spent.get(power.mandate_h, 0) + worth
            most[power.mandate_h] = power.authority.spend.total_micro
        for mandate_h, micro in spent.items():
            if micro > most[mandate_h]:
                yield f"mandate {mandate_h[:6]} paid {micro} of {most[mandate_h]}"


def _pairs(state: OrderState) -> Iterator[tuple[Part, Leg]]:
    return zip(state.terms.parts, state.legs, strict=True)


assert NOW  # the zero of every clock here
