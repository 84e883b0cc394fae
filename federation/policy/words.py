"""Why a condition of a policy does not hold, as a clause about whoever is judged, for a person (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from cedarpy import pst

from federation.policy.clauses import asked, negated
from federation.policy.limits import Refusal
from federation.policy.values import Env, Value, compiled, literals

NAMES_TOLD_MAX: Final = 8
Teller = Callable[[Env], Refusal]
Told = tuple[str, frozenset[str] | None]  # a clause, and the names that would have to be allowed
UNKNOWN: Final[Mapping[str, str]] = {
    "countries": "no auditor attests which countries its route class may cross",
    "sea": "no auditor attests whether its route class may cross the sea",
    "landing_countries": "no auditor attests where its sea cables come ashore",
    "legal_domicile": "no auditor attests its legal domicile",
    "controlling_parents": "no auditor attests who controls it",
    "operations": "no auditor attests where it is run from",
    "key_custody": "no auditor attests its key custody",
    "assessed_regimes": "no auditor attests which laws it was assessed for",
    "subject_to": "no auditor attests which laws it is subject to",
    "seal": "no auditor attests its sovereignty level",
    "certificates": "no auditor attests its certificates",
}
_HAS: Final[Mapping[str, str]] = {
    "countries": "may cross {}",
    "landing_countries": "comes ashore in {}",
    "legal_domicile": "has its legal domicile in {}",
    "controlling_parents": "is controlled from {}",
    "operations": "is run from {}",
    "key_custody": "has its keys held in {}",
    "assessed_regimes": "was assessed for {}",
    "subject_to": "is subject to {}",
    "certificates": "holds the certificate {}",
    "marks": "was given the mark {}",
    "entity": "is {}",
    "route_class": "is of the route class {}",
}
_LACKS: Final[Mapping[str, str]] = {
    "assessed_regimes": "was not assessed for {}",
    "certificates": "holds no certificate {}",
    "marks": "no recognised auditor gave it the mark {}",
}
_COMPARISONS: Final = {"less": "below", "less_eq": "at most", "greater": "above", "greater_eq": "at least"}
_MIRRORED: Final = {"less": "greater", "less_eq": "greater_eq", "greater": "less", "greater_eq": "less_eq"}
SITES: Final = "what it says of its sites contradicts what an auditor found"
EXPIRED: Final = "what auditors attested of it has expired"
NO_FACTS: Final = "no recognised auditor attests any fact about it"


def teller(policy: str, condition: pst.Expr) -> Teller:
    """A function that says why `condition`, which does not hold, keeps the resource out.

    The rule is `POLICY.ATTRIBUTE`. Of alternatives the last one is told, of parts the first that does not hold.
    """
    match condition:
        case pst.BinaryOp("and", left, right):
            return _either(compiled(left), True, teller(policy, right), teller(policy, left))
        case pst.BinaryOp("or", _, right):
            return teller(policy, right)
        case pst.UnaryOp("not", pst.BinaryOp("or", left, right)):
            return _either(compiled(left), False, teller(policy, negated(right)), teller(policy, negated(left)))
        case pst.IfThenElse(cond, then, other):
            return _either(compiled(cond), True, teller(policy, then), teller(policy, other))
        case pst.HasAttr(pst.Var("resource" | "principal" as whose), (name,)) if name in UNKNOWN:
            return _always(_unknown(policy, name, whose))
    return _about(policy, condition)


def _either(test: Value, wanted: bool, then: Teller, other: Teller) -> Teller:
    return lambda env: then(env) if test(env) is wanted else other(env)


def _always(refusal: Refusal) -> Teller:
    return lambda env: refusal


def _unknown(policy: str, name: str, whose: str) -> Refusal:
    return Refusal(rule=_rule(policy, name, whose), detail=_of(whose, UNKNOWN[name], "of the broker"), lacking=None)


def _rule(policy: str, name: str, whose: str) -> str:
    return f"{policy}.{name}" if whose == "resource" else f"{policy}.{whose}.{name}"


def _of(whose: str, said: str, broker: str) -> str:
    """What is said of the resource is said as it is; the only other one is the broker that a sale is to."""
    return said if whose == "resource" else f"{broker} {said}"


def _about(policy: str, expr: pst.Expr) -> Teller:
    """Of a condition on one attribute what it has; of any other only what it is about."""
    whose: pst.VarName = "resource" if asked(expr, "resource") else "principal"
    names = sorted(asked(expr, whose))
    if not names:
        return _always(Refusal(rule=f"{policy}.context", detail=_circumstances(policy, expr), lacking=None))
    about = ", ".join(one.replace("_", " ") for one in names)
    said, rule = f"does not meet what policy {policy} asks of: {about}", _rule(policy, names[0], whose)
    vague = Refusal(rule=rule, detail=_of(whose, said, "the broker"), lacking=None)
    absent = {f"{whose}.{name}": _unknown(policy, name, whose) for name in names if name in UNKNOWN}
    tell = _comparison(policy, expr, names[0]) if len(names) == 1 else None

    def told(env: Env) -> Refusal:
        missing = next((refusal for key, refusal in absent.items() if key not in env), None)
        found = None if tell is None or missing else tell(env[f"{whose}.{names[0]}"])
        if found is None:
            return missing or vague
        return Refusal(rule=rule, detail=_of(whose, found[0], "the broker"), lacking=found[1])

    return told


def _circumstances(policy: str, expr: pst.Expr) -> str:
    if asked(expr, "context") == {"data_class"}:
        return f"policy {policy} is not for data of this class"
    return f"policy {policy} does not permit it in these circumstances"


def _comparison(policy: str, expr: pst.Expr, name: str) -> Callable[[Any], Told | None] | None:
    """How the value of one attribute falls short of what is written, where that can be said."""
    match expr:
        case pst.BinaryOp("contains_all" | "contains", allowed, pst.GetAttr()) if listed := literals(allowed):
            return _beside(policy, name, listed)
        case pst.BinaryOp("eq", pst.GetAttr(), wanted) | pst.BinaryOp("eq", wanted, pst.GetAttr()) if (
            listed := literals(wanted)
        ):
            return _beside(policy, name, listed)
        case pst.UnaryOp("not", pst.BinaryOp("contains" | "contains_any", pst.GetAttr(), barred)):
            return _overlap(policy, name, literals(barred))
        case pst.UnaryOp("not", pst.BinaryOp("contains_any" | "contains", barred, pst.GetAttr())):
            return _overlap(policy, name, literals(barred))
        case pst.BinaryOp("contains" | "contains_all", pst.GetAttr(), wanted) if listed := literals(wanted):
            return _short_of(policy, name, listed)
        case pst.BinaryOp(op, pst.GetAttr(), pst.LongLit(bound)) if op in _COMPARISONS:
            return lambda value: (_beyond(policy, name, value, op, bound), None)
        case pst.BinaryOp(op, pst.LongLit(bound), pst.GetAttr()) if op in _MIRRORED:
            return lambda value: (_beyond(policy, name, value, _MIRRORED[op], bound), None)
    return None


def _beside(policy: str, name: str, allowed: frozenset[str]) -> Callable[[Any], Told | None]:
    return lambda value: _excess(policy, name, _set(value) - allowed)


def _short_of(policy: str, name: str, wanted: frozenset[str]) -> Callable[[Any], Told | None]:
    return lambda value: _missing(policy, name, wanted - _set(value))


def _overlap(policy: str, name: str, barred: frozenset[str] | None) -> Callable[[Any], Told | None] | None:
    return None if barred is None else lambda value: _excess(policy, name, _set(value) & barred)


def _set(value: Any) -> frozenset[str]:
    return value if isinstance(value, frozenset) else frozenset({str(value)})


def _excess(policy: str, name: str, found: frozenset[str]) -> Told | None:
    if not found or name not in _HAS:
        return None
    return f"{_HAS[name].format(listed(found))}, which policy {policy} does not allow", found


def _missing(policy: str, name: str, wanted: frozenset[str]) -> Told | None:
    if not wanted or name not in _LACKS:
        return None
    return f"{_LACKS[name].format(listed(wanted))}, which policy {policy} asks for", None


def _beyond(policy: str, name: str, value: int, op: str, bound: int) -> str:
    what = "the sovereignty level" if name == "seal" else name.replace("_", " ")
    return f"has {what} {value}, where policy {policy} asks for {_COMPARISONS[op]} {bound}"


def _visible(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)


def listed(names: frozenset[str]) -> str:
    """`a`, `a and b`, `a, b and 3 more`; what an auditor wrote is shown without control characters."""
    told = [name if name.isprintable() else _visible(name) for name in sorted(names)]
    if len(told) > NAMES_TOLD_MAX:
        told = [*told[:NAMES_TOLD_MAX], f"{len(told) - NAMES_TOLD_MAX} more"]
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
