"""Which rules keep a route class or an interface out of one question, and what each would have to allow."""

from __future__ import annotations

from collections.abc import Iterator

from federation.broker.paths.query import Limit, Query

Name = tuple[str, str]  # a rule, and a name to be added to what it allows (or taken from what it denies)
Lacking = tuple[str, frozenset[str] | None]


def lacking(query: Query, entity: str, route_class: str, minimum_term_s: int) -> Iterator[Lacking]:
    """(rule, names to be added to it) for every rule that refuses; None where no addition would help."""
    if query.operators_allowed is not None and entity not in query.operators_allowed:
        yield Limit.ALLOWED, frozenset({entity})
    if entity in query.operators_denied:
        yield Limit.DENIED, frozenset({entity})
    if query.route_classes is not None and route_class not in query.route_classes:
        yield Limit.CLASSES, frozenset({route_class})
    if minimum_term_s > query.term_s:
        yield Limit.TERM, None
    for refusal in query.refused.get((entity, route_class), ()):
        yield refusal.rule, refusal.lacking


def names(query: Query) -> Iterator[Name]:
    """Every (rule, name) that has to do with interfaces or with the path as a whole."""
    for closing in query.closed.values():
        yield from closing
    for entity in query.operators_required:
        yield Limit.REQUIRED, entity
