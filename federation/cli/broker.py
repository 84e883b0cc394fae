"""`peerway broker serve`, `peerway broker audit` and `peerway broker sample`."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.problem import Problem


@click.group()
def broker() -> None:
    """Run a broker, look after one that runs, or print a configuration."""


@broker.command(epilog="\b\nExample:\n  peerway broker serve --config broker.toml")
@click.option("--config", "path", type=click.Path(path_type=Path), required=True, help="A TOML file.")
def serve(path: Path) -> int:
    """Run a broker until SIGTERM or SIGINT.

    Prints one line of JSON when it serves and has asked every operator once. Logs are JSON lines on standard error.
    """
    from federation.broker.broker import serve_broker

    return serve_broker(path)


@broker.command(epilog="\b\nExample:\n  peerway broker audit --config broker.toml --sweep")
@click.option("--config", "path", type=click.Path(path_type=Path), required=True, help="Of a broker that runs.")
@click.option("--sweep", is_flag=True, help="Release and decline at once whatever is found.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for a program.")
def audit(*, path: Path, sweep: bool, as_json: bool) -> int:
    """Whether any operator keeps a lease or a hold of this broker that no live order owns, whoever its buyer is.

    Asks the broker that runs here, over the socket in its data folder. Exit status as of `peerway audit`. The broker
    looks by itself every five minutes, and lets go what has been wrong for two.
    """
    import asyncio

    import aiohttp

    from federation.broker.api.hatch import Audit, hand_in
    from federation.broker.config import load_config
    from federation.cli.audit import audit_lines, exit_of_audit
    from federation.cli.connection import print_json
    from federation.cli.screen import show

    folder = Path(load_config(path).data)
    try:
        answer = asyncio.run(hand_in(folder, Audit(sweep=sweep)))
    except (aiohttp.ClientConnectorError, TimeoutError) as error:
        raise Problem("UNAVAILABLE", f"no broker serves from {folder}; start it with `peerway broker serve`") from error
    if as_json:
        print_json(answer)
    else:
        show(*audit_lines(answer))
    return exit_of_audit(answer)


@broker.command(epilog="\b\nExample:\n  peerway broker sample > broker.toml")
def sample() -> None:
    """Print a commented configuration."""
    from federation.broker.config import SAMPLE

    click.echo(SAMPLE, nl=False)
