"""What commands tell an operator that runs, over the socket in its data folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
import msgspec

from operators.cli.refused import refusing
from schemas.problem import Problem

config_option = click.option(
    "--config", required=True, type=click.Path(path_type=Path), help="Configuration of the operator, which is running."
)
json_option = click.option("--json", "as_json", is_flag=True, help="What the operator says, as JSON.")


def hand_in_order(config: Path, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the operator of a configuration, which has to run, says to an order of its owner. Refuses in a sentence."""
    import aiohttp

    from federation.node.hatch import hand_in
    from operators.config import load_config

    with refusing():
        folder = Path(load_config(config).data)
        try:
            return asyncio.run(hand_in(folder, name, msgspec.json.encode(body)))
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            why = f"no operator serves from {folder}; start it with `peerway-operator serve`"
            raise Problem("UNAVAILABLE", why) from error
