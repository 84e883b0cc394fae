"""Configuration files: TOML into frozen structs, with errors that name the file, the key and what was expected."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from schemas.problem import invalid

T = TypeVar("T")
CONFIG_BYTES_MAX: Final = 1024 * 1024


def load_toml(path: Path, kind: type[T]) -> T:
    """Read `path` as `kind`. Raises `Problem` naming file, key and what was expected."""
    text = read_text(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise invalid(str(path), f"no valid TOML: {error}") from error
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        key, why = explain(error)
        raise invalid(f"{path}: {key}" if key else str(path), why) from error


def read_text(path: Path) -> str:
    """The text of a file. Raises `Problem` where it is missing, unreadable, too large or no UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        raise invalid(str(path), f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise invalid(str(path), "is not UTF-8 text") from error
    if len(data) > CONFIG_BYTES_MAX:
        raise invalid(str(path), f"larger than {CONFIG_BYTES_MAX} bytes")
    return text


def explain(error: msgspec.ValidationError) -> tuple[str, str]:
    """Key (dotted path, empty for the whole) and reason of a validation error."""
    text = str(error)
    match = re.fullmatch(r"(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?", text, re.DOTALL)
    why, key = (match[1], match[2] or "") if match else (text, "")
    if member := re.search(r"missing required field `([^`]*)`|unknown field `([^`]*)`", why):
        key = ".".join(part for part in (key, member[1] or member[2]) if part)
    return key.replace(".[", "["), why[:1].lower() + why[1:]


def below(path: Path, base: Path) -> Path:
    """`path`, read relative to the folder of the configuration file that named it."""
    return path if path.is_absolute() else base.parent / path
