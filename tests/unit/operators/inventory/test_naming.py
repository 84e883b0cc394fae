from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.inventory.naming import PEER_CHARS_MAX, POP_CHARS_MAX, enni_id, entity_of, peer_slug, slug, unique
from schemas.segment import EntityId, Id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Utrecht", "utrecht"),
        ("Washington DC", "washington-dc"),
        ("Zürich", "zurich"),
        ("Alsasua – Altsasu", "alsasua-altsasu"),
        ("Tromsø", "tromso"),
        ("Łódź", "lodz"),
        ("at1.at", "at1-at"),
        ("東京", ""),
        ("--", ""),
    ],
)
def test_slugs_are_plain(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_a_repeated_slug_is_numbered_past_names_that_look_numbered() -> None:
    assert unique(["utrecht", "utrecht-2", "utrecht", "", ""]) == ["utrecht", "utrecht-2", "utrecht-3", "pop", "pop-2"]


@given(st.lists(st.text(max_size=60).map(slug)))
def test_slugs_become_distinct_ids(slugs: list[str]) -> None:
    names = unique(slugs)
    assert len(set(names)) == len(slugs)
    for name in names:
        msgspec.convert(name, Id)


@pytest.mark.parametrize(
    ("source", "entity"),
    [
        ("caida/2024-08/1103", "https://as1103.example"),
        ("topozoo/Abilene", "https://abilene.example"),
        ("sndlib/nobel-eu", "https://nobel-eu.example"),
    ],
)
def test_a_source_gives_an_entity_id(source: str, entity: str) -> None:
    assert entity_of(source) == entity
    msgspec.convert(entity, EntityId)


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        ("https://as1103.example", "as1103"),
        ("https://garr.example:8443/op", "garr"),
        ("https://127.0.0.1:8101", "127-0-0-1-8101"),
        ("https://localhost:8101", "localhost-8101"),
    ],
)
def test_a_peer_is_called_by_its_host(entity: str, expected: str) -> None:
    assert peer_slug(entity) == expected


def test_the_longest_interface_id_is_still_an_id() -> None:
    longest = "x" * (POP_CHARS_MAX + 4)  # a name cut to size, and a number behind it
    msgspec.convert(enni_id(longest, "y" * PEER_CHARS_MAX, longest), Id)
