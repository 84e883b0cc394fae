"""What an expression of a policy is worth, as far as it is understood (pure): Cedar's operators as Python closures.

Besides its value an expression can be an `ERROR` (Cedar would fail there: an absent attribute), or `UNKNOWN`: not
understood here, so that nothing may be concluded from it. Cedar's validator has checked the types before.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from cedarpy import pst


class Odd(Enum):
    """No value."""

    ERROR = "error"
    UNKNOWN = "unknown"


ERROR: Final = Odd.ERROR
UNKNOWN: Final = Odd.UNKNOWN
Env = Mapping[str, Any]  # by `resource.NAME`, `context.NAME`, `principal.NAME`; an absent attribute is not in it
Value = Callable[[Env], Any]

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq,
    "not_eq": operator.ne,
    "less": operator.lt,
    "less_eq": operator.le,
    "greater": operator.gt,
    "greater_eq": operator.ge,
    "contains": operator.contains,
    "contains_all": frozenset.issuperset,
    "contains_any": lambda left, right: not left.isdisjoint(right),
}


@lru_cache(maxsize=4096)
def compiled(expr: pst.Expr) -> Value:
    """A function from an environment to the value of `expr`, or `ERROR`, or `UNKNOWN`."""
    match expr:
        case pst.BoolLit(value) | pst.LongLit(value) | pst.StringLit(value):
            return _constant(value)
        case pst.GetAttr(pst.Var(name), attr):
            return _getter(f"{name}.{attr}")
        case pst.HasAttr(pst.Var(name), (attr,)):
            return _asker(f"{name}.{attr}")
        case pst.Set(elements):
            return _set(elements)
        case pst.UnaryOp("not" | "is_empty", arg):
            return _not(compiled(arg))
        case pst.BinaryOp("and" | "or" as op, left, right):
            return _joined(op == "or", compiled(left), compiled(right))
        case pst.BinaryOp(op, left, right) if op in _OPERATORS:
            return _compared(_OPERATORS[op], compiled(left), compiled(right))
        case pst.IfThenElse(cond, then, other):
            return _chosen(compiled(cond), compiled(then), compiled(other))
    return _constant(UNKNOWN)


def literals(expr: pst.Expr) -> frozenset[str] | None:
    """The names in a set that is written out, or the one that is: None for anything else."""
    match expr:
        case pst.StringLit(value):
            return frozenset({value})
        case pst.Set(elements):
            names = [one.value for one in elements if isinstance(one, pst.StringLit)]
            return frozenset(names) if len(names) == len(elements) else None
    return None


def _constant(value: Any) -> Value:
    return lambda env: value


def _getter(key: str) -> Value:
    return lambda env: env.get(key, ERROR)


def _asker(key: str) -> Value:
    return lambda env: key in env


def _set(elements: tuple[pst.Expr, ...]) -> Value:
    written = literals(pst.Set(elements))
    if written is not None:
        return _constant(written)
    made = tuple(compiled(element) for element in elements)

    def value(env: Env) -> Any:
        values = [element(env) for element in made]
        return _oddest(values) or frozenset(values)

    return value


def _oddest(values: list[Any]) -> Odd | None:
    """All of them are evaluated, so that one error is an error whatever is unknown."""
    odd = [value for value in values if isinstance(value, Odd)]
    return None if not odd else ERROR if ERROR in odd else UNKNOWN


def _not(arg: Value) -> Value:
    """Of a truth value, or whether a set is empty."""

    def value(env: Env) -> Any:
        found = arg(env)
        return found if isinstance(found, Odd) else not found

    return value


def _compared(function: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    def value(env: Env) -> Any:
        a, b = left(env), right(env)
        if isinstance(a, Odd) or isinstance(b, Odd):
            return _oddest([a, b])
        return function(a, b)

    return value


def _joined(final: bool, left: Value, right: Value) -> Value:
    """`||` (final true) or `&&`: the right side counts only where the left one leaves it open."""

    def value(env: Env) -> Any:
        found = left(env)
        return right(env) if found is not final and not isinstance(found, Odd) else found

    return value


def _chosen(cond: Value, then: Value, other: Value) -> Value:
    def value(env: Env) -> Any:
        found = cond(env)
        if isinstance(found, Odd):
            return found
        return then(env) if found else other(env)

    return value
