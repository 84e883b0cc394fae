from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.intent import Place
from schemas.interface import Country
from schemas.pattern import published
from schemas.price import Currency
from schemas.segment import EntityId, Hash, Id

GOOD = [
    (Id, "a-1"),
    (EntityId, "https://a.example:1/x"),
    (Hash, "h" * 43),
    (Country, "NL"),
    (Currency, "EUR"),
    (Place, "Utrecht"),
]


@pytest.mark.parametrize(("kind", "text"), GOOD)
def test_a_member_ends_where_its_text_ends(kind: Any, text: str) -> None:
    assert msgspec.convert(text, kind) == text
    for more in (text + "\n", "\n" + text):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(more, kind)


def test_digits_are_those_of_ascii() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("https://a.example:١", EntityId)


def test_published_patterns_are_those_of_json_schema() -> None:
    made = published(msgspec.json.schema(dict[Id, Country]))
    assert made["additionalProperties"]["pattern"] == "^[A-Z]{2}$"
    assert published({"properties": {"pattern": {"type": "string", "pattern": r"^a\Z"}}, "required": ["pattern"]}) == {
        "properties": {"pattern": {"type": "string", "pattern": "^a$"}},
        "required": ["pattern"],
    }
