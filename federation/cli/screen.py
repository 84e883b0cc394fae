"""Where tables go: as wide as the terminal, and wide enough to lose nothing where there is none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Column, Table
from rich.text import Text

PIPED_WIDTH: Final = 140
PADDING: Final = 3  # columns of the screen between two of a table
FOLDED: Final = 4  # what one that folds is left with at least
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
        if isinstance(thing, Table):
            _let_fold(thing, out.width)
        out.print(thing)


def _let_fold(table: Table, width: int) -> None:
    """Let cells fold that should stay on one line where there is no room: rich cuts them without a sign, and a number
    without its end is another number. Numbers go first, at their spaces."""
    if _needed(table) <= width:
        return
    for column in table.columns:
        if column.no_wrap and column.justify == "right":
            column.width, column.no_wrap = (
                max(cell_len(word) for text in _texts(column) for word in text.split()),
                False,
            )
    if _needed(table) > width:
        for column in table.columns:
            column.width, column.no_wrap = None, False


def _needed(table: Table) -> int:
    """The columns of the screen that a table takes when all that may fold does."""
    return sum(PADDING + (column.width or (_longest(column) if column.no_wrap else FOLDED)) for column in table.columns)


def _longest(column: Column) -> int:
    return max(cell_len(text) for text in _texts(column))


def _texts(column: Column) -> Iterator[str]:
    for cell in (column.header, *column.cells):
        yield Text.from_markup(str(cell)).plain


def plain_table(
    *columns: str, right: tuple[str, ...] = (), whole: tuple[str, ...] = (), title: str | None = None
) -> Table:
    """A table with a rule under its head; columns named in `right` hold numbers. Long cells fold, none is cut.

    Numbers, and the columns in `whole`, which a reader copies in one piece, stay on one line while there is room.
    """
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        justify: JustifyMethod = "right" if column in right else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column in right + whole)
    return table
