"""`peerway-operator serve` runs operator daemons, `peerway-operator sample` prints a configuration to start from."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from federation.node.process import run_daemon
from operators.config import SAMPLE


@click.command(
    epilog="""\b
Examples:
  peerway-operator serve --config operator.toml
  peerway-operator serve --config surf.toml --config geant.toml""",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Configuration of one operator; repeat to run several in this process.",
)
def serve(configs: tuple[Path, ...]) -> None:
    """Run operator daemons until SIGTERM.

    Each prints one JSON line when it is ready: its entity id, its ports, the number of its offers, and how many
    milliseconds it took to start.
    """
    from operators.daemon import run

    sys.exit(run_daemon("peerway-operator", partial(run, configs)))


@click.command(
    epilog="""\b
Examples:
  peerway-operator sample > operator.toml
  peerway-operator sample --policy > own.cedar""",
)
@click.option("--policy", is_flag=True, help="A Cedar policy of an operator instead: whom it sells to.")
def sample(*, policy: bool) -> None:
    """Print a commented configuration file."""
    from operators.access.selling import SAMPLE as SALES

    click.echo(SALES if policy else SAMPLE, nl=False)
