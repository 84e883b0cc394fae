"""A change to a limit, and where a query stands after some."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct, structs

from federation.broker.paths.query import Ask, Limit, Query
from schemas.segment import Window


class Change(Struct, frozen=True, kw_only=True):
    """A limit's new value; for a rule the names to be allowed too, and None where the rule is dropped altogether."""

    limit: str
    value: int | tuple[str, ...] | None


class Stand(Struct, frozen=True):
    """A query after changes: numbers are in it, `granted` holds (rule, name) allowed, `dropped` rules left out."""

    query: Query
    granted: frozenset[tuple[str, str]] = frozenset()
    dropped: frozenset[str] = frozenset()

    def changed(self, change: Change) -> Stand:
        """After one change more."""
        if change.value is None:
            return structs.replace(self, dropped=self.dropped | {change.limit})
        if isinstance(change.value, tuple):
            return structs.replace(self, granted=self.granted | {(change.limit, name) for name in change.value})
        return structs.replace(self, query=_with(self.query, change.limit, change.value))

    def ask(self, aim: str, waived: frozenset[str] = frozenset(), eased: frozenset[str] = frozenset()) -> Ask:
        """The solve for an aim, without the limits in `waived`."""
        return Ask(query=self.query, aim=aim, waived=waived | self.dropped, eased=eased, granted=self.granted)


def _with(query: Query, limit: str, value: int) -> Query:
    match limit:
        case Limit.HOPS:
            return structs.replace(query, hops=value)
        case Limit.BUDGET:
            return structs.replace(query, budget_micro=value)
        case Limit.BANDWIDTH:
            return structs.replace(query, bandwidth_bps=value)
        case Limit.MTU:
            return structs.replace(query, mtu=value)
        case Limit.TERM:
            return structs.replace(query, term_s=value, window=_longer(query.window, value - query.term_s))
    return structs.replace(query, limits=structs.replace(query.limits, **{str(limit): value}))


def _longer(window: Window, by_s: int) -> Window:
    """The same start, and an end later by the term that is added."""
    return Window(window.start, window.end + timedelta(seconds=by_s))
