"""A permit as a list of conditions that must all hold, each as simple as it gets for one action (pure).

For one action the types of principal and resource are known, so that `resource is Broker` and what hangs on it fall
away. What is left is cut at every `&&`, so that each condition can fail with a reason of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from cedarpy import pst

from federation.policy.facts import ALWAYS, HELD_BY
from schemas.decision import Part

TRUE: Final = pst.BoolLit(True)
FALSE: Final = pst.BoolLit(False)


class Setting(NamedTuple):
    """An action with the entity types that the schema gives it; `part` is what the resource is judged as."""

    action: str
    principal: str
    resource: str
    part: Part


SETTINGS: Final = {
    "carry": Setting("carry", "Buyer", "Segment", Part.CARRY),
    "arrange": Setting("arrange", "Buyer", "Broker", Part.ARRANGE),
    "manage": Setting("manage", "Buyer", "Manager", Part.MANAGE),
    "sell": Setting("sell", "Broker", "Segment", Part.CARRY),
}


def applies(permit: pst.Template, setting: Setting) -> bool:
    """Whether the head of a permit takes in a question of `setting`."""
    return (
        _takes_action(permit.action, setting.action)
        and _takes_type(permit.principal, setting.principal)
        and _takes_type(permit.resource, setting.resource)
    )


def _takes_action(constraint: pst.ActionConstraint, action: str) -> bool:
    match constraint:
        case pst.ActionEq(entity):
            return entity.id == action
        case pst.ActionIn(entities):
            return any(entity.id == action for entity in entities)
    return True


def _takes_type(constraint: pst.PrincipalOrResourceConstraint, name: str) -> bool:
    return str(constraint.entity_type) == name if isinstance(constraint, pst.ScopeIs) else True


def conditions(permit: pst.Template, setting: Setting) -> Iterator[pst.Expr]:
    """What must be true for a permit to apply, without what always is."""
    for clause in permit.clauses:
        wanted = clause.expr if isinstance(clause, pst.When) else pst.UnaryOp("not", clause.expr)
        yield from _conjuncts(folded(wanted, setting))


def _conjuncts(expr: pst.Expr) -> Iterator[pst.Expr]:
    """Cut at `&&`, and at `!(a || b)`: where one part does not hold, the whole does not, whatever the others do."""
    match expr:
        case pst.BoolLit(True):
            return
        case pst.BinaryOp("and", left, right):
            yield from _conjuncts(left)
            yield from _conjuncts(right)
        case pst.UnaryOp("not", pst.BinaryOp("or", left, right)):
            yield from _conjuncts(negated(left))
            yield from _conjuncts(negated(right))
        case _:
            yield expr


def folded(expr: pst.Expr, setting: Setting) -> pst.Expr:
    """The same value in fewer steps, given the types of principal and resource. Errors stay errors."""
    match expr:
        case pst.Is(pst.Var(name), kind, None) if name in {"principal", "resource"}:
            return pst.BoolLit(str(kind) == (setting.principal if name == "principal" else setting.resource))
        case pst.BinaryOp("eq", pst.Var("action"), pst.EntityLit(entity)):
            return pst.BoolLit(entity.id == setting.action)
        case pst.HasAttr(pst.Var("resource"), (name,)):
            return _held(expr, name, setting.part)
        case pst.UnaryOp("not", arg):
            return negated(folded(arg, setting))
        case pst.BinaryOp("and" | "or" as op, left, right):
            return _joined(op, folded(left, setting), folded(right, setting))
        case pst.IfThenElse(cond, then, other):
            return _chosen(folded(cond, setting), folded(then, setting), folded(other, setting))
    return expr


def _held(expr: pst.Expr, name: str, part: Part) -> pst.Expr:
    if name not in HELD_BY[part]:
        return FALSE
    return TRUE if name in ALWAYS else expr


def negated(expr: pst.Expr) -> pst.Expr:
    """`!expr`."""
    match expr:
        case pst.BoolLit(value):
            return pst.BoolLit(not value)
        case pst.UnaryOp("not", arg):
            return arg
    return pst.UnaryOp("not", expr)


def _joined(op: pst.BinaryOpName, left: pst.Expr, right: pst.Expr) -> pst.Expr:
    """The left side decides first; a constant on the right says nothing about an error on the left."""
    neutral, final = (TRUE, FALSE) if op == "and" else (FALSE, TRUE)
    if left == final:
        return final
    if left == neutral:
        return right
    return left if right == neutral else pst.BinaryOp(op, left, right)


def _chosen(cond: pst.Expr, then: pst.Expr, other: pst.Expr) -> pst.Expr:
    if isinstance(cond, pst.BoolLit):
        return then if cond.value else other
    return pst.IfThenElse(cond, then, other)


def parts(expr: pst.Expr) -> tuple[pst.Expr, ...]:
    """The expressions directly below one."""
    match expr:
        case pst.UnaryOp(_, arg):
            return (arg,)
        case pst.BinaryOp(_, left, right):
            return (left, right)
        case pst.GetAttr(base) | pst.HasAttr(base) | pst.Like(base):
            return (base,)
        case pst.Is(base, _, inside):
            return (base,) if inside is None else (base, inside)
        case pst.IfThenElse(cond, then, other):
            return (cond, then, other)
        case pst.Set(elements):
            return elements
        case pst.Record(fields):
            return tuple(fields.values())
    return ()


def walk(expr: pst.Expr) -> Iterator[pst.Expr]:
    """An expression and all below it."""
    yield expr
    for part in parts(expr):
        yield from walk(part)


def asked(expr: pst.Expr, variable: pst.VarName) -> frozenset[str]:
    """The attributes of a variable that an expression reads or asks for."""
    found: set[str] = set()
    for node in walk(expr):
        match node:
            case pst.GetAttr(pst.Var(name), attr) if name == variable:
                found.add(attr)
            case pst.HasAttr(pst.Var(name), attrs) if name == variable:
                found.add(attrs[0])
    return frozenset(found)
