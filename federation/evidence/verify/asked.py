"""What else a buyer asked of a path and evidence shows: segments, route classes, frame size, times, and whose they are.

Operators go by every name that a broker understands. Places are not shown: which interfaces lie in a city, or where a
site denied is, only the sheets of operators tell.
"""

from __future__ import annotations

from federation.evidence.verify.documents import same
from federation.evidence.verify.purchase import Leg, Round
from federation.evidence.verify.reading import Case, unsound
from schemas.intent import Intent
from schemas.name import called, fold
from schemas.segment import Window


def check_path(case: Case, one: Round, intent: Intent, *, extends: bool) -> None:
    """Raises `DOCUMENT_INVALID` where a path is not what the intent asks for; an extension keeps the path."""
    classes = {leg.quote.claims.segment.route_class for leg in one.legs}
    pairs: dict[str, tuple[object, object]] = {
        "hops": (intent.hops is None or len(one.legs) <= intent.hops, True),
        "route_classes": (intent.route_classes is None or classes <= set(intent.route_classes), True),
        "mtu": (all(leg.quote.claims.segment.mtu >= intent.mtu for leg in one.legs), True),
    }
    assert one.path is not None, "a buyer's bundle has path quotes"
    if not extends:
        pairs["window"] = (_is_asked(intent, one.path.claims.window), True)
    same("path quote against the intent", pairs)
    _check_operators(intent, {leg.operator: _names(case, leg) for leg in one.legs})


def _is_asked(intent: Intent, window: Window) -> bool:
    return intent.start in {None, window.start} and intent.end in {None, window.end}


def _names(case: Case, leg: Leg) -> frozenset[str]:
    return called(leg.operator, case.standing.at(leg.operator, leg.quote.claims.iat).member.name)


def _check_operators(intent: Intent, names: dict[str, frozenset[str]]) -> None:
    denied = set(map(fold, intent.operators_denied))
    allowed = None if intent.operators_allowed is None else set(map(fold, intent.operators_allowed))
    for operator, known in names.items():
        if known & denied or (allowed is not None and not known & allowed):
            raise unsound(f"the buyer does not want {operator} on its path")
    for wanted in intent.operators_required:
        if not any(fold(wanted) in known for known in names.values()):
            raise unsound(f"the path does not enter {wanted}, which the buyer asks for")
