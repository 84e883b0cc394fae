"""Where tables go: as wide as the terminal, and wide enough to lose nothing where there is none."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table

PIPED_WIDTH: Final = 140
WIDE: Final = 100  # columns from which a table has room for what can also be looked up


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def show(*things: Any) -> None:
    """Print things one after the other."""
    out = console()
    for thing in things:
        out.print(thing)


def plain_table(
    *columns: str, right: tuple[str, ...] = (), whole: tuple[str, ...] = (), title: str | None = None
) -> Table:
    """A table with a rule under its head; columns named in `right` hold numbers. Long cells fold, none is cut.

    Numbers, and the columns in `whole`, which a reader copies in one piece, stay on one line while others can fold.
    """
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        justify: JustifyMethod = "right" if column in right else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column in right + whole)
    return table
