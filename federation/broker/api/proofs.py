"""The MCP tools that settle what is over: what an order came to, and whether anything is left of it anywhere."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from federation.broker.api.exchange import Exchange
from federation.broker.api.toolbox import ToolRow
from schemas.answer import AuditView, StatementView
from schemas.lease import State
from schemas.price import Money
from schemas.segment import Id

FOUND_MAX: Final = 8


class StatementArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which order."""

    order_id: Id


class AuditArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing has to be said."""


class StatedBrief(Struct, frozen=True, kw_only=True):
    """One operator's part: seconds used, what is due in its currency and in that of the order."""

    operator: str
    used_s: int
    due: Money
    total: Money


class StatementBrief(Struct, frozen=True, kw_only=True):
    """What an order came to; `was_active` false means that nothing is due. The signed document: `peerway statement`."""

    order_id: str
    state: State
    was_active: bool
    segments: tuple[StatedBrief, ...]
    total: Money


class AuditBrief(Struct, frozen=True, kw_only=True):
    """Whether operators keep anything that no live order owns; `clean` only where every one was asked."""

    clean: bool
    found_count: int
    found: tuple[str, ...]
    not_reached: tuple[str, ...]


def statement_brief(view: StatementView) -> StatementBrief:
    """A statement for an agent."""
    stated = view.statement
    segments = (
        StatedBrief(operator=one.operator, used_s=sum(use.seconds for use in one.uses), due=one.due, total=one.total)
        for one in stated.segments
    )
    return StatementBrief(
        order_id=stated.order,
        state=stated.state,
        was_active=stated.active,
        segments=tuple(segments),
        total=stated.total,
    )


def audit_brief(view: AuditView) -> AuditBrief:
    """An audit for an agent."""
    found = [f"{one.kind} {one.what} at {one.operator_name}: {one.why}" for one in view.findings]
    return AuditBrief(
        clean=view.clean,
        found_count=len(found),
        found=tuple(found[:FOUND_MAX]),
        not_reached=tuple(one.operator_name for one in view.operators if not one.reached)[:FOUND_MAX],
    )


async def _statement(exchange: Exchange, asked: StatementArgs) -> StatementBrief:
    return statement_brief(await exchange.statement(asked.order_id))


async def _audit(exchange: Exchange, asked: AuditArgs) -> AuditBrief:
    return audit_brief(await exchange.audit())


PROOFS: Final = (
    ToolRow(
        "get_statement",
        "See what an order came to",
        "Of an order that is over: seconds used and what is due, operator by operator, and the total. Signed by the "
        "broker over the operators' receipts. A path that never was ACTIVE costs nothing.",
        StatementArgs,
        StatementBrief,
        _statement,
        read_only=True,
    ),
    ToolRow(
        "audit",
        "Look for what is left",
        "Asks every operator now whether it keeps a lease or hold of this buyer that no live order owns: nothing is "
        "found, or a list. The broker lets go of such things by itself.",
        AuditArgs,
        AuditBrief,
        _audit,
        read_only=True,
    ),
)
