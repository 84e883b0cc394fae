from __future__ import annotations

from typing import Any

import msgspec
import pytest
from mcp import Client
from msgspec import structs

from federation.broker.api.arguments import ARGUMENT_OF, IntentArgs, QuoteArgs, SearchArgs
from federation.broker.api.tools import tool_server
from schemas.intent import Intent
from schemas.jurisdiction import Sovereignty
from schemas.lease import State
from schemas.problem import Problem
from schemas.request import QuoteRequest, SearchRequest
from schemas.segment import Limits
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
        longer = await told(agent, "extend_lease", {"order_id": order["order_id"], "end": "2026-12-01T20:00:00Z"})
        assert longer["window"]["end"] == "2026-12-01T20:00:00Z"
        looked = await told(agent, "get_quote", {"quote_id": quote["quote_id"]})
        assert (looked["order_id"], looked["next_actions"]) == (order["order_id"], [f"get_order {order['order_id']}"])
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
async def test_an_agent_that_remembers_nothing_finds_what_it_has() -> None:
    exchange = FakeExchange()
    async with client(exchange) as agent:
        assert (await told(agent, "list_orders", {}))["orders"] == []
        for number in range(3):
            quote = await exchange.quote(QuoteArgs(**ASKED).intent(), f"quote {number}")
            await exchange.order(quote.id, f"order {number}")
        await told(agent, "release_lease", {"order_id": "o3"})
        found = await told(agent, "list_orders", {"limit": 2})
        assert [(one["order_id"], one["state"]) for one in found["orders"]] == [("o3", "RELEASED"), ("o2", "ACTIVE")]
        assert [one["total"]["micro"] for one in found["orders"]] == [1_500_000, 12_345_678]
        assert found["next_actions"]
        rest = await told(agent, "list_orders", {"limit": 2, "after": "o2"})
        assert ([one["order_id"] for one in rest["orders"]], rest["next_actions"]) == (["o1"], [])
        exchange.all_orders = {f"{name:->22}": one for name, one in list(exchange.all_orders.items()) * 8}
        await told(agent, "list_orders", {"limit": 8})


@pytest.mark.asyncio
async def test_an_agent_sees_what_it_may_spend() -> None:
    async with client(FakeExchange()) as agent:
        found = await told(agent, "get_mandate", {})
    assert (found["left"], found["per_order"]["micro"]) == ({"currency": "EUR", "micro": 187_654_322}, 50_000_000)
    assert (found["actions"], found["max_bandwidth_mbps"]) == (["quote", "order", "extend", "release"], 100_000)
    assert (found["only_operators"], found["countries_crossed"], found["excluded_regimes"]) == (None, None, [])


@pytest.mark.asyncio
async def test_an_order_on_its_way_out_is_only_waited_for_and_one_that_was_replaced_names_the_other() -> None:
    exchange = FakeExchange()
    async with client(exchange) as agent:
        quote = await exchange.quote(QuoteArgs(**ASKED).intent(), "q")
        order = await exchange.order(quote.id, "o")
        for change, said in (
            ({"state": State.RELEASING}, ["get_order with wait_s"]),
            ({"state": State.RELEASED, "replaced_by": "o2"}, ["get_order o2, which took its place"]),
        ):
            exchange.all_orders[order.id] = structs.replace(order, **change)
            assert (await told(agent, "get_order", {"order_id": order.id}))["next_actions"] == said


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "argument"),
    [
        ("a", "from_place"), ("intent.limits.latency_us", "max_latency_us"), ("operators_required", "via_operators"),
        ("mandate.spend", "mandate.spend"), ("policy", "policy"), (None, None),
    ],
)  # fmt: skip
async def test_a_problem_names_the_argument_at_fault(field: str | None, argument: str | None) -> None:
    exchange = FakeExchange()
    async with client(exchange) as agent:
        exchange.fail = Problem("INVALID_ARGUMENT", "is unknown", field=field, extra={"known": ["x"]})
        found = (await agent.call_tool("quote", ASKED)).structured_content
        assert found
        assert (found.get("field"), found["detail"], found["known"]) == (argument, "is unknown", ["x"])


def test_every_member_of_an_intent_has_an_argument() -> None:
    named = {ARGUMENT_OF.get(field.name, field.name) for field in structs.fields(Intent)}
    parts = {"limits", "sovereignty", "weights"}
    assert named - parts <= set(IntentArgs.__struct_fields__)
    for part, kind in (("limits", Limits), ("sovereignty", Sovereignty)):
        assert {ARGUMENT_OF[f"{part}.{one.name}"] for one in structs.fields(kind)} <= set(IntentArgs.__struct_fields__)


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
    before = ["search_paths", "quote", "get_quote", "get_mandate"]
    orders = ["place_order", "get_order", "list_orders", "extend_lease", "resize_lease", "heartbeat", "release_lease"]
    names = [*before, *orders]
    assert [t.name for t in tools] == [*names, "get_statement", "audit"]
    hints = {t.name: t.annotations for t in tools if t.annotations}
    assert [n for n, h in hints.items() if h.read_only_hint] == [
        "search_paths", "get_quote", "get_mandate", "get_order", "list_orders", "get_statement", "audit",
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
        ("extend_lease", {"order_id": "o1", "end": "2026-12-01T08:00:00.5Z"}, "end"),
        ("extend_lease", {"order_id": "o1", "by_s": 60}, "by_s"),
        ("list_orders", {"limit": 100}, "limit"),
        ("extend_lease", {"order_id": "o1", "end": "tomorrow"}, "end"),
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
