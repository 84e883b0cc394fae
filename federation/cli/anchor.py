"""`peerway anchor`: keep a trust domain, from its first key to the last revocation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from federation.cli.superior import (
    check_entity,
    check_folder,
    hand_in,
    how_things_stand,
    json_file,
    listen_tls,
    make,
    optional,
    put,
)
from schemas.problem import invalid

TYPES: Final = ("connectivity_operator", "connectivity_broker", "connectivity_auditor")
DAY_S: Final = 86_400
FIRST_PORT: Final = 8710
ABOUT: Final = """\
A trust anchor says who belongs to a federation; an intermediate does so for a part of it; an auditor attests facts
about operators with trust marks. All three keep a FOLDER of their own: books, keys, and a socket through which these
commands reach a daemon that serves. Whoever believes an anchor puts its id and keys into a file of anchors by hand.
"""
EXAMPLES: Final = """\
\b
A federation in five steps:
  peerway anchor init ./anchor --entity https://anchor.example --name "Example Federation" > anchors.json
  peerway keys new federation.json && peerway keys public federation.json > surf.json     # at the member
  peerway anchor enrol ./anchor https://surf.example --keys surf.json --type connectivity_operator
  peerway anchor serve ./anchor --port 8710
  peerway trust show https://surf.example --anchors anchors.json
\b
An auditor, whose marks the anchor recognises:
  peerway anchor init ./audit --entity https://audit.example --name Audit --auditor --superior https://anchor.example
  peerway anchor show ./audit --keys > audit.json
  peerway anchor enrol ./anchor https://audit.example --keys audit.json --type connectivity_auditor \\
    --issues https://peerway.dev/marks/facts/v1
  peerway anchor mark ./audit https://surf.example --facts facts.json > surf.jwt    # the member carries it along
"""
FOLDER: Final = click.argument("folder", type=click.Path(path_type=Path))
ENTITY: Final = click.argument("entity")
JSON_FILE: Final = click.Path(path_type=Path)


@click.group(epilog=EXAMPLES, help=f"Keep a trust domain.\n\n{ABOUT}")
def anchor() -> None:
    """See the help of the group."""


@anchor.command(epilog=EXAMPLES)
@FOLDER
@click.option("--entity", required=True, metavar="ID", help="Its entity id, an https URL under which it is served.")
@click.option("--name", required=True, help="Its name, for people.")
@click.option("--superior", "superiors", multiple=True, metavar="ID", help="Makes it an intermediate below this one.")
@click.option("--auditor", is_flag=True, help="It gives trust marks; anchors must recognise it for their types.")
def init(*, folder: Path, entity: str, name: str, superiors: tuple[str, ...], auditor: bool) -> None:
    """Make FOLDER with a first key.

    Prints the file of anchors that others need to believe this one; with --superior, its public keys, which the
    superior enrols.
    """
    from federation.anchor.books import Me

    shown = make(folder, Me(entity=entity, name=name, superiors=superiors, auditor=auditor))
    put(shown["anchors"] or shown["jwks"])


@anchor.command(epilog=EXAMPLES)
@FOLDER
@ENTITY
@click.option("--keys", "keys_file", type=JSON_FILE, required=True, help="Its public federation keys, a JWK set.")
@click.option("--type", "types", multiple=True, type=click.Choice(TYPES), help="What it is, for lists; repeatable.")
@click.option("--intermediate", is_flag=True, help="It has members of its own.")
@click.option("--issues", multiple=True, metavar="TYPE", help="A type of trust mark that it may give; repeatable.")
@click.option("--policy", type=JSON_FILE, help="metadata_policy for it and everything below it, JSON.")
@click.option("--metadata", type=JSON_FILE, help="Metadata that replace its own, JSON by entity type.")
@click.option("--path-length", type=click.IntRange(0, 4), help="At most so many intermediates below it.")
@click.option("--permit", multiple=True, metavar="HOST", help="Only these hosts (or .domains) below it; repeatable.")
@click.option("--exclude", multiple=True, metavar="HOST", help="None of these; repeatable.")
@click.option("--allow", multiple=True, type=click.Choice(TYPES), help="Only these entity types; repeatable.")
def enrol(*, folder: Path, entity: str, **given: Any) -> None:
    """Vouch for ENTITY and its keys from now on. Again for the same ENTITY: replaces what was said of it.

    The keys come from the member itself, by a way that you trust: nothing is believed on first sight.
    """
    from federation.anchor.books import Enrolled
    from federation.anchor.hatch import Enrol
    from schemas.entity import Jwks

    check_entity(entity, "ENTITY")
    member = Enrolled(
        entity=entity,
        jwks=json_file(given["keys_file"], Jwks, "--keys"),
        types=given["types"],
        intermediate=given["intermediate"],
        policy=optional(given["policy"], dict[str, dict[str, dict[str, Any]]], "--policy"),
        metadata=optional(given["metadata"], dict[str, dict[str, Any]], "--metadata"),
        constraints=_constraints(given),
    )
    hand_in(folder, Enrol(member=member, issues=given["issues"]))
    click.echo(f"{entity} is enrolled")


@anchor.command(epilog=EXAMPLES)
@FOLDER
@ENTITY
@click.option("--type", "mark_type", metavar="TYPE", help="The type of the mark; with --facts that of facts marks.")
@click.option(
    "--facts", type=JSON_FILE, help="What was found (JSON: legal_domicile, controlling_parents, classes ...)."
)
@click.option("--days", type=click.IntRange(1, 90), default=30, show_default=True, help="How long it counts.")
def mark(*, folder: Path, entity: str, mark_type: str | None, facts: Path | None, days: int) -> None:
    """Give ENTITY a trust mark, and print it: ENTITY carries it in its own configuration.

    Its index for `revoke --mark` goes to standard error.
    """
    from federation.anchor.hatch import Give
    from schemas.entity import FACTS_MARK
    from schemas.jurisdiction import Attestation

    check_entity(entity, "ENTITY")
    if (facts is None) == (mark_type in {None, FACTS_MARK}):
        raise invalid("--type", "give --facts FILE for a mark that attests facts, or --type TYPE for another one")
    attest = optional(facts, Attestation, "--facts")
    done = hand_in(folder, Give(entity=entity, type=mark_type or FACTS_MARK, life_s=days * DAY_S, facts=attest))
    click.echo(done["mark"])
    click.echo(f"index {done['index']}", err=True)


@anchor.command(epilog=EXAMPLES)
@FOLDER
@ENTITY
@click.argument("mark_type", metavar="TYPE")
def recognise(*, folder: Path, entity: str, mark_type: str) -> None:
    """Let ENTITY give trust marks of TYPE; it may be enrolled here or by an intermediate."""
    from federation.anchor.hatch import Recognise

    check_entity(entity, "ENTITY")
    hand_in(folder, Recognise(entity=entity, type=mark_type))
    click.echo(f"{entity} may give {mark_type}")


@anchor.command(epilog=EXAMPLES)
@FOLDER
@click.argument("entity", required=False)
@click.option(
    "--mark", "index", type=click.IntRange(0, 2**19 - 1), metavar="INDEX", help="Take back one mark, not a member."
)
@click.option("--key", "kid", metavar="KID", help="Stop using one of your own keys, at once.")
@click.option(
    "--reason",
    type=click.Choice(["unspecified", "compromised", "superseded"]),
    default="unspecified",
    show_default=True,
    help="Why a key is revoked; a compromised one proves nothing any more, of no time.",
)
def revoke(*, folder: Path, entity: str | None, index: int | None, kid: str | None, reason: str) -> None:
    """Take back: the member ENTITY with the marks given to it, one mark, or a key.

    A removed member is out of lists at once and believed nowhere after a day; a mark that is revoked counts nowhere
    after five minutes. A revoked key of an anchor must be replaced by hand in every file of anchors.
    """
    from federation.anchor.hatch import Remove, RevokeKey, RevokeMark

    if sum(one is not None for one in (entity, index, kid)) != 1:
        raise invalid("ENTITY", "give exactly one of ENTITY, --mark INDEX and --key KID")
    if entity is not None:
        done = hand_in(folder, Remove(entity=entity))
        click.echo(f"{entity} is removed, {done['marks_revoked']} marks taken back")
    elif index is not None:
        hand_in(folder, RevokeMark(index=index))
        click.echo(f"mark {index} is revoked")
    else:
        done = hand_in(folder, RevokeKey(kid=kid or "", reason=reason))
        click.echo(
            f"{kid} is revoked" + (f", {done['new_kid']} signs from now on" if done["new_kid"] else ""), err=True
        )
        put(done["anchors"] or {})


@anchor.command(epilog=EXAMPLES)
@FOLDER
@click.option("--overlap-hours", type=click.IntRange(1, 24 * 30), default=24, show_default=True, help="Until it signs.")
def rotate(*, folder: Path, overlap_hours: int) -> None:
    """Replace the signing key without a gap.

    The new key is published now and signs after the overlap; within it, whoever believes an anchor adds the new key to
    its file of anchors (printed here), and the superior of an intermediate or auditor enrols it.
    """
    from federation.anchor.hatch import Rotate
    from federation.cli.explain import time_text

    done = hand_in(folder, Rotate(overlap_s=overlap_hours * 3600))
    click.echo(f"{done['kid']} signs from {time_text(done['begins'])}", err=True)
    put(done["anchors"] or how_things_stand(folder)["jwks"])


@anchor.command(epilog=EXAMPLES)
@FOLDER
@click.option("--keys", "keys_only", is_flag=True, help="Only its public keys, for its superior to enrol.")
@click.option("--anchors", "anchors_only", is_flag=True, help="Only the file of anchors, for those who believe it.")
def show(*, folder: Path, keys_only: bool, anchors_only: bool) -> None:
    """How things stand: keys, members, marks; as JSON."""
    shown = how_things_stand(folder)
    if anchors_only and not shown["anchors"]:
        raise invalid("--anchors", f"{shown['me']['entity']} has superiors; nobody believes it by its keys alone")
    put(shown["jwks"] if keys_only else shown["anchors"] if anchors_only else shown)


@anchor.command(epilog=EXAMPLES)
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    "ports",
    multiple=True,
    type=click.IntRange(0, 65535),
    default=[FIRST_PORT],
    show_default=True,
    help="0 takes a free one; several folders: one each, in order, or those that follow the first.",
)
@click.option("--certificate", type=JSON_FILE, help="Speak TLS with this certificate (PEM chain), valid for all ids.")
@click.option("--private-key", type=JSON_FILE, help="The key of the certificate; both files are followed.")
@click.option("--plain-http", is_flag=True, help="No TLS beyond loopback: something in front speaks it.")
def serve(*, folders: tuple[Path, ...], host: str, ports: tuple[int, ...], **given: Any) -> int:
    """Serve every FOLDER to anybody until SIGTERM or SIGINT.

    With TLS where there is a certificate; else in plain HTTP, which is for loopback, or to stand behind whatever speaks
    TLS under the entity id. Prints a line of JSON for each when it serves.
    """
    from federation.anchor.anchor import serve_anchors

    tls = listen_tls(host, **given)
    for folder in folders:
        check_folder(folder)
    if len(ports) == 1:
        ports = tuple(ports[0] + number if ports[0] else 0 for number in range(len(folders)))
    if len(ports) != len(folders):
        raise invalid("--port", f"there are {len(folders)} folders and {len(ports)} ports; give one port for each")
    return serve_anchors(folders, host, ports, tls)


def _constraints(given: dict[str, Any]) -> Any:
    from schemas.entity import Constraints, NamingConstraints

    names = given["permit"] or given["exclude"]
    if not names and not given["allow"] and given["path_length"] is None:
        return None
    return Constraints(
        max_path_length=given["path_length"],
        naming_constraints=NamingConstraints(permitted=given["permit"] or None, excluded=given["exclude"])
        if names
        else None,
        allowed_entity_types=given["allow"] or None,
    )
