"""Places by what they lead to: `any CAPABILITY in CC,CC@OPERATOR`, or the `nearest` of them (pure).

A capability is what an operator publishes of a UNI; the part before a colon means all that begin so. The countries are
those that the operator says its UNIs are in, nothing that an auditor attests.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from federation.broker.discovery.endpoints import Endpoint, published, resolve, some, unis
from federation.broker.discovery.known import Known
from federation.broker.discovery.sheet import OperatorSheet
from schemas.interface import Interface
from schemas.jurisdiction import expand
from schemas.problem import invalid

WORDS: Final = ("any", "nearest")
_WISH: Final = re.compile(
    r"(?P<word>any|nearest)\s+(?P<capability>[A-Za-z0-9._:\-]+)(?:\s+in\s+(?P<countries>[A-Za-z]+(?:\s*,\s*[A-Za-z]+)*))?",
    re.IGNORECASE | re.ASCII,
)


class Wish(NamedTuple):
    """What a place must lead to; `countries` None means anywhere."""

    nearest: bool
    capability: str
    countries: frozenset[str] | None


class Ends(NamedTuple):
    """The UNIs that a place may mean. `nearest`: the one reached soonest is meant; `named` by a name, not by a wish."""

    ends: tuple[Endpoint, ...]
    nearest: bool = False
    named: bool = True


def ends_of(text: str, known: Known, field: str) -> Ends:
    """Every UNI that `text` may mean, in a fixed order. Raises INVALID_ARGUMENT on `field`, with what there is."""
    place, at, operator = text.partition("@")
    wish = wish_of(place.strip(), field)
    if wish is None:
        return Ends(resolve(text, known, field))
    sheets = [published(operator, known, field)] if at else [known.sheets[entity] for entity in sorted(known.sheets)]
    found = tuple(
        Endpoint(sheet.entity, uni.id)
        for sheet in sheets
        for uni in sorted(unis(sheet), key=lambda uni: uni.id)
        if _suits(uni, wish)
    )
    if not found:
        raise invalid(field, _none(wish, sheets, operator))
    return Ends(found, wish.nearest, named=False)


def wish_of(place: str, field: str) -> Wish | None:
    """The wish that a place is written as; None where it is a name. Raises INVALID_ARGUMENT on half a wish."""
    written = _WISH.fullmatch(place)
    if written is None:
        if place.lower() in WORDS or place.lower().startswith(tuple(f"{word} " for word in WORDS)):
            why = "write for example any gpu, nearest edge in DE,FR or any on-ramp:NAME in EU@OPERATOR"
            raise invalid(field, f"'{place}': {why}")
        return None
    codes = written["countries"]
    countries = None if codes is None else expand(tuple(code.strip().upper() for code in codes.split(",")), field)
    return Wish(written["word"].lower() == "nearest", written["capability"].casefold(), countries)


def _suits(uni: Interface, wish: Wish) -> bool:
    if wish.countries is not None and uni.country not in wish.countries:
        return False
    return any(_means(wish.capability, capability.casefold()) for capability in uni.capabilities)


def _means(wanted: str, capability: str) -> bool:
    return capability == wanted or capability.startswith(f"{wanted}:")


def _none(wish: Wish, sheets: list[OperatorSheet], operator: str) -> str:
    """`no UNI with capability 'gpu' in DE; it is known in FR` or which capabilities are known."""
    leading = [(uni.country, name) for sheet in sheets for uni in unis(sheet) for name in uni.capabilities]
    where = f" in {', '.join(sorted(wish.countries))}" if wish.countries is not None else ""
    whose = f" of {operator}" if operator else ""
    there = sorted({country for country, name in leading if _means(wish.capability, name.casefold())})
    if there:
        known = f"it is known in {some(there)}"
    else:
        known = f"capabilities known are {some(sorted({name for _, name in leading})) or 'none'}"
    return f"no UNI{whose} with capability '{wish.capability}'{where}; {known}"
