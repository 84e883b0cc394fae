"""`peerway policy`: list, show, write, test and sign policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from federation.policy.engine import LoadedPolicy

ABOUT: Final = """\
A policy says where data may go and under whose law. It is one or more `permit`s in Cedar, judged on facts of auditors'
trust marks; what nobody attests is unknown, and unknown is refused. docs/POLICIES.md tells how to write one.
"""
EXAMPLES: Final = """\
\b
Examples:
  peerway policy list
  peerway policy show eu-health
  peerway policy show schema
"""
FOLDER: Final = click.option(
    "--folder", type=click.Path(path_type=Path), metavar="DIR", help="A folder with policies (*.cedar) of your own."
)


@click.group(epilog=EXAMPLES, help=f"List, show, write, test and sign policies.\n\n{ABOUT}")
def policy() -> None:
    """See the help of the group."""


@policy.command(name="list", epilog=EXAMPLES)
@FOLDER
def list_(*, folder: Path | None) -> None:
    """The policies that come with Peerway, and those in a folder of yours."""
    for name, found in _known(folder).items():
        click.echo(f"{name:<20} {found.policy_h}  {_summary(found)}")


@policy.command(epilog=EXAMPLES)
@click.argument("name")
@FOLDER
def show(*, name: str, folder: Path | None) -> None:
    """Print the text of the policy NAME; `schema` is what policies may ask."""
    from federation.policy.catalogue import Catalogue
    from schemas.policy.texts import schema_text

    known = Catalogue(_known(folder))
    click.echo(schema_text() if name == "schema" else known.policy(name, None, 0).text, nl=False)


def _known(folder: Path | None) -> dict[str, LoadedPolicy]:
    from federation.policy.catalogue import catalogue
    from federation.policy.folder import read_folder

    own = {} if folder is None else read_folder(folder).own
    return dict(sorted(catalogue(own, now=0).policies.items()))


def _summary(found: LoadedPolicy) -> str:
    """The first sentence of the comment at the top."""
    lines = [line.removeprefix("//").strip() for line in found.text.splitlines() if line.startswith("//")]
    return " ".join(lines).partition(":")[0].partition(".")[0]
