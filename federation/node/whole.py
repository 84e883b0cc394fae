"""Files that are there whole or not at all, whenever the node is killed and however full its disk is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MODE: Final = 0o600


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, in place of the one that is there; durable on return, the folder made
    where it is missing. Raises `OSError`, and then nothing has changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
