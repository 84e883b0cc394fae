"""`peerway keys`: make, look at and replace the keys of a node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from federation.cli.names import NamesCommand
from schemas.problem import Problem, invalid

if TYPE_CHECKING:
    from federation.trust.keyset import KeySet

ABOUT: Final = """\
A node has keys for different things, and never one key for two of them: its federation keys sign what it says of
itself, its protocol key signs quotes, orders and receipts, and its own CA issues its TLS certificates. All are EC P-256
(ES256). A key file is a private JWK set that only its owner may read; its first key signs.
"""
EXAMPLES: Final = """\
\b
Examples. A new member, and the part of it that its anchor must learn:
  peerway keys new federation.json
  peerway keys new protocol.json
  peerway keys public federation.json > for-the-anchor.json
  peerway keys authority tls --entity https://surf.example     # for tls_ca in its metadata
\b
Another federation key, without a gap (wait a day between the steps):
  peerway keys add federation.json                  # published, does not sign yet
  peerway keys public federation.json > for-the-anchor.json    # the anchor enrols both
  peerway keys use federation.json -- KID           # signs from now on; the dashes, since a KID may begin with one
  peerway keys drop federation.json OLD_KID         # when nothing that it signed is left
"""
FILE: Final = click.argument("file", type=click.Path(path_type=Path))


@click.group(epilog=EXAMPLES, help=f"Make and replace the keys of a node.\n\n{ABOUT}")
def keys() -> None:
    """See the help of the group."""


@keys.command(epilog=EXAMPLES)
@FILE
def new(file: Path) -> None:
    """Make FILE with one new key. An existing file is never overwritten."""
    from federation.trust.keys import generate
    from federation.trust.keyset import KeySet, dump_key_set

    made = KeySet((generate(),))
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(dump_key_set(made))
    except FileExistsError as error:
        raise invalid(str(file), "exists; choose another name, or add a key to it: peerway keys add FILE") from error
    except OSError as error:
        raise invalid(str(file), f"cannot be written ({error.strerror})") from error
    click.echo(made.signer.kid)


@keys.command(epilog=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--entity", required=True, metavar="ID", help="The entity id of the node.")
def authority(folder: Path, entity: str) -> None:
    """Make a node's own TLS authority in FOLDER ([keys] tls); print its certificate as `tls_ca` in metadata holds it.

    What is in FOLDER already is never overwritten. To replace an authority: make the new one in the folder `next` in
    FOLDER, where a running node finds and publishes it beside the one in use; when everybody has read of it (a day),
    move the two files up. The node goes over to it within ten minutes.
    """
    from federation.node.mtls.own import make_authority
    from federation.node.seams import SystemClock
    from federation.trust.certificates import x5c

    click.echo(x5c(make_authority(folder, entity, now=SystemClock().now())))


@keys.command(epilog=EXAMPLES)
@FILE
def show(file: Path) -> None:
    """List the ids of the keys in FILE; the first one signs."""
    for number, key in enumerate(_read(file).keys):
        click.echo(f"{key.kid}  {'published' if number else 'signs'}")


@keys.command(epilog=EXAMPLES)
@FILE
@click.option("--entity", metavar="ID", help="Print a file of anchors for this entity id instead of a bare set.")
def public(file: Path, entity: str | None) -> None:
    """Print what others may know of FILE: a public JWK set."""
    import msgspec

    found = msgspec.to_builtins(_read(file).public())
    click.echo(msgspec.json.format(msgspec.json.encode({entity: found} if entity else found), indent=1).decode())


@keys.command(epilog=EXAMPLES)
@FILE
def add(file: Path) -> None:
    """Add a new key to FILE. It is published with the others and does not sign yet."""
    from federation.trust.keys import generate

    key = generate()
    _write(file, _read(file).added(key))
    click.echo(key.kid)


@keys.command(cls=NamesCommand, epilog=EXAMPLES)
@FILE
@click.argument("kid")
def use(file: Path, kid: str) -> None:
    """Sign with the key KID of FILE from now on; the others stay published."""
    _write(file, _read(file).signing_with(kid))


@keys.command(cls=NamesCommand, epilog=EXAMPLES)
@FILE
@click.argument("kid")
def drop(file: Path, kid: str) -> None:
    """Take the key KID out of FILE, for good. What it signed verifies nowhere any more."""
    _write(file, _read(file).without(kid))


def _read(file: Path) -> KeySet:
    from federation.trust.keyset import load_key_set

    try:
        return load_key_set(file.read_bytes(), str(file))
    except OSError as error:
        raise invalid(str(file), f"cannot be read ({error.strerror}); make one with: peerway keys new FILE") from error


def _write(file: Path, keys_now: KeySet) -> None:
    """All or nothing, and never readable by others."""
    from federation.trust.keyset import dump_key_set

    beside = file.with_name(file.name + ".new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(dump_key_set(keys_now))
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except OSError as error:
        raise Problem("INVALID_ARGUMENT", f"cannot be written ({error.strerror})", field=str(file)) from error
