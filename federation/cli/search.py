"""`peerway search`."""

from __future__ import annotations

from typing import Any, Final

import click
from msgspec import structs

from federation.cli.connection import ask, print_json, under_mandate
from federation.cli.exits import Exit
from federation.cli.options import LATENCY, MONEY, OBJECTIVES, broker_options, intent_from, intent_options
from federation.client.broker import BrokerClient
from schemas.answer import SearchAnswer
from schemas.backup import Apart, BackupRequest
from schemas.intent import Intent, Objective
from schemas.problem import invalid

BACKUP_NAMES: Final = ("backup", "backup_latency", "backup_hops", "backup_budget")
MANDATED: Final = "the limits of your mandate count too: peerway mandate show"
APART: Final = tuple(one.value for one in Apart)
EPILOG = """\
\b
Examples:
  peerway search Utrecht@SURF Milan@GARR --bandwidth 10G --for 2h --latency 15ms
  peerway search Utrecht Milan --bandwidth 1G --until 2026-12-01T18:00Z --countries EEA,CH --json
  peerway search Utrecht@SURF 'nearest gpu in EU' --bandwidth 1G --for 2h --avoid-city Bonn --best carbon
  peerway search Utrecht@SURF Milan@GARR --bandwidth 10G --for 2h --paths 1 --front price,latency
  peerway search Utrecht@SURF Milan@GARR --bandwidth 10G --for 2h --paths 1 --backup city --backup-latency 40ms
"""


@click.command(epilog=EPILOG)
@intent_options
@click.option("-k", "--paths", type=click.IntRange(1, 16), default=3, show_default=True, help="Candidates at most.")
@click.option("--front", type=OBJECTIVES, help="Also all that none beats on: price,latency[,carbon].")
@click.option("--backup", type=click.Choice(APART), help="Also the best pair of paths without a common one.")
@click.option("--backup-latency", type=LATENCY, help="The backup's own limit; else that of --latency.")
@click.option("--backup-hops", type=click.IntRange(1, 16), help="The backup's own limit; else that of --hops.")
@click.option("--backup-budget", type=MONEY, help="The backup's own limit; else that of --budget.")
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

    A place is PLACE or PLACE@OPERATOR: a city, a site or an interface id, on an operator by name or entity id; or what
    it leads to, 'any gpu in DE,FR', 'nearest edge@SURF', where the nearest is the one reached with the least latency.
    Where no path satisfies every limit, the answer says which limits bind and what would help (exit status 3, as
    where there is no pair of paths for --backup).
    """
    intent = intent_from(given)
    pair = _backup(given, intent)
    told: dict[str, float] = {}

    async def question(client: BrokerClient) -> SearchAnswer:
        answer = await client.search(intent, paths, front=front, backup=pair)
        told.update(client.timing)
        return answer

    answer = ask(broker, key, question)
    _print(answer, as_json=as_json)
    if timing:
        spans = ", ".join(f"{name} {took_ms:.2f} ms" for name, took_ms in told.items())
        click.echo(f"at the broker: {spans}", err=as_json)
    paired = answer.backup is None or answer.backup.found
    return Exit.OK if answer.found and paired else Exit.NO_PATH


def _backup(given: dict[str, Any], intent: Intent) -> BackupRequest | None:
    """What the options of a backup ask for. Raises INVALID_ARGUMENT where there are limits of none."""
    apart, latency_us, hops, budget = (given[name] for name in BACKUP_NAMES)
    if apart is None:
        if (latency_us, hops, budget) != (None, None, None):
            raise invalid("--backup", "a backup's limits need --backup segment, operator, site or city")
        return None
    limits = None if latency_us is None else structs.replace(intent.limits, latency_us=latency_us)
    return BackupRequest(apart=Apart(apart), limits=limits, hops=hops, budget=budget)


def _print(answer: SearchAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    from federation.cli.backup import backup_lines
    from federation.cli.front import front_lines
    from federation.cli.screen import show
    from federation.cli.tables import search_lines

    show(
        *search_lines(answer),
        *(front_lines(answer.front) if answer.front else ()),
        *(backup_lines(answer.backup, answer) if answer.backup else ()),
        *((MANDATED,) if under_mandate() and (answer.excluded or not answer.found) else ()),
    )
