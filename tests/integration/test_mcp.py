"""The official client of the SDK drives the tools in both places: at the broker, and in front of it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
import pytest_asyncio
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.support.federation import ENDS, BrokerPlan, TinyFederation, tiny_federation

ROOT = Path(__file__).parents[2]
ASKED = {"from_place": ENDS[0], "to_place": ENDS[1], "bandwidth_mbps": 1000, "duration_s": 600}


@pytest_asyncio.fixture
async def federation(tmp_path: Path) -> AsyncIterator[TinyFederation]:
    async with tiny_federation(tmp_path, desk=BrokerPlan(agents=True)) as made:
        yield made


async def told(agent: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await agent.call_tool(tool, arguments)
    assert not result.is_error, result.structured_content
    assert result.structured_content
    return result.structured_content


async def buys_and_releases(agent: Client) -> None:
    """What an agent does with a path, from the search to the bill."""
    tools = {tool.name for tool in (await agent.list_tools()).tools}
    assert tools >= {"search_paths", "quote", "get_quote", "place_order", "get_order", "release_lease"}
    found = await told(agent, "search_paths", ASKED)
    assert [segment["operator"] for segment in found["paths"][0]["segments"]] == ["North", "Middle", "South"]
    quote = await told(agent, "quote", ASKED)
    order = await told(agent, "place_order", {"quote_id": quote["quote_id"]})
    for _ in range(4):
        if order["state"] == "ACTIVE":
            break
        order = await told(agent, "get_order", {"order_id": order["order_id"], "wait_s": 5})
    assert set(order["operators"].values()) == {"ACTIVE"}
    ended = await told(agent, "release_lease", {"order_id": order["order_id"]})
    for _ in range(4):
        if ended["state"] == "RELEASED":
            break
        ended = await told(agent, "get_order", {"order_id": order["order_id"], "wait_s": 5})
    assert ended["bill"]["total"]["micro"] > 0
    used = await agent.call_tool("place_order", {"quote_id": quote["quote_id"]})
    assert not used.is_error, "the same order again is the same order"


@pytest.mark.asyncio
async def test_an_agent_buys_at_the_broker_and_in_front_of_it(federation: TinyFederation) -> None:
    headers = {"Authorization": "Bearer alice-key"}
    async with httpx2.AsyncClient(headers=headers) as http:
        async with Client(streamable_http_client(federation.mcp, http_client=http)) as agent:
            await buys_and_releases(agent)
        async with Client(streamable_http_client(federation.mcp, http_client=http), mode="legacy") as agent:
            assert (await told(agent, "search_paths", ASKED))["found"]
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "federation.cli.main", "mcp"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PEERWAY_BROKER": federation.broker, "PEERWAY_KEY": "bob-key"},
    )
    async with Client(server) as agent:
        await buys_and_releases(agent)
    assert not any((await federation.products()).values())


@pytest.mark.asyncio
async def test_a_stranger_is_turned_away_before_any_tool(federation: TinyFederation) -> None:
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            async with session.post(federation.mcp, json={}, headers=headers) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
        rebinding = {"Authorization": "Bearer alice-key", "Host": "evil.example"}
        async with session.post(federation.mcp, json={}, headers=rebinding) as response:
            assert response.status == 421
