"""The product configuration of a segment: our structs and the JSON Schema say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft7Validator

from schemas.boundary import FLOWS_MAX, NAMES_MAX, PREFIXES_MAX, Boundary, Flow
from schemas.pattern import published
from schemas.problem import Outcome, Problem
from schemas.segment import SEGMENT_URN, End, Limits, Segment, window
from schemas.sonata import segment as written
from schemas.sonata.refusal import from_text, problem_of, refusal_of, to_text
from schemas.sonata.segment import (
    JWS_CHARS_MAX,
    JWS_PATTERN,
    SegmentConfiguration,
    configuration,
    limits_of,
    missing,
    release_configuration,
    segment_of,
)

PATH = Path(__file__).resolve().parents[3] / "schemas/jsonschema/segment.v1.json"
SCHEMA: dict[str, Any] = json.loads(PATH.read_text())
BOUNDARY = Boundary(
    flows=(
        Flow(a=("10.1.0.0/16",), z=("192.0.2.0/24", "10.2.0.0/16"), protocol="udp", ports=("53", "5000-5010")),
        Flow(a=("2001:db8:1::/48",), z=("2001:db8:2::/48",)),
    ),
    bytes_max=10**12,
)
SEGMENT = Segment(
    a=End("uni-1", 7),
    z=End("enni:x"),
    bandwidth_bps=10,
    mtu=9000,
    window=window(1_795_000_000, 1_795_003_600),
    boundary=BOUNDARY,
)
TOKEN = "e30.e30.c2ln"


def plain(configured: SegmentConfiguration) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(msgspec.json.encode(configured))
    return body


def problems(body: object) -> list[str]:
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(body)]


def test_the_schema_is_one_and_has_our_members_and_marks_the_sellers() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert {field.encode_name for field in msgspec.structs.fields(SegmentConfiguration)} == set(SCHEMA["properties"])
    marked = {name for name, member in SCHEMA["properties"].items() if member.get("readOnly")}
    assert marked == {"quote", "receipt"}
    assert SCHEMA["$id"] == SCHEMA["properties"]["@type"]["const"] == SEGMENT_URN == written.URN
    assert get_args(written.Urn) == (SEGMENT_URN,)
    jws = SCHEMA["definitions"]["jws"]
    assert (jws["maxLength"], jws["pattern"]) == (JWS_CHARS_MAX, published({"pattern": JWS_PATTERN})["pattern"])


@pytest.mark.parametrize("limits", [Limits(), Limits(latency_us=1, jitter_us=2, loss_ppb=3, availability_ppb=4)])
def test_what_is_written_is_read_and_fits_the_schema(limits: Limits) -> None:
    body = plain(configuration(SEGMENT, limits, rfq=TOKEN, order=TOKEN, receipt=TOKEN))
    assert problems(body) == []
    read = msgspec.convert(body, SegmentConfiguration)
    assert missing(read) == ()
    assert (segment_of(read), limits_of(read), read.rfq, read.receipt) == (SEGMENT, limits, TOKEN, TOKEN)


def test_the_schema_bounds_a_boundary_as_the_structs_do() -> None:
    flow, flows = SCHEMA["definitions"]["flow"]["properties"], SCHEMA["properties"]["boundary"]["properties"]["flows"]
    assert flows["maxItems"] == FLOWS_MAX
    assert {flow[name]["maxItems"] for name in ("a", "z", "ports")} == {PREFIXES_MAX}
    assert PREFIXES_MAX <= NAMES_MAX


def test_defaults_are_those_of_a_segment() -> None:
    body = plain(configuration(SEGMENT))
    del body["mtu"], body["routeClass"]
    assert problems(body) == []
    read = segment_of(msgspec.convert(body, SegmentConfiguration))
    assert (read.mtu, read.route_class) == (1500, "any")


def test_a_release_carries_its_order_alone() -> None:
    body = plain(release_configuration(TOKEN))
    assert body == {"@type": SEGMENT_URN, "order": TOKEN}
    assert problems(body) == []


@pytest.mark.parametrize(
    "change",
    [
        {"bandwidthBps": 0},
        {"bandwidthBps": 10**15},
        {"bandwidthBps": "1"},
        {"mtu": 63},
        {"a": {"interface": ""}},
        {"a": {"interface": "x", "label": 0}},
        {"a": {"interface": "x", "label": None}},
        {"a": {"interface": "x", "vlan": 4}},
        {"limits": {"latencyUs": -1}},
        {"limits": {"speed": 1}},
        {"boundary": {"flows": [{"a": ["10.0.0.0/8"]}]}},
        {"boundary": {"flows": [{"a": ["10.0.0.0/8"], "z": ["10.0.0.0/8"], "protocol": "icmp"}]}},
        {"boundary": {"bytesMax": 0}},
        {"boundary": {"bytes": 1}},
        {"rfq": "nonsense"},
        {"rfq": "a.b." + "c" * JWS_CHARS_MAX},
        {"colour": "red"},
        {"@type": "urn:x"},
    ],
)
def test_structs_and_schema_refuse_the_same(change: dict[str, Any]) -> None:
    body = plain(configuration(SEGMENT)) | change
    assert problems(body) != []
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, SegmentConfiguration)


@pytest.mark.parametrize("name", ["a", "z", "bandwidthBps", "start", "end"])
def test_what_is_missing_is_named(name: str) -> None:
    body = plain(configuration(SEGMENT))
    del body[name]
    assert problems(body) != []
    assert missing(msgspec.convert(body, SegmentConfiguration)) == (name,)


@pytest.mark.parametrize(("start", "end"), [("T12:00:00Z", "T12:00:00Z"), ("T12:00:00.5Z", "T13:00:00Z")])
def test_a_window_that_is_none_is_refused(start: str, end: str) -> None:
    body = plain(configuration(SEGMENT)) | {"start": f"2026-11-18{start}", "end": f"2026-11-18{end}"}
    with pytest.raises(Problem) as caught:
        segment_of(msgspec.convert(body, SegmentConfiguration))
    assert caught.value.field == "segment.window"


def test_a_problem_travels_whole_in_a_string() -> None:
    problem = Problem(
        "TOO_MANY_REQUESTS", "32 holds at most", field="segment.a", retry_after_s=9, extra={"free": "1-2", "n": 3}
    )
    read = from_text(to_text(refusal_of(problem)))
    assert read is not None
    assert problem_of(read, Outcome.NONE).as_dict() == problem.with_outcome(Outcome.NONE).as_dict()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the street does not exist",
        "{}",
        "[1]",
        '{"code":"MADE_UP","detail":"x"}',
        '{"code":"LABEL_TAKEN","detail":5}',
        '{"code":"LABEL_TAKEN"}',
        "{" * 100,
        "[" * 100_000,
        '{"code":"\ud800","detail":""}',
    ],
)
def test_other_text_is_no_refusal_of_ours(text: str) -> None:
    assert from_text(text) is None
