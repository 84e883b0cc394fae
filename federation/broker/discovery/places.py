"""What a buyer calls a place to keep away from: a site or a city, `NAME` or `NAME@OPERATOR` (pure).

Unlike an endpoint it is every interface there, of every kind. A name that is known nowhere is refused: a place misspelt
would be crossed.
"""

from __future__ import annotations

from collections.abc import Callable

from federation.broker.discovery.endpoints import Endpoint, near, published, some
from federation.broker.discovery.known import Known
from federation.broker.discovery.sheet import OperatorSheet
from schemas.interface import Interface, InterfaceKind
from schemas.name import fold
from schemas.problem import invalid


def at_site(text: str, known: Known, field: str) -> tuple[Endpoint, ...]:
    """Every interface of this id, or at the site of this name. Raises INVALID_ARGUMENT on `field`."""
    return _found(text, known, field, lambda interface: (interface.id, interface.name))


def in_city(text: str, known: Known, field: str) -> tuple[Endpoint, ...]:
    """Every meeting point in a city; UNIs there are nobody's way through. Raises INVALID_ARGUMENT on `field`."""
    everywhere = _found(text, known, field, lambda interface: (interface.city,))
    return tuple(end for end in everywhere if _kind(known, end) is InterfaceKind.ENNI)


def _found(text: str, known: Known, field: str, keys: Callable[[Interface], tuple[str, ...]]) -> tuple[Endpoint, ...]:
    place, at, operator = text.partition("@")
    sheets = [published(operator, known, field)] if at else [known.sheets[entity] for entity in sorted(known.sheets)]
    wanted = fold(place)
    found = tuple(
        Endpoint(sheet.entity, name)
        for sheet in sheets
        for name, interface in sorted(sheet.interfaces.items())
        if wanted in map(fold, keys(interface))
    )
    if not found:
        raise invalid(field, _unknown(text, place, sheets, keys))
    return found


def _unknown(text: str, place: str, sheets: list[OperatorSheet], keys: Callable[[Interface], tuple[str, ...]]) -> str:
    names = sorted({name for sheet in sheets for i in sheet.interfaces.values() for name in keys(i)})
    close = near(place, names)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {some(names) or 'none'}"
    return f"'{text}': no operator here is there, so that there is nothing to avoid; {hint}"


def _kind(known: Known, end: Endpoint) -> InterfaceKind:
    return known.sheets[end.operator].interfaces[end.interface].kind
