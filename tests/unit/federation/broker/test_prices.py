"""What a difference in price is made of, line by line."""

from __future__ import annotations

import pytest
from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.market.prices import made_of
from federation.broker.paths.graph import Graph
from federation.broker.paths.search import Found, find
from schemas.offer import ClassTerms
from tests.support.paths import ask, interface, offer, operator, to


def said(other: dict[str, int], *, parallel: int = 1) -> str:
    """From operator 0 to operator 2 over operator 1, or over some others with other terms."""
    middle = range(3, 3 + parallel)
    first = [interface("u0"), interface("e1", to(1, "e0")), interface("e3", to(3, "e0"))]
    last = [interface("u0"), interface("e1", to(1, "e2")), interface("e3", to(middle[-1], "e2"))]
    sheets = [
        operator(0, *first, offer("u0", "e1", 10, 1), offer("u0", "e3", 10, 1)),
        operator(1, interface("e0", to(0, "e1")), interface("e2", to(2, "e1")), offer("e0", "e2", 10, 1)),
        operator(2, *last, offer("u0", "e1", 10, 1), offer("u0", "e3", 10, 1)),
    ]
    for place, number in enumerate(middle):
        before, after = (0, "e3") if place == 0 else (number - 1, "e2"), (2, "e3")
        if place < parallel - 1:
            after = (number + 1, "e0")
        ends = interface("e0", to(*before)), interface("e2", to(*after))
        sheets.append(_with(operator(number, *ends, offer("e0", "e2", 10, 1)), other))
    graph = Graph.build({sheet.entity: sheet for sheet in sheets})
    query = structs.replace(ask((0, "u0"), (2, "u0")), k=2)
    found = find(graph, query)
    assert isinstance(found, Found)
    best, following = found.routes
    return made_of(following, best, query, lambda entity: entity.removeprefix("https://").partition(".")[0])


def _with(sheet: OperatorSheet, terms: dict[str, int]) -> OperatorSheet:
    classes = {name: structs.replace(each, **terms) for name, each in sheet.classes.items()}
    assert all(isinstance(each, ClassTerms) for each in classes.values())
    return structs.replace(sheet, classes=classes)


def usage() -> str:
    """What the usage of any segment here comes to."""
    return said({"set_up_micro": 1_000_000}).partition(" instead of ")[2].removesuffix(" for usage at op1")


@pytest.mark.parametrize(
    ("terms", "lines"),
    [
        ({"set_up_micro": 3_000_000}, "EUR 3.00 for set-up and {usage} for usage at op3"),
        ({"set_up_micro": 3_000_000, "minimum_micro": 10**9}, None),
    ],
)
def test_lines_are_those_of_the_bill(terms: dict[str, int], lines: str | None) -> None:
    text = said(terms)
    theirs, _, ours = text.partition(" instead of ")
    assert ours == f"{usage()} for usage at op1"
    if lines is not None:
        assert theirs == lines.format(usage=usage())
    else:
        assert theirs.startswith("EUR 3.00 for set-up, ")
        assert theirs.endswith(" to make up its minimum at op3")


def test_nothing_is_said_where_it_would_be_too_much() -> None:
    assert said({"set_up_micro": 1}, parallel=3).count(" at op") == 4
    assert said({"set_up_micro": 1}, parallel=4) == ""
