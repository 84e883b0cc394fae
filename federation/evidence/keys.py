"""The keys of a node's log and of its signatures as a witness, in files of their own."""

from __future__ import annotations

from pathlib import Path

from federation.evidence.checkpoint import origin_of
from federation.evidence.note import NoteSigner, Type
from federation.node.whole import write_whole
from schemas.problem import Problem, invalid
from schemas.segment import EntityId


def open_signer(path: Path, entity: EntityId, kind: Type, field: str) -> NoteSigner:
    """The key in a file, one line; a new one where there is no file. `field` is what errors call it.

    Raises `INVALID_ARGUMENT` where it is none, or one that is called after another node.
    """
    try:
        if not path.exists():
            write_whole(path, f"{NoteSigner.generate(origin_of(entity), kind).dump()}\n".encode("ascii"))
        found = NoteSigner.read(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"{field}: {path}", f"cannot be read or made ({error})") from error
    except Problem as problem:
        raise invalid(f"{field}: {path}", f"{problem.detail}; remove the file for a new one") from problem
    if (found.verifier.name, found.verifier.type) != (origin_of(entity), kind):
        raise invalid(f"{field}: {path}", f"is not a key of {entity} for this; remove the file for a new one")
    return found
