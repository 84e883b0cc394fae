"""What is read the quick way is read as the strict way reads it, however it is spelled."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from federation.node.http import _parse_strictly, parse
from schemas.problem import Problem

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
SPELLINGS = st.sampled_from([msgspec.json.encode, lambda value: json.dumps(value, ensure_ascii=True).encode()])
PIECES = st.sampled_from(
    [
        '{"a":1,"a":1}',
        '{"a":{"b":1,"b":2}}',
        '"\\ud800"',
        "NaN",
        "1e999",
        "-0",
        "-0.0",
        "1.0",
        "01",
        '"\\u0041"',
        "9" * 30,
    ]
)


def read(how: Any, body: bytes) -> Any:
    """A value with its type, or why there is none."""
    try:
        return repr(how(body))
    except Problem as problem:
        return problem.detail


@given(value=VALUES, spelled=SPELLINGS)
def test_a_value_is_read_alike(value: Any, spelled: Any) -> None:
    body = spelled(value)
    assert read(parse, body) == read(_parse_strictly, body)


@given(pieces=st.lists(PIECES, max_size=3), nested=st.booleans())
def test_what_is_odd_is_refused_alike(pieces: list[str], nested: bool) -> None:
    body = f"[{','.join(pieces)}]".encode()
    body = b'{"x":' + body + b"}" if nested else body
    assert read(parse, body) == read(_parse_strictly, body)


@given(body=st.binary(max_size=40))
def test_bytes_are_refused_alike(body: bytes) -> None:
    assert read(parse, body) == read(_parse_strictly, body)
