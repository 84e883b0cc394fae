"""What stands in the way of an intent, in words (pure): rules that keep operators out, limits that bind, what helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from federation.broker.discovery.known import Known
from federation.broker.market.words import NAMES, value
from federation.broker.paths.changes import Change
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.query import Limit, Query
from schemas.answer import Binding, Exclusion, Relaxation
from schemas.price import Money

Roster = Mapping[str, str]


def exclusions(query: Query, known: Known) -> Iterator[Exclusion]:
    """Every operator, or route class of one, that a rule of the intent keeps out; no class where it is all of them."""
    for entity in sorted(known.roster):
        name = known.roster[entity]
        if entity in query.operators_denied:
            yield Exclusion(operator=entity, operator_name=name, rule=Limit.DENIED, detail="the intent denies it")
        elif query.operators_allowed is not None and entity not in query.operators_allowed:
            why = "the intent allows only others"
            yield Exclusion(operator=entity, operator_name=name, rule=Limit.ALLOWED, detail=why)
    for (entity, rule, detail), classes in _refused(query).items():
        whole = set(known.sheets[entity].classes) <= classes if entity in known.sheets else False
        for route_class in [None] if whole else sorted(classes):
            yield Exclusion(
                operator=entity,
                operator_name=known.roster.get(entity, entity),
                rule=rule,
                detail=detail,
                route_class=route_class,
            )


def _refused(query: Query) -> dict[tuple[str, str, str], set[str]]:
    """Route classes by (operator, rule, reason)."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for (entity, route_class), reasons in sorted(query.refused.items()):
        for reason in reasons:
            found.setdefault((entity, reason.rule, reason.detail), set()).add(route_class)
    return found


def bindings(found: Infeasible, query: Query, roster: Roster) -> tuple[Binding, ...]:
    """The limits that bind, with what was asked and the best there is."""
    return tuple(
        Binding(
            limit=bind.limit,
            asked=_asked(bind.limit, query, roster),
            floor=None if bind.floor is None else _amount(bind.limit, bind.floor, query, roster),
        )
        for bind in found.binding
    )


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
        case _:
            return "as the intent limits it"
    return ", ".join(sorted(roster.get(name, name) for name in names or ())) or "none"


def _amount(limit: str, amount: int | tuple[str, ...], query: Query, roster: Roster) -> str:
    if isinstance(amount, int):
        return value(limit, amount, query.currency)
    names = ", ".join(roster.get(name, name) for name in amount)
    if not names:
        return "as asked, were it the only limit"
    return f"without {names}" if limit == Limit.DENIED else f"with {names}"


def _change(change: Change, query: Query, roster: Roster) -> str:
    """One change as an imperative: `accept latency of 5.2 ms (+0.4 ms)`."""
    what, amount = NAMES.get(change.limit, change.limit), change.value
    if amount is None:
        return f"drop the limit on {what}"
    if isinstance(amount, tuple):
        names = ", ".join(roster.get(name, name) for name in amount)
        return f"no longer deny {names}" if change.limit == Limit.DENIED else f"allow {names} ({what})"
    said, before = value(change.limit, amount, query.currency), query.limit(change.limit)
    if before is None:
        return f"accept {what} of {said}"
    if amount < before:
        return f"accept {what} of {said} instead of {value(change.limit, before, query.currency)}"
    return f"accept {what} of {said} (+{value(change.limit, amount - before, query.currency)})"
