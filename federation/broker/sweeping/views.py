"""What a sweep found, for the broker's owner or for one buyer (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from federation.broker.sweeping.compare import Kind, Owner
from schemas.answer import AuditedOperator, AuditFinding, AuditView
from schemas.lease import State
from schemas.segment import EntityId, Hash, moment

Whose = Callable[["Finding"], bool]


class Finding(NamedTuple):
    """Something that is wrong now: what, since which Unix second, and whose it is as far as anybody knows. `sub` is the
    pseudonym that its operator has for the buyer, `receipt_h` the latest receipt of a lease."""

    kind: Kind
    operator: EntityId
    name: str
    what: str
    since: int
    why: str
    state: State | None = None
    owner: Owner | None = None
    sub: str | None = None
    receipt_h: Hash | None = None


class Looked(NamedTuple):
    """One operator that was asked; `why` it could not be, where it could not. Owners are those of what it keeps."""

    operator: EntityId
    name: str
    leases: tuple[Owner, ...] = ()
    holds: tuple[Owner, ...] = ()
    why: str = ""


class Report(NamedTuple):
    """What was found at one time, everywhere."""

    at: int
    looked: tuple[Looked, ...]
    findings: tuple[Finding, ...]

    @property
    def unreached(self) -> int:
        """How many operators could not be asked."""
        return sum(bool(one.why) for one in self.looked)


def audit_view(report: Report, whose: Whose, owns: Callable[[Owner], bool]) -> AuditView:
    """The report as whoever may see these findings, and what these owners have, sees it."""
    findings = tuple(_finding(one) for one in report.findings if whose(one))
    return AuditView(
        at=moment(report.at),
        clean=not findings and not report.unreached,
        operators=tuple(_looked(one, owns) for one in report.looked),
        findings=findings,
    )


def _looked(one: Looked, owns: Callable[[Owner], bool]) -> AuditedOperator:
    return AuditedOperator(
        operator=one.operator,
        operator_name=one.name,
        reached=not one.why,
        leases=_count(one.leases, owns),
        holds=_count(one.holds, owns),
        why=one.why,
    )


def _count(owners: Iterable[Owner], owns: Callable[[Owner], bool]) -> int:
    return sum(map(owns, owners))


def _finding(one: Finding) -> AuditFinding:
    return AuditFinding(
        kind=one.kind.value,
        operator=one.operator,
        operator_name=one.name,
        what=one.what,
        since=moment(one.since),
        why=one.why,
        state=one.state,
        order=one.owner.order if one.owner else None,
    )
