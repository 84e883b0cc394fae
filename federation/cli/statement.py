"""`peerway statement`: what an order came to, computed again here before it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from federation.cli.connection import ask, print_json
from federation.cli.names import NamesCommand
from federation.cli.options import broker_options
from federation.evidence.verify.stated import check_statement
from schemas.answer import StatementView
from schemas.price import Money
from schemas.problem import Problem
from schemas.statement import BillingStatement, StatedSegment

if TYPE_CHECKING:
    from rich.table import Table

NUMBERS: Final = ("Used", "Set-up", "Usage", "Minimum", "Exit", "Claimed", "Due", "Total")
ALWAYS: Final = frozenset({"Used", "Set-up", "Usage", "Exit", "Total"})


@click.command(cls=NamesCommand, epilog="\b\nExample:\n  peerway statement 0P8vTt2cQ5WJ9kVjv7n1fg --json")
@click.argument("order")
@broker_options
def statement(*, broker: str, key: str | None, as_json: bool, order: str) -> None:
    """What an ORDER that is over came to: signed by the broker, over receipts that the operators signed.

    Every amount is computed again from it before it is shown; exit status 4 where one does not follow.
    """
    answer = ask(broker, key, lambda client: client.statement(order))
    _check(answer, order)
    if as_json:
        print_json(answer)
        return
    from federation.cli.screen import show

    show(*statement_lines(answer.statement))


def _check(answer: StatementView, order: str) -> None:
    """That it is about this order, that the signed words are those shown, and that they add up."""
    from federation.trust.jose import unverified

    if unverified(answer.document, BillingStatement) != answer.statement or answer.statement.order != order:
        raise Problem("DOCUMENT_INVALID", "what the broker shows is not what it signed about this order")
    check_statement(answer.statement)


def statement_lines(stated: BillingStatement) -> Iterator[str | Table]:
    """The segments, and the sum."""
    from rich.markup import escape

    from federation.cli import units
    from federation.cli.screen import plain_table
    from federation.cli.tables import state_text

    numbers = tuple(name for name in NUMBERS if name in ALWAYS or any(_says(name, one) for one in stated.segments))
    states = ("State",) if any(one.state is not stated.state for one in stated.segments) else ()
    table = plain_table("Operator", *states, *numbers, right=numbers, whole=("Operator", "State"))
    for segment in stated.segments:
        host, cells = escape(segment.operator.removeprefix("https://")), _cells(segment)
        table.add_row(host, *(state_text(segment.state) for _ in states), *(cells[name] for name in numbers))
    yield f"Order [bold]{stated.order}[/]  {state_text(stated.state)}"
    yield table
    yield f"[bold]{units.exact_money(stated.total)}[/]" + (
        "" if stated.active else "  it never was ACTIVE: nothing is due"
    )


def _says(name: str, segment: StatedSegment) -> bool:
    """Whether a column tells of a segment what the others do not."""
    if name == "Minimum":
        return any(line.name == "minimum" and line.micro for line in segment.lines)
    if name == "Claimed":
        return segment.claimed is not None and segment.claimed != segment.due
    return segment.due != segment.total


def _cells(segment: StatedSegment) -> dict[str, str]:
    from federation.cli import units

    currency = segment.due.currency
    once = {line.name: line.micro for line in segment.lines}
    usage = sum(line.micro for use in segment.uses for line in use.lines)
    heads = {"Set-up": once.get("set_up", 0), "Usage": usage, "Minimum": once.get("minimum", 0)}
    heads |= {"Exit": once.get("exit", 0)}
    cells = {name: units.exact_money(Money(currency, micro)) for name, micro in heads.items()}
    cells["Used"] = units.duration(sum(use.seconds for use in segment.uses))
    cells["Claimed"] = units.exact_money(segment.claimed) if segment.claimed else ""
    return cells | {"Due": units.exact_money(segment.due), "Total": units.exact_money(segment.total)}
