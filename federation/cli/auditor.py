"""`peerway auditor`: attest facts about operators and brokers, take them back, and answer whoever asks."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from federation.cli.superior import check_entity, check_folder, hand_in, how_things_stand, listen_tls, make, put
from schemas.problem import Problem, invalid

if TYPE_CHECKING:
    from schemas.jurisdiction import Attestation

DAY_S: Final = 86_400
PORT: Final = 8711
ABOUT: Final = """\
An auditor looks where an operator's cables run and who controls it, and signs what it found as a trust mark. Policies
are judged on nothing else, and only where the trust anchor lets this auditor give such marks. FOLDER holds its books
and keys, and a socket through which these commands reach a daemon that serves.
"""
EXAMPLES: Final = """\
\b
Example, from the first key to a mark that is taken back:
  peerway auditor init ./audit --entity https://audit.example --name "Audit House" --superior https://anchor.example \\
    > audit.jwks                                                   # the anchor enrols it:
  peerway anchor enrol ./anchor https://audit.example --keys audit.jwks --type connectivity_auditor \\
    --issues https://peerway.dev/marks/facts/v1
  peerway auditor serve ./audit --port 8711
  peerway auditor sample > surf.toml
  peerway auditor attest ./audit https://surf.example surf.toml > facts.jwt     # for its folder of marks
  peerway auditor list ./audit
  peerway auditor revoke ./audit --mark 1
\b
Keys are shown, rotated and revoked as those of an anchor: peerway anchor show | rotate | revoke --key
"""
FOLDER: Final = click.argument("folder", type=click.Path(path_type=Path))
ENTITY: Final = click.argument("entity")
FILE: Final = click.Path(path_type=Path)


@click.group(epilog=EXAMPLES, help=f"Attest facts that policies are judged on.\n\n{ABOUT}")
def auditor() -> None:
    """See the help of the group."""


@auditor.command(epilog=EXAMPLES)
@FOLDER
@click.option("--entity", required=True, metavar="ID", help="Its entity id, an https URL under which it is served.")
@click.option("--name", required=True, help="Its name, for people.")
@click.option("--superior", "superiors", multiple=True, required=True, metavar="ID", help="Who enrols it; repeatable.")
def init(*, folder: Path, entity: str, name: str, superiors: tuple[str, ...]) -> None:
    """Make FOLDER with a first key, and print its public keys, which the superior enrols."""
    from federation.anchor.books import Me

    put(make(folder, Me(entity=entity, name=name, superiors=superiors, auditor=True))["jwks"])


@auditor.command(epilog=EXAMPLES)
def sample() -> None:
    """Print a commented file of facts."""
    from federation.anchor.findings import SAMPLE

    click.echo(SAMPLE, nl=False)


@auditor.command(epilog=EXAMPLES)
@FOLDER
@ENTITY
@click.argument("facts_file", metavar="FACTS", type=FILE)
@click.option("--days", type=click.IntRange(1, 90), default=30, show_default=True, help="How long it counts.")
@click.option("--report", type=FILE, help="The report behind it; its SHA-256 goes into the mark.")
@click.option("--beside", is_flag=True, help="Leave the facts that were attested of ENTITY before in force.")
def attest(*, folder: Path, entity: str, facts_file: Path, days: int, report: Path | None, beside: bool) -> None:
    """Attest FACTS (TOML, or JSON) of the operator or broker ENTITY, and print the trust mark.

    What was attested of it before is taken back, unless --beside. The index for `revoke`, and what stays unknown,
    go to standard error.
    """
    from federation.anchor.findings import unknown
    from federation.anchor.hatch import Give
    from schemas.entity import FACTS_MARK

    check_entity(entity, "ENTITY")
    _check_auditor(folder)
    facts = _facts(facts_file, report)
    try:
        done = hand_in(folder, Give(entity=entity, type=FACTS_MARK, life_s=days * DAY_S, facts=facts, alone=not beside))
    except Problem as problem:
        raise _in_file(problem, facts_file) from problem
    click.echo(done["mark"])
    click.echo(f"index {done['index']}", err=True)
    if left := unknown(facts):
        click.echo(f"unknown, and refused by policies that ask for it: {', '.join(left)}", err=True)


@auditor.command(epilog=EXAMPLES)
@FOLDER
@click.argument("entity", required=False)
@click.option("--mark", "index", type=click.IntRange(0, 2**19 - 1), metavar="INDEX", help="One mark alone.")
def revoke(*, folder: Path, entity: str | None, index: int | None) -> None:
    """Take back one mark, or everything that was attested of ENTITY; it counts nowhere after five minutes."""
    from federation.anchor.hatch import RevokeMark, TakeBack

    if (entity is None) == (index is None):
        raise invalid("ENTITY", "give exactly one of ENTITY and --mark INDEX")
    if entity is not None:
        check_entity(entity, "ENTITY")
        done = hand_in(folder, TakeBack(entity=entity))
        click.echo(f"{done['marks_revoked']} of {entity} taken back")
    elif index is not None:
        hand_in(folder, RevokeMark(index=index))
        click.echo(f"mark {index} is revoked")


@auditor.command(name="list", epilog=EXAMPLES)
@FOLDER
@click.argument("entity", required=False)
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def list_(*, folder: Path, entity: str | None, as_json: bool) -> None:
    """Every mark that was given, or those of ENTITY: index, subject, type, until when it counts, what became of it."""
    from federation.cli.explain import time_text
    from federation.node.seams import SystemClock

    now, marks = SystemClock().now(), how_things_stand(folder)["marks"]
    chosen = [one for one in marks if entity in {None, one["subject"]}]
    if as_json:
        put(chosen)
        return
    for one in chosen:
        until = time_text(one["until"])
        click.echo(f"{one['index']:>6}  {one['subject']:<40}  {one['type']}  until {until}  {_state(one, now)}")


@auditor.command(epilog=EXAMPLES)
@FOLDER
@click.argument("index", type=click.IntRange(0, 2**19 - 1))
def show(*, folder: Path, index: int) -> None:
    """What the mark INDEX says, as JSON, with the mark itself."""
    from federation.anchor.hatch import Read

    put(hand_in(folder, Read(index=index)))


@auditor.command(epilog=EXAMPLES)
@FOLDER
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one.")
@click.option("--certificate", type=FILE, help="Speak TLS with this certificate (PEM chain), valid for its id.")
@click.option("--private-key", type=FILE, help="The key of the certificate; both files are followed.")
@click.option("--plain-http", is_flag=True, help="No TLS beyond loopback: something in front speaks it.")
def serve(*, folder: Path, host: str, port: int, **given: Any) -> int:
    """Serve FOLDER to anybody until SIGTERM or SIGINT: who this auditor is, its marks, and which it took back.

    Prints a line of JSON when it serves.
    """
    from federation.anchor.anchor import serve_anchors

    tls = listen_tls(host, **given)
    return serve_anchors([folder], host, [port], tls)


def _check_auditor(folder: Path) -> None:
    check_folder(folder)
    if not how_things_stand(folder)["me"]["auditor"]:
        raise invalid(str(folder), "holds no auditor; make one with: peerway auditor init")


def _facts(path: Path, report: Path | None) -> Attestation:
    """The facts of a file: TOML, or JSON where it begins with a brace. Raises INVALID_ARGUMENT naming the member."""
    import msgspec

    from federation.node.config import explain, load_toml, read_text
    from schemas.jurisdiction import Attestation

    if not read_text(path).lstrip().startswith("{"):
        found = load_toml(path, Attestation)
    else:
        try:
            found = msgspec.json.decode(read_text(path), type=Attestation)
        except msgspec.ValidationError as error:
            key, why = explain(error, Attestation)
            raise invalid(f"{path}: {key}" if key else str(path), why) from error
        except msgspec.DecodeError as error:
            raise invalid(str(path), f"no valid JSON: {error}") from error
    return found if report is None else msgspec.structs.replace(found, report_sha256=_digest(report))


def _digest(report: Path) -> str:
    try:
        with report.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise invalid(f"--report {report}", f"cannot be read ({error.strerror})") from error
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode()


def _in_file(problem: Problem, path: Path) -> Problem:
    """A finding that cannot be attested, by its name in the file."""
    if problem.field is None or not problem.field.startswith("facts."):
        return problem
    return invalid(f"{path}: {problem.field.removeprefix('facts.')}", problem.detail)


def _state(mark: dict[str, Any], now: int) -> str:
    if mark["revoked_at"] is not None:
        return "revoked"
    return "expired" if mark["until"] <= now else "counts"
