"""What commands on the folder of a superior share: what is read and checked, and how orders reach its books."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from schemas.problem import invalid

if TYPE_CHECKING:
    from federation.anchor.books import Me
    from federation.anchor.hatch import Order

T = TypeVar("T")


def make(folder: Path, me: Me) -> dict[str, Any]:
    """Begin the books of a superior in `folder`, with a first key; how things stand then. Raises `Problem`."""
    from federation.anchor.hatch import Show, carry_out, open_books
    from federation.anchor.registrar import begin, registrar_of
    from federation.node.seams import SystemClock

    check_entity(me.entity, "--entity")
    for superior in me.superiors:
        check_entity(superior, "--superior")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # the books hold private keys
    except OSError as error:
        raise invalid(str(folder), f"cannot be made ({error.strerror})") from error
    clock = SystemClock()

    async def made() -> dict[str, Any]:
        async with open_books(folder) as database:
            await begin(database, me, clock)
            return await carry_out(Show(), await registrar_of(database, clock), clock)

    return asyncio.run(made())


def listen_tls(host: str, *, certificate: Path | None, private_key: Path | None, plain_http: bool) -> Any:
    """The certificate of a public listener; without one it is plain HTTP, on loopback or where that is said."""
    from federation.node.settings import LOOPBACK_HOSTS, ListenTls

    if (certificate is None) != (private_key is None):
        raise invalid("--private-key", "and --certificate belong together")
    if certificate is not None:
        return ListenTls(certificate=str(certificate), private_key=str(private_key))
    if host not in LOOPBACK_HOSTS and not plain_http:
        why = "is missing, and {} is no loopback address; if something in front speaks TLS, say --plain-http"
        raise invalid("--certificate", why.format(host))
    return None


def hand_in(folder: Path, order: Order) -> dict[str, Any]:
    """Have an order carried out on the superior in `folder`, whether it serves or not. Raises `Problem`."""
    from federation.anchor.hatch import order_at
    from federation.node.seams import SystemClock

    check_folder(folder)
    return asyncio.run(order_at(folder, order, SystemClock()))


def check_folder(folder: Path) -> None:
    """Raises INVALID_ARGUMENT where there is no such folder."""
    if not folder.is_dir():
        why = "is no folder; make one with: peerway anchor init, or peerway auditor init"
        raise invalid(f"FOLDER {folder}", why)


def how_things_stand(folder: Path) -> dict[str, Any]:
    """Keys, members and marks."""
    from federation.anchor.hatch import Show

    return hand_in(folder, Show())


def check_entity(entity: str, field: str) -> None:
    """Raises INVALID_ARGUMENT on `field` for what is no entity id."""
    import msgspec

    from schemas.segment import EntityId

    try:
        msgspec.convert(entity, EntityId)
    except msgspec.ValidationError as error:
        why = f"'{entity}' is no entity id: an https URL in lower case without slash at the end, https://surf.example"
        raise invalid(field, why) from error


def json_file(path: Path, kind: type[T], field: str) -> T:
    """A JSON file as `kind`. Raises INVALID_ARGUMENT naming the option, the file and the member at fault."""
    from federation.node.config import read_text
    from federation.node.http import decode
    from schemas.problem import Problem

    try:
        return decode(read_text(path).encode(), kind)
    except Problem as problem:
        at = f"{path}: {problem.field}" if problem.field not in {None, "body", str(path)} else str(path)
        raise invalid(f"{field} {at}", problem.detail) from problem


def optional(path: Path | None, kind: type[T], field: str) -> T | None:
    """The same, where a file is given."""
    return None if path is None else json_file(path, kind, field)


def put(data: Any) -> None:
    """JSON on standard output."""
    click.echo(json.dumps(data, indent=1))
