"""An agent that needs a path for a task: it searches, quotes, orders, uses and releases over MCP, and exits 0.

`python agent.py https://broker.example FOLDER ROOT`. It speaks with the official MCP client; beside it stands who it
is: a mandate and a key in FOLDER, and for every request a proof of that key. ROOT vouches for the broker's listeners.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tenacity import retry, stop_after_delay, wait_fixed

from federation.client.agent import Proving, load_agent
from federation.node.seams import SystemClock, SystemEntropy

HTTP_PORT, MCP_PORT = 8700, 8701
TRIES: Final = 3  # as it is, with the broker's nonce, with a new token
READY_WITHIN_S: Final = 90
USE_S: Final = 3
ASK: Final[dict[str, Any]] = {
    "from_place": "Amsterdam@North",
    "to_place": "Milan@South",
    "bandwidth_mbps": 10_000,
    "duration_s": 3600,
    "max_latency_us": 12_000,
}


class Proofs(httpx2.Auth):
    """Shows the agent's token and a proof for each request; takes the broker's nonces from its answers."""

    requires_request_body = True

    def __init__(self, proving: Proving, session: aiohttp.ClientSession) -> None:
        self._proving, self._session = proving, session

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """One request, sent again while another proof may do."""
        for _ in range(TRIES):
            request.headers.update(await self._proving.headers(self._session, request.method, str(request.url)))
            response = yield request
            if not self._proving.heard(response.status_code, response.headers):
                return


async def main(broker: str, folder: Path, root: Path) -> None:
    """Buy a path, use it for a few seconds, give it back."""
    found = await first_answer(broker, folder, root)
    show("search_paths", f"{len(found['paths'])} path(s) for 10 Gb/s from Amsterdam on North to Milan on South")
    async with connected(broker, folder, root) as client:
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
async def first_answer(broker: str, folder: Path, root: Path) -> dict[str, Any]:
    """Search until broker and operators are up; the last failure is raised when they never are."""
    async with connected(broker, folder, root) as client:
        found = await call(client, "search_paths", ASK)
        if not found["found"]:
            raise RuntimeError(f"no path: {json.dumps(found)}")
        return found


@asynccontextmanager
async def connected(broker: str, folder: Path, root: Path) -> AsyncIterator[Client]:
    """A client that acts under the agent's mandate."""
    tls = ssl.create_default_context(cafile=str(root))
    agent = load_agent(folder / "mandate.jwt", folder / "agent.json")
    proving = Proving(agent, f"{broker}:{HTTP_PORT}", SystemClock(), SystemEntropy())
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
        httpx2.AsyncClient(auth=Proofs(proving, session), verify=tls, timeout=30) as http,
        Client(streamable_http_client(f"{broker}:{MCP_PORT}/mcp", http_client=http)) as client,
    ):
        yield client


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
    asyncio.run(main(sys.argv[1], *map(Path, sys.argv[2:4])))
