from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from federation.node.config import load_toml
from federation.node.http import decode
from federation.node.sqlite import Database
from schemas.intent import Objective
from schemas.offer import Disclosure
from schemas.price import Currency
from schemas.problem import Problem
from schemas.segment import EntityId, Time


class Part(Struct, forbid_unknown_fields=True):
    shows: Disclosure


class Wish(Struct):
    a: str = ""
    objective: Objective = Objective.PRICE
    end: Time | None = None


class Config(Struct, forbid_unknown_fields=True):
    entity: EntityId = "https://surf.example"
    currency: Currency = "EUR"
    shows: Disclosure | None = None
    parts: tuple[Part, ...] = ()
    named: dict[str, Part] = {}
    odd: Annotated[str, Meta(pattern="^x$")] = "x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('entity = "surf"', "entity: expected an entity id, for example https://surf.example"),
        ('currency = "euro"', "currency: expected a currency code, for example EUR"),
        ('odd = "y"', "odd: expected `str` matching regex '^x$'"),
        ('shows = "all"', "shows: invalid enum value 'all'; expected one of mesh, abstract"),
        ('[[parts]]\nshows = "all"', "parts[0].shows: invalid enum value 'all'; expected one of mesh, abstract"),
        ('[named.a]\nshows = "all"', "named[...].shows: invalid enum value 'all'; expected one of mesh, abstract"),
        ("shows = 1", "shows: expected `str | null`, got `int`; expected one of mesh, abstract"),
        ('what = "x"', "what: object contains unknown field `what`"),
    ],
)
def test_a_wrong_value_is_told_what_would_be_right(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(Problem) as told:
        load_toml(path, Config)
    assert str(told.value) == f"{path}: {says}"


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["file/x.sqlite", "file/deeper/x.sqlite"])
async def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Problem, match="cannot be made or is no folder") as told:
        async with Database(tmp_path / place, ()):
            pass
    assert told.value.field == str((tmp_path / place).parent)


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        (b'{"objective":"cheap"}', "objective",
         "invalid enum value 'cheap'; expected one of price, latency, carbon, weighted"),
        (b'{"end":"tomorrow"}', "end", "invalid RFC3339 encoded datetime; write for example 2026-12-01T18:00:00Z"),
        (b'{"end":"2026-12-01T18:00:00"}', "end",
         "expected `datetime` with a timezone component; write for example 2026-12-01T18:00:00Z"),
        (b'{"a":' + b"[" * 90_000, "body", "no valid JSON: nested too deeply"),
    ],
)  # fmt: skip
def test_a_body_is_told_what_would_be_right(body: bytes, field: str, why: str) -> None:
    with pytest.raises(Problem) as caught:
        decode(body, Wish)
    assert (caught.value.field, caught.value.detail) == (field, why)
