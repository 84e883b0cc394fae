"""An intent's limits on where data go and under whose law, judged on verified facts (pure; design section 4).

Three separate facts: the countries that a route class may cross, the legal domicile, and the countries of the
controlling parents. Whoever calls hands in the attestation of a verified, unexpired trust mark, or None: an
operator's own word is no fact. No mark, no fact in it, no such class in it, an empty list: refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from schemas.jurisdiction import Attestation, Sovereignty, expand


class Rule(StrEnum):
    """A limit of an intent that facts are held against; the value is its field in `Sovereignty`."""

    COUNTRIES = "countries"
    DOMICILE = "domicile"
    PARENTS = "parents"


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a rule keeps a route class out.

    `lacking` are the names that would have to be allowed for it to pass; null where the fact itself is missing, so
    that no name would help. `detail` is a clause about the operator, for a person.
    """

    rule: str
    detail: str
    lacking: frozenset[str] | None


MARKS: Final = "marks_required"
Refusals = Mapping[tuple[str, str], tuple[Refusal, ...]]


def refusals(
    limits: Sovereignty, facts: Mapping[str, Attestation | None], offered: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Refusal, ...]]:
    """Every (operator, route class) of `offered` that a limit refuses, with all reasons.

    `facts` by entity id; an operator that is not in it has none. Raises `Problem` on a name that is no country.
    """
    allowed = allowances(limits)
    judged = {(op, name): _judge(allowed, facts.get(op), name) for op, name in offered} if allowed else {}
    return {key: reasons for key, reasons in judged.items() if reasons}


def mark_refusals(
    required: Iterable[str], marks: Mapping[str, frozenset[str]], offered: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Refusal, ...]]:
    """Every (operator, route class) of `offered` whose operator lacks a required mark; `marks` by entity id."""
    wanted = frozenset(required)
    return {
        (operator, name): (refusal,)
        for operator, name in offered
        if (refusal := lacking_marks(wanted, marks.get(operator, frozenset()))) is not None
    }


def lacking_marks(required: frozenset[str], given: frozenset[str]) -> Refusal | None:
    """Why an operator with the marks `given` is refused, if it is; what would have to be required no longer."""
    lacking = required - given
    if not lacking:
        return None
    detail = f"no recognised auditor gave it the mark {' or '.join(sorted(lacking))}"
    return Refusal(rule=MARKS, detail=detail, lacking=lacking)


def together(*judged: Refusals) -> dict[tuple[str, str], tuple[Refusal, ...]]:
    """What several judgements refuse, with the reasons of all."""
    found: dict[tuple[str, str], tuple[Refusal, ...]] = {}
    for refused in judged:
        for key, reasons in refused.items():
            found[key] = found.get(key, ()) + reasons
    return found


def judge(limits: Sovereignty, facts: Attestation | None, route_class: str) -> tuple[Refusal, ...]:
    """Every reason why one route class of an operator is refused; none means it is allowed.

    Raises `Problem` on a name that is no country.
    """
    return _judge(allowances(limits), facts, route_class)


def allowances(limits: Sovereignty) -> dict[Rule, frozenset[str]]:
    """The country codes that each limit allows; a limit that is not set is not in it."""
    lists = {rule: getattr(limits, rule.value) for rule in Rule}
    return {rule: expand(names, f"sovereignty.{rule.value}") for rule, names in lists.items() if names is not None}


def _judge(allowed: Mapping[Rule, frozenset[str]], facts: Attestation | None, route_class: str) -> tuple[Refusal, ...]:
    return tuple(
        refusal
        for rule, names in allowed.items()
        if (refusal := _held_against(rule, names, facts, route_class)) is not None
    )


def _held_against(rule: Rule, allowed: frozenset[str], facts: Attestation | None, route_class: str) -> Refusal | None:
    if facts is None:
        return Refusal(rule=rule, detail="no recognised auditor attests any fact about it", lacking=None)
    found = _fact(rule, facts, route_class)
    if not found:
        return Refusal(rule=rule, detail=_missing(rule, facts, route_class), lacking=None)
    lacking = frozenset(found) - allowed
    return Refusal(rule=rule, detail=_outside(rule, sorted(lacking)), lacking=lacking) if lacking else None


def _fact(rule: Rule, facts: Attestation, route_class: str) -> tuple[str, ...] | None:
    match rule:
        case Rule.COUNTRIES:
            found = facts.classes.get(route_class)
            return None if found is None else found.countries
        case Rule.DOMICILE:
            return facts.legal_domicile
        case Rule.PARENTS:
            return facts.controlling_parents


def _missing(rule: Rule, facts: Attestation, route_class: str) -> str:
    match rule:
        case Rule.COUNTRIES if route_class not in facts.classes:
            return f"no auditor attests which countries its route class '{route_class}' may cross"
        case Rule.COUNTRIES:
            return f"the attestation of its route class '{route_class}' names no country"
        case Rule.DOMICILE:
            return "no auditor attests its legal domicile"
        case Rule.PARENTS:
            return "no auditor attests who controls it"


def _outside(rule: Rule, lacking: list[str]) -> str:
    names = " and ".join(filter(None, (", ".join(lacking[:-1]), lacking[-1])))
    match rule:
        case Rule.COUNTRIES:
            return f"may cross {names}, which the intent does not allow"
        case Rule.DOMICILE:
            return f"has its legal domicile in {names}, which the intent does not allow"
        case Rule.PARENTS:
            return f"is controlled from {names}, which the intent does not allow"
