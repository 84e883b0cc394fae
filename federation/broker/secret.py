"""The secret behind buyers' pseudonyms and a broker's nonces: made once, and kept with the store, because operators
count holds by those pseudonyms."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from federation.node.seams import Entropy
from schemas.problem import invalid

FILE: Final = "pseudonyms"
BYTES_MIN: Final = 32


def secret_of(data: Path, entropy: Entropy) -> bytes:
    """The secret in a broker's data folder, made where there is none. Raises `INVALID_ARGUMENT`, for half of one."""
    path = data / FILE
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _keep(path, entropy.token() + entropy.token())
        found = path.read_bytes()
    except OSError as error:
        raise invalid(str(path), f"cannot be kept ({error.strerror})") from error
    if len(found) < BYTES_MIN:
        raise invalid(str(path), "is too short to be a secret; put it back, or remove it, and buyers have other names")
    return found


def _keep(path: Path, text: str) -> None:
    """Whole or not at all: half a secret could be guessed."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
