"""`peerway mandate`: sign, read and revoke mandates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from federation.cli.connection import ask, ask_as, caller, print_json
from federation.cli.names import NamesCommand
from federation.cli.options import BANDWIDTH, CODES, ENTITY, MONEY, NAMES, TIME, broker_options
from schemas.price import Money
from schemas.problem import Problem, invalid
from schemas.segment import moment

if TYPE_CHECKING:
    from federation.client.agent import Agent
    from schemas.answer import AllowanceView
    from schemas.mandate import Mandate

ABOUT: Final = """\
A mandate is what a buyer signs for an agent: what it may order at one broker, within which limits, for how much money.
The agent shows it with its own key, which the mandate names; the broker keeps the budget and passes on only less. An
agent sees what was asked with its own key; a buyer with a mandate for a key of its own sees what all its agents asked.
"""
EXAMPLES: Final = """\
\b
Examples. The buyer and the agent each make a key once; the agent tells the buyer its id:
  peerway keys new buyer.json
  peerway keys new agent.json
\b
The buyer signs, the agent acts:
  peerway mandate new --as https://buyer.example --sign-with buyer.json --to https://broker.example \\
      --agent AGENT_KEY_ID --total 500EUR --per-order 50EUR --until 2027-01-01T00:00Z > mandate.jwt
  export PEERWAY_MANDATE=mandate.jwt PEERWAY_AGENT_KEY=agent.json
  peerway quote Utrecht@SURF Milan@GARR --bandwidth 10G --for 2h
What is left of its money:
  peerway mandate left
The buyer takes it back; leases go on until they are released:
  peerway mandate revoke mandate.jwt --sign-with buyer.json
\b
The broker's configuration names the buyer: [[buyers]] name, entity, and jwks, made with
`peerway keys public buyer.json > buyer.jwks`.
"""
KEY_ID: Final = re.compile(r"[A-Za-z0-9_\-]{43}")
DEEDS: Final = ("quote", "order", "extend", "release")


@click.group(epilog=EXAMPLES, help=f"Sign, read and revoke mandates.\n\n{ABOUT}")
def mandate() -> None:
    """See the help of the group."""


@mandate.command(epilog=EXAMPLES)
@click.option("--as", "buyer", type=ENTITY, required=True, metavar="ENTITY", help="The buyer's entity id.")
@click.option("--sign-with", "key", type=click.Path(path_type=Path), required=True, help="The buyer's key file.")
@click.option("--to", "broker", type=ENTITY, required=True, metavar="ENTITY", help="The one broker that it is for.")
@click.option(
    "--agent", required=True, metavar="KEY_ID", help="The id of the agent's key: `peerway keys show` tells it."
)
@click.option("--name", metavar="NAME", help="What the agent is called; its key id if not given.")
@click.option("--total", type=MONEY, required=True, help="At most for everything: 500EUR.")
@click.option("--per-order", type=MONEY, help="At most for one order, leaving early included; the total if not given.")
@click.option("--until", type=TIME, required=True, help="Nothing is ordered from then on: 2027-01-01T00:00Z.")
@click.option("--bandwidth", type=BANDWIDTH, default="100T", help="At most per path: 10G.")
@click.option("--actions", type=NAMES, default=",".join(DEEDS), show_default=True, help="What may be done.")
@click.option("--operators", type=NAMES, help="Only over these, by entity id.")
@click.option("--countries", type=CODES, help="Cross only these: EEA,CH.")
@click.option("--without-regimes", type=NAMES, help="Only operators assessed not to be subject to these.")
@click.option("--mark", "marks", type=NAMES, help="Only operators with all these types of trust marks.")
@click.option("--hops", type=click.IntRange(1, 16), default=16, show_default=True, help="At most so many segments.")
def new(**given: Any) -> None:
    """Sign a mandate and print it."""
    from federation.client.signing import sign_mandate

    click.echo(sign_mandate(given["key"], **_claims(given)))


def _claims(given: dict[str, Any]) -> dict[str, Any]:
    total: Money = given["total"]
    per_order: Money = given["per_order"] or total
    if per_order.currency != total.currency:
        raise invalid("--per-order", f"must be in {total.currency}, as the total is")
    if per_order.micro > total.micro:
        raise invalid("--per-order", f"is more than the total of {total}")
    if not KEY_ID.fullmatch(given["agent"]):
        raise invalid("--agent", "is no key id; `peerway keys show FILE` prints it, 43 characters")
    if unknown := sorted(set(given["actions"]) - set(DEEDS)):
        raise invalid("--actions", f"'{unknown[0]}' is none of {', '.join(DEEDS)}")
    until: datetime = given["until"]
    return {
        "buyer": given["buyer"],
        "broker": given["broker"],
        "agent": given["name"] or given["agent"],
        "agent_kid": given["agent"],
        "total": total,
        "per_order_micro": per_order.micro,
        "until": int(until.timestamp()),
        "limits": {name: given[name] for name in ("actions", "operators", "countries", "without_regimes", "marks")}
        | {"bandwidth": given["bandwidth"], "hops": given["hops"]},
    }


@mandate.command(epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path), envvar="PEERWAY_MANDATE")
def show(file: Path) -> None:
    """Print what the mandate in FILE says, or in PEERWAY_MANDATE. Its signature is for the broker to verify."""
    import msgspec

    mandate_h, claims = _read(file)
    told = {"hash": mandate_h} | msgspec.to_builtins(claims)
    click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())


@mandate.command(epilog=EXAMPLES)
@broker_options
def left(*, broker: str, key: str | None, as_json: bool) -> None:
    """Ask the broker what is left to be spent under the mandate you act under, and what may be done under it."""
    told = ask(broker, key, lambda client: client.allowance())
    if as_json:
        print_json(told)
        return
    from federation.cli.screen import show as say

    say(*allowance_lines(told))


def allowance_lines(told: AllowanceView) -> Iterator[str]:
    """What is left, and every limit that is set."""
    from rich.markup import escape

    from federation.cli import units

    allowed, spend = told.authority, told.authority.spend
    total, each = (units.money(Money(spend.ccy, micro)) for micro in (spend.total_micro, spend.per_order_micro))
    yield f"[bold]{units.exact_money(told.left)}[/] left of {total}, at most {each} for one order"
    yield f"orders until {units.clock(moment(spend.until))} · {escape(told.agent)} under {told.mandate}"
    most = f"{units.bandwidth(allowed.max_bandwidth_bps)}, {allowed.max_hops} segments"
    yield f"may {', '.join(allowed.actions)}; at most {most}"
    limits = {
        "only over": allowed.locations,
        "only across": allowed.jurisdictions,
        "only for data of class": None if allowed.data_class is None else (allowed.data_class,),
        "only operators not subject to": allowed.excluded_regimes or None,
        "only operators with": allowed.required_marks or None,
    }
    for words, names in limits.items():
        if names is not None:
            yield escape(f"{words} {', '.join(names) or 'nothing'}")
    yield "[dim]until it is over an order takes what it may come to at most, with leaving early[/]"


@mandate.command(cls=NamesCommand, epilog=EXAMPLES)
@click.argument("mandate_or_hash", metavar="FILE_OR_HASH")
@click.option("--sign-with", "signing", type=click.Path(path_type=Path), help="The key file of its buyer.")
@broker_options
def revoke(*, broker: str, key: str | None, as_json: bool, mandate_or_hash: str, signing: Path | None) -> None:
    """Take back the mandate in FILE_OR_HASH at the broker that it names.

    Say who you are with --sign-with and the key that signed the mandate, or as for every other command: with your
    bearer key, or under a mandate for a key of your own. No agent revokes. From then on the broker gives no token under
    the mandate and takes no order; leases go on, and you release them.
    """
    file = Path(mandate_or_hash)
    if KEY_ID.fullmatch(mandate_or_hash) and not file.exists():
        if signing is not None:
            raise invalid("--sign-with", "needs the mandate itself, which says whose it is and for which broker")
        mandate_h, who = mandate_or_hash, caller(key)
    elif not file.exists():
        why = f"'{mandate_or_hash}' is neither a file nor the hash of a mandate, 43 characters"
        raise invalid("FILE_OR_HASH", f"{why}; `peerway mandate show FILE` prints it")
    else:
        mandate_h, claims = _read(file)
        who = caller(key) if signing is None else _itself(signing, claims)
    told = ask_as(broker, who, lambda client: client.revoke(mandate_h))
    if as_json:
        print_json(told)
    else:
        click.echo(f"Revoked since {told.revoked_at:%Y-%m-%d %H:%M:%SZ}: {told.mandate}")


def _itself(signing: Path, claims: Mandate) -> Agent:
    """The buyer that signed a mandate, at the broker that it names."""
    from federation.client.signing import buyer_itself

    return buyer_itself(signing, buyer=claims.iss, broker=claims.aud)


def _read(file: Path) -> tuple[str, Mandate]:
    """A mandate's hash and what it says, unverified. Raises `Problem` naming the file."""
    from federation.trust.jose import doc_hash, unverified
    from schemas.mandate import Mandate

    try:
        text = file.read_text(encoding="ascii").strip()
        return doc_hash(text), unverified(text, Mandate)
    except OSError as error:
        raise invalid(str(file), f"cannot be read ({error.strerror})") from error
    except (ValueError, Problem) as error:
        raise invalid(str(file), f"holds no mandate that can be read: {error}") from error
