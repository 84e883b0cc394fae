"""Every harness on what leads far inside, bent by chance with a fixed seed; and under atheris where it is installed."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.harness import HARNESSES
from tests.fuzz.seeds import SEEDS, write

BENT = 2000 if os.environ.get("PEERWAY_TEST_LONG") else 60
RUNS = 200_000 if os.environ.get("PEERWAY_TEST_LONG") else 2_000


def bent(chance: random.Random, data: bytes) -> bytes:
    """A few bytes changed, taken out or repeated."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(found) + 1), chance.randint(0, 8)
        found[at : at + length] = chance.choice((chance.randbytes(length), b"", bytes(found[at : at + 40])))
    return bytes(found)


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_nothing_but_ours_is_raised(name: str) -> None:
    chance = random.Random(4)
    for data in (b"", b"\x00", *SEEDS[name]):
        HARNESSES[name](data)
        for _ in range(BENT // len(SEEDS[name]) + 1):
            HARNESSES[name](bent(chance, data))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_atheris_finds_nothing(name: str, tmp_path: Path) -> None:
    write(tmp_path, name)
    options = [f"-runs={RUNS}", f"-artifact_prefix={tmp_path}/crash-", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", name, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
