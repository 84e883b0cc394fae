"""The secret behind buyers' pseudonyms and a broker's nonces: made once, and kept with the store, because operators
count holds by those pseudonyms."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from federation.node.seams import Entropy
from federation.node.whole import write_whole
from schemas.problem import invalid

FILE: Final = "pseudonyms"
BYTES_MIN: Final = 32


def secret_of(data: Path, entropy: Entropy) -> bytes:
    """The secret in a broker's data folder, made where there is none. Raises `INVALID_ARGUMENT`, for half of one."""
    path = data / FILE
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_whole(path, f"{entropy.token()}{entropy.token()}".encode("ascii"))  # half of one could be guessed
        found = path.read_bytes()
    except OSError as error:
        raise invalid(str(path), f"cannot be kept ({error.strerror})") from error
    if len(found) < BYTES_MIN:
        raise invalid(str(path), "is too short to be a secret; put it back, or remove it, and buyers have other names")
    return found
