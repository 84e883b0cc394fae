"""The secret of a broker, behind buyers' pseudonyms and the nonces of its listeners: whole, private, the same again."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.broker.secret import FILE, secret_of
from federation.node.seams import SystemEntropy
from schemas.problem import Problem


def secret(folder: Path) -> bytes:
    return secret_of(folder / "data", SystemEntropy())


def test_it_is_made_once_and_its_owner_alone_reads_it(tmp_path: Path) -> None:
    made = secret(tmp_path)
    assert len(made) == 44
    assert secret(tmp_path) == made
    assert [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "data").iterdir()] == [(FILE, 0o600)]


@pytest.mark.parametrize("left", [b"", b"id00000000"])
def test_half_a_secret_is_none(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_bytes(left)
    with pytest.raises(Problem, match="too short to be a secret"):
        secret(tmp_path)


def test_a_broker_that_ended_while_it_made_one_makes_another(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f".{FILE}.new").write_bytes(b"id0000")
    assert len(secret(tmp_path)) == 44
