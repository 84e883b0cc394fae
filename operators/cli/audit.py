"""`peerway-operator audit`: zero, or a list of what in an operator's own house does not belong together."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from operators.cli.told import config_option, hand_in_order, json_option

FOUND = 1  # exit status where the list is not empty


@click.command(
    epilog="\b\nExample:\n  peerway-operator audit --config operator.toml --sweep", short_help="Look for orphans."
)
@config_option
@json_option
@click.option("--sweep", is_flag=True, help="Set right at once whatever is found.")
def audit(*, config: Path, as_json: bool, sweep: bool) -> None:
    """Whether the operator's books, memory and network belong together.

    Looks for claims without a quote or lease, holds and leases without their claim, rows that time or memory has
    forgotten, and segments that the network carries for no lease, or does not carry for one. Prints zero, or a list of
    what, since when, why and whose; exit status 0 only at zero. The operator looks by itself every five minutes, and
    sets right what is wrong again.
    """
    found = hand_in_order(config, "audit", {"sweep": sweep})["found"]
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo(f"{len(found)} found")
        for one in found:
            whose = f", of {one['broker']}" if "broker" in one else ""
            click.echo(f"{one['kind']}  {one['what']}  since {one['since']}: {one['why']}{whose}")
    if found:
        sys.exit(FOUND)
