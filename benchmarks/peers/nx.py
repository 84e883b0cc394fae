"""networkx: Dijkstra without limits, from one side and from both, and with a weight function that hides arcs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import networkx as nx

from benchmarks.digraph import Digraph
from benchmarks.peers.peer import Ready, whole
from benchmarks.question import MTU, Family, Question


def digraph(graph: Digraph, family: Family) -> Any:
    """The graph as networkx has it, with what a predicate needs on every edge."""
    made = nx.DiGraph()
    made.add_nodes_from(range(graph.size))
    columns = (graph.tail, graph.head, graph.prices(family.gbps), graph.route_class, graph.free, graph.mtu)
    made.add_edges_from(
        (tail, head, {"price": price, "route_class": route_class, "free": free, "mtu": mtu})
        for tail, head, price, route_class, free, mtu in zip(*(c.tolist() for c in columns), strict=True)
    )
    return made


class Dijkstra(Ready):
    """From one side, ending at the target."""

    name: Final = "networkx dijkstra_path_length, no limits"

    def __init__(self, made: Any) -> None:
        self._graph = made

    def solve(self, question: Question) -> int | None:
        """The least price."""
        try:
            return whole(nx.dijkstra_path_length(self._graph, question.source, question.target, weight="price"))
        except nx.NetworkXNoPath:
            return None


class Bidirectional(Ready):
    """From both sides: what `nx.shortest_path` does for a pair."""

    name: Final = "networkx bidirectional_dijkstra, no limits"

    def __init__(self, made: Any) -> None:
        self._graph = made

    def solve(self, question: Question) -> int | None:
        """The least price."""
        try:
            length, _ = nx.bidirectional_dijkstra(self._graph, question.source, question.target, weight="price")
        except nx.NetworkXNoPath:
            return None
        return whole(length)


class Hidden(Ready):
    """A weight function that answers None for arcs that may not be used."""

    name: Final = "networkx dijkstra_path_length, None for arcs outside"

    def __init__(self, made: Any, graph: Digraph, family: Family, refused: Mapping[tuple[str, str], object]) -> None:
        self._graph, self._bps = made, family.gbps * 10**9
        self._allowed = frozenset(n for n, key in enumerate(graph.classes) if key not in refused)

    def solve(self, question: Question) -> int | None:
        """The least price over the arcs that may be used."""
        allowed, bps, mtu = self._allowed, self._bps, MTU

        def weight(tail: int, head: int, arc: dict[str, int]) -> int | None:
            usable = arc["route_class"] in allowed and arc["free"] >= bps and arc["mtu"] >= mtu
            return arc["price"] if usable else None

        try:
            return whole(nx.dijkstra_path_length(self._graph, question.source, question.target, weight=weight))
        except nx.NetworkXNoPath:
            return None
