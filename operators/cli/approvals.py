"""`peerway-operator approvals`: the person who answers where an operator sells with approval = "manual"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from operators.cli.told import config_option, hand_in_order, json_option

EPILOG = """\b
Examples:
  peerway-operator approvals list --config operator.toml
  peerway-operator approvals grant QUOTE --config operator.toml
  peerway-operator approvals refuse QUOTE --why "no room before March" --config operator.toml
"""


@click.group(epilog=EPILOG, short_help="Answer questions for new leases by hand.")
def approvals() -> None:
    """Answer questions for new leases, and for more time of a lease, by hand.

    With approval = "manual" under [selling] every such question waits for a person. Nothing is held meanwhile. A yes
    gives the quote at the published tariff and holds it, if there is room by then. Questions that nobody answers in
    time are refused. They survive a restart; the operator has to run to be told anything.
    """


@approvals.command("list")
@config_option
@json_option
def list_(*, config: Path, as_json: bool) -> None:
    """What waits for an answer, the oldest first."""
    waiting = hand_in_order(config, "list", {})["waiting"]
    if as_json:
        click.echo(msgspec.json.encode(waiting))
        return
    for one in waiting:
        click.echo(_line(one))
    if not waiting:
        click.echo("nothing waits")


@approvals.command()
@click.argument("quote")
@config_option
@json_option
def grant(*, quote: str, config: Path, as_json: bool) -> None:
    """Say yes to QUOTE: it is priced and held from now on."""
    _tell(hand_in_order(config, "grant", {"quote": quote}), as_json=as_json)


@approvals.command()
@click.argument("quote")
@click.option("--why", help="What the broker is told.")
@config_option
@json_option
def refuse(*, quote: str, why: str | None, config: Path, as_json: bool) -> None:
    """Say no to QUOTE."""
    _tell(hand_in_order(config, "refuse", {"quote": quote} | ({"why": why} if why else {})), as_json=as_json)


def _tell(one: dict[str, Any], *, as_json: bool) -> None:
    click.echo(msgspec.json.encode(one) if as_json else _line(one))


def _line(one: dict[str, Any]) -> str:
    segment = one["segment"]
    ends = " to ".join(segment[end]["interface"] for end in ("a", "z"))
    frame, rate = segment["window"], f"{segment['bandwidth_bps'] / 10**9:g} Gb/s"
    more = f"more time for {one['product']}: " if "product" in one else ""
    what = f"{more}{rate} {ends}, {segment['route_class']}, {frame['start']} to {frame['end']}"
    who = f"for {one['buyer'] or 'a plain buyer'} of {one['broker']}"
    until = f"answer by {one['until']}" if one["state"] == "ASKED" else f"until {one['until']}"
    return f"{one['quote']}  {one['state']}  {what}, {who}; {one.get('why') or until}"
