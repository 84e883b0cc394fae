from __future__ import annotations

import pytest

from operators.inventory.drafting import GBPS, Party, Site, Survey, Terms, Town, draft, pops_of
from operators.inventory.footprint import Footprint, dump, load
from operators.inventory.naming import peer_slug
from schemas.place import great_circle_km
from schemas.problem import Problem


def party(name: str, sites: list[Site], joins: list[tuple[int, int]] | None = None) -> Party:
    survey = Survey(f"test/{name}", tuple(sites), tuple(joins or ()), "Nothing was measured.")
    towns = tuple(Town("Nearby", "NL") for _ in sites)
    return Party(survey, towns, f"https://{name}.example", f"https://{name}-owner.example")


UTRECHT, AMSTERDAM, UTRECHT_EAST = (
    Site("Utrecht", 52.09, 5.14),
    Site("Amsterdam", 52.37, 4.9),
    Site("Utrecht", 52.1, 5.2),
)


def agreed(a: Footprint, z: Footprint) -> int:
    """How many interconnects two files have; every ENNI of either must be named back by the other."""
    mine = {(e.id, e.peer_interface, e.latency_us) for e in a.ennis if e.peer_entity == z.entity}
    theirs = {(e.peer_interface, e.id, e.latency_us) for e in z.ennis if e.peer_entity == a.entity}
    assert mine == theirs
    return len(mine)


def test_names_do_not_depend_on_the_order_of_the_source() -> None:
    sites = [UTRECHT_EAST, AMSTERDAM, UTRECHT]
    forwards, backwards = pops_of(party("a", sites)), pops_of(party("a", sites[::-1]))
    assert {(one.id, one.lat) for one in forwards} == {(one.id, one.lat) for one in backwards}
    assert [one.id for one in forwards] == ["utrecht-2", "amsterdam", "utrecht"]


def test_a_place_without_a_name_is_called_by_its_town() -> None:
    (nameless,) = pops_of(party("a", [Site("", 50, 5)]))
    assert (nameless.id, nameless.name, nameless.country) == ("nearby", "Nearby", "NL")


def test_a_join_is_one_link_and_a_loop_is_none() -> None:
    (drafted,) = draft([party("a", [UTRECHT, AMSTERDAM], [(0, 1), (1, 0), (0, 0)])], Terms(capacity_bps=7 * GBPS))
    (link,) = drafted.links
    km = great_circle_km(52.09, 5.14, 52.37, 4.9)
    assert (link.id, link.capacity_bps, link.measured) == ("link-amsterdam--utrecht", 7 * GBPS, False)
    assert km <= link.km < km + 1


def test_every_pop_has_a_uni_of_the_owner() -> None:
    (drafted,) = draft([party("a", [UTRECHT, AMSTERDAM])], Terms(uni_bps=5 * GBPS))
    assert [(one.id, one.pop, one.owner, one.speed_bps) for one in drafted.unis] == [
        ("uni-utrecht", "utrecht", "https://a-owner.example", 5 * GBPS),
        ("uni-amsterdam", "amsterdam", "https://a-owner.example", 5 * GBPS),
    ]


def test_two_operators_that_draft_alone_agree() -> None:
    a, b = party("a", [UTRECHT, AMSTERDAM]), party("b", [AMSTERDAM, UTRECHT_EAST])
    (by_a,), (by_b,) = draft([a, b], Terms(), wanted=[0]), draft([b, a], Terms(), wanted=[0])
    assert agreed(by_a, by_b) == 2
    assert by_a.ennis[0].id == "enni-utrecht--b-utrecht"
    assert by_a.ennis[0].peer_interface == "enni-utrecht--a-utrecht"


def test_an_enni_has_at_least_a_microsecond() -> None:
    (drafted,) = draft([party("a", [UTRECHT]), party("b", [UTRECHT])], Terms(), wanted=[0])
    assert [one.latency_us for one in drafted.ennis] == [1]


def test_what_is_drafted_can_be_read() -> None:
    for drafted in draft([party("a", [UTRECHT, AMSTERDAM], [(0, 1)]), party("b", [UTRECHT_EAST])], Terms()):
        assert load(dump(drafted), f"{peer_slug(drafted.entity)}.json") == drafted


def test_an_operator_is_not_its_own_peer() -> None:
    with pytest.raises(Problem, match="more than once"):
        draft([party("a", [UTRECHT]), party("a", [AMSTERDAM])], Terms())


def test_operators_that_interface_ids_would_confuse_are_refused() -> None:
    one, two = party("a", [UTRECHT]), party("b", [AMSTERDAM])
    with pytest.raises(Problem, match="would both be 'a'"):
        draft([one, two._replace(entity="https://a.other.example")], Terms())
