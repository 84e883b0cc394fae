"""A quote that operators take long for, over HTTP, over MCP, in Python and at the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from mcp import Client

from federation.broker.api.tools import tool_server
from federation.cli.main import run
from schemas.answer import QuotePending, QuoteView
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Outcome
from schemas.request import QuoteRequest
from tests.support.exchange import FakeExchange
from tests.support.face import World
from tests.support.seams import CountingEntropy

INTENT = Intent(a="Utrecht@SURF", z="Milan@GARR", bandwidth_bps=10**10, duration_s=7200, answer_within_s=600)
ASKED = ("Utrecht@SURF", "Milan@GARR", "--bandwidth", "10G", "--for", "2h", "--answer-within", "10m")


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with World() as made:
        yield made


@pytest.mark.asyncio
async def test_it_is_accepted_with_the_address_to_ask_at(world: World) -> None:
    body = msgspec.json.encode(QuoteRequest(intent=INTENT))
    sent = {"Idempotency-Key": "a-key", "Content-Type": "application/json"}
    status, headers, told = await world.raw("POST /peerway/v1/quotes", data=body, headers=sent)
    made = json.loads(told)
    assert (status, headers["Location"]) == (202, f"/peerway/v1/quotes/{made['id']}")
    assert (made["state"], made["outcome"]) == ("ASKED", "pending")
    assert made["waiting_for"] == [{"operator": "https://surf.example", "operator_name": "SURF"}]
    status, _, told = await world.raw(f"GET {headers['Location']}?wait_s=5")
    assert (status, json.loads(told)["state"]) == (200, "HELD")


@pytest.mark.asyncio
async def test_a_client_waits_unless_it_is_told_not_to(world: World) -> None:
    async with world.client() as broker:
        pending = await broker.quote(INTENT, wait_s=0)
        assert isinstance(pending, QuotePending)
        assert (pending.state, pending.outcome) == (State.ASKED, Outcome.PENDING)
        assert isinstance(await broker.get_quote(pending.id, 1), QuoteView)
        assert isinstance(await broker.quote(INTENT), QuoteView)
        async with broker.lease(INTENT) as lease:
            assert lease.view.state is State.ACTIVE


@pytest.mark.asyncio
async def test_an_agent_is_told_whom_it_waits_for_and_looks_again() -> None:
    async with Client(tool_server(lambda: FAKE, CountingEntropy())) as agent:
        asked = {"from_place": "Utrecht@SURF", "to_place": "Milan@GARR", "bandwidth_mbps": 10_000, "duration_s": 3600}
        made = (await agent.call_tool("quote", asked | {"answer_within_s": 600})).structured_content
        assert made is not None
        assert (made["state"], made["waiting_for"], made["total"]) == ("ASKED", ["SURF"], None)
        assert made["next_actions"] == ["get_quote until it is HELD"]
        found = await agent.call_tool("get_quote", {"quote_id": made["quote_id"], "wait_s": 3})
        assert found.structured_content is not None
        assert found.structured_content["state"] == "HELD"


FAKE = FakeExchange()


@pytest.mark.asyncio
async def test_the_command_line_waits_or_says_how_to_look_again(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEERWAY_BROKER", world.address)
    monkeypatch.setenv("PEERWAY_KEY", "alice-key")
    assert await asyncio.to_thread(run, ["quote", *ASKED]) == 0
    assert "peerway order q1" in capsys.readouterr().out
    assert await asyncio.to_thread(run, ["quote", *ASKED, "--no-wait", "--up-within", "10m"]) == 0
    out = capsys.readouterr().out
    assert "ASKED" in out
    assert "waiting for SURF; look again with: peerway show q2" in " ".join(out.split())
    assert await asyncio.to_thread(run, ["quote", *ASKED[:-1], "8d"]) == 2
    assert "--answer-within" in capsys.readouterr().err
