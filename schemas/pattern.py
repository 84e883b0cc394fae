"""Regular expressions of members: as Python checks them, and as a published schema writes them.

In Python `$` also matches before a line break at the very end, so patterns here end in `\\Z`; in the dialect of JSON
Schema (ECMA 262) `$` matches at the end alone, and `\\Z` means nothing.
"""

from __future__ import annotations

from typing import Any


def published(schema: Any) -> Any:
    """A generated JSON Schema with its patterns in ECMA 262's dialect."""
    if isinstance(schema, dict):
        return {name: _ecma(part) if name == "pattern" else published(part) for name, part in schema.items()}
    return [published(part) for part in schema] if isinstance(schema, list | tuple) else schema


def _ecma(part: Any) -> Any:
    """A member may itself be called `pattern`; then its schema follows."""
    return part.replace(r"\Z", "$") if isinstance(part, str) else published(part)
