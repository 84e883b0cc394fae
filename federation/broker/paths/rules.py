"""Which rules keep a route class out of one question, and what would have to be allowed for each to let it in."""

from __future__ import annotations

from collections.abc import Iterator

from federation.broker.paths.query import Limit, Query

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
