"""What README.md shows is true: its make targets exist, and its commands print what it says, in kind."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.transcript import Example, difference, examples, fits, kind

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

Runner = Callable[[list[str]], str]

# The first prefix that fits decides. A fixture of that name gives the runner: a function from the words of the
# command to what it prints. Commands of make are not run: their targets are checked, and tests/acceptance holds the
# demo to its claims.
RUNNERS: tuple[tuple[str, str | None], ...] = (
    ("make ", None),
    ("git clone ", None),
    ("cd ", None),
    ("peerway --", "alone"),
    ("peerway-operator --", "alone"),
    ("peerway demo", None),
    ("peerway", "small_federation"),
    ("peerway-operator", "alone"),
)
BUYER = ("PEERWAY_BROKER", "PEERWAY_MANDATE", "PEERWAY_AGENT_KEY", "PEERWAY_ANCHORS", "PEERWAY_AT")
ENTRY_POINTS = {"peerway": "federation.cli.main", "peerway-operator": "operators.cli.main"}


def shown() -> list[Example]:
    return list(examples(README.read_text(encoding="utf-8")))


def runner_of(command: str) -> str | None:
    """The fixture that runs a command, or None for one that is not run."""
    if " --help" in command:
        return "alone"
    names = [name for prefix, name in RUNNERS if command.startswith(prefix)]
    assert names, f"the README shows '{command}', and no test runs it"
    return names[0]


def missing_targets(commands: list[str], makefile: str) -> list[str]:
    """The targets that commands name and a Makefile lacks; a pattern rule such as `bench-%` counts."""
    rules = [re.escape(name).replace("%", ".+") for name in re.findall(r"^([\w%-]+):(?!=)", makefile, re.MULTILINE)]
    words = [word for command in commands if command.startswith("make ") for word in shlex.split(command)[1:]]
    targets = [word for word in words if "=" not in word and not word.startswith("-")]
    return [target for target in targets if not any(re.fullmatch(rule, target) for rule in rules)]


def run_alone(words: list[str], home: Path, extra: Mapping[str, str] | None = None) -> str:
    """Run a command as its installed script does, far from any configuration of the user."""
    start = f"import sys; sys.argv[0] = {words[0]!r}; from {ENTRY_POINTS[words[0]]} import main; main()"
    keep = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
    env = keep | {"HOME": str(home), "COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    env |= extra or {}
    command = [sys.executable, "-c", start, *words[1:]]
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def alone(tmp_path: Path) -> Runner:
    """Commands that need neither a broker nor an operator."""
    return lambda words: run_alone(words, tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of a demo that was left running; afterwards it is ended as it says."""
    home = tmp_path_factory.mktemp("kept")
    cache = os.environ.get("XDG_CACHE_HOME", str(Path("~/.cache").expanduser()))  # what was compiled serves again
    extra = {"TMPDIR": str(home), "XDG_CACHE_HOME": cache}
    report = json.loads(run_alone(["peerway", "demo", "--keep", "--json"], home, extra))
    yield report["addresses"]
    subprocess.run(shlex.split(report["addresses"]["STOP"]), check=True, timeout=60)
    assert list(home.iterdir()) == []


@pytest.fixture
def small_federation(kept: dict[str, str], tmp_path: Path) -> Runner:
    """Commands of a buyer against the federation of the demo."""
    return lambda words: run_alone(words, tmp_path, {name: kept[name] for name in BUYER})


def test_the_readme_shows_the_two_commands_that_matter() -> None:
    commands = {example.command for example in shown()}
    assert {"make demo", "make test"} <= commands


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert missing_targets([example.command for example in shown()], makefile) == []


@pytest.mark.parametrize("example", shown(), ids=lambda example: f"line {example.line}: {example.command}")
def test_a_command_prints_what_the_readme_shows(example: Example, request: pytest.FixtureRequest) -> None:
    name = runner_of(example.command)
    if name is not None:
        run: Runner = request.getfixturevalue(name)
        assert difference(example.output, run(shlex.split(example.command))) == ""


SAMPLE = """# Sample

```console
$ peerway quote \\
    --from a --to b
path 3f9a27c0d1e2b4a5968778695a4b3c2d at 2026-11-21T10:00:00Z: 1,204.50 EUR
...
4 segments
$ make demo
```

```sh
$ not shown
```

```console
$ make bench-paths ARGS=-v
```
"""


@pytest.fixture
def sample(tmp_path: Path) -> list[Example]:
    path = tmp_path / "README.md"
    path.write_text(SAMPLE, encoding="utf-8")
    return list(examples(path.read_text(encoding="utf-8")))


def test_examples_are_found_with_their_lines_and_output(sample: list[Example]) -> None:
    found = [(example.line, example.command) for example in sample]
    assert found == [(4, "peerway quote --from a --to b"), (9, "make demo"), (17, "make bench-paths ARGS=-v")]
    assert sample[0].output.splitlines()[-1] == "4 segments"
    assert sample[1].output == ""


def test_a_missing_make_target_is_found(sample: list[Example]) -> None:
    commands = [example.command for example in sample]
    assert missing_targets(commands, "demo: x\nbench-%:\n") == []
    assert missing_targets(commands, "demo := x\nbench-%:\n") == ["demo"]
    assert missing_targets(commands, "demo:\n") == ["bench-paths"]


def test_other_figures_are_of_the_same_kind_and_other_words_are_not(sample: list[Example]) -> None:
    path = "path 00aa27c0d1e2b4a5968778695a4b3cff at 2026-12-24T23:59:59.5Z: 7 EUR"
    assert difference(sample[0].output, f"{path}\n\none\ntwo\n5   segments\n") == ""
    assert difference(sample[0].output, f"{path}\n5 segments") == ""
    assert "+<n> interfaces" in difference(sample[0].output, f"{path}\n5 interfaces")
    assert difference(sample[0].output, f"{path}\n5 segments\nand more") != ""


def test_an_elision_stands_for_lines_and_nothing_else_does() -> None:
    assert fits(["...", "b"], ["a", "a", "b"])
    assert not fits(["b"], ["a", "b"])
    assert not fits([], ["a"])
    assert kind("a\n\n  b  1\n") == ["a", "b <n>"]


def test_a_command_that_no_test_runs_is_an_error() -> None:
    assert runner_of("peerway search --help") == "alone"
    assert runner_of("peerway search --from a") == "small_federation"
    with pytest.raises(AssertionError, match="no test runs it"):
        runner_of("curl localhost")
