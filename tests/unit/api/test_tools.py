from __future__ import annotations

from typing import Any

import msgspec
import pytest
from mcp import Client

from federation.broker.api.briefs import QuoteArgs, SearchArgs
from federation.broker.api.tools import tool_server
from schemas.problem import Problem
from schemas.request import QuoteRequest, SearchRequest
from tests.support.exchange import FakeExchange
from tests.support.seams import CountingEntropy

ASKED = {"from_place": "Utrecht@SURF", "to_place": "Milan@GARR", "bandwidth_mbps": 10_000, "duration_s": 3600}
ANSWER_BYTES_MAX = 2048


def client(exchange: FakeExchange) -> Client:
    return Client(tool_server(lambda: exchange, CountingEntropy()))


async def told(agent: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The structured content of a tool that succeeded."""
    result = await agent.call_tool(tool, arguments)
    assert not result.is_error, result
    assert result.structured_content
    assert len(msgspec.json.encode(result.structured_content)) <= ANSWER_BYTES_MAX
    return result.structured_content


@pytest.mark.asyncio
async def test_an_agent_buys_and_releases_a_path() -> None:
    exchange = FakeExchange()
    async with client(exchange) as agent:
        found = await told(agent, "search_paths", ASKED)
        assert found["found"]
        assert found["paths"][0]["segments"][1]["operator"] == "GÉANT"
        quote = await told(agent, "quote", ASKED | {"max_latency_us": 12_000, "budget_micro": 5_000_000})
        assert exchange.intents[-1].bandwidth_bps == 10**10
        assert exchange.intents[-1].limits.latency_us == 12_000
        order = await told(agent, "place_order", {"quote_id": quote["quote_id"]})
        again = await told(agent, "place_order", {"quote_id": quote["quote_id"]})
        assert (order["state"], order["order_id"]) == ("ACTIVE", again["order_id"])
        seen = await told(agent, "get_order", {"order_id": order["order_id"], "wait_s": 2})
        assert seen["operators"] == {"SURF": "ACTIVE", "GÉANT": "ACTIVE"}
        resized = await told(agent, "resize_lease", {"order_id": order["order_id"], "bandwidth_mbps": 20_000})
        assert (resized["way"], resized["order"]["bandwidth_bps"]) == ("in_place", 2 * 10**10)
        alive = await told(agent, "heartbeat", {"order_id": order["order_id"]})
        assert (alive["state"], exchange.beats) == ("ACTIVE", [order["order_id"]])
        ended = await told(agent, "release_lease", {"order_id": order["order_id"]})
        assert ended["bill"]["total"] == {"currency": "EUR", "micro": 1_500_000}
        assert ended["next_actions"] == []
        stated = await told(agent, "get_statement", {"order_id": order["order_id"]})
        assert (stated["was_active"], stated["total"]["micro"]) == (True, 6_300_000)
        assert await told(agent, "audit", {}) == {"clean": True, "found_count": 0, "found": [], "not_reached": []}


@pytest.mark.asyncio
async def test_grants_go_to_the_broker_with_the_quote() -> None:
    exchange = FakeExchange()
    async with client(exchange) as agent:
        await told(agent, "quote", ASKED | {"grants": ["e30.e30.one", "e30.e30.two"]})
        await told(agent, "quote", ASKED)
        assert exchange.grants == [("e30.e30.one", "e30.e30.two"), ()]
        (quote,) = [tool for tool in (await agent.list_tools()).tools if tool.name == "quote"]
        assert quote.input_schema["properties"]["grants"]["maxItems"] == 2
        assert "owner" in (quote.description or "")


def test_whatever_is_asked_over_http_can_be_asked_by_an_agent() -> None:
    """Each member of a request stands among an agent's arguments, by this table where it has another name."""
    for request, arguments in ((QuoteRequest, QuoteArgs), (SearchRequest, SearchArgs)):
        asked = {field.name for field in msgspec.structs.fields(request)} - {"intent"}
        known = {{"max_paths": "paths"}.get(name, name) for name in arguments.__struct_fields__}
        assert asked <= known, request


@pytest.mark.asyncio
async def test_a_front_is_told_in_a_few_choices() -> None:
    async with client(FakeExchange()) as agent:
        found = await told(agent, "search_paths", ASKED | {"front": ["carbon", "price", "latency"]})
        assert len(found["paths"]) == 1
        front = found["front"]
        assert (front["count"], front["complete"], front["why"]) == (40, False, "incomplete")
        assert front["choices"][0] == "12345678 micro EUR, 9876 us, 4 mg/GB: SURF > GÉANT"
        assert front["choices"][-1] == "12735678 micro EUR, 9837 us, 4 mg/GB: SURF > GÉANT"
        assert len(front["choices"]) <= 8
        for wrong in (["price"], ["price", "price"], ["price", "weighted"]):
            result = await agent.call_tool("search_paths", ASKED | {"front": wrong})
            assert result.is_error


@pytest.mark.asyncio
async def test_a_backup_is_told_in_two_lines() -> None:
    async with client(FakeExchange()) as agent:
        found = await told(agent, "search_paths", ASKED | {"backup": {"apart": "operator", "max_latency_us": 20_000}})
        assert len(found["paths"]) == 1
        pair = found["backup"]
        assert (pair["found"], pair["proven"], pair["total"]["micro"]) == (True, True, 25_691_356)
        assert pair["primary"] == "12345678 micro EUR, 9876 us: SURF (Utrecht-Amsterdam) > GÉANT (Amsterdam-Milan)"
        none = (await told(agent, "search_paths", ASKED | {"backup": {"apart": "city"}}))["backup"]
        assert (none["found"], none["shared"]) == (False, ["the city Utrecht NL"])
        assert none["without_backup_limits"] == "37037034 micro EUR, backup 9876 us"
        wrong = await agent.call_tool("search_paths", ASKED | {"backup": {"apart": "street"}})
        assert wrong.is_error
        assert wrong.structured_content
        assert wrong.structured_content["field"] == "backup.apart"


@pytest.mark.asyncio
async def test_the_list_is_short_stable_and_says_what_each_tool_does() -> None:
    async with client(FakeExchange()) as agent:
        tools = (await agent.list_tools()).tools
    before = ["search_paths", "quote", "get_quote"]
    names = [*before, "place_order", "get_order", "resize_lease", "heartbeat", "release_lease"]
    assert [t.name for t in tools] == [*names, "get_statement", "audit"]
    hints = {t.name: t.annotations for t in tools if t.annotations}
    assert [n for n, h in hints.items() if h.read_only_hint] == [
        "search_paths", "get_quote", "get_order", "get_statement", "audit",
    ]  # fmt: skip
    assert [n for n, h in hints.items() if h.destructive_hint] == ["release_lease"]
    assert [n for n, h in hints.items() if not h.idempotent_hint] == ["quote", "resize_lease"]
    for tool in tools:
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema
        assert tool.output_schema["type"] == "object"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("quote", ASKED | {"bandwidth": 10}, "bandwidth"),
        ("quote", ASKED | {"bandwidth_mbps": 0}, "bandwidth_mbps"),
        ("quote", ASKED | {"bandwidth_mbps": "10000"}, "bandwidth_mbps"),
        ("quote", ASKED | {"end": "2026-12-01T08:00:00Z"}, "arguments"),
        ("quote", ASKED | {"grants": "e30.e30.one"}, "grants"),
        ("quote", ASKED | {"grants": ["a", "b", "c"]}, "grants"),
        ("quote", ASKED | {"start": "2026-12-01T08:00:00"}, "start"),
        ("search_paths", ASKED | {"max_paths": 50}, "max_paths"),
        ("place_order", {}, "quote_id"),
        ("get_order", {"order_id": "o1", "wait_s": 60}, "wait_s"),
    ],
)
async def test_a_mistake_is_a_problem_that_names_the_member(tool: str, arguments: dict[str, Any], field: str) -> None:
    async with client(FakeExchange()) as agent:
        result = await agent.call_tool(tool, arguments)
    assert result.is_error
    problem = result.structured_content
    assert problem
    assert (problem["code"], problem["field"]) == ("INVALID_ARGUMENT", field)


@pytest.mark.asyncio
async def test_what_the_broker_refuses_reaches_the_agent_whole() -> None:
    exchange = FakeExchange()
    async with client(exchange) as agent:
        nothing = await told(agent, "search_paths", ASKED | {"bandwidth_mbps": 1})
        assert nothing["found"]
        exchange.fail = Problem("NO_FEASIBLE_PATH", "no path within 5000 us", extra={"floor_us": 4321})
        refused = await agent.call_tool("quote", ASKED)
        assert refused.is_error
        assert refused.structured_content
        assert refused.structured_content["floor_us"] == 4321
        assert refused.structured_content["outcome"] == "none"
        exchange.fail = RuntimeError("a secret")
        fault = await agent.call_tool("quote", ASKED)
        assert fault.structured_content
        assert (fault.structured_content["code"], fault.structured_content["outcome"]) == ("INTERNAL", "unknown")
        assert "secret" not in str(fault)
