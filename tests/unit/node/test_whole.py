"""Keys and secrets of a node whose disk was full, or that was killed, when it made them: the next start makes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from federation.broker.secret import secret_of
from federation.evidence.keys import open_signer
from federation.evidence.note import Type
from federation.node.identity.keyfile import KeyFile
from federation.node.mtls.mutual import Mutual
from federation.node.whole import write_whole
from schemas.problem import Problem
from tests.support.seams import CountingEntropy, FixedClock

ENTITY = "https://node.example"


def key_file(folder: Path) -> object:
    return KeyFile.open(folder / "keys.json", "keys", make=True)


def log_key(folder: Path) -> object:
    return open_signer(folder / "log.key", ENTITY, Type.NOTE, "keys.log")


def secret(folder: Path) -> object:
    return secret_of(folder, CountingEntropy("s"))


def authority(folder: Path) -> object:
    return Mutual.open(folder, ENTITY, ["node.example"], FixedClock())


@pytest.mark.parametrize("make", [key_file, log_key, secret, authority])
@pytest.mark.parametrize("at", range(6))
def test_what_could_not_be_written_to_its_end_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], at: int
) -> None:
    """The disk is full from the `at`th step of writing on: when bytes are kept safe, or a file takes its place."""
    steps, real = iter(range(100)), (os.fsync, os.replace)

    def step(original: Callable[..., object], *args: object, **more: object) -> object:
        if next(steps) >= at:
            raise OSError(28, "No space left on device")
        return original(*args, **more)

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", partial(step, real[0]))
        full.setattr(os, "replace", partial(step, real[1]))
        try:
            make(tmp_path)
        except Problem:
            pass
        else:
            assert at > 0
    make(tmp_path)
    make(tmp_path)


def test_a_file_that_is_replaced_is_never_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, b"one")
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            write_whole(path, b"two")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o600)
    write_whole(path, b"three")
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [("file", b"three")]
