"""A backup as a person reads it: both paths, what they cost together, and over the best path alone."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from federation.cli import units
from federation.cli.screen import plain_table
from federation.cli.tables import path_line, path_table
from schemas.answer import BackupView, PathView, SearchAnswer
from schemas.price import Money


def backup_lines(view: BackupView, answer: SearchAnswer) -> Iterator[str | Table]:
    """The pair, path by path, or why there is none."""
    if view.primary is None or view.backup is None or view.total is None:
        yield f"[bold red]No two paths without a common {view.apart}[/]: {escape(view.why)}"
        if view.relaxation is not None:
            table = plain_table("It would work with", "Both", "Latency of the backup", right=("Both",))
            latency = units.latency(view.relaxation.promise.latency_us)
            table.add_row(escape(view.relaxation.change), units.money(view.relaxation.total), latency)
            yield table
        return
    yield f"[bold]Primary and backup without a common {view.apart}[/]  {_together(view.total, answer.paths[0])}"
    for name, path in (("Primary", view.primary), ("Backup", view.backup)):
        yield f"[bold]{name}[/]  {path_line(path, answer.window.duration_s)}"
        yield f"[dim]{escape(path.why)}[/]"
        yield path_table(path)
    yield f"[dim]{escape(view.why)}[/]"


def _together(total: Money, alone: PathView) -> str:
    """What both cost, and how much more that is than the best path alone."""
    more = total.micro - alone.total.micro
    percent = f" (+{100 * more // alone.total.micro} %)" if alone.total.micro and more >= 0 else ""
    over = (
        f"{units.money(Money(total.currency, abs(more)))} {'more' if more >= 0 else 'less'} than path 1 alone{percent}"
    )
    return f"[bold]{units.money(total)}[/] for both, {over}"
