"""What stands in the way of an intent, in words (pure): rules that keep operators out, limits that bind, what helps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from federation.broker.discovery.known import Known
from federation.broker.market.words import duration, limit_name, milliseconds, value
from federation.broker.paths.changes import Change
from federation.broker.paths.infeasible import Bind, Infeasible
from federation.broker.paths.meter import worth
from federation.broker.paths.query import Limit, Query
from federation.policy.limits import MARKS
from schemas.answer import Binding, Exclusion, Relaxation
from schemas.offer import ClassTerms
from schemas.price import Money

Roster = Mapping[str, str]
Reason = tuple[str, str, str]  # operator, rule, detail
# Rules that are eased by taking a name away, and how that is said.
TAKEN_AWAY: Final[Mapping[str, str]] = {
    Limit.DENIED: "deny",
    Limit.SITES: "avoid",
    Limit.CITIES: "avoid",
    Limit.REQUIRED: "require",
    MARKS: "require the mark",
}


def exclusions(query: Query, known: Known) -> Iterator[Exclusion]:
    """Every operator, or route class of one, that a rule of the intent keeps out; no class where it is all of them.

    Where the intent avoids sites or cities, also the operators that are used at some of their interfaces only.
    """
    for entity in sorted(known.roster):
        name = known.roster[entity]
        if entity in query.operators_denied:
            yield Exclusion(operator=entity, operator_name=name, rule=Limit.DENIED, detail="the intent denies it")
        elif query.operators_allowed is not None and entity not in query.operators_allowed:
            why = "the intent allows only others"
            yield Exclusion(operator=entity, operator_name=name, rule=Limit.ALLOWED, detail=why)
    for (entity, rule, detail), classes in _kept_out(query, known).items():
        whole = set(known.sheets[entity].classes) <= classes if entity in known.sheets else False
        for route_class in [None] if whole else sorted(classes):
            yield Exclusion(
                operator=entity,
                operator_name=known.roster.get(entity, entity),
                rule=rule,
                detail=detail,
                route_class=route_class,
            )
    yield from _avoided(query, known)


def _kept_out(query: Query, known: Known) -> dict[Reason, set[str]]:
    """Route classes by (operator, rule, reason): what policy refuses first, then what does not suit the question."""
    found: dict[Reason, set[str]] = {}
    for (entity, route_class), reasons in sorted(query.refused.items()):
        for reason in reasons:
            found.setdefault((entity, reason.rule, reason.detail), set()).add(route_class)
    for entity, sheet in sorted(known.sheets.items()):
        for terms in sheet.classes.values():
            for rule, detail in _unsuited(query, sheet.currency, terms):
                found.setdefault((entity, rule, detail), set()).add(terms.id)
    return found


def _unsuited(query: Query, currency: str, terms: ClassTerms) -> Iterator[tuple[str, str]]:
    if worth(query.rates, currency, query.currency) is None:
        yield "currency", f"is paid in {currency}, for which this broker has no rate"
    if query.route_classes is not None and terms.id not in query.route_classes:
        yield Limit.CLASSES, "the intent asks for other route classes"
    if terms.minimum_term_s > query.term_s:
        yield Limit.TERM, f"is sold for {duration(terms.minimum_term_s)} at least"


def _avoided(query: Query, known: Known) -> Iterator[Exclusion]:
    """Per operator and name avoided, at how many of its interfaces no path goes through."""
    counts = Counter((entity, rule, name) for (entity, _), names in query.closed.items() for rule, name in names)
    for (entity, rule, name), count in sorted(counts.items()):
        detail = f"{count} of its {len(known.sheets[entity].interfaces)} interfaces: the intent avoids {name}"
        yield Exclusion(operator=entity, operator_name=known.roster.get(entity, entity), rule=rule, detail=detail)


def bindings(found: Infeasible, query: Query, roster: Roster) -> tuple[Binding, ...]:
    """The limits that bind, with what was asked and the best there is."""
    return tuple(
        Binding(
            limit=bind.limit,
            asked=_asked(bind.limit, query, roster),
            floor=None if bind.floor is None else _amount(bind.limit, bind.floor, query, roster) + _light(bind, found),
        )
        for bind in found.binding
    )


def _light(bind: Bind, found: Infeasible) -> str:
    """What physics says beside the networks, where less was asked than light needs."""
    beyond = found.impossible and bind.limit == Limit.LATENCY
    return f"; light alone needs {milliseconds(found.floor_us)}" if beyond else ""


def relaxations(found: Infeasible, query: Query, roster: Roster) -> tuple[Relaxation, ...]:
    """The least changes that help, each with the best path then."""
    return tuple(
        Relaxation(
            limits=tuple(change.limit for change in relaxed.changes),
            change=" and ".join(_change(change, query, roster) for change in relaxed.changes),
            total=Money(query.currency, relaxed.route.total_micro),
            promise=relaxed.route.promise,
        )
        for relaxed in found.relaxations
    )


def _asked(limit: str, query: Query, roster: Roster) -> str:
    number = query.limit(limit)
    if number is not None:
        return value(limit, number, query.currency)
    match limit:
        case Limit.ALLOWED:
            names = query.operators_allowed
        case Limit.DENIED:
            names = query.operators_denied
        case Limit.CLASSES:
            names = query.route_classes
        case Limit.REQUIRED:
            names = query.operators_required
        case Limit.SITES | Limit.CITIES:
            names = frozenset(name for closing in query.closed.values() for rule, name in closing if rule == limit)
        case _:
            return "as the intent limits it"
    return ", ".join(sorted(roster.get(name, name) for name in names or ())) or "none"


def _amount(limit: str, amount: int | tuple[str, ...], query: Query, roster: Roster) -> str:
    if isinstance(amount, int):
        return value(limit, amount, query.currency)
    names = ", ".join(roster.get(name, name) for name in amount)
    if not names:
        return "as asked, were it the only limit"
    return f"without {names}" if limit in TAKEN_AWAY else f"with {names}"


def _change(change: Change, query: Query, roster: Roster) -> str:
    """One change as an imperative: `accept latency of 5.2 ms (+0.4 ms)`."""
    what, amount = limit_name(change.limit), change.value
    if amount is None:
        return f"drop the limit on {what}"
    if isinstance(amount, tuple):
        names = ", ".join(roster.get(name, name) for name in amount)
        no_more = TAKEN_AWAY.get(change.limit)
        return f"allow {names} ({what})" if no_more is None else f"no longer {no_more} {names}"
    said, before = value(change.limit, amount, query.currency), query.limit(change.limit)
    if before is None:
        return f"accept {what} of {said}"
    if amount < before:
        return f"accept {what} of {said} instead of {value(change.limit, before, query.currency)}"
    return f"accept {what} of {said} (+{value(change.limit, amount - before, query.currency)})"
