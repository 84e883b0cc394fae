"""Trying a policy on the cases in a file (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from federation.policy.context import Purchase, Sale
from federation.policy.engine import LoadedPolicy, Verdict, decide, decide_sale
from federation.policy.facts import Subject
from schemas.policy.case import Case, CaseFile, Expected
from schemas.problem import invalid

CASES_BYTES_MAX: Final = 1024 * 1024
BEFORE_END_S: Final = 3600


class Tried(NamedTuple):
    """A case and what the policy said of it."""

    case: Case
    verdict: Verdict

    @property
    def ok(self) -> bool:
        """Whether it said what it must, for the reason that it must."""
        if self.case.expect is Expected.PERMIT:
            return self.verdict.allowed
        reason = self.case.reason
        return not self.verdict.allowed and (reason is None or any(reason in one for one in self.verdict.reasons))


def read_cases(name: str, data: bytes) -> CaseFile:
    """A case file. Raises INVALID_ARGUMENT naming the member at fault."""
    if len(data) > CASES_BYTES_MAX:
        raise invalid(name, f"has {len(data)} bytes, of {CASES_BYTES_MAX} that a case file may have")
    try:
        return msgspec.json.decode(data, type=CaseFile)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(name, f"is no case file: {error}") from error


def read_facts(name: str, data: bytes) -> dict[str, Subject]:
    """Subjects by name: of a case file, or the one that the file is. Raises INVALID_ARGUMENT."""
    if len(data) > CASES_BYTES_MAX:
        raise invalid(name, f"has {len(data)} bytes, of {CASES_BYTES_MAX} that a file of facts may have")
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(name, f"is no JSON: {error}") from error
    if isinstance(found, dict) and "cases" in found:
        known = read_cases(name, data).facts
        return {one: _subject(f"{name}: facts {one}", facts) for one, facts in known.items()}
    return {name: _subject(name, found)}


def tried(policy: LoadedPolicy, file: CaseFile) -> tuple[Tried, ...]:
    """Every case of a file. Raises INVALID_ARGUMENT on a case that cannot be tried."""
    return tuple(Tried(case, _verdict(policy, case, file.facts)) for case in file.cases)


def _verdict(policy: LoadedPolicy, case: Case, facts: Mapping[str, Mapping[str, Any]]) -> Verdict:
    where = f"case '{case.about}'"
    known = {name: value for name, value in _named(where, facts, case.facts).items() if name not in case.unknown}
    if strange := [name for name in case.unknown if name not in Subject.__struct_fields__]:
        raise invalid(where, f"'{strange[0]}' is no fact; facts are {', '.join(Subject.__struct_fields__)}")
    subject = _subject(where, {**known, **case.change})
    context = {"now": subject.evidence_exp - BEFORE_END_S, **case.context}
    if case.broker is None:
        return decide(policy, subject, _converted(f"{where}: context", context, Purchase))
    broker = _subject(where, _named(where, facts, case.broker))
    if (broker.part.value, subject.part.value) != ("arrange", "carry"):
        raise invalid(where, "a sale is of a segment (part carry) to a broker (part arrange)")
    return decide_sale(policy, broker, subject, _converted(f"{where}: context", context, Sale))


def _named(where: str, facts: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    if name not in facts:
        raise invalid(where, f"names facts '{name}'; the file has {', '.join(facts) or 'none'}")
    return facts[name]


def _subject(where: str, facts: Any) -> Subject:
    found: Subject = _converted(where, facts, Subject)
    return found


def _converted(where: str, value: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise invalid(where, str(error)) from error
