"""`peerway trust`: why an entity is trusted or not, who is a member, which keys an entity had."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from federation.cli.exits import MEANING, Exit
from federation.cli.options import ENTITY
from schemas.problem import invalid

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
ABOUT: Final = """\
An entity is trusted when a chain of signed statements leads from it to a trust anchor whose keys stand in your own
file of anchors (--anchors: a JSON object from the anchor's id to its JWK set). Nobody else's word counts.
"""
EXAMPLES: Final = """\
\b
Examples:
  peerway trust show https://surf.example --anchors anchors.json
  peerway trust show https://surf.example --anchors anchors.json --domain trust/
  peerway trust members --anchors anchors.json
\b
On one machine, without TLS:
  peerway trust show https://surf.example --anchors anchors.json \\
    --at https://anchor.example=http://127.0.0.1:8710 --at https://surf.example=http://127.0.0.1:8102
"""


def anchor_options(*, required: bool = True) -> Callable[[F], F]:
    """Whom a command believes, and where it reads what others say."""
    options = (
        click.option(
            "--anchors",
            type=click.Path(path_type=Path),
            envvar="PEERWAY_ANCHORS",
            required=required,
            help="The anchors that you believe, and their keys; or PEERWAY_ANCHORS.",
        ),
        click.option("--domain", type=click.Path(path_type=Path), help="Read a trust domain's folder, ask nobody."),
        click.option(
            "--at",
            "places",
            multiple=True,
            metavar="ENTITY=URL",
            envvar="PEERWAY_AT",
            help="For development: where an entity is served, or a file of such lines; or PEERWAY_AT.",
        ),
        click.option(
            "--roots",
            type=click.Path(path_type=Path),
            envvar="PEERWAY_ROOTS",
            help="Certificates (PEM) that vouch for public listeners beside the system's; or PEERWAY_ROOTS.",
        ),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.group(epilog=EXAMPLES + "\n" + MEANING, help=f"Who is trusted, and why.\n\n{ABOUT}")
def trust() -> None:
    """See the help of the group."""


@trust.command(epilog=EXAMPLES)
@click.argument("entity", type=ENTITY)
@anchor_options()
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for a program.")
def show(*, entity: str, as_json: bool, **sources: Any) -> int:
    """Explain why ENTITY is trusted or not: every way to an anchor that was tried, each step, and what failed.

    Exits with 0 when the entity is trusted, with 4 when it is not.
    """
    from federation.cli.connection import print_json
    from federation.cli.explain import as_data, explanation

    found = with_resolver(lambda made: made.resolve(entity), **sources)
    if as_json:
        print_json(as_data(found))
    else:
        _say(explanation(found))
    return Exit.OK if found.member else Exit.REFUSED


@trust.command(epilog=EXAMPLES)
@anchor_options()
def members(**sources: Any) -> None:
    """List everybody that your anchors, and the intermediates below them, list: who is a member and who is refused."""
    from federation.cli.explain import member_lines
    from federation.trust.view import TrustView

    async def look(made: Any) -> Any:
        return await TrustView(made, rng=steady()).refresh()

    _say(member_lines(with_resolver(look, **sources)))


@trust.command(epilog=EXAMPLES)
@click.argument("entity", type=ENTITY)
@anchor_options()
def history(*, entity: str, **sources: Any) -> None:
    """The federation keys that a trusted ENTITY no longer uses, from when to when they counted, and why they ended."""
    from federation.cli.explain import key_lines
    from federation.node.seams import SystemClock
    from federation.trust.history import verify_history
    from schemas.problem import Problem

    async def look(made: Any) -> Any:
        found = await made.resolve_chain(entity)
        if found.chain is None:
            raise Problem("DOCUMENT_INVALID", f"not trusted: {found.why_not}", field=entity)
        token = await made.statements.history(found.chain.own)
        return verify_history(token, entity, found.chain.keys, SystemClock().now())

    _say(key_lines(with_resolver(look, **sources)))


def with_resolver(
    ask: Callable[[Any], Awaitable[T]],
    *,
    anchors: Path,
    domain: Path | None,
    places: Sequence[str],
    roots: Path | None,
) -> T:
    """What `ask` gets from a resolver over the folder, or over the network through the guarded egress."""
    from federation.node.seams import SystemClock
    from federation.trust.domain import read_anchors
    from federation.trust.resolve import Resolver

    elsewhere, believed = dict(_place(text) for text in _places(places)), read_anchors(anchors)

    async def run() -> T:
        async with AsyncExitStack() as stack:
            statements = await _statements(stack, domain, elsewhere, roots)
            made = Resolver(statements, believed, now=SystemClock().now, rng=steady())
            stack.push_async_callback(made.close)
            return await ask(made)

    return asyncio.run(run())


async def _statements(stack: AsyncExitStack, domain: Path | None, places: dict[str, str], roots: Path | None) -> Any:
    from federation.node.dns import Dns
    from federation.node.outside import roots_in
    from federation.trust.destinations import Rules
    from federation.trust.egress import Egress
    from federation.trust.statements import Elsewhere, FolderStatements, HttpStatements

    if domain is not None:
        return FolderStatements(domain)
    dns = Dns()
    stack.callback(dns.close)
    rules = Rules(literals=frozenset(place.partition("://")[2] for place in places.values()))
    given = roots_in(str(roots), "--roots") if roots else None
    egress = await stack.enter_async_context(Egress(dns, rules=rules, roots=given))
    return HttpStatements(Elsewhere(egress, places))


def _say(lines: Iterable[str]) -> None:
    """Names and reasons may be a stranger's words: nothing of them reaches the terminal but what can be read."""
    for line in lines:
        click.echo("".join(one if one.isprintable() else "?" for one in line))


def steady() -> random.Random:
    """What a view needs to spread its work over time."""
    return random.Random(0)  # noqa: S311 - spreads refreshes, of which one command makes none


def _places(given: Iterable[str]) -> Iterable[str]:
    """Those given, and the lines of files that are."""
    from federation.node.config import read_text

    for text in given:
        yield from [text] if text.startswith("https://") else read_text(Path(text)).split()


def _place(text: str) -> tuple[str, str]:
    entity, separator, place = text.partition("=")
    if not separator or not entity.startswith("https://") or not place.startswith("http://"):
        raise invalid("--at", f"'{text}' is not ENTITY=URL, such as https://surf.example=http://127.0.0.1:8102")
    return entity, place.rstrip("/")
