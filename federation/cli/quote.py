"""`peerway quote`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from federation.cli.connection import ask, print_json
from federation.cli.exits import Exit
from federation.cli.options import broker_options, intent_from, intent_options, key_option
from federation.node.config import read_text
from schemas.answer import QuotePending, SearchAnswer
from schemas.problem import Problem

EPILOG = """\
\b
Example:
  peerway quote Utrecht@SURF Milan@GARR --bandwidth 10G --for 2h --latency 15ms
  peerway order QUOTE
"""


@click.command(epilog=EPILOG)
@intent_options
@key_option
@click.option("--no-wait", is_flag=True, help="With --answer-within: do not wait for operators that take long.")
@click.option("--grant", "files", multiple=True, type=click.Path(path_type=Path), help="A grant of an end's owner.")
@broker_options
def quote(
    *,
    broker: str,
    key: str | None,
    as_json: bool,
    idempotency_key: str | None,
    no_wait: bool,
    files: tuple[Path, ...],
    **given: Any,
) -> int:
    """A firm price for the best path FROM one place TO another, held at every operator until it expires.

    It costs nothing and becomes a lease with `peerway order`. Exit status 3 where no path satisfies every limit. With
    --answer-within operators may take as long as that, for example where a person decides; this waits for them, and
    `peerway show` looks again where it did not.
    """
    intent, grants = intent_from(given), tuple(read_text(file).strip() for file in files)
    try:
        wait_s = 0 if no_wait else None
        answer = ask(broker, key, lambda client: client.quote(intent, idempotency_key, grants, wait_s))
    except Problem as problem:
        if as_json or problem.code != "NO_FEASIBLE_PATH":
            raise
        return _say_why(problem)
    if as_json:
        print_json(answer)
        return Exit.OK
    from federation.cli.screen import show
    from federation.cli.tables import pending_lines, quote_lines

    if isinstance(answer, QuotePending):
        show(*pending_lines(answer))
        return Exit.OK
    show(*quote_lines(answer), f"Order it with: peerway order {answer.id}")
    return Exit.OK


def _say_why(problem: Problem) -> int:
    """The tables of `peerway search`, from what the problem tells. Raises it where it tells nothing."""
    try:
        told = msgspec.convert({"found": False} | problem.extra, SearchAnswer)
    except msgspec.ValidationError:
        raise problem from None
    from federation.cli.screen import show
    from federation.cli.tables import search_lines

    show(*search_lines(told))
    return Exit.NO_PATH
