"""`peerway mcp`: the tools of an agent over standard input and output, in front of a broker that runs elsewhere."""

from __future__ import annotations

import asyncio
import logging
import sys

import click

from federation.cli.options import BROKER_DEFAULT
from federation.client.broker import BrokerClient
from federation.node.seams import SystemEntropy
from schemas.problem import Problem, invalid

EPILOG = """\
\b
Example, in the configuration of an agent:
  {"mcpServers": {"peerway": {"command": "peerway", "args": ["mcp"],
    "env": {"PEERWAY_BROKER": "http://127.0.0.1:8700", "PEERWAY_KEY": "..."}}}}
"""


@click.command(epilog=EPILOG)
@click.option("--broker", envvar="PEERWAY_BROKER", default=BROKER_DEFAULT, metavar="URL", help="Where the broker is.")
@click.option("--key", envvar="PEERWAY_KEY", metavar="KEY", help="Your key; better in PEERWAY_KEY.")
def mcp(broker: str, key: str | None) -> None:
    """Serve an agent over standard input and output with the Model Context Protocol.

    Tools: search_paths, quote, place_order, get_order, release_lease. The broker also serves them itself at /mcp.
    """
    if not key:
        raise invalid("--key", "say who you are: --key KEY, or set PEERWAY_KEY")
    # Standard output belongs to the protocol: everything else goes to standard error.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(_serve(broker, key))


async def _serve(broker: str, key: str) -> None:
    try:
        from federation.broker.api.tools import tool_server
    except ModuleNotFoundError as error:
        raise Problem("UNAVAILABLE", f"{error.name} is not installed: pip install 'peerway[broker]'") from error
    async with BrokerClient(broker, key) as client:
        await tool_server(lambda: client, SystemEntropy()).run_stdio_async()
