"""A file of keys that may be replaced while the node runs: its signer signs with whatever key stands first in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Self

from federation.node.whole import write_whole
from federation.trust.keys import generate
from federation.trust.keyset import KeySet, PresentKey, dump_key_set, load_key_set
from schemas.problem import Problem, invalid

log = logging.getLogger(__name__)


class KeyFile:
    """`keys` are those of the file, `signer` is one object for the life of the node."""

    def __init__(self, path: Path, field: str, keys: KeySet) -> None:
        """`field` is what errors call the file."""
        self.path, self._field = path, field
        self.keys, self.signer = keys, PresentKey(keys)

    @classmethod
    def open(cls, path: Path, field: str, *, make: bool = False) -> Self:
        """Read the file; with `make`, write one with a new key where there is none. Raises `Problem`."""
        if make and not path.exists():
            _make(path, field)
        return cls(path, field, _read(path, field))

    def look(self) -> bool:
        """Read the file again; whether it holds other keys. A file that cannot be used leaves the keys that were."""
        try:
            found = _read(self.path, self._field)
        except Problem as problem:
            log.warning("the keys stay as they are: %s", problem)
            return False
        if [key.kid for key in found.keys] == [key.kid for key in self.keys.keys]:
            return False
        self.keys = found
        self.signer.follow(found)
        return True


def _read(path: Path, field: str) -> KeySet:
    try:
        data = path.read_bytes()
    except OSError as error:
        why = f"cannot be read ({error.strerror}); make one with: peerway keys new FILE"
        raise invalid(f"{field}: {path}", why) from error
    return load_key_set(data, f"{field}: {path}")


def _make(path: Path, field: str) -> None:
    try:
        write_whole(path, dump_key_set(KeySet((generate(),))))
    except OSError as error:
        raise invalid(f"{field}: {path}", f"cannot be written ({error.strerror})") from error
