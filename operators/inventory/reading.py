"""JSON files that a person edits: bytes to a typed value, or a problem that says where the file is wrong."""

from __future__ import annotations

import json
import re
from typing import Final, TypeVar

import msgspec

from schemas.problem import Problem, invalid

T = TypeVar("T")

_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MEMBER: Final = re.compile(r"(?:required|unknown) field `(?P<member>[^`]*)`")


def decode(data: bytes, kind: type[T], name: str) -> T:
    """Decode strict JSON into `kind`; `name` is the file's name for messages.

    Raises `Problem` whose field is `name: path.of[3].member`, or the line where the JSON itself breaks off.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), name) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(name, f"is not JSON: {_broken_at(data) or error}") from None


def _misfit(message: str, name: str) -> Problem:
    """The place that msgspec puts at the end of its sentence becomes the field."""
    place = _PLACE.match(message)
    assert place is not None, "the pattern matches any text"
    path, member = place["path"] or "", _MEMBER.search(place["what"])
    if member is not None:
        path = f"{path}.{member['member']}" if path else member["member"]
    return invalid(f"{name}: {path}" if path else name, place["what"])


def _broken_at(data: bytes) -> str:
    """Line and column, which msgspec does not count; empty where the standard parser sees nothing wrong."""
    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    except (UnicodeDecodeError, RecursionError) as error:
        return str(error)
    return ""
