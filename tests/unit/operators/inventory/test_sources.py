"""What topohub carries, as footprints: these tests need the extra `demo` and say so where it is missing."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from operators.inventory import sources
from operators.inventory.drafting import Party, Site, Terms, draft
from operators.inventory.footprint import Footprint, dump, load
from operators.inventory.naming import entity_of
from schemas.place import great_circle_km
from schemas.problem import Problem

pytest.importorskip("topohub", reason="topohub is not installed: pip install 'peerway[demo]'")
pytest.importorskip("reverse_geocode", reason="reverse_geocode is not installed: pip install 'peerway[demo]'")

# Design section 9: SURF, KPN, DFN, Vodafone DE, DTAG, GÉANT, SWITCH, RENATER, Orange, GARR, Fastweb, Belnet, Liberty,
# RedIRIS, Jisc.
ASNS = (1103, 1136, 680, 3209, 3320, 20965, 559, 2200, 3215, 137, 12874, 2611, 6830, 766, 786)
SURF, GEANT, GARR = "https://as1103.example", "https://as20965.example", "https://as137.example"


def party(source: str, survey: sources.Survey, towns: tuple[sources.Town, ...]) -> Party:
    return Party(survey, towns, entity_of(source), entity_of(source))


@pytest.fixture(scope="module")
def parties() -> list[Party]:
    names = [f"caida/2024-08/{asn}" for asn in ASNS]
    return [party(name, *known) for name, known in zip(names, sources.gather(names), strict=True)]


@pytest.fixture(scope="module")
def fifteen(parties: list[Party]) -> dict[str, Footprint]:
    return {one.entity: one for one in draft(parties, Terms())}


def interconnects(footprints: Mapping[str, Footprint]) -> set[frozenset[tuple[str, str]]]:
    """Pairs of (operator, interface); fails where one side names an interface that does not name it back."""
    ennis = {(one.entity, enni.id): enni for one in footprints.values() for enni in one.ennis}
    for (entity, name), enni in ennis.items():
        back = ennis[enni.peer_entity, enni.peer_interface]
        assert (back.peer_entity, back.peer_interface) == (entity, name)
        assert back.latency_us == enni.latency_us
    return {frozenset([place, (enni.peer_entity, enni.peer_interface)]) for place, enni in ennis.items()}


def test_the_fifteen_agree_pairwise(fifteen: Mapping[str, Footprint]) -> None:
    assert len(fifteen) == 15
    assert sum(len(one.pops) for one in fifteen.values()) == 657
    assert len(interconnects(fifteen)) == 197


def test_each_of_the_fifteen_drafts_alone_what_the_federation_drafts(
    parties: list[Party], fifteen: Mapping[str, Footprint]
) -> None:
    for index in (0, 9, 14):
        others = [one for one in reversed(parties) if one is not parties[index]]
        (alone,) = draft([parties[index], *others], Terms(), wanted=[0])
        together = fifteen[parties[index].entity]
        assert {one.id: one for one in alone.ennis} == {one.id: one for one in together.ennis}


def test_utrecht_on_surf_and_milan_on_garr_are_in_one_component(fifteen: Mapping[str, Footprint]) -> None:
    """Over internal links and interconnects, all UNIs of the fifteen reach each other."""
    edges = [((one.entity, link.a), (one.entity, link.z)) for one in fifteen.values() for link in one.links]
    pop_of = {(one.entity, enni.id): (one.entity, enni.pop) for one in fifteen.values() for enni in one.ennis}
    edges += [
        ((one.entity, enni.pop), pop_of[enni.peer_entity, enni.peer_interface])
        for one in fifteen.values()
        for enni in one.ennis
    ]
    around: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for a, z in edges:
        around.setdefault(a, set()).add(z)
        around.setdefault(z, set()).add(a)
    seen, waiting = {(SURF, "utrecht")}, [(SURF, "utrecht")]
    while waiting:
        fresh = around[waiting.pop()] - seen
        seen |= fresh
        waiting += fresh
    assert (GARR, "milan") in seen
    assert len(seen) == 657


def test_surf_meets_geant_near_utrecht(fifteen: Mapping[str, Footprint]) -> None:
    met = [one for one in fifteen[SURF].ennis if one.peer_entity == GEANT]
    assert [(one.pop, one.peer_interface) for one in met] == [("utrecht", "enni-amsterdam--as1103-utrecht")]
    assert met[0].latency_us == 232


def test_countries_are_guessed_from_the_nearest_town(fifteen: Mapping[str, Footprint]) -> None:
    assert {one.country for one in fifteen[SURF].pops} == {"NL"}
    assert {one.id: one.country for one in fifteen[GARR].pops}["milan"] == "IT"


def test_the_files_can_be_read(fifteen: Mapping[str, Footprint]) -> None:
    for one in fifteen.values():
        assert load(dump(one), "footprint.json") == one


def test_every_source_is_listed() -> None:
    known = sources.known()
    assert len([one for one in known if one.startswith("caida/2024-08/")]) == 98
    assert {"topozoo/Abilene", "sndlib/nobel-eu"} <= set(known)


def test_sndlib_in_degrees_and_minutes_lands_where_it_is() -> None:
    """Read as decimals, 2.20 48.51 would put Paris 40 km to the south."""
    (paris,) = [one for one in sources.read("sndlib/nobel-eu").sites if one.name == "Paris"]
    assert paris == Site("Paris", 48.85, 2.3333)
    (london,) = [one for one in sources.read("sndlib/nobel-eu").sites if one.name == "London"]
    assert london.lon == -0.1167
    (washington,) = [one for one in sources.read("sndlib/nobel-us").sites if one.name == "Washington"]
    assert great_circle_km(washington.lat, washington.lon, 38.90, -77.04) < 5


def test_the_table_of_instances_in_minutes_is_complete() -> None:
    """No fraction of degrees.minutes reaches .60; in decimals of ten places some does."""
    drawn, minutes = set(), set()
    for source in (one for one in sources.known() if one.startswith("sndlib/")):
        nodes = sources.topology(source)["nodes"]
        fractions = [abs(x) % 1 for node in nodes for x in node["pos"]]
        if not any(fractions):
            drawn.add(source)
        elif max(fractions) < 0.6:
            minutes.add(source)
    assert minutes == sources.IN_MINUTES
    for source in drawn:
        with pytest.raises(Problem, match="drawn on a plane"):
            sources.read(source)


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("caida/1103", "caida/2024-08/1103"),
        ("AS1103", "caida/2024-08/1103"),
        ("topozoo/abilene", "topozoo/Abilene"),
        ("sndlib/nobel-e", "sndlib/nobel-eu"),
        ("nonsense", "write caida/2024-08/<ASN>"),
        ("../../etc/passwd", "write caida/2024-08/<ASN>"),
        ("gabriel/25/0", "write caida/2024-08/<ASN>"),
    ],
)
def test_an_unknown_source_is_answered_with_what_is_near(source: str, advice: str) -> None:
    with pytest.raises(Problem) as caught:
        sources.read(source)
    assert caught.value.field == "SOURCE"
    assert advice in caught.value.detail


def test_without_topohub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "topohub", None)
    with pytest.raises(Problem, match=r"topohub: pip install 'peerway\[demo\]'"):
        sources.known()


def test_without_reverse_geocode_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reverse_geocode", None)
    with pytest.raises(Problem, match=r"reverse_geocode: pip install 'peerway\[demo\]'"):
        sources.towns([Site("x", 0, 0)])
