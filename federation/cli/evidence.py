"""`peerway evidence`: what proves an order to a stranger, as a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import click

from federation.cli.connection import ask, print_json
from federation.cli.names import NamesCommand
from federation.cli.options import broker_options
from federation.client.broker import BrokerClient
from schemas.answer import EvidenceView
from schemas.evidence import Profile
from schemas.problem import Problem, invalid

AGAIN_S: Final = 1.0
ABOUT: Final = """\
Write the evidence of ORDER: every document of it, signed when it happened, with who was who, what auditors attested,
what policies decided, and where all of it stands in the broker's log. `peerway verify` checks it, with no network.

The profile says who it is for: `buyer` holds everything, `regulator` who carried it, where, when and under which law,
and no price; `countries` what may be crossed, and nothing more. For some seconds after something happened the answer
is `pending: checkpoint`, until others have signed below the broker's log: --wait waits for that.
"""
EXAMPLES: Final = """\
\b
Examples:
  peerway evidence 0P8vTt2cQ5WJ9kVjv7n1fg --wait 30
  peerway evidence 0P8vTt2cQ5WJ9kVjv7n1fg --profile regulator -o regulator.evidence
  peerway verify 0P8vTt2cQ5WJ9kVjv7n1fg.evidence --anchor anchors.json --key https://buyer.example=buyer.jwks
"""


@click.command(cls=NamesCommand, help=ABOUT, epilog=EXAMPLES)
@click.argument("order")
@click.option(
    "--profile",
    type=click.Choice([one.value for one in Profile]),
    default=Profile.BUYER.value,
    show_default=True,
    help="Who it is for.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, ORDER.evidence if not given; - prints it.",
)
@click.option(
    "--wait", "wait_s", type=click.IntRange(0, 600), default=0, metavar="SECONDS", help="Wait so long for a checkpoint."
)
@broker_options
def evidence(  # noqa: PLR0917 - the options in their order
    broker: str, key: str | None, as_json: bool, order: str, profile: str, output: Path | None, wait_s: int
) -> None:
    """See the help of the command."""

    async def question(client: BrokerClient) -> EvidenceView:
        for _ in range(int(wait_s / AGAIN_S)):
            try:
                return await client.evidence(order, Profile(profile))
            except Problem as problem:
                if not problem.extra.get("pending"):
                    raise
            await asyncio.sleep(AGAIN_S)
        return await client.evidence(order, Profile(profile))

    found = ask(broker, key, question)
    path = output or (None if as_json else Path(f"{order}.evidence"))
    printed = str(path) == "-"
    if path is not None and not printed:
        _write(path, found.bundle.encode())
    if as_json:
        print_json(found)
    elif printed:
        click.echo(found.bundle, nl=False)
    elif path is not None:
        _say(path, found)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise invalid("--output", f"{path} cannot be written ({error.strerror})") from error


def _say(path: Path, found: EvidenceView) -> None:
    click.echo(f"Wrote {path}: {len(found.bundle.encode())} bytes for the profile {found.profile}.")
    # Only this profile shows a mandate, whose buyer need not be a member.
    whose = " --key BUYER=JWKS" if found.profile == Profile.BUYER else ""
    click.echo(f"Check it with: peerway verify {path} --anchor ANCHORS{whose}")
