"""What `peerway trust` says in words: a resolution, a trust domain, the former keys of an entity."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from federation.trust.chain import Member, TrustDomain
from federation.trust.resolve import Attempt, Resolution
from schemas.entity import HistoricalKeys


def explanation(found: Resolution) -> Iterator[str]:
    """Whether an entity is trusted, what follows, and every way that was tried."""
    if found.member:
        yield f"{found.entity} is trusted until {time_text(found.member.exp)}, on the word of {found.member.anchor}."
        yield from _about(found.member)
        yield from (f"  mark     {m.type}, by {m.issuer}, until {time_text(m.exp)}" for m in found.marks)
        yield from (f"  no mark  {why}" for why in found.marks_refused)
    else:
        yield f"{found.entity} is not trusted: {found.why_not}."
    yield ""
    yield "Ways to an anchor that were tried:" if found.attempts else "No way to an anchor was found."
    for number, attempt in enumerate(found.attempts, 1):
        yield from _attempt(number, attempt)


def as_data(found: Resolution) -> dict[str, Any]:
    """The same for a program."""
    return {
        "entity": found.entity,
        "trusted": found.member is not None,
        "until": found.member.exp if found.member else None,
        "path": found.member.path if found.member else None,
        "why_not": found.why_not or None,
        "marks": [{"type": m.type, "issuer": m.issuer, "until": m.exp} for m in found.marks],
        "marks_refused": found.marks_refused,
        "attempts": [{"path": a.path, "steps": a.steps, "failure": a.failure} for a in found.attempts],
    }


def member_lines(domain: TrustDomain) -> Iterator[str]:
    """One line per entity that was found."""
    for entity, member in sorted(domain.members.items()):
        roles = ", ".join(_roles(member)) or "no role"
        yield f"member   {entity}  {member.name}  ({roles}) until {time_text(member.exp)}"
    for entity, why in sorted(domain.rejected.items()):
        yield f"refused  {entity}  {why}"
    if not domain.members and not domain.rejected:
        yield "No anchor lists anybody."


def key_lines(history: HistoricalKeys) -> Iterator[str]:
    """One line per former key."""
    for key in history.keys:
        ended = f", {key.revoked.reason} at {time_text(key.revoked.revoked_at)}" if key.revoked else ""
        yield f"{key.kid}  from {time_text(key.iat)} until {time_text(key.exp)}{ended}"
    if not history.keys:
        yield "It had no others."


def _about(member: Member) -> Iterator[str]:
    yield f"  chain    {' <- '.join(member.path)}"
    yield f"  name     {member.name}"
    yield f"  role     {', '.join(_roles(member)) or 'none of those known here'}"
    yield from (f"  key      {kid} signs its documents" for kid in sorted(member.keys))
    yield f"  TLS      {len(member.tls_ca)} certificates of its own CA"


def _roles(member: Member) -> list[str]:
    roles = ("connectivity_operator", "connectivity_broker", "connectivity_auditor")
    return [role.removeprefix("connectivity_") for role in roles if getattr(member.metadata, role)]


def _attempt(number: int, attempt: Attempt) -> Iterator[str]:
    yield f"  {number}. {' <- '.join(attempt.path)}"
    yield from (f"     {step}" for step in attempt.steps)
    if attempt.failure is None:
        yield "     => trusted"
    else:
        yield f"     => {'no answer' if attempt.passing else 'refused'}: {attempt.failure}"


def time_text(at: int) -> str:
    """A Unix second for people, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
