"""Agents over TLS at a real broker: over HTTP, raw MCP and the stdio bridge, each request with a proof of its own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from mcp import Client, StdioServerParameters

from federation.cli.main import run
from federation.client.agent import Agent, Proving
from federation.client.broker import BrokerClient
from federation.client.lease import active, released
from federation.node.seams import SystemClock, SystemEntropy
from federation.tokens.dpop import Nonces, make_proof
from federation.trust.keys import PrivateKey, dump_private, generate
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from tests.support.agents import Principal
from tests.support.federation import BrokerPlan, Plan, TinyFederation, tiny_federation
from tests.support.local_root import LocalRoot

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]
ALONE = Plan(
    "north",
    (("oslo", "Oslo", 59.9, 10.7, "NO"), ("kiel", "Kiel", 54.3, 10.1, "DE")),
    {},
    ("oslo", "kiel"),
)
INTENT = Intent(a="Oslo@north", z="Kiel@north", bandwidth_bps=10**8, duration_s=600)
ASKED = {"from_place": "Oslo@north", "to_place": "Kiel@north", "bandwidth_mbps": 100, "duration_s": 600}
MCP_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
SEARCH = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search_paths", "arguments": ASKED}}


class Shop(NamedTuple):
    """A broker whose listeners for agents speak TLS, below a root of the test's own, and Carol, who buys there."""

    made: TinyFederation
    carol: Principal
    root: Path
    broker: str
    mcp: str

    @property
    def tls(self) -> ssl.SSLContext:
        """Believes the root, and no other."""
        return ssl.create_default_context(cafile=str(self.root))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    carol, folder = Principal(), tmp_path_factory.mktemp("shop")
    root = LocalRoot(folder / "root", "127.0.0.1")
    plan = BrokerPlan(buyers=(), agents=True, hold_s=60)
    async with tiny_federation(folder, (ALONE,), desk=plan, start=False) as made:
        carol.introduce(folder / "broker")
        files = root.certificate(folder / "broker")
        shown = f'tls = {{ certificate = "{files.certificate}", private_key = "{files.private_key}" }}'
        config = folder / "broker" / "config.toml"
        config.write_text(config.read_text().replace("listen = {", f"listen = {{ {shown},"))
        await made.start("north")
        await made.start("broker")
        yield Shop(made, carol, root.file, *(at.replace("http:", "https:") for at in (made.broker, made.mcp)))


async def test_it_speaks_tls_to_whoever_knows_its_root_and_to_nobody_else(shop: Shop, tmp_path: Path) -> None:
    agent = shop.carol.agent()
    async with BrokerClient(shop.broker, agent, tls=shop.tls) as client:
        assert (await client.search(INTENT)).found
        order = await active(client, await client.order((await client.quote(INTENT)).id))
        assert (await released(client, order)).state is State.RELEASED
    other = ssl.create_default_context(cafile=str(LocalRoot(tmp_path, "127.0.0.1", seed=71).file))
    for unknown in (other, None):
        async with BrokerClient(shop.broker, agent, tls=unknown) as client:
            with pytest.raises(Problem, match="certificate") as caught:
                await client.search(INTENT)
            assert caught.value.code == "UNAVAILABLE"
    async with BrokerClient(shop.made.broker, agent) as client:
        with pytest.raises(Problem) as caught:
            await client.search(INTENT)
        assert caught.value.code == "UNAVAILABLE", "nobody answers without TLS"
    async with BrokerClient(shop.made.sonata["north"].replace("https:", "http:"), agent, tls=shop.tls) as client:
        with pytest.raises(Problem) as caught:
            await client.search(INTENT)
        assert caught.value.code == "UNAVAILABLE"


async def test_the_command_line_believes_what_ca_names(shop: Shop, files: Files, capsys: Any) -> None:
    words = ["orders", "--broker", shop.broker, "--mandate", str(files.mandate), "--agent-key", str(files.key)]
    assert await asyncio.to_thread(run, [*words, "--ca", str(shop.root)]) == 0
    assert "no orders" in capsys.readouterr().out
    assert await asyncio.to_thread(run, words) == 5
    assert "--ca" in capsys.readouterr().err


class Files(NamedTuple):
    """An agent as files."""

    agent: Agent
    mandate: Path
    key: Path


@pytest.fixture
def files(shop: Shop, tmp_path: Path) -> Files:
    made = Files(shop.carol.agent(), tmp_path / "mandate.jwt", tmp_path / "agent.json")
    made.mandate.write_text(made.agent.mandate)
    made.key.write_bytes(dump_private(made.agent.key))
    return made


async def test_a_request_to_mcp_needs_a_fresh_proof_of_its_own(shop: Shop) -> None:
    agent, now = shop.carol.agent(), SystemClock().now
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=shop.tls)) as session:
        proving = Proving(agent, shop.broker, SystemClock(), SystemEntropy())
        authorization = (await proving.headers(session, "POST", shop.mcp))["Authorization"]
        token = authorization.removeprefix("DPoP ")

        def proof(nonce: str | None, key: PrivateKey = agent.key, url: str = shop.mcp, method: str = "POST") -> str:
            how = {"now": now(), "jti": SystemEntropy().token(), "token": token, "nonce": nonce}
            return make_proof(key, method, url, **how)  # type: ignore[arg-type]

        async def asked(shown: str | None, authorization: str = authorization) -> tuple[int, str, str]:
            headers = MCP_HEADERS | {"Authorization": authorization} | ({"DPoP": shown} if shown else {})
            async with session.post(shop.mcp, json=SEARCH, headers=headers) as response:
                body = await response.text()
                assert (response.status == 200) == ("NO" in body or "Oslo" in body), body
                return response.status, response.headers.get("WWW-Authenticate", ""), response.headers["DPoP-Nonce"]

        status, said, nonce = await asked(proof(None))
        assert (status, "use_dpop_nonce" in said) == (401, True)
        good = proof(nonce)
        assert (await asked(good))[0] == 200
        assert (await asked(good))[0] == 401, "once"
        refused = {
            "none": None,
            "another key": proof(nonce, key=generate()),
            "another request": proof(nonce, url=f"{shop.broker}/peerway/v1/orders"),
            "another method": proof(nonce, method="GET"),
            "a stale nonce": proof(former_nonce(shop, now() - 600)),
            "a nonce of nobody": proof("n" * 32),
        }
        for why, shown in refused.items():
            assert (await asked(shown))[0] == 401, why
        assert (await asked(None, f"Bearer {token}"))[0] == 401, "a bound token is no bearer token"
        assert (await asked(proof(former_nonce(shop, now()))))[0] == 200, "so are its nonces made"


def former_nonce(shop: Shop, at: int) -> str:
    """What this very broker gave at another time."""
    secret = (shop.made.folder / "broker" / "data" / "pseudonyms").read_bytes()
    return Nonces(hmac.new(secret, b"dpop nonces", hashlib.sha256).digest()).issue(at)


async def test_the_bridge_buys_under_a_mandate(shop: Shop, files: Files) -> None:
    env = {"PEERWAY_BROKER": shop.broker, "PEERWAY_MANDATE": str(files.mandate), "PEERWAY_AGENT_KEY": str(files.key)}
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "federation.cli.main", "mcp"],
        env={**os.environ, **env, "PEERWAY_CA": str(shop.root), "PYTHONPATH": str(ROOT)},
    )
    async with Client(server) as agent:

        async def told(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
            result = await agent.call_tool(tool, arguments)
            assert not result.is_error, result.structured_content
            assert result.structured_content
            return result.structured_content

        assert (await told("search_paths", ASKED))["found"]
        quote = await told("quote", ASKED)
        order = await told("place_order", {"quote_id": quote["quote_id"]})
        while order["state"] != "ACTIVE":
            order = await told("get_order", {"order_id": order["order_id"], "wait_s": 5})
        ended = await told("release_lease", {"order_id": order["order_id"]})
        while ended["state"] != "RELEASED":
            ended = await told("get_order", {"order_id": order["order_id"], "wait_s": 5})
        assert ended["bill"]["total"]["micro"] > 0
    async with BrokerClient(shop.broker, files.agent, tls=shop.tls) as same:
        assert [found.id for found in await same.orders()] == [order["order_id"]]


async def test_a_bridge_without_a_mandate_that_counts_says_why(shop: Shop, tmp_path: Path) -> None:
    stranger = Principal().agent()
    async with BrokerClient(shop.broker, stranger, tls=shop.tls) as client:
        with pytest.raises(Problem, match="does not take the mandate") as caught:
            await client.search(INTENT)
    assert caught.value.code == "UNAUTHENTICATED"
