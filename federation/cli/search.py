"""`peerway search`."""

from __future__ import annotations

from typing import Any

import click

from federation.cli.connection import ask, print_json
from federation.cli.exits import Exit
from federation.cli.options import OBJECTIVES, broker_options, intent_from, intent_options
from federation.client.broker import BrokerClient
from schemas.answer import SearchAnswer
from schemas.intent import Objective

EPILOG = """\
\b
Examples:
  peerway search Utrecht@SURF Milan@GARR --bandwidth 10G --for 2h --latency 15ms
  peerway search Utrecht Milan --bandwidth 1G --until 2026-12-01T18:00Z --countries EEA,CH --json
  peerway search Utrecht@SURF Milan@GARR --bandwidth 10G --for 2h --paths 1 --front price,latency
"""


@click.command(epilog=EPILOG)
@intent_options
@click.option("-k", "--paths", type=click.IntRange(1, 16), default=3, show_default=True, help="Candidates at most.")
@click.option("--front", type=OBJECTIVES, help="Also all that none beats on: price,latency[,carbon].")
@click.option("--timing", is_flag=True, help="Say how long the broker took.")
@broker_options
def search(
    *,
    broker: str,
    key: str | None,
    as_json: bool,
    paths: int,
    front: tuple[Objective, ...] | None,
    timing: bool,
    **given: Any,
) -> int:
    """Candidate paths FROM one place TO another, from published offers. Nothing is held.

    A place is PLACE or PLACE@OPERATOR: a city, a site or an interface id, on an operator by name or entity id.
    Where no path satisfies every limit, the answer says which limits bind and what would help (exit status 3).
    """
    intent = intent_from(given)
    told: dict[str, float] = {}

    async def question(client: BrokerClient) -> SearchAnswer:
        answer = await client.search(intent, paths, front=front)
        told.update(client.timing)
        return answer

    answer = ask(broker, key, question)
    _print(answer, as_json=as_json)
    if timing:
        spans = ", ".join(f"{name} {took_ms:.2f} ms" for name, took_ms in told.items())
        click.echo(f"at the broker: {spans}", err=as_json)
    return Exit.OK if answer.found else Exit.NO_PATH


def _print(answer: SearchAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    from federation.cli.front import front_lines
    from federation.cli.screen import show
    from federation.cli.tables import search_lines

    show(*search_lines(answer), *(front_lines(answer.front) if answer.front else ()))
