"""`peerway-operator footprint`: draft footprint files from published topologies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from msgspec import Struct, structs

from operators.cli import summary
from operators.cli.refused import Refused, refusing
from operators.inventory import sources
from operators.inventory.drafting import GBPS, Party, Survey, Terms, Town, draft
from operators.inventory.footprint import Footprint, dump
from operators.inventory.naming import entity_of, peer_slug
from operators.inventory.reading import decode
from schemas.problem import invalid
from schemas.segment import EntityId

EXAMPLES = """\b
Examples:
  peerway-operator footprint caida/2024-08/1103 --peer caida/2024-08/20965 -o footprint.json
  peerway-operator footprint topozoo/Abilene --entity https://abilene.example --peer sndlib/nobel-us
  peerway-operator footprint --federation members.json -o footprints/
    with members.json: [{"source": "caida/2024-08/1103"},
                        {"source": "caida/2024-08/137", "entity": "https://garr.example"}]
"""


class Member(Struct, frozen=True, forbid_unknown_fields=True):
    """One operator to draft for; left out, its entity id follows from the source, and it owns its UNIs."""

    source: str
    entity: EntityId | None = None
    uni_owner: EntityId | None = None


@click.command(epilog=EXAMPLES, short_help="Draft a footprint file from a published topology.")
@click.argument("source", required=False)
@click.option("--peer", "peers", multiple=True, metavar="SOURCE[=ENTITY]", help="Interconnect with this one; repeat.")
@click.option("--entity", metavar="ID", help="Entity id of this operator; by default derived from SOURCE.")
@click.option("--uni-owner", metavar="ID", help="Entity id that owns every UNI; by default this operator.")
@click.option("--metro-km", type=click.IntRange(0, 1000), default=60, show_default=True, help="How near PoPs meet.")
@click.option("--capacity-gbps", type=click.IntRange(1, 100_000), default=400, show_default=True, help="Per link.")
@click.option("--enni-gbps", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Per ENNI.")
@click.option("--uni-gbps", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Per UNI.")
@click.option(
    "--federation",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draft for every operator listed in FILE, all peers of each other, into folder -o.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="PATH", help="File to write, else stdout.")
@click.option("--force", is_flag=True, help="Write over files that exist; they may have been edited by hand.")
def footprint(
    *,
    source: str | None,
    peers: tuple[str, ...],
    entity: str | None,
    uni_owner: str | None,
    metro_km: int,
    capacity_gbps: int,
    enni_gbps: int,
    uni_gbps: int,
    federation: Path | None,
    output: Path | None,
    force: bool,
) -> None:
    """Draft the footprint file of an operator from a published topology.

    SOURCE is caida/2024-08/<ASN>, topozoo/<name> or sndlib/<name>. PoPs and which of them are joined are
    known; capacities, interfaces and interconnects are invented, countries guessed: correct them in the file.
    """
    terms = Terms(metro_km, capacity_gbps * GBPS, enni_gbps * GBPS, uni_gbps * GBPS)
    with _refusing():
        if federation is not None:
            if source or peers or entity or output is None:
                raise click.UsageError("--federation takes -o FOLDER, and neither SOURCE, --peer nor --entity")
            _draft_all(federation, uni_owner, terms, output, force=force)
        elif source is None:
            raise click.UsageError("name a SOURCE, for example caida/2024-08/1103, or --federation FILE")
        else:
            _draft_one([_member(source, entity, uni_owner), *map(_peer, peers)], terms, output, force=force)


def _draft_one(members: Sequence[Member], terms: Terms, output: Path | None, *, force: bool) -> None:
    """The footprint of the first member, towards all the others."""
    parties = _parties(members)
    drafted = draft(parties, terms, wanted=[0])
    if output is None:
        click.echo(dump(drafted[0]), nl=False)
    else:
        _write({output: drafted[0]}, force=force)
    click.echo(summary.of_one(drafted[0], [party.entity for party in parties[1:]]), err=True)


def _draft_all(listing: Path, uni_owner: str | None, terms: Terms, folder: Path, *, force: bool) -> None:
    """A footprint per listed member in `folder`, named after the operator as in interface ids."""
    members = decode(listing.read_bytes(), tuple[Member, ...], listing.name)
    if not members:
        raise invalid(listing.name, 'lists nobody; write at least one {"source": ...}')
    owner = None if uni_owner is None else _entity(uni_owner, "--uni-owner")
    drafted = draft(_parties([structs.replace(one, uni_owner=one.uni_owner or owner) for one in members]), terms)
    folder.mkdir(parents=True, exist_ok=True)
    _write({folder / f"{peer_slug(one.entity)}.json": one for one in drafted}, force=force)
    click.echo(summary.of_all(drafted), err=True)


def _parties(members: Sequence[Member]) -> list[Party]:
    surveyed = sources.gather([member.source for member in members])
    return [_party(member, *known) for member, known in zip(members, surveyed, strict=True)]


def _party(member: Member, survey: Survey, towns: tuple[Town, ...]) -> Party:
    entity = member.entity or entity_of(member.source)
    return Party(survey, towns, entity, member.uni_owner or entity)


def _member(source: str, entity: str | None, uni_owner: str | None) -> Member:
    return Member(
        source,
        None if entity is None else _entity(entity, "--entity"),
        None if uni_owner is None else _entity(uni_owner, "--uni-owner"),
    )


def _peer(text: str) -> Member:
    source, equals, entity = text.partition("=")
    return Member(source, _entity(entity, "--peer") if equals else None)


def _entity(text: str, option: str) -> str:
    try:
        return msgspec.convert(text, EntityId)
    except msgspec.ValidationError:
        why = f"'{text}' is no entity id; write an https URL such as https://as1103.example"
        raise invalid(option, why) from None


def _write(files: Mapping[Path, Footprint], *, force: bool) -> None:
    """Nothing is written when any of the files exists, because a person may have corrected it."""
    for path in files:
        if path.exists() and not force:
            raise Refused(f"{path} exists and may have been edited by hand; --force writes over it")
    for path, drafted in files.items():
        path.write_bytes(dump(drafted))


@contextmanager
def _refusing() -> Iterator[None]:
    """Operating errors leave as one sentence, those of files too."""
    try:
        with refusing():
            yield
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from None
