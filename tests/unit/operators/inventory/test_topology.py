from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.inventory.footprint import Footprint, Link
from operators.inventory.topology import Route, RouteClass, Topology
from tests.support.footprints import footprint, link

ANY = RouteClass("any")
EU = RouteClass("eu", frozenset({"NL", "DE"}))


def square() -> Footprint:
    """a-b-d over Switzerland is short, a-c-d long."""
    links = [link("a", "b", 10), link("b", "d", 10), link("a", "c", 30), link("c", "d", 30)]
    return footprint({"a": "NL", "b": "CH", "c": "DE", "d": "NL", "island": "NL"}, links)


def test_the_fastest_route_is_taken() -> None:
    route = Topology(square()).route("a", "d", ANY)
    assert route == Route(("link-a--b", "link-b--d"), ("a", "b", "d"), 20, 20, 2)


def test_a_route_class_is_kept() -> None:
    route = Topology(square()).route("a", "d", EU)
    assert route is not None
    assert route.pops == ("a", "c", "d")
    assert Topology(square()).route("a", "b", EU) is None
    assert Topology(square()).route("b", "b", EU) is None


def test_a_full_link_is_gone_round() -> None:
    route = Topology(square()).route("a", "d", ANY, usable=lambda name: name != "link-b--d")
    assert route is not None
    assert route.links == ("link-a--c", "link-c--d")
    assert Topology(square()).route("a", "d", ANY, usable=lambda _: False) is None


def test_within_one_pop_there_is_nothing_to_cross() -> None:
    assert Topology(square()).route("a", "a", ANY) == Route((), ("a",), 0, 0, 0)


def test_what_is_not_connected_has_no_route() -> None:
    assert Topology(square()).route("a", "island", ANY) is None
    assert "island" not in Topology(square()).distances_from("a", ANY)


def test_there_and_back_is_the_same_route() -> None:
    there = Topology(square()).route("a", "d", ANY)
    back = Topology(square()).route("d", "a", ANY)
    assert there is not None
    assert back is not None
    assert back.links == there.links[::-1]
    assert back.pops == there.pops[::-1]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_equal_routes_are_told_apart_whatever_the_order_of_the_file(order: tuple[int, ...]) -> None:
    links = [link("a", "b"), link("b", "d"), link("a", "c"), link("c", "d")]
    route = Topology(footprint("abcd", [links[index] for index in order])).route("a", "d", ANY)
    assert route is not None
    assert route.pops == ("a", "b", "d")


def test_fewer_hops_and_then_fewer_km_settle_equal_latency() -> None:
    direct = link("a", "d", 200, km=99)
    bent = [link("a", "b", 100), link("b", "d", 100)]
    assert found(Topology(footprint("abd", [*bent, direct])), "a", "d").hops == 1
    twin = link("a", "d", 200, km=98, name="link-z")
    assert found(Topology(footprint("abd", [direct, twin])), "a", "d").links == ("link-z",)


def test_parallel_links_back_each_other_up() -> None:
    topology = Topology(footprint("ab", [link("a", "b", 10), link("a", "b", 20, name="spare")]))
    assert found(topology, "a", "b").links == ("link-a--b",)
    spare = topology.route("a", "b", ANY, usable=lambda name: name == "spare")
    assert spare is not None
    assert spare.latency_us == 20


def test_reach_comes_nearest_first_and_after_the_pop_before_it() -> None:
    reached = Topology(square()).distances_from("a", ANY)
    assert list(reached) == ["a", "b", "d", "c"]
    assert (reached["a"].link, reached["a"].before) == (None, None)
    seen: set[str | None] = {None}
    for pop, reach in reached.items():
        assert reach.before in seen
        seen.add(pop)


def found(topology: Topology, a: str, z: str) -> Route:
    route = topology.route(a, z, ANY)
    assert route is not None
    return route


@dataclass
class Net:
    pops: str
    links: list[Link]
    full: frozenset[str]


@st.composite
def nets(draw: st.DrawFn) -> Net:
    pops = "abcdef"[: draw(st.integers(2, 6))]
    pairs = [(a, z) for a, z in product(pops, pops) if a < z]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=10))
    links = [
        link(a, z, draw(st.integers(1, 3)), draw(st.integers(1, 3)), name=f"l{index}")
        for index, (a, z) in enumerate(chosen)
    ]
    return Net(pops, links, frozenset(draw(st.sets(st.sampled_from([f"l{i}" for i in range(10)]), max_size=3))))


def cheapest(net: Net, a: str, z: str) -> tuple[int, int, int] | None:
    """Brute force: the least (latency, hops, km) over every simple path."""
    best: list[tuple[int, int, int]] = []

    def walk(at: str, seen: str, total: tuple[int, int, int]) -> None:
        if at == z:
            best.append(total)
            return
        for one in net.links:
            for here, there in ((one.a, one.z), (one.z, one.a)):
                if here == at and there not in seen and one.id not in net.full:
                    latency, hops, km = total
                    walk(there, seen + there, (latency + one.latency_us, hops + 1, km + one.km))

    walk(a, a, (0, 0, 0))
    return min(best, default=None)


@given(nets())
def test_no_simple_path_is_better(net: Net) -> None:
    topology = Topology(footprint(net.pops, net.links))
    by_id = {one.id: one for one in net.links}
    for a in net.pops:
        reached = topology.distances_from(a, ANY, lambda name: name not in net.full)
        for z in net.pops:
            expected = cheapest(net, a, z)
            route = topology.route(a, z, ANY, lambda name: name not in net.full)
            assert (None if route is None else (route.latency_us, route.hops, route.km)) == expected
            assert (z in reached) == (expected is not None)
            if route is not None:
                assert reached[z][:3] == expected
                assert sum(by_id[one].latency_us for one in route.links) == route.latency_us
                for step, name in zip(zip(route.pops, route.pops[1:], strict=False), route.links, strict=True):
                    assert set(step) == {by_id[name].a, by_id[name].z}
