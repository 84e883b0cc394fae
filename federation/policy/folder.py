"""A folder of policies: `NAME.cedar` of the node's owner, and `*.jwt`, policies that buyers signed for themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from schemas.decision import POLICY_CHARS_MAX
from schemas.problem import invalid

FILES_MAX: Final = 256


class Texts(NamedTuple):
    """What lies in a folder: texts by name, signed policies by file."""

    own: dict[str, str]
    signed: dict[str, str]


def read_folder(folder: Path) -> Texts:
    """Everything in a folder of policies. Raises INVALID_ARGUMENT naming the file that cannot be read."""
    if not folder.is_dir():
        raise invalid(str(folder), "is no folder; make it, or configure another")
    files = sorted(path for path in folder.iterdir() if path.suffix in {".cedar", ".jwt"})
    if len(files) > FILES_MAX:
        raise invalid(str(folder), f"holds {len(files)} policies, of {FILES_MAX} at most")
    own = {path.stem: read_policy(path) for path in files if path.suffix == ".cedar"}
    return Texts(own, {path.name: read_policy(path).strip() for path in files if path.suffix == ".jwt"})


def read_policy(path: Path) -> str:
    """The text of one file. Raises INVALID_ARGUMENT."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read(4 * POLICY_CHARS_MAX + 1)
    except OSError as error:
        raise invalid(str(path), f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise invalid(str(path), "is not UTF-8 text") from error
    if len(text) > 4 * POLICY_CHARS_MAX:
        raise invalid(str(path), f"is longer than any policy, which has at most {POLICY_CHARS_MAX} characters")
    return text
