"""`peerway verify`: whether a bundle of evidence holds, check by check, with no network and nobody's word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from federation.cli.exits import MEANING, Exit
from federation.cli.options import TIME
from schemas.problem import invalid

if TYPE_CHECKING:
    from federation.evidence.verify.report import Report
    from schemas.entity import Jwks

ABOUT: Final = """\
Verify BUNDLE, which `peerway evidence` wrote: who signed each document and was who at that time, that the documents
follow each other, that policies permit what was bought by the facts that auditors attested, that every hop passed on no
more than it had, that the amounts add up, and that the broker's log holds all of it, as others witnessed.

Nothing is asked over a network. What is believed are the anchors in your own file (--anchor), and nothing else.
"""
EXAMPLES: Final = """\
\b
Examples:
  peerway verify order.evidence --anchor anchors.json
  peerway verify order.evidence --anchor anchors.json --key https://buyer.example=buyer.jwks --json
\b
A buyer who is no member of the federation signed the mandate with a key that no anchor vouches for: --key names it
(`peerway keys public buyer.json > buyer.jwks`). A policy is what the buyer asked for if it ships with Peerway, if the
buyer signed it, or if you have its text yourself: --policy names the file. Any other is called the broker's own.
"""


@click.command(help=ABOUT, epilog=EXAMPLES + "\n" + MEANING)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--anchor",
    "--anchors",
    "anchors",
    type=click.Path(path_type=Path),
    envvar="PEERWAY_ANCHORS",
    required=True,
    help="The anchors that you believe: a JSON object from the anchor's id to its JWK set; or PEERWAY_ANCHORS.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="ENTITY=FILE",
    help="The public JWK set of a buyer, or of the owner of a UNI, who is no member; may be given several times.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The text of a policy, NAME.cedar, that does not ship with Peerway and that no buyer signed; several times.",
)
@click.option("--at", type=TIME, help="Nothing may come from later than this, 2026-12-01T18:00Z; now if not given.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for a program.")
def verify(
    *,
    bundle: Path,
    anchors: Path,
    keys: tuple[str, ...],
    policies: tuple[Path, ...],
    at: datetime | None,
    as_json: bool,
) -> int:
    """See the help of the command."""
    from federation.cli.connection import print_json
    from federation.evidence.verify.verify import verify as verified
    from federation.node.seams import SystemClock
    from federation.policy.folder import read_policy
    from federation.trust.domain import read_anchors

    now = SystemClock().now() if at is None else int(at.timestamp())
    texts = {path.stem: read_policy(path) for path in policies}
    report = verified(_read(bundle), read_anchors(anchors), now, dict(_key(text) for text in keys), texts)
    if as_json:
        print_json(_as_data(report))
    else:
        _say(_lines(report))
    return Exit.OK if report.ok else Exit.REFUSED


def _read(bundle: Path) -> bytes:
    from schemas.evidence import BUNDLE_BYTES_MAX

    try:
        with bundle.open("rb") as file:
            return file.read(BUNDLE_BYTES_MAX + 1)
    except OSError as error:
        raise invalid("BUNDLE", f"{bundle} cannot be read ({error.strerror})") from error


def _key(text: str) -> tuple[str, Jwks]:
    import msgspec

    from federation.node.config import read_text
    from schemas.entity import Jwks

    entity, separator, file = text.partition("=")
    if not separator or not entity.startswith("https://"):
        raise invalid("--key", f"'{text}' is not ENTITY=FILE, such as https://buyer.example=buyer.jwks")
    try:
        return entity, msgspec.json.decode(read_text(Path(file)), type=Jwks)
    except msgspec.MsgspecError as error:
        raise invalid("--key", f"{file} is no JWK set; make one with: peerway keys public FILE") from error


def _lines(report: Report) -> Iterator[str]:
    width = max(len(check.name) for check in report.checks)
    for check in report.checks:
        yield f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.detail}"
    if report.ok:
        yield f"All {len(report.checks)} checks of the profile {report.profile} hold."
    else:
        yield f"This is no evidence: {', '.join(report.failed())} failed."


def _as_data(report: Report) -> dict[str, object]:
    checks = [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in report.checks]
    return {"ok": report.ok, "profile": report.profile, "checks": checks}


def _say(lines: Iterable[str]) -> None:
    """A detail may hold a stranger's words: nothing of them reaches the terminal but what can be read."""
    for line in lines:
        click.echo("".join(one if one.isprintable() else "?" for one in line))
