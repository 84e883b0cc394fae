"""What a buyer calls a place: `PLACE` or `PLACE@OPERATOR`, read against the UNIs that operators publish (pure).

A place is an interface id, a site's name or a city, tried in that order; an operator is its name, its host, the
first label of its host or its entity id. Case, accents and punctuation do not matter. A city may hold several UNIs,
and without an operator several operators may have it: all of them are meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from federation.broker.discovery.known import Known
from federation.broker.discovery.sheet import OperatorSheet
from schemas.interface import Interface, InterfaceKind
from schemas.name import called, fold
from schemas.problem import Problem, invalid

NAMES_SHOWN_MAX: Final = 8
NEAR_MAX: Final = 3
NEAR_CUTOFF: Final = 0.7
_KEYS: Final[tuple[Callable[[Interface], str], ...]] = (
    lambda interface: interface.id,
    lambda interface: interface.name,
    lambda interface: interface.city,
)


class Endpoint(NamedTuple):
    """A UNI: the operator's entity id and the interface id."""

    operator: str
    interface: str


def resolve(text: str, known: Known, field: str) -> tuple[Endpoint, ...]:
    """Every UNI that `text` may mean, in a fixed order.

    Raises INVALID_ARGUMENT on `field`, with what is near; OPERATOR_UNREACHABLE where the operator published nothing.
    """
    place, at, operator = text.partition("@")
    sheets = known.sheets
    chosen = [published(operator, known, field)] if at else [sheets[entity] for entity in sorted(sheets)]
    for key in _KEYS:
        found = tuple(
            Endpoint(sheet.entity, interface.id)
            for sheet in chosen
            for interface in sorted(unis(sheet), key=lambda i: i.id)
            if fold(key(interface)) == fold(place)
        )
        if found:
            return found
    raise invalid(field, _unknown_place(text, place, chosen, bool(at)))


def operator_named(text: str, roster: Mapping[str, str], field: str) -> str:
    """Entity id of the operator that `text` names. Raises INVALID_ARGUMENT on `field` with the names there are."""
    found = [entity for entity, name in roster.items() if fold(text) in called(entity, name)]
    exact = [entity for entity in found if text in {entity, roster[entity]}] or found
    if len(exact) == 1:
        return exact[0]
    if exact:
        ids = ", ".join(sorted(exact))
        raise invalid(field, f"several operators are called '{text}'; name one by its entity id: {ids}")
    raise invalid(field, _unknown_operator(text, sorted(roster.values())))


def unis(sheet: OperatorSheet) -> Iterable[Interface]:
    """The interfaces of an operator at which a path may begin or end."""
    return (i for i in sheet.interfaces.values() if i.kind is InterfaceKind.UNI)


def published(text: str, known: Known, field: str) -> OperatorSheet:
    """The sheet of the operator that `text` names. Raises INVALID_ARGUMENT, or OPERATOR_UNREACHABLE without one."""
    entity = operator_named(text, known.roster, field)
    if entity in known.sheets:
        return known.sheets[entity]
    why = known.absent.get(entity, "no reason is known")
    detail = f"the offers of {known.roster[entity]} are not here now: {why}"
    raise Problem("OPERATOR_UNREACHABLE", detail, field=field, extra={"operator": entity})


def _unknown_operator(text: str, names: list[str]) -> str:
    if not names:
        return f"no operator '{text}': this broker knows none"
    close = near(text, names)
    hint = f"did you mean {_either(close)}? " if close else ""
    return f"no operator '{text}' here; {hint}the operators are {some(names)}"


def _unknown_place(text: str, place: str, chosen: list[OperatorSheet], named: bool) -> str:
    if not chosen:
        return f"'{text}' is not known: no operator's offers are here now"
    if any(fold(place) in {fold(key(i)) for key in _KEYS} for s in chosen for i in s.interfaces.values()):
        return f"'{text}' is where operators meet (an ENNI); a path begins and ends at a UNI"
    names = {name: sheet.name for sheet in chosen for uni in unis(sheet) for name in (uni.city, uni.name)}
    close = [f"{name}@{names[name]}" if named else name for name in near(place, sorted(names))]
    if close:
        return f"'{text}': did you mean {_either(close)}?"
    where = chosen[0].name if named else "any operator here"
    cities = some(sorted({uni.city for sheet in chosen for uni in unis(sheet)})) or "none"
    return f"'{text}': no UNI of {where} is there or called so; cities known are {cities}"


def near(text: str, names: list[str]) -> list[str]:
    """Those of `names` that are nearly what was written."""
    folded = {fold(name): name for name in names}
    close = difflib.get_close_matches(fold(text), folded, n=NEAR_MAX, cutoff=NEAR_CUTOFF)
    return [folded[name] for name in close]


def _either(names: list[str]) -> str:
    return " or ".join(names)


def some(names: list[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    return ", ".join(names[:NAMES_SHOWN_MAX]) + more
