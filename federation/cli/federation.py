"""`peerway federation`."""

from __future__ import annotations

import click

from federation.cli.connection import ask, print_json
from federation.cli.options import broker_options


@click.command(epilog="\b\nExample:\n  peerway federation --json")
@broker_options
def federation(*, broker: str, key: str | None, as_json: bool) -> None:
    """The operators that the broker knows, what they publish, and whether they hang together."""
    answer = ask(broker, key, lambda client: client.federation())
    if as_json:
        print_json(answer)
        return
    from federation.cli.screen import WIDE, console, show
    from federation.cli.tables import federation_lines

    show(*federation_lines(answer, wide=console().width >= WIDE))
