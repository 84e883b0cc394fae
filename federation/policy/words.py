"""Why a condition of a policy does not hold, as a clause about whoever is judged, for a person (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cedarpy import pst

from federation.policy.clauses import asked, negated
from federation.policy.limits import Refusal
from federation.policy.values import Env, compiled, literals

NAMES_TOLD_MAX: Final = 8
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


def refusal(policy: str, condition: pst.Expr, env: Env) -> Refusal:
    """Why `condition`, which does not hold in `env`, keeps the resource out; the rule is `POLICY.ATTRIBUTE`."""
    attribute, detail, lacking = _told(policy, condition, env)
    return Refusal(rule=f"{policy}.{attribute}", detail=detail, lacking=lacking)


def _told(policy: str, expr: pst.Expr, env: Env) -> tuple[str, str, frozenset[str] | None]:
    match expr:
        case pst.BinaryOp("and", left, right):
            return _told(policy, right if compiled(left)(env) is True else left, env)
        case pst.BinaryOp("or", _, right):
            return _told(policy, right, env)
        case pst.UnaryOp("not", pst.BinaryOp("or", left, right)):
            return _told(policy, negated(right if compiled(left)(env) is False else left), env)
        case pst.IfThenElse(cond, then, other):
            return _told(policy, then if compiled(cond)(env) is True else other, env)
        case pst.HasAttr(pst.Var("resource"), (name,)) if name in UNKNOWN:
            return name, UNKNOWN[name], None
    return _about(policy, expr, env)


def _about(policy: str, expr: pst.Expr, env: Env) -> tuple[str, str, frozenset[str] | None]:
    """Of a condition on one attribute; of any other only what it is about."""
    names = sorted(asked(expr, "resource"))
    if absent := [name for name in names if f"resource.{name}" not in env and name in UNKNOWN]:
        return absent[0], UNKNOWN[absent[0]], None
    if not names:
        return "context", _circumstances(policy, expr), None
    name = names[0]
    value = env.get(f"resource.{name}")
    known = _names_told(policy, expr, name, value) if len(names) == 1 else None
    if known is not None:
        return name, *known
    about = ", ".join(one.replace("_", " ") for one in names)
    return name, f"does not meet what policy {policy} asks of: {about}", None


def _circumstances(policy: str, expr: pst.Expr) -> str:
    if asked(expr, "context") == {"data_class"}:
        return f"policy {policy} is not for data of this class"
    return f"policy {policy} does not permit it in these circumstances"


def _names_told(policy: str, expr: pst.Expr, name: str, value: Any) -> tuple[str, frozenset[str] | None] | None:
    match expr:
        case pst.BinaryOp("contains_all" | "contains", allowed, pst.GetAttr()) if listed := literals(allowed):
            return _excess(policy, name, _set(value) - listed)
        case pst.UnaryOp("not", pst.BinaryOp("contains" | "contains_any", pst.GetAttr(), barred)):
            return _excess(policy, name, _set(value) & (literals(barred) or frozenset()))
        case pst.UnaryOp("not", pst.BinaryOp("contains_any" | "contains", barred, pst.GetAttr())):
            return _excess(policy, name, _set(value) & (literals(barred) or frozenset()))
        case pst.BinaryOp("contains" | "contains_all", pst.GetAttr(), wanted) if listed := literals(wanted):
            return _missing(policy, name, listed - _set(value))
        case pst.BinaryOp("eq", pst.GetAttr(), wanted) | pst.BinaryOp("eq", wanted, pst.GetAttr()) if (
            listed := literals(wanted)
        ):
            return _excess(policy, name, _set(value) - listed)
        case pst.BinaryOp(op, pst.GetAttr(), pst.LongLit(bound)) if op in _COMPARISONS:
            return _beyond(policy, name, value, op, bound), None
        case pst.BinaryOp(op, pst.LongLit(bound), pst.GetAttr()) if op in _MIRRORED:
            return _beyond(policy, name, value, _MIRRORED[op], bound), None
    return None


def _set(value: Any) -> frozenset[str]:
    return value if isinstance(value, frozenset) else frozenset({str(value)})


def _excess(policy: str, name: str, found: frozenset[str]) -> tuple[str, frozenset[str]] | None:
    if not found or name not in _HAS:
        return None
    return f"{_HAS[name].format(listed(found))}, which policy {policy} does not allow", found


def _missing(policy: str, name: str, wanted: frozenset[str]) -> tuple[str, None] | None:
    if not wanted or name not in _LACKS:
        return None
    return f"{_LACKS[name].format(listed(wanted))}, which policy {policy} asks for", None


def _beyond(policy: str, name: str, value: int, op: str, bound: int) -> str:
    what = "the sovereignty level" if name == "seal" else name.replace("_", " ")
    return f"has {what} {value}, where policy {policy} asks for {_COMPARISONS[op]} {bound}"


def listed(names: frozenset[str]) -> str:
    """`a`, `a and b`, `a, b and 3 more`; what an auditor wrote is shown without control characters."""
    told = ["".join(c if c.isprintable() else "?" for c in name) for name in sorted(names)]
    if len(told) > NAMES_TOLD_MAX:
        told = [*told[:NAMES_TOLD_MAX], f"{len(told) - NAMES_TOLD_MAX} more"]
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
