"""`peerway mcp`: the tools of an agent over standard input and output, in front of a broker that runs elsewhere."""

from __future__ import annotations

import asyncio
import logging
import sys

import click

from federation.cli.connection import caller, client
from federation.cli.options import reach_options
from federation.client.broker import BrokerClient
from federation.node.seams import SystemEntropy
from schemas.problem import Problem

EPILOG = """\
\b
Example, in the configuration of an agent:
  {"mcpServers": {"peerway": {"command": "peerway", "args": ["mcp"],
    "env": {"PEERWAY_BROKER": "https://broker.example", "PEERWAY_MANDATE": "mandate.jwt",
      "PEERWAY_AGENT_KEY": "agent.json"}}}}
"""


@click.command(epilog=EPILOG)
@reach_options
def mcp(broker: str, key: str | None) -> None:
    """Serve an agent over standard input and output with the Model Context Protocol.

    Tools: search_paths, quote, get_quote, get_mandate, place_order, get_order, list_orders, extend_lease, resize_lease,
    heartbeat, release_lease, get_statement, audit. The broker also serves them itself at /mcp.
    """
    who = caller(key)
    # Standard output belongs to the protocol: everything else goes to standard error.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(_serve(client(broker, who)))


async def _serve(reached: BrokerClient) -> None:
    try:
        from federation.broker.api.tools import tool_server
    except ModuleNotFoundError as error:
        raise Problem("UNAVAILABLE", f"{error.name} is not installed: pip install 'peerway[broker]'") from error
    async with reached as opened:
        await tool_server(lambda: opened, SystemEntropy()).run_stdio_async()
