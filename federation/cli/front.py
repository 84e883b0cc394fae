"""A front as a person reads it: a row per path, what each wins over the one before, and what is certain."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from federation.cli import units
from federation.cli.screen import plain_table
from schemas.answer import FrontView, PathView
from schemas.intent import Objective

HEADS = {Objective.PRICE: "Price", Objective.LATENCY: "Latency", Objective.CARBON: "CO2e/GB"}


def front_lines(front: FrontView) -> Iterator[str | Table]:
    """The paths of a front, and whether these are all."""
    names = ", ".join(front.objectives)
    yield f"[bold]No path beats another on {names}[/]: {len(front.paths)} to choose from"
    yield front_table(front)
    if front.why:
        yield f"[dim]{escape(front.why)}[/]"


def front_table(front: FrontView) -> Table:
    """A row per path: its values on the objectives, its operators, why it is there."""
    heads = tuple(HEADS[name] for name in front.objectives)
    table = plain_table("", *heads, "Over", "Why", right=("", *heads))
    for number, path in enumerate(front.paths, 1):
        values = (_value(path, name) for name in front.objectives)
        over = " → ".join(segment.operator_name for segment in path.segments)
        table.add_row(str(number), *values, escape(over), escape(path.why))
    return table


def _value(path: PathView, objective: Objective) -> str:
    match objective:
        case Objective.PRICE:
            return units.money(path.total)
        case Objective.CARBON:
            return f"{path.promise.carbon_mg_gb} mg"
    return units.latency(path.promise.latency_us)
