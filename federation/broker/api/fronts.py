"""A front as an agent is told it: how many paths there are, and a few of them in a line each."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from schemas.answer import FrontView, PathView
from schemas.intent import Objective

CHOICES_MAX: Final = 8


class FrontBrief(Struct, frozen=True, kw_only=True):
    """What there is to choose from: a few of `count` paths, spread evenly, the best on each objective among them."""

    objectives: tuple[Objective, ...]
    count: int
    complete: bool
    choices: tuple[str, ...]
    why: str = ""


def front_brief(front: FrontView) -> FrontBrief:
    """A front in a few lines."""
    return FrontBrief(
        objectives=front.objectives,
        count=len(front.paths),
        complete=front.complete,
        choices=tuple(_choice(front.paths[place]) for place in sorted(_shown(front))),
        why=front.why,
    )


def _shown(front: FrontView) -> set[int]:
    """Places of the best path on each objective, and others in even steps."""
    places = range(len(front.paths))
    shown = {min(places, key=lambda place: _worth(front.paths[place], name)) for name in front.objectives if places}
    room = CHOICES_MAX - len(shown)
    return shown | {place * len(places) // room for place in range(room) if places}


def _worth(path: PathView, objective: Objective) -> int:
    values = {Objective.PRICE: path.total.micro, Objective.LATENCY: path.promise.latency_us}
    return values.get(objective, path.promise.carbon_mg_gb)


def _choice(path: PathView) -> str:
    over = " > ".join(segment.operator_name for segment in path.segments)
    promise = path.promise
    values = f"{path.total.micro} micro {path.total.currency}, {promise.latency_us} us, {promise.carbon_mg_gb} mg/GB"
    return f"{values}: {over}"
