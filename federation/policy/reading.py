"""Reading the text of a policy: what it may be made of, and where it goes wrong (pure).

A text may come from a stranger. Cedar's parser recurses, and what is nested deeply enough ends the process, so texts
are counted before it sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import cedarpy
from cedarpy import pst

from federation.policy.clauses import walk
from federation.policy.context import Purchase, Sale
from federation.policy.facts import ATTRIBUTES
from schemas.decision import POLICY_CHARS_MAX
from schemas.problem import Problem, invalid

PERMITS_MAX: Final = 16
DEPTH_MAX: Final = 24
MARKS_MAX: Final = 80  # brackets, dots and operators in one clause
# Functions of types that no fact has; some of them can fail while a policy is evaluated.
BEYOND: Final = frozenset(
    "datetime decimal duration ip is_ipv4 is_ipv6 is_loopback is_multicast to_date to_time to_milliseconds to_seconds "
    "to_minutes to_hours to_days is_in_range offset duration_since decimal_less_than decimal_less_eq decimal_greater "
    "decimal_greater_eq get_tag has_tag".split()
)
_TOKEN: Final = re.compile(
    r"""(?P<skip>"(?:[^"\\]|\\.)*"|//[^\n\r]*|[\s,@]+|\d+)|(?P<word>[A-Za-z_]\w*)|(?P<mark>&&|\|\||::|[=!<>]=|.)""",
    re.DOTALL,
)
_UNSEEN: Final = re.compile(r"[^\n\r\t -~]")
_NAMED: Final = re.compile(r"`([^`]+)`")
_KNOWN: Final = {
    "action": ('Action::"carry"', 'Action::"arrange"', 'Action::"manage"', 'Action::"sell"'),
    "entity type": ("Buyer", "Broker", "Segment", "Manager"),
}
_ASKED: Final[dict[str, frozenset[str]]] = {
    "principal": frozenset(ATTRIBUTES),
    "resource": frozenset(ATTRIBUTES),
    "context": frozenset((*Purchase.__struct_fields__, *Sale.__struct_fields__)),
}
_PREFIX: Final = re.compile(r"^(\[policy\d+\] )?(for policy `policy\d+`, )?")
_UNFINISHED: Final = ("unexpected end of input", "unexpected token `;`")


def read(name: str, text: str, schema: cedarpy.Schema) -> pst.PolicySet:
    """The syntax tree of a policy that may be used. Raises INVALID_ARGUMENT on `policy NAME`."""
    _check_size(name, text)
    try:
        nodes = cedarpy.policies_to_pst(text)
    except ValueError as error:
        raise _unparsed(name, text, str(error)) from error
    _check_made_of(name, nodes)
    result = cedarpy.validate_policies(text, schema)
    if not result.validation_passed:
        raise _invalid(name, text, [str(error) for error in result.errors])
    return nodes


def _check_size(name: str, text: str) -> None:
    if len(text) > POLICY_CHARS_MAX:
        raise _refused(name, f"has {len(text)} characters, of {POLICY_CHARS_MAX} that a policy may have")
    for odd in _UNSEEN.finditer(text):
        if not odd[0].isprintable():
            raise _refused(
                name, f"holds the character U+{ord(odd[0]):04X}, which cannot be seen", _line(text, odd.start())
            )
    depth = marks = 0
    for found in _TOKEN.finditer(text):
        seen = found["word"] or found["mark"] or ""
        if seen == '"':
            raise _refused(name, "a string begins here that does not end", _line(text, found.start()))
        depth += (seen in {"(", "[", "{"}) - (seen in {")", "]", "}"})
        if depth == 0 and seen in {"when", "unless", ";"}:
            marks = 0
        marks += bool(found["mark"]) or seen == "if"
        if depth > DEPTH_MAX or marks > MARKS_MAX:
            why = f"a clause nests at most {DEPTH_MAX} brackets and holds at most {MARKS_MAX} operators and brackets"
            raise _refused(name, f"{why}; write several `when` clauses instead of one", _line(text, found.start()))


def _check_made_of(name: str, nodes: pst.PolicySet) -> None:
    permits = nodes.static_policies.values()
    if nodes.templates or nodes.template_links:
        raise _refused(name, "holds a template (`?principal`, `?resource`); write the permit itself")
    if not 1 <= len(permits) <= PERMITS_MAX:
        raise _refused(name, f"holds {len(permits)} permits; it needs 1 to {PERMITS_MAX}")
    for permit in permits:
        if permit.effect != "permit":
            raise _refused(name, "holds a `forbid`, and one that fails is skipped; make it a condition of the permit")
        for scope in (permit.principal, permit.resource):
            if not isinstance(scope, pst.ScopeAny | pst.ScopeIs):
                raise _refused(name, "names a principal or resource by id; ask `is Segment`, and for `resource.entity`")
        for clause in permit.clauses:
            for why in (*_foreign(clause.expr), *_misspelt(clause.expr)):
                raise _refused(name, why)


def _foreign(expr: pst.Expr) -> Iterator[str]:
    """What no clause may hold: functions that can fail, and entities by id."""
    for node in walk(expr):
        match node:
            case pst.UnaryOp(op, _) | pst.BinaryOp(op, _, _) if op in BEYOND:
                yield f"calls `{op}`; facts are texts, numbers, truth values and sets, which need no such function"
            case pst.EntityLit(entity) if entity.type.basename != "Action":
                yield f"names {entity.type} by id; ask for `resource.entity` instead"


def _misspelt(expr: pst.Expr) -> Iterator[str]:
    """`has` of what nobody can have: Cedar takes it for a question whose answer is always no."""
    for node in walk(expr):
        match node:
            case pst.HasAttr(pst.Var(variable), (asked, *_)) if asked not in _ASKED.get(variable, {asked}):
                known = ", ".join(sorted(_ASKED[variable]))
                yield f"asks `{variable} has {asked}`, which nothing ever has; there are {known}"


def _unparsed(name: str, text: str, why: str) -> Problem:
    if "nesting" in why:
        return _refused(name, "is nested too deeply; write several `when` clauses instead of one")
    return _refused(name, f"is no Cedar policy: {why}", _first_bad(text))


def _first_bad(text: str) -> int:
    """The first line after which nothing could make a policy of it, found by halving."""
    lines = text.splitlines(keepends=True)
    good, bad = 0, len(lines)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if _may_go_on("".join(lines[:middle])) else (good, middle)
    return bad


def _may_go_on(text: str) -> bool:
    """Whether all that is wrong is that it stops here."""
    try:
        cedarpy.policies_to_pst(f"{text};")
    except ValueError as error:
        return str(error) in _UNFINISHED
    return True


def _invalid(name: str, text: str, errors: list[str]) -> Problem:
    """The first error, with what would be right where that is known."""
    error = _PREFIX.sub("", errors[0])
    word = _NAMED.search(error)
    place = re.search(rf"(?<!\w){re.escape(word[1])}(?!\w)", text) if word else None
    line = _line(text, place.start()) if place else None
    if word and "optional attribute" in error:
        whose = next((one for one in ("context", "principal") if f"{one}.{word[1]}" in text), "resource")
        return _refused(name, f"may find no `{word[1]}`: ask `{whose} has {word[1]} && ...` first", line)
    if word and "not found" in error:
        known = ", ".join(ATTRIBUTES)
        return _refused(name, f"{error}; the schema says which type has which of {known}", line)
    kind = next((kind for kind in _KNOWN if f"unrecognized {kind}" in error), None)
    return _refused(name, f"{error}; there are {', '.join(_KNOWN[kind])}" if kind else error, line)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _refused(name: str, why: str, line: int | None = None) -> Problem:
    return invalid(f"policy {name}", why if line is None else f"line {line}: {why}")
