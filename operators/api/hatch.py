"""What the person in charge of an operator says while it runs: which questions wait for an answer, yes and no; and
whether the operator's own books, memory and network belong together.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from federation.node import hatch
from federation.node.http import decode
from operators.orders.desk import Desk
from operators.orders.fsm import Quote
from operators.orders.orphans import Orphan
from operators.orders.sweeping import Sweeper
from schemas.problem import Problem, not_found
from schemas.segment import Id, moment

Why = Annotated[str, Meta(min_length=1, max_length=200)]


class List(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what waits."""


class Grant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say yes."""

    quote: Id


class Refuse(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say no, and why; the broker is told."""

    quote: Id
    why: Why = "not sold to this buyer"


class Audit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what is wrong; with `sweep` set it right at once, too."""

    sweep: bool = False


async def open_hatch(folder: Path, desk: Desk, sweeper: Sweeper, stack: AsyncExitStack) -> None:
    """Take orders for `desk` and `sweeper` until `stack` closes."""

    async def take(name: str, body: bytes) -> dict[str, Any]:
        match name:
            case "list":
                decode(body, List)
                return {"waiting": [told(quote) for quote in desk.waiting()]}
            case "grant":
                quote_id = decode(body, Grant).quote
                _check_waits(desk, quote_id)
                return told(await desk.grant(quote_id))
            case "refuse":
                no = decode(body, Refuse)
                _check_waits(desk, no.quote)
                return told(await desk.refuse(no.quote, no.why))
            case "audit":
                found = await (sweeper.sweep(0) if decode(body, Audit).sweep else sweeper.audit())
                return {"found": [orphan(one) for one in found]}
        raise Problem("NOT_FOUND", "no such order")

    await hatch.open_hatch(folder, take, stack)


def orphan(found: Orphan) -> dict[str, Any]:
    """Something that is wrong, for a person."""
    named: dict[str, Any] = msgspec.to_builtins(found._asdict() | {"since": moment(found.since)})
    return {name: value for name, value in named.items() if value not in {None, ""}}


def _check_waits(desk: Desk, quote_id: Id) -> None:
    if quote_id not in {quote.id for quote in desk.waiting()}:
        raise not_found(f"a question {quote_id} that waits for an answer")


def told(quote: Quote) -> dict[str, Any]:
    """A question, or what became of it, for a person. Buyers are the pseudonyms that their broker gave them."""
    asked: dict[str, Any] = msgspec.to_builtins(
        {
            "quote": quote.id,
            "state": quote.state,
            "broker": quote.broker,
            "buyer": quote.buyer,
            "asked": moment(quote.created_at),
            "until": moment(quote.exp),
            "segment": quote.segment,
        }
    )
    asked |= {"product": quote.product} if quote.product else {}
    return asked | ({"why": quote.refusal.detail} if quote.refusal else {})
