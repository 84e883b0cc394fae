"""make finds a Python that really runs, and says what is missing where there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make") or "make"
BROKEN = "exit 127"  # what a version manager's shim does when that version is not selected
RUNS = f'exec "{sys.executable}" "$@"'


def make(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with only the programs of one folder in reach."""
    command = [MAKE, "--silent", "--no-print-directory", "-C", str(ROOT), *arguments]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def programs(folder: Path, **scripts: str) -> Path:
    for name, body in scripts.items():
        program = folder / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        program.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("scripts", "chosen"),
    [
        ({"python3_13": BROKEN, "python3_12": RUNS, "python3_11": RUNS}, "python3.12"),
        ({"python3_13": RUNS, "python3": RUNS}, "python3.13"),
        ({"python3_11": BROKEN, "python3": RUNS}, "python3"),
    ],
)
def test_the_first_python_that_runs_is_chosen(scripts: dict[str, str], chosen: str, tmp_path: Path) -> None:
    done = make(programs(tmp_path, **scripts), "python")
    assert (done.returncode, done.stdout.strip()) == (0, chosen)


def test_no_python_gets_a_sentence_that_helps(tmp_path: Path) -> None:
    done = make(programs(tmp_path, python3=BROKEN), "python")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "python3-venv" in done.stderr


def test_a_named_python_that_does_not_run_is_refused(tmp_path: Path) -> None:
    done = make(programs(tmp_path, python3=RUNS, mine=BROKEN), "python", "PYTHON=mine")
    assert done.returncode != 0
    assert "PYTHON=mine does not run" in done.stderr


def test_an_environment_is_made_from_the_lock_with_hashes() -> None:
    done = make(Path("/usr/bin:/bin"), "--dry-run", "--always-make", "install")
    assert "--require-hashes -r requirements/dev.lock" in done.stdout
    assert "--no-build-isolation --no-deps --editable ." in done.stdout


def test_make_test_leaves_the_long_tests_to_test_long() -> None:
    everyday = make(Path("/usr/bin:/bin"), "--dry-run", "test").stdout
    full = make(Path("/usr/bin:/bin"), "--dry-run", "test-long").stdout
    assert '-m "not long"' in everyday
    assert "PEERWAY_TEST_LONG=1" in full
    assert "not long" not in full
