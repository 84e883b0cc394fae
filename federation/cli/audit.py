"""`peerway audit`: zero, or a list of what operators keep that nobody owns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from federation.cli.connection import ask, print_json
from federation.cli.exits import Exit
from federation.cli.options import broker_options
from schemas.answer import AuditView

if TYPE_CHECKING:
    from rich.table import Table


@click.command(epilog="\b\nExample:\n  peerway audit && echo nothing is left")
@broker_options
def audit(*, broker: str, key: str | None, as_json: bool) -> int:
    """Whether any operator keeps a lease or a hold of yours that no live order owns.

    The broker asks every operator now. Exit status 0 only where all of them answered and nothing was found; 1 with a
    list of what, where, since when and of which order; 5 where an operator could not be asked.
    """
    answer = ask(broker, key, lambda client: client.audit())
    if as_json:
        print_json(answer)
    else:
        from federation.cli.screen import show

        show(*audit_lines(answer))
    return exit_of_audit(answer)


def exit_of_audit(answer: AuditView) -> Exit:
    """The exit status of an audit."""
    if answer.findings:
        return Exit.FAULT
    return Exit.OK if answer.clean else Exit.UNREACHABLE


def audit_lines(answer: AuditView) -> Iterator[str | Table]:
    """The sum, what could not be asked, and what was found."""
    from rich.markup import escape

    from federation.cli import units
    from federation.cli.screen import plain_table

    leases, holds = sum(one.leases for one in answer.operators), sum(one.holds for one in answer.operators)
    unreached = [one for one in answer.operators if not one.reached]
    asked = len(answer.operators) - len(unreached)
    owned = f"{leases} leases and {holds} holds that are owned"
    yield f"[bold]{len(answer.findings)} found[/] at {asked} operators, beside {owned}"
    for one in unreached:
        yield f"[yellow]{escape(one.operator_name)} could not be asked: {escape(one.why)}[/]"
    if answer.findings:
        table = plain_table("Found", "Operator", "What", "Since", "Order", "Why", whole=("What",))
        for found in answer.findings:
            name = escape(found.operator_name)
            table.add_row(found.kind, name, found.what, units.clock(found.since), found.order or "", escape(found.why))
        yield table
