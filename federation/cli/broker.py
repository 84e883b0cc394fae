"""`peerway broker serve` and `peerway broker sample`."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def broker() -> None:
    """Run a broker, or print a configuration for one."""


@broker.command(epilog="\b\nExample:\n  peerway broker serve --config broker.toml")
@click.option("--config", "path", type=click.Path(path_type=Path), required=True, help="A TOML file.")
def serve(path: Path) -> int:
    """Run a broker until SIGTERM or SIGINT.

    Prints one line of JSON when it serves and has asked every operator once. Logs are JSON lines on standard error.
    """
    from federation.broker.broker import serve_broker

    return serve_broker(path)


@broker.command(epilog="\b\nExample:\n  peerway broker sample > broker.toml")
def sample() -> None:
    """Print a commented configuration."""
    from federation.broker.config import SAMPLE

    click.echo(SAMPLE, nl=False)
