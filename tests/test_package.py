"""What is built is what runs: every module and data file of the three packages, and nothing else."""

from __future__ import annotations

import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.tidy.tables import PACKAGES
from tests.tidy.tree import Tree

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(built)


def read(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_code_and_data_go_along_and_tests_do_not(wheel: zipfile.ZipFile) -> None:
    packaged = {path for path in wheel.namelist() if ".dist-info/" not in path}
    assert packaged == {path for path in Tree(ROOT).files if path.startswith(tuple(f"{name}/" for name in PACKAGES))}


def test_both_commands_are_installed(wheel: zipfile.ZipFile) -> None:
    scripts = read(wheel, "entry_points.txt")
    assert "peerway = federation.cli.main:main" in scripts
    assert "peerway-operator = operators.cli.main:main" in scripts


def test_the_licence_and_the_roles_are_stated(wheel: zipfile.ZipFile) -> None:
    metadata: Message = message_from_string(read(wheel, "METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("Provides-Extra") == ["bench", "broker", "demo", "dev"]
    assert "Apache License" in read(wheel, "licenses/LICENSE")
