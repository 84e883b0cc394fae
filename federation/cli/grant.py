"""`peerway grant`: let somebody connect at a UNI of yours."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import click

from federation.cli.options import BANDWIDTH, ENTITY, TIME

EXAMPLES: Final = """\
\b
Example:
  peerway grant new --as https://hospital.example --sign-with hospital.json --at https://surf.example \\
      --uni uni-utrecht --for https://broker.example --bandwidth 10G --until 2027-01-01T00:00Z > grant.jwt
  peerway quote Utrecht@SURF Milan@GARR --bandwidth 10G --for 2h --grant grant.jwt
"""


@click.group(epilog=EXAMPLES)
def grant() -> None:
    """Let somebody connect at a UNI of yours.

    An operator that knows you as the owner of a UNI sells segments that end there to nobody without your grant.
    """


@grant.command(epilog=EXAMPLES)
@click.option("--as", "owner", type=ENTITY, required=True, metavar="ENTITY", help="The owner's entity id.")
@click.option("--sign-with", "key", type=click.Path(path_type=Path), required=True, help="The owner's key file.")
@click.option("--at", "operator", type=ENTITY, required=True, metavar="ENTITY", help="The operator of the UNI.")
@click.option("--uni", required=True, metavar="ID", help="The UNI.")
@click.option("--for", "subject", type=ENTITY, required=True, metavar="ENTITY", help="The broker that may connect.")
@click.option("--buyer", metavar="NAME", help="That buyer of the broker alone, by its pseudonym at the operator.")
@click.option("--bandwidth", type=BANDWIDTH, required=True, help="At most: 10G.")
@click.option("--from", "start", type=TIME, help="For leases from then on; from now if not given.")
@click.option("--until", type=TIME, required=True, help="For leases that end by then, within a year.")
def new(
    *,
    owner: str,
    key: Path,
    operator: str,
    uni: str,
    subject: str,
    buyer: str | None,
    bandwidth: int,
    start: datetime | None,
    until: datetime,
) -> None:
    """Sign a grant and print it."""
    from federation.client.signing import sign_grant

    begin = None if start is None else int(start.timestamp())
    ends = (begin, int(until.timestamp()))
    whom = (subject, None) if buyer is None else (buyer, subject)
    click.echo(sign_grant(key, owner=owner, operator=operator, uni=uni, whom=whom, bps=bandwidth, ends=ends))
