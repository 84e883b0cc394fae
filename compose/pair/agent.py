"""An agent that needs a path for a task: it searches, quotes, orders, uses and releases over MCP, and exits 0.

`python agent.py http://broker:8701/mcp KEY-FILE`. It speaks to the broker with the official MCP client alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tenacity import retry, stop_after_delay, wait_fixed

READY_WITHIN_S: Final = 90
USE_S: Final = 3
ASK: Final[dict[str, Any]] = {
    "from_place": "Amsterdam@North",
    "to_place": "Milan@South",
    "bandwidth_mbps": 10_000,
    "duration_s": 3600,
    "max_latency_us": 12_000,
}


async def main(url: str, key: str) -> None:
    """Buy a path, use it for a few seconds, give it back."""
    found = await first_answer(url, key)
    show("search_paths", f"{len(found['paths'])} path(s) for 10 Gb/s from Amsterdam on North to Milan on South")
    async with connected(url, key) as client:
        quote = await call(client, "quote", ASK)
        show("quote", f"{quote['quote_id']}: {euros(quote['total'])} for an hour, held until {quote['expires_at']}")
        order = await call(client, "place_order", {"quote_id": quote["quote_id"]})
        order = await until(client, order, "ACTIVE")
        show("get_order", f"{order['order_id']} is {order['state']}")
        await asyncio.sleep(USE_S)
        order = await call(client, "release_lease", {"order_id": order["order_id"]})
        order = await until(client, order, "RELEASED")
        show("release_lease", f"{order['state']}, billed {euros(order['bill']['total'])}")


@retry(stop=stop_after_delay(READY_WITHIN_S), wait=wait_fixed(1), reraise=True)
async def first_answer(url: str, key: str) -> dict[str, Any]:
    """Search until broker and operators are up; the last failure is raised when they never are."""
    async with connected(url, key) as client:
        found = await call(client, "search_paths", ASK)
        if not found["found"]:
            raise RuntimeError(f"no path: {json.dumps(found)}")
        return found


def connected(url: str, key: str) -> Client:
    """A client that shows the agent's key."""
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30)
    return Client(streamable_http_client(url, http_client=http))


async def call(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One tool call; a problem ends the agent with the broker's own words."""
    result = await client.call_tool(tool, arguments)
    answer: dict[str, Any] = result.structured_content or {}
    if result.is_error:
        raise RuntimeError(f"{tool}: {json.dumps(answer) if answer else result.content}")
    return answer


async def until(client: Client, order: dict[str, Any], state: str) -> dict[str, Any]:
    """Follow an order until it is in `state`; any other final state ends the agent."""
    while order["state"] != state:
        if order["state"] in ("FAILED", "RELEASED"):
            raise RuntimeError(f"the order ended {order['state']}: {json.dumps(order)}")
        order = await call(client, "get_order", {"order_id": order["order_id"], "wait_s": 5})
    return order


def euros(money: dict[str, Any]) -> str:
    """Micro-units as a person reads them."""
    return f"{money['micro'] / 1_000_000:.2f} {money['currency']}"


def show(tool: str, text: str) -> None:
    """One line of progress."""
    print(f"agent: {tool:14} {text}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_text().strip()))
