"""The federation as one graph: joined only where both sides agree, and the same however it came about."""

from __future__ import annotations

from random import Random

import pytest
from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.graph import Graph
from federation.broker.paths.search import find
from schemas.interface import Peer
from tests.support.federations import entity, small
from tests.support.path_worlds import case
from tests.support.paths import interface, operator

A, B, C = entity(0), entity(1), entity(2)


def pair(back: Peer | None) -> Graph:
    a = operator(0, interface("x", Peer(B, "y")))
    b = operator(1, interface("y", back))
    return Graph.build({A: a, B: b})


def test_an_interconnect_exists_where_both_sides_name_each_other() -> None:
    graph = pair(Peer(A, "x"))
    assert (graph.interconnects(), graph.interconnects(A), graph.one_sided()) == (1, 1, 0)
    assert graph.components() == ((A, B),)


@pytest.mark.parametrize("back", [Peer(A, "other"), Peer(C, "x"), None])
def test_what_only_one_side_declares_is_counted_and_not_believed(back: Peer | None) -> None:
    graph = pair(back)
    assert graph.interconnects() == 0
    assert graph.one_sided() == (1 if back is None else 2)
    assert graph.components() == ((A,), (B,))


def test_an_operator_does_not_meet_itself() -> None:
    graph = Graph.build({A: operator(0, interface("x", Peer(A, "y")), interface("y", Peer(A, "x")))})
    assert (graph.interconnects(), graph.one_sided()) == (0, 2)


def test_a_graph_of_nothing() -> None:
    graph = Graph.build({})
    assert (graph.size, graph.components(), graph.interconnects()) == (0, (), 0)


def shape(graph: Graph) -> object:
    crossings = {entity: graph.crossings[entity] for entity in sorted(graph.crossings)}
    return crossings, graph.bases, graph.owner, graph.is_interface, graph.components(), graph.one_sided()


@pytest.mark.parametrize("seed", range(30))
def test_replacing_sheets_one_by_one_makes_the_same_graph(seed: int) -> None:
    rng = Random(seed)
    before, after = small(rng), small(rng)
    graph = Graph.build(before)
    changes = [*after, *(entity for entity in before if entity not in after)]
    rng.shuffle(changes)
    for count, changed in enumerate(changes, 1):
        graph = graph.replace(after[changed]) if changed in after else graph.without(changed)
        assert graph.epoch == count
    assert shape(graph) == shape(Graph.build(after))


def test_a_snapshot_does_not_change_when_a_sheet_does() -> None:
    old = pair(Peer(A, "x"))
    new = old.replace(operator(1))
    assert (old.interconnects(), new.interconnects()) == (1, 0)
    assert old.by_entity[A] is new.by_entity[A]


@pytest.mark.parametrize("seed", range(40))
def test_the_answer_does_not_depend_on_how_the_graph_came_about(seed: int) -> None:
    sheets, query, _ = case(seed, 0.15)
    query = structs.replace(query, k=3)
    shuffled = list(sheets.items())
    Random(seed).shuffle(shuffled)
    graph = Graph.build({})
    for _, sheet in shuffled:
        graph = graph.replace(_turned(sheet))
    assert find(graph, query) == find(Graph.build(sheets), query)


def _turned(sheet: OperatorSheet) -> OperatorSheet:
    """The same sheet with its items in the opposite order."""
    return structs.replace(
        sheet,
        interfaces=dict(reversed(sheet.interfaces.items())),
        classes=dict(reversed(sheet.classes.items())),
        offers=dict(reversed(sheet.offers.items())),
    )
