"""networkx: Dijkstra without limits, from one side and from both, and with a weight function that hides arcs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import networkx as nx

from benchmarks.digraph import Digraph
from benchmarks.peers.peer import Ready, whole
from benchmarks.question import MTU, Family, Question


def digraph(graph: Digraph, family: Family) -> Any:
    """The graph as networkx has it, with what a predicate needs on every edge.

    `price` is the least of the arcs between two vertices (a mesh has one per route class), `arcs` all of them: faster
    than a graph of multiple edges.
    """
    made = nx.DiGraph()
    made.add_nodes_from(range(graph.size))
    columns = (graph.tail, graph.head, graph.prices(family.gbps), graph.route_class, graph.free, graph.mtu)
    for tail, head, *arc in zip(*(c.tolist() for c in columns), strict=True):
        known = made.get_edge_data(tail, head)
        if known is None:
            made.add_edge(tail, head, price=arc[0], arcs=(tuple(arc),))
        else:
            known.update(price=min(known["price"], arc[0]), arcs=(*known["arcs"], tuple(arc)))
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

        def weight(tail: int, head: int, edge: dict[str, Any]) -> int | None:
            arcs = edge["arcs"]
            if len(arcs) == 1:
                price, route_class, free, widest = arcs[0]
                return price if route_class in allowed and free >= bps and widest >= mtu else None
            usable = (arc[0] for arc in arcs if arc[1] in allowed and arc[2] >= bps and arc[3] >= mtu)
            return min(usable, default=None)

        try:
            return whole(nx.dijkstra_path_length(self._graph, question.source, question.target, weight=weight))
        except nx.NetworkXNoPath:
            return None
