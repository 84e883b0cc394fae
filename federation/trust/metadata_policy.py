"""Metadata policy (OpenID Federation 1.1, section 6.1): superiors narrow what their subordinates may say of themselves.

`merged` joins the policies of a chain, from the anchor down, into one that is never more permissive than any of them;
`applied` changes and checks the metadata with it. Anything not allowed is a policy error, `DOCUMENT_INVALID`, and
kills the chain. Values are compared as JSON: `true` is not `1`. All work is linear in the size of the statements.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from schemas.problem import Problem

Parameter = dict[str, Any]  # operators of one metadata parameter
Policy = dict[str, dict[str, Parameter]]  # entity type, parameter, operator
Metadata = dict[str, dict[str, Any]]

# In the order in which they are applied.
OPERATORS: Final = ("value", "add", "default", "one_of", "subset_of", "superset_of", "essential")
LISTS: Final = frozenset({"add", "one_of", "subset_of", "superset_of"})
SCOPE: Final = "scope"  # one string of words (RFC 7591), which operators see as an array
ABSENT: Final = object()


def merged(policies: Sequence[Mapping[str, Any]], critical: frozenset[str] = frozenset()) -> Policy:
    """One policy from those of a chain, the anchor's first (section 6.1.4.1). Raises `DOCUMENT_INVALID`.

    Operators other than the standard ones are ignored, unless a statement names them in `metadata_policy_crit`, which
    the caller gathers as `critical`. Standard ones are never named there (section 3.2).
    """
    if standard := critical.intersection(OPERATORS):
        _refuse("metadata_policy_crit", f"{', '.join(sorted(standard))} is a standard operator and not named here")
    if unknown := critical.difference(OPERATORS):
        _refuse("metadata_policy_crit", f"{', '.join(sorted(unknown))} is not understood here")
    result: Policy = {}
    try:
        for policy in policies:
            for entity_type, parameters in policy.items():
                current = result.setdefault(entity_type, {})
                for name, operators in parameters.items():
                    at = f"{entity_type}.{name}"
                    current[name] = _merge(current.get(name, {}), _checked(at, name, operators), at)
    except RecursionError:
        _refuse("metadata_policy", "nested too deep")
    return result


def applied(policy: Policy, metadata: Mapping[str, Mapping[str, Any]]) -> Metadata:
    """The metadata once `policy` has changed and checked it (section 6.1.4.2). Raises `DOCUMENT_INVALID`.

    Entity types that the subject does not have stay absent.
    """
    result = {entity_type: dict(parameters) for entity_type, parameters in metadata.items()}
    try:
        for entity_type, parameters in policy.items():
            if entity_type not in result:
                continue
            for name, operators in parameters.items():
                _apply(result[entity_type], name, operators, f"{entity_type}.{name}")
    except RecursionError:
        _refuse("metadata", "nested too deep")
    return result


def _apply(parameters: dict[str, Any], name: str, operators: Parameter, at: str) -> None:
    words = name == SCOPE and isinstance(parameters.get(name, ""), str)
    found = parameters.get(name, ABSENT)
    if words and found is not ABSENT:
        found = found.split()
    for operator in OPERATORS:
        if operator in operators:
            found = _ACTIONS[operator](found, operators[operator], at)
    if found is ABSENT:
        parameters.pop(name, None)
    else:
        parameters[name] = " ".join(found) if words and isinstance(found, list) else found


# --- what an operator does to a parameter -----------------------------------------------------------------------


def _value(_found: Any, wanted: Any, _at: str) -> Any:
    return ABSENT if wanted is None else wanted


def _add(found: Any, wanted: list[Any], at: str) -> Any:
    return _union([] if found is ABSENT else _array(found, at), wanted)


def _default(found: Any, wanted: Any, _at: str) -> Any:
    return wanted if found is ABSENT else found


def _one_of(found: Any, allowed: list[Any], at: str) -> Any:
    if found is not ABSENT and _key(found) not in _keys(allowed):
        _refuse(at, "is none of the values that a superior allows (one_of)")
    return found


def _subset_of(found: Any, allowed: list[Any], at: str) -> Any:
    return found if found is ABSENT else _intersection(_array(found, at), allowed)


def _superset_of(found: Any, wanted: list[Any], at: str) -> Any:
    if found is not ABSENT and not _keys(wanted) <= _keys(_array(found, at)):
        _refuse(at, "lacks a value that a superior demands (superset_of)")
    return found


def _essential(found: Any, wanted: bool, at: str) -> Any:
    if wanted and found is ABSENT:
        _refuse(at, "is missing, and a superior demands it (essential)")
    return found


_ACTIONS: Final[Mapping[str, Callable[[Any, Any, str], Any]]] = {
    "value": _value,
    "add": _add,
    "default": _default,
    "one_of": _one_of,
    "subset_of": _subset_of,
    "superset_of": _superset_of,
    "essential": _essential,
}


# --- how two policies become one --------------------------------------------------------------------------------


def _merge(superior: Parameter, subordinate: Parameter, at: str) -> Parameter:
    result = dict(superior)
    for operator, value in subordinate.items():
        result[operator] = _both(operator, superior[operator], value, at) if operator in superior else value
    _check_combination(result, at)
    return {operator: result[operator] for operator in OPERATORS if operator in result}


def _both(operator: str, superior: Any, subordinate: Any, at: str) -> Any:
    if operator in {"value", "default"}:
        if _key(superior) != _key(subordinate):
            _refuse(at, f"superiors set different values ({operator})")
        return superior
    if operator in {"add", "superset_of"}:
        return _union(superior, subordinate)
    if operator == "essential":
        return superior or subordinate
    common = _intersection(superior, subordinate)
    if operator == "one_of" and not common:
        _refuse(at, "superiors leave no value that all of them allow (one_of)")
    return common


# --- what a policy must look like -------------------------------------------------------------------------------


def _checked(at: str, name: str, operators: Any) -> Parameter:
    if not isinstance(operators, dict):
        _refuse(at, "a policy is an object of operators")
    known = {operator: operators[operator] for operator in OPERATORS if operator in operators}
    for operator, value in known.items():
        if name == SCOPE and isinstance(value, str):
            known[operator] = value.split()
        elif operator in LISTS:
            known[operator] = _union([], _members(value, f"{at}.{operator}"))
        elif operator == "essential" and not isinstance(value, bool):
            _refuse(f"{at}.{operator}", "expected true or false")
        elif operator == "default" and value is None:
            _refuse(f"{at}.{operator}", "null is no default")
    if known.get("one_of") == []:
        _refuse(f"{at}.one_of", "is empty, so no value would do")
    _check_combination(known, at)
    return known


def _members(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list) or any(isinstance(o, bool) or not isinstance(o, str | int | dict) for o in value):
        _refuse(at, "expected an array of strings, numbers or objects")
    return value


def _check_combination(operators: Parameter, at: str) -> None:
    """Which operators may stand together, and when (section 6.1.3.1)."""
    if "one_of" in operators and (clash := operators.keys() & {"add", "subset_of", "superset_of"}):
        _refuse(at, f"one_of cannot stand together with {', '.join(sorted(clash))}")
    if "value" in operators:
        _check_value(operators, operators["value"], at)
    for smaller, larger in (("add", "subset_of"), ("superset_of", "subset_of")):
        if smaller in operators and larger in operators and not _within(operators[smaller], operators[larger]):
            _refuse(at, f"{smaller} goes beyond {larger}")


def _check_value(operators: Parameter, value: Any, at: str) -> None:
    fine: Mapping[str, Callable[[Any], bool]] = {
        "add": lambda other: _within(other, value),
        "default": lambda _: value is not None,
        "one_of": lambda other: _key(value) in _keys(other),
        "subset_of": lambda other: _within(value, other),
        "superset_of": lambda other: _within(other, value),
        "essential": lambda other: not (other and value is None),
    }
    for operator, allows in fine.items():
        if operator in operators and not allows(operators[operator]):
            _refuse(at, f"value contradicts {operator}")


# --- JSON values ------------------------------------------------------------------------------------------------


def _array(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        _refuse(at, "expected an array, because a superior has a policy about its members")
    return value


def _within(smaller: Any, larger: Any) -> bool:
    both = isinstance(smaller, list) and isinstance(larger, list)
    return both and _keys(smaller) <= _keys(larger)


def _union(first: list[Any], second: list[Any]) -> list[Any]:
    return list({_key(value): value for value in [*first, *second]}.values())


def _intersection(first: list[Any], second: list[Any]) -> list[Any]:
    allowed = _keys(second)
    return [value for value in first if _key(value) in allowed]


def _keys(values: list[Any]) -> set[str]:
    return {_key(value) for value in values}


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _refuse(at: str, why: str) -> NoReturn:
    raise Problem("DOCUMENT_INVALID", why, field=at)
