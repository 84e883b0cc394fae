from __future__ import annotations

import json
from typing import Any

import pytest

from operators.inventory.footprint import Footprint, dump, fibre_us, load
from schemas.place import great_circle_km
from schemas.problem import Problem
from tests.support.footprints import enni, footprint, link, uni


@pytest.fixture
def network() -> Footprint:
    return footprint({"ams": "NL", "bru": "BE"}, [link("ams", "bru")], [uni("ams")], [enni("bru")])


def edited(network: Footprint, place: tuple[str | int, ...], value: object) -> bytes:
    """The file with one member set to another value; None drops it."""
    tree: Any = json.loads(dump(network))
    at = tree
    for step in place[:-1]:
        at = at[step]
    if value is None:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return json.dumps(tree).encode()


def test_what_is_written_is_read_again(network: Footprint) -> None:
    assert load(dump(network), "footprint.json") == network


def test_the_file_has_one_item_per_line(network: Footprint) -> None:
    lines = dump(network).decode().splitlines()
    items = [line for line in lines if line.startswith('{"id"')]
    assert len(items) == 5
    assert all(json.loads(item.rstrip(",")) for item in items)


def test_names_stay_readable(network: Footprint) -> None:
    data = edited(network, ("pops", 0, "name"), "Zürich")
    assert "Zürich" in dump(load(data, "f")).decode()


def test_lengths_and_latencies_left_out_are_derived(network: Footprint) -> None:
    tree = json.loads(dump(network))
    del tree["links"][0]["km"], tree["links"][0]["latency_us"]
    loaded = load(json.dumps(tree).encode(), "f")
    a, z = loaded.pops
    km = great_circle_km(a.lat, a.lon, z.lat, z.lon)
    assert km <= loaded.links[0].km < km + 1
    assert loaded.links[0].latency_us == -(-loaded.links[0].km * 13 // 2)


def test_a_given_length_gives_the_latency_unless_that_is_given_too(network: Footprint) -> None:
    tree = json.loads(dump(network))
    tree["links"][0] |= {"km": 1000, "latency_us": 0}
    assert load(json.dumps(tree).encode(), "f").links[0].latency_us == 6500
    tree["links"][0] |= {"latency_us": 9000}
    assert load(json.dumps(tree).encode(), "f").links[0].latency_us == 9000


@pytest.mark.parametrize(("km", "us"), [(0, 1), (1, 7), (2, 13), (1000, 6500), (0.1, 1)])
def test_fibre_takes_its_time(km: float, us: int) -> None:
    assert fibre_us(km) == us


FAULTS: tuple[tuple[tuple[str | int, ...], object, str, str], ...] = (
    (("v",), 2, "v", "reads 1"),
    (("entity",), "http://as1.example", "entity", "regex"),
    (("entity",), "https://as2.example", "ennis[0].peer_entity", "operator itself"),
    (("pops",), [], "pops", "at least one"),
    (("pops", 0, "lat"), 91, "pops[0].lat", "<= 90"),
    (("pops", 0, "lon"), -180.5, "pops[0].lon", ">= -180"),
    (("pops", 1, "country"), "Belgium", "pops[1].country", "regex"),
    (("pops", 1, "country"), "be", "pops[1].country", "regex"),
    (("pops", 1, "id"), "ams", "pops[1].id", "already the id of pops[0]"),
    (("pops", 1, "id"), "a b", "pops[1].id", "regex"),
    (("pops", 1, "name"), None, "pops[1].name", "missing"),
    (("pops", 1, "town"), "x", "pops[1].town", "unknown"),
    (("links", 0, "capacity_bps"), 0, "links[0].capacity_bps", ">= 1"),
    (("links", 0, "capacity_bps"), -5, "links[0].capacity_bps", ">= 1"),
    (("links", 0, "capacity_bps"), "400G", "links[0].capacity_bps", "Expected `int`"),
    (("links", 0, "capacity_bps"), 10**15, "links[0].capacity_bps", "<="),
    (("links", 0, "km"), 1.5, "links[0].km", "Expected `int`"),
    (("links", 0, "z"), "ams", "links[0].z", "two different PoPs"),
    (("links", 0, "z"), "par", "links[0].z", "not the id of any PoP"),
    (("links", 0, "id"), "uni-ams", "unis[0].id", "already the id of links[0]"),
    (("unis", 0, "pop"), "par", "unis[0].pop", "not the id of any PoP"),
    (("unis", 0, "labels"), "", "unis[0].labels", "empty"),
    (("unis", 0, "labels"), "0-5", "unis[0].labels", "1-4094"),
    (("unis", 0, "labels"), "5-4095", "unis[0].labels", "1-4094"),
    (("unis", 0, "mtu"), 0, "unis[0].mtu", ">= 64"),
    (("unis", 0, "owner"), "someone", "unis[0].owner", "regex"),
    (("ennis", 0, "id"), "uni-ams", "ennis[0].id", "already the id of unis[0]"),
    (("ennis", 0, "labels"), "9-8", "ennis[0].labels", "1-4094"),
    (("ennis", 0, "pop"), "par", "ennis[0].pop", "not the id of any PoP"),
    (("ennis", 0, "swap"), 1, "ennis[0].swap", "Expected `bool`"),
    (("ennis",), None, "ennis", "missing"),
)


@pytest.mark.parametrize(("place", "value", "field", "why"), FAULTS)
def test_a_fault_is_named_with_file_and_field(
    network: Footprint, place: tuple[str | int, ...], value: object, field: str, why: str
) -> None:
    with pytest.raises(Problem) as caught:
        load(edited(network, place, value), "footprint.json")
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.field == f"footprint.json: {field}"
    assert why in caught.value.detail


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "line 1"),
        (b'{\n"v": 1,\n"pops" []\n}', "line 3"),
        (b"[]", "Expected `object`"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "Expected `object`"),
    ],
)
def test_what_is_no_footprint_at_all_says_where_it_breaks(data: bytes, why: str) -> None:
    with pytest.raises(Problem, match=r"^footprint\.json: ") as caught:
        load(data, "footprint.json")
    assert why in str(caught.value)
