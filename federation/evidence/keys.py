"""The keys of a node's log and of its signatures as a witness, in files of their own."""

from __future__ import annotations

import os
from pathlib import Path

from federation.evidence.checkpoint import origin_of
from federation.evidence.note import NoteSigner, Type
from schemas.problem import Problem, invalid
from schemas.segment import EntityId


def open_signer(path: Path, entity: EntityId, kind: Type, field: str) -> NoteSigner:
    """The key in a file, one line; a new one where there is no file. `field` is what errors call it.

    Raises `INVALID_ARGUMENT` where it is none, or one that is called after another node.
    """
    try:
        if not path.exists():
            _make(path, NoteSigner.generate(origin_of(entity), kind))
        found = NoteSigner.read(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"{field}: {path}", f"cannot be read or made ({error})") from error
    except Problem as problem:
        raise invalid(f"{field}: {path}", f"{problem.detail}; remove the file for a new one") from problem
    if (found.verifier.name, found.verifier.type) != (origin_of(entity), kind):
        raise invalid(f"{field}: {path}", f"is not a key of {entity} for this; remove the file for a new one")
    return found


def _make(path: Path, signer: NoteSigner) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(f"{signer.dump()}\n")
        out.flush()
        os.fsync(out.fileno())
