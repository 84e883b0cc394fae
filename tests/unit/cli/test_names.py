"""Names that begin with a dash: hashes, key ids and ids, one in 64 of them, wherever a command takes one."""

from __future__ import annotations

import itertools
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from federation.cli.main import run
from federation.cli.names import NamesCommand
from federation.trust.keyset import KeySet, dump_key_set, load_key_set
from tests.support.evidence.cast import key_of

HASH = "-" + "hKo_-" * 8 + "-h"  # with letters that are options of their own
ID = "--" + "k" * 20


@click.command(cls=NamesCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("first")
@click.argument("others", nargs=-1)
@click.option("-k", "--count", default="")
@click.option("--a-long-option-of-22-ch", "flag", is_flag=True)
def echo(first: str, others: tuple[str, ...], count: str, flag: bool) -> None:
    """Say what was given."""
    click.echo(f"{first} {others} {count} {flag}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([HASH], f"{HASH} () "),
        ([HASH, "-k", "3"], f"{HASH} () 3"),
        (["-k", "3", ID, HASH, "file"], f"{ID} ('{HASH}', 'file') 3"),
        (["-k", HASH, "file"], f"file () {HASH}"),
        (["--", HASH], f"{HASH} () "),
        (["file", "--a-long-option-of-22-ch"], "file ()  True"),
    ],
)
def test_a_name_is_an_argument_wherever_it_stands(given: list[str], said: str) -> None:
    assert len(HASH) == 43
    result = CliRunner().invoke(echo, given)
    assert (result.exit_code, result.output.startswith(said)) == (0, True), result.output


@pytest.mark.parametrize("given", ["-x", "--other", "--answer-within-the-hour-or-so", HASH + "x", HASH[:-1]])
def test_what_is_no_name_is_an_option_that_is_missing(given: str) -> None:
    result = CliRunner().invoke(echo, ["file", given])
    assert result.exit_code == 2
    assert "No such option" in result.output


def test_help_is_still_there() -> None:
    assert "Say what was given." in CliRunner().invoke(echo, ["-h"]).output


def test_a_key_whose_id_begins_with_a_dash_is_used_and_dropped(tmp_path: Path) -> None:
    keys = (key_of(f"key {number}") for number in itertools.count())
    first, dashed = next(keys), next(key for key in keys if key.kid.startswith("-"))
    file = tmp_path / "key.json"
    file.write_bytes(dump_key_set(KeySet((first, dashed))))
    assert run(["keys", "use", str(file), dashed.kid]) == 0
    assert load_key_set(file.read_bytes(), "key.json").signer.kid == dashed.kid
    assert run(["keys", "use", str(file), first.kid]) == 0
    assert run(["keys", "drop", str(file), dashed.kid]) == 0
    assert [one.kid for one in load_key_set(file.read_bytes(), "key.json").keys] == [first.kid]
