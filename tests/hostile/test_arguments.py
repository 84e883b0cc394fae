"""Arguments of tools by an agent of ill will, or of no understanding: an answer or a named mistake, never a fault."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import msgspec
import pytest

from federation.broker.api.toolbox import ToolRow, strict_tool
from federation.broker.api.tools import tool_rows
from tests.support.exchange import FakeExchange
from tests.support.seams import CountingEntropy

ROWS = tool_rows(CountingEntropy())
TRIES = 4_000 if os.environ.get("PEERWAY_TEST_LONG") else 300
GOOD: dict[str, Any] = {
    "from_place": "Utrecht@surf",
    "to_place": "Milan@geant",
    "bandwidth_mbps": 1000,
    "duration_s": 600,
    "quote_id": "q-1",
    "order_id": "o-1",
}
DEEP: Any = []
for _ in range(5_000):
    DEEP = [DEEP]
ODD = (
    *(None, True, 0, -1, 1e308, float("nan"), float("inf"), 2**63, -(2**63), 10**40),
    *(
        "",
        "x" * 5_000,
        "\ud800",
        "\x00",
        "any gpu in DE",
        "nearest x@y",
        "2026-02-30T00:00:00Z",
        "9999-12-31T23:59:60Z",
    ),
    *([], {}, [[]], {"a": 1}, ["DE"] * 500, ["\udfff"], DEEP),
)


def bent(chance: random.Random, names: list[str]) -> dict[str, Any]:
    """Good arguments, of which some are odd, missing or unknown."""
    found = {name: GOOD[name] for name in names if name in GOOD}
    for _ in range(chance.randint(0, 3)):
        found[chance.choice([*names, "unheard of"])] = chance.choice(ODD)
    if found and chance.random() < 0.1:
        del found[chance.choice(list(found))]
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.asyncio
async def test_no_arguments_make_a_tool_fail(row: ToolRow) -> None:
    chance = random.Random(4)
    exchange: Any = FakeExchange()
    tool = strict_tool(row, lambda: exchange)
    names = list(tool.parameters.get("properties", {}))
    for _ in range(TRIES):
        arguments = bent(chance, names)
        answer = await tool.run(arguments, None)
        told = answer.structured_content
        assert told is not None
        assert told.get("code") != "INTERNAL", arguments
        json.dumps(told, ensure_ascii=False).encode()
        msgspec.json.encode(told)
