"""`peerway policy`: list, show, write, test, explain and sign policies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from federation.cli.exits import MEANING, Exit
from federation.cli.options import TIME
from federation.cli.trust import anchor_options, steady, with_resolver
from schemas.problem import invalid

if TYPE_CHECKING:
    from federation.policy.cases import Tried
    from federation.policy.engine import LoadedPolicy
    from federation.policy.facts import Subject

ABOUT: Final = """\
A policy says where data may go and under whose law. It is one or more `permit`s in Cedar, judged on facts of auditors'
trust marks; what nobody attests is unknown, and unknown is refused. docs/POLICIES.md tells how to write one.
"""
EXAMPLES: Final = """\
\b
Examples. What there is, and what policies may ask:
  peerway policy list
  peerway policy show eu-health
  peerway policy show schema
\b
One of your own, from a shipped one, with its cases; then change both:
  peerway policy new clinic-only --from eu-health
  peerway policy test clinic-only.cedar
\b
Why it permits an operator or not:
  peerway policy explain clinic-only.cedar --operator https://surf.example --anchors anchors.json
\b
For your broker, with the key that signs your mandates:
  peerway policy sign clinic-only.cedar --as https://buyer.example --sign-with buyer.json --until 2027-11-01T00:00Z
"""
FOLDER: Final = click.option(
    "--folder", type=click.Path(path_type=Path), metavar="DIR", help="A folder with policies (*.cedar) of your own."
)
NAME_OR_FILE: Final = click.argument("policy_text", metavar="NAME_OR_FILE")


@click.group(epilog=EXAMPLES + "\n" + MEANING, help=f"List, show, write, test and sign policies.\n\n{ABOUT}")
def policy() -> None:
    """See the help of the group."""


@policy.command(name="list", epilog=EXAMPLES)
@FOLDER
def list_(*, folder: Path | None) -> None:
    """The policies that come with Peerway, and those in a folder of yours; data classes, and what they bring."""
    from federation.cli.screen import plain_table, show
    from federation.policy.catalogue import DATA_CLASSES

    table = plain_table("Policy", "What it asks", "Hash", whole=("Policy", "Hash"))
    for name, found in _known(folder).items():
        table.add_row(name, _summary(found), found.policy_h)
    classes = plain_table("Data class", "Policies")
    for name, brings in DATA_CLASSES.items():
        classes.add_row(name, ", ".join(brings) or "none")
    show(table, classes)


@policy.command(epilog=EXAMPLES)
@click.argument("name")
@FOLDER
def show(*, name: str, folder: Path | None) -> None:
    """Print the text of the policy NAME; `schema` is what policies may ask."""
    from federation.policy.catalogue import Catalogue
    from schemas.policy.texts import schema_text

    known = Catalogue(_known(folder))
    click.echo(schema_text() if name == "schema" else known.policy(name, None, 0).text, nl=False)


@policy.command(epilog=EXAMPLES)
@click.argument("name")
@click.option("--from", "base", default="eu-only", show_default=True, help="The shipped policy to begin with.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Where; here by default."
)
def new(*, name: str, base: str, folder: Path) -> None:
    """Write NAME.cedar and its cases, NAME.json, as copies of a shipped policy to change. Nothing is overwritten."""
    from federation.policy.catalogue import catalogue, shipped_policies
    from schemas.policy.texts import shipped_cases

    if base not in shipped_policies():
        raise invalid("--from", f"'{base}' is none of {', '.join(shipped_policies())}")
    text = re.sub(r'@id\("[^"]*"\)', f'@id("{name}.v1")', shipped_policies()[base].text)
    catalogue({name: text}, now=0)
    _write(folder / f"{name}.cedar", text)
    _write(folder / f"{name}.json", shipped_cases(base).replace(f"policy {base} ", f"policy {name} "))
    click.echo(f"Change them, then: peerway policy test {folder / name}.cedar")


@policy.command(epilog=EXAMPLES)
@NAME_OR_FILE
@click.argument("cases", type=click.Path(path_type=Path), required=False)
def test(*, policy_text: str, cases: Path | None) -> int:
    """Load a policy (a shipped name, or a file) and try its cases: CASES, or NAME.json beside NAME.cedar.

    Exits with 0 when every case is as expected, with 1 when one is not.
    """
    from federation.policy.cases import read_cases, tried

    found = _loaded(policy_text)
    results = tried(found, read_cases(*_cases(policy_text, cases)))
    _say(_told(results))
    return Exit.OK if all(one.ok for one in results) else Exit.FAULT


@policy.command(epilog=EXAMPLES)
@NAME_OR_FILE
@click.option("--facts", type=click.Path(path_type=Path), help="Facts to judge: a case file, or one subject in JSON.")
@click.option("--operator", metavar="ENTITY", help="Judge what auditors attest of this operator or broker now.")
@click.option("--data-class", metavar="CLASS", help="Of the data that would be carried.")
@anchor_options(required=False)
def explain(
    *, policy_text: str, facts: Path | None, operator: str | None, data_class: str | None, **sources: Any
) -> int:
    """Say of every subject whether a policy permits it, and every reason why not.

    Exits with 0 when it permits all of them, with 4 when it does not.
    """
    from federation.node.seams import SystemClock
    from federation.policy.context import Purchase
    from federation.policy.engine import decide

    if (facts is None) == (operator is None):
        raise invalid("--facts", "give either --facts FILE or --operator ENTITY")
    found, now = _loaded(policy_text), SystemClock().now()
    subjects = _from_file(facts) if facts is not None else _from_auditors(str(operator), now, sources)
    context, permitted = Purchase(now=now, data_class=data_class), True
    for name, subject in subjects.items():
        verdict = decide(found, subject, context)
        permitted = permitted and verdict.allowed
        _say([f"{'permit' if verdict.allowed else 'deny  '}  {name}", *(f"        {one}" for one in verdict.reasons)])
    return Exit.OK if permitted else Exit.REFUSED


@policy.command(epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "buyer", required=True, metavar="ENTITY", help="The buyer's entity id.")
@click.option("--sign-with", "key", type=click.Path(path_type=Path), required=True, help="The buyer's key file.")
@click.option("--until", type=TIME, required=True, help="It counts until then: 2027-11-01T00:00Z.")
def sign(*, file: Path, buyer: str, key: Path, until: datetime) -> None:
    """Sign the policy in FILE (NAME.cedar) for your own intents, and print the token.

    Whoever runs your broker puts it into its folder of policies, as a file that ends in .jwt. It is for you alone.
    """
    from federation.client.signing import sign_policy

    found = _loaded(str(file))
    click.echo(sign_policy(key, buyer=buyer, name=found.name, cedar=found.text, until=int(until.timestamp())))


def _known(folder: Path | None) -> dict[str, LoadedPolicy]:
    from federation.policy.catalogue import catalogue
    from federation.policy.folder import read_folder

    own = {} if folder is None else read_folder(folder).own
    return dict(sorted(catalogue(own, now=0).policies.items()))


def _loaded(named: str) -> LoadedPolicy:
    """A shipped policy by its name, any other by its file."""
    from federation.policy.catalogue import catalogue, shipped_policies
    from federation.policy.folder import read_policy

    if named in shipped_policies():
        return shipped_policies()[named]
    file = Path(named)
    if file.suffix != ".cedar":
        known = ", ".join(shipped_policies())
        raise invalid("NAME_OR_FILE", f"'{named}' is no file that ends in .cedar, and none of {known}")
    return catalogue({file.stem: read_policy(file)}, now=0).policies[file.stem]


def _cases(named: str, file: Path | None) -> tuple[str, bytes]:
    """The name and the text of a case file."""
    from schemas.policy.texts import NAMES, shipped_cases

    if file is None and named in NAMES:
        return f"{named}.json", shipped_cases(named).encode()
    beside = Path(named).with_suffix(".json")
    if file is None and not beside.exists():
        why = (
            f"are missing: {beside} is no file. Write cases there, or name their file; `peerway policy new` makes some"
        )
        raise invalid("CASES", why)
    file = file or beside
    return str(file), _bytes(file)


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(4 * 1024 * 1024)
    except OSError as error:
        raise invalid(str(file), f"cannot be read ({error.strerror})") from error


def _from_file(file: Path) -> dict[str, Subject]:
    from federation.policy.cases import read_facts

    return read_facts(str(file), _bytes(file))


def _from_auditors(entity: str, now: int, sources: dict[str, Any]) -> dict[str, Subject]:
    """What is attested of an entity now: a segment per route class, or a broker, and whoever manages either."""
    from federation.policy.facts import manager, subject
    from federation.trust.belief import attested
    from federation.trust.view import TrustView
    from schemas.decision import Part

    if sources["anchors"] is None:
        raise invalid("--anchors", "is needed with --operator: the anchors that you believe, and their keys")

    async def look(made: Any) -> Any:
        return await TrustView(made, rng=steady()).refresh()

    domain = with_resolver(look, **sources)
    member, found = domain.member(entity, now), attested(domain, entity, now)
    given = (found.facts, found.types, found.until)
    itself = subject(Part.ARRANGE, entity, None, *given)
    classes = sorted(found.facts.classes) if found.facts else ["any"]
    judged = {f"route class {name}": subject(Part.CARRY, entity, name, *given) for name in classes}
    if member.metadata.connectivity_operator is None:
        judged = {"the broker": itself}
    return {**judged, "who manages it": manager(itself, found.facts)}


def _told(results: Iterable[Tried]) -> Iterable[str]:
    failed = count = 0
    for one in results:
        count += 1
        failed += not one.ok
        yield f"{'✓' if one.ok else '✗'} {one.case.expect.value:<6}  {one.case.about}"
        if not one.ok:
            wanted = f" because '{one.case.reason}'" if one.case.reason else ""
            yield f"          expected {one.case.expect.value}{wanted}; it says {_said(one)}"
    yield f"All {count} cases hold." if not failed else f"{failed} of {count} cases do not hold."


def _said(one: Tried) -> str:
    return "permit" if one.verdict.allowed else "deny: " + "; ".join(one.verdict.reasons)


def _summary(found: LoadedPolicy) -> str:
    """The first sentence of the comment at the top."""
    lines = [line.removeprefix("//").strip() for line in found.text.splitlines() if line.startswith("//")]
    return " ".join(lines).partition(":")[0].partition(".")[0]


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise invalid(str(file), "exists; choose another name") from error
    except OSError as error:
        raise invalid(str(file), f"cannot be written ({error.strerror})") from error


def _say(lines: Iterable[str]) -> None:
    """Reasons may hold an auditor's words: nothing of them reaches the terminal but what can be read."""
    for line in lines:
        click.echo("".join(one if one.isprintable() else "?" for one in line))
