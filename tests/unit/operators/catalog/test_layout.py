"""What is published adds up to what is quoted: rates and promises, in a mesh and in an abstract graph."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import pytest

from operators.catalog.layout import Stretch, lay_out
from operators.pricing.card import ClassCard, PromiseCard, Quality, RateCard
from operators.pricing.network import Network
from operators.pricing.quote import Rates
from schemas.interface import InterfaceKind
from schemas.offer import Disclosure
from schemas.segment import Promise
from tests.support.footprints import enni, footprint, link, uni

CARD = ClassCard(
    id="any",
    rates=RateCard(
        port_hourly_micro={InterfaceKind.UNI: 11, InterfaceKind.ENNI: 7}, gbps_hourly_micro=5, gbps_km_hourly_micro=3
    ),
    promises=PromiseCard(
        end=Quality(jitter_ns=1_500, loss_ppb=11, unavailability_ppb=7, carbon_mg_gb=3),
        hop=Quality(jitter_ns=2_300, loss_ppb=101, unavailability_ppb=13, carbon_mg_gb=5),
        km=Quality(jitter_ns=17, loss_ppb=3, unavailability_ppb=2, carbon_mg_gb=1),
    ),
)
DUTCH = ClassCard(id="domestic", countries=("NL",), rates=RateCard(gbps_km_hourly_micro=9))


def network() -> Network:
    """A ring a-b-c-d with a tie between its two ways from a to c, and d abroad."""
    drawn = footprint(
        {"a": "NL", "b": "NL", "c": "NL", "d": "DE"},
        [link("a", "b", 100, 10), link("b", "c", 100, 11), link("a", "d", 100, 11), link("d", "c", 100, 10)],
        [uni("a"), uni("c"), uni("d")],
        [enni("b")],
    )
    return Network(drawn, [CARD, DUTCH], "EUR", "UTC")


def test_every_pair_of_interfaces_is_an_offer_of_the_mesh() -> None:
    layout = lay_out(network(), Disclosure.MESH)
    by_class = [stretch.route_class for stretch in layout.stretches.values()]
    assert by_class.count("any") == 6
    assert by_class.count("domestic") == 3


def test_a_mesh_offer_is_what_the_segment_is_quoted_at() -> None:
    sold = network()
    for stretch in lay_out(sold, Disclosure.MESH).stretches.values():
        for a, z in ((stretch.a, stretch.z), (stretch.z, stretch.a)):
            route = sold.route(stretch.route_class, a, z)
            assert route is not None
            tariff = sold.tariff(stretch.route_class, a, z, route.km)
            assert (tariff.hourly_micro, tariff.gbps_hourly_micro) == stretch.rates
            assert sold.promise(stretch.route_class, route.links) == stretch.promise
            assert set(stretch.resources) == {a, z, *route.links}


def parts_of(stretches: list[Stretch], sold: Network, a: str, z: str) -> list[Stretch]:
    """The border and inner stretches that the internal route from a to z runs over, in order."""
    route = sold.route("any", a, z)
    assert route is not None
    resources = [a, *route.links, z]
    return [next(s for s in stretches if s.resources == (resource,)) for resource in resources]


@pytest.mark.parametrize(("a", "z"), [("uni-a", "uni-c"), ("uni-c", "uni-a"), ("enni-b--as2-x", "uni-d")])
def test_an_abstract_graph_adds_up_to_the_segment(a: str, z: str) -> None:
    sold = network()
    stretches = [s for s in lay_out(sold, Disclosure.ABSTRACT).stretches.values() if s.route_class == "any"]
    parts = parts_of(stretches, sold, a, z)
    route = sold.route("any", a, z)
    assert route is not None
    tariff = sold.tariff("any", a, z, route.km)
    assert reduce(Rates.plus, (s.rates for s in parts)) == (tariff.hourly_micro, tariff.gbps_hourly_micro)
    whole, folded = sold.promise("any", route.links), reduce(Promise.then, (s.promise for s in parts), Promise())
    assert (whole.latency_us, whole.jitter_us, whole.carbon_mg_gb) == (
        folded.latency_us,
        folded.jitter_us,
        folded.carbon_mg_gb,
    )
    assert folded.loss_ppb - len(parts) <= whole.loss_ppb <= folded.loss_ppb
    ends = [{s.a, s.z} for s in parts]
    assert all(first & second for first, second in pairwise(ends))


def test_an_abstract_graph_names_nothing_of_the_inside() -> None:
    layout = lay_out(network(), Disclosure.ABSTRACT)
    assert [node.id for node in layout.nodes] == ["n0", "n1", "n2", "n3"]
    interfaces = set(network().interfaces)
    for stretch in layout.stretches.values():
        assert {stretch.a, stretch.z} - interfaces <= {node.id for node in layout.nodes}


def test_a_class_ends_where_its_countries_end() -> None:
    layout = lay_out(network(), Disclosure.ABSTRACT)
    domestic = [s for s in layout.stretches.values() if s.route_class == "domestic"]
    assert sorted(resource for s in domestic for resource in s.resources) == [
        "enni-b--as2-x",
        "link-a--b",
        "link-b--c",
        "uni-a",
        "uni-c",
    ]


def test_without_a_wish_the_size_decides() -> None:
    assert lay_out(network()).disclosure is Disclosure.MESH
    names = [f"p{number}" for number in range(101)]
    wide = footprint(names, [link(a, z) for a, z in pairwise(names)], [uni(name) for name in names])
    assert lay_out(Network(wide, [CARD], "EUR", "UTC")).disclosure is Disclosure.ABSTRACT


def test_the_best_route_is_left_only_where_it_cannot_be_used() -> None:
    sold = network()
    best = sold.route("any", "uni-a", "uni-c")
    assert best is not None
    around = sold.route("any", "uni-a", "uni-c", lambda name: name != best.links[0])
    assert around is not None
    assert set(around.links).isdisjoint(best.links)
    assert sold.route("any", "uni-a", "uni-c", lambda name: True) == best
    assert sold.route("any", "uni-a", "uni-c", lambda name: False) is None
