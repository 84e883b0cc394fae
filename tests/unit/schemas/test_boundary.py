"""Boundaries: what is one, what is none and why, and that equal ones are equal bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.boundary import NAMES_MAX, Boundary, Flow
from schemas.problem import Problem
from schemas.segment import End, Segment, window
from schemas.sonata.segment import SegmentConfiguration, configuration, segment_of
from schemas.token import TYPES

FLOW = Flow(a=("10.1.0.0/16", "2001:db8:a::/48"), z=("192.0.2.7/32",), protocol="tcp", ports=("443", "8000-8099"))
BOUNDED = Boundary(flows=(FLOW, Flow(a=("10.2.0.0/16",), z=("10.3.0.0/16",))), bytes_max=10**15)
SEGMENT = Segment(a=End("uni-1"), z=End("enni-1"), bandwidth_bps=10, window=window(0, 60), boundary=BOUNDED)


def refused(flows: list[dict[str, Any]], **more: Any) -> str:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"flows": flows, **more}, Boundary)
    return str(caught.value)


@pytest.mark.parametrize("boundary", [BOUNDED, Boundary(bytes_max=1), Boundary(flows=(FLOW,))])
def test_a_boundary_survives_its_documents_and_sonata(boundary: Boundary) -> None:
    segment = msgspec.structs.replace(SEGMENT, boundary=boundary)
    assert msgspec.json.decode(msgspec.json.encode(segment), type=Segment) == segment
    wire = msgspec.json.encode(configuration(segment))
    assert segment_of(msgspec.json.decode(wire, type=SegmentConfiguration)) == segment


def test_a_boundary_bounds_something() -> None:
    assert "names flows, bytes_max or both" in refused([])


@pytest.mark.parametrize(
    ("flow", "why"),
    [
        ({"a": ["10.1.0.5/16"], "z": ["10.2.0.0/16"]}, "has host bits set"),
        ({"a": ["10.1.0.0"], "z": ["10.2.0.0/16"]}, "write '10.1.0.0' as 10.1.0.0/32"),
        ({"a": ["2001:DB8::/48"], "z": ["2001:db8:1::/48"]}, "write '2001:DB8::/48' as 2001:db8::/48"),
        ({"a": ["the office"], "z": ["10.2.0.0/16"]}, "is no IP prefix such as 10.1.0.0/16"),
        ({"a": ["10.1.0.0/16"], "z": ["2001:db8::/48"]}, "nothing at a can talk to anything at z"),
        ({"a": ["10.1.0.0/16"], "z": ["10.2.0.0/16"], "ports": ["80"]}, "ports need a protocol"),
        ({"a": ["10.1.0.0/16"], "z": ["10.2.0.0/16"], "protocol": "tcp", "ports": ["90-80"]}, "no port or range"),
        ({"a": ["10.1.0.0/16"], "z": ["10.2.0.0/16"], "protocol": "tcp", "ports": ["0"]}, "no port or range"),
        ({"a": ["10.1.0.0/16"], "z": ["10.2.0.0/16"], "protocol": "icmp"}, "Invalid enum value 'icmp'"),
        ({"a": [], "z": ["10.2.0.0/16"]}, "length >= 1"),
    ],
)
def test_what_is_no_flow_is_refused_with_the_reason(flow: dict[str, Any], why: str) -> None:
    assert why in refused([flow])


def test_the_largest_boundary_fits_into_an_rfq_with_room_to_spare() -> None:
    prefixes = tuple(f"2001:db8:aaaa:bbbb:cccc:dddd:eeee:{n + 0x1000:x}/128" for n in range(NAMES_MAX // 2))
    most = Boundary(flows=(Flow(a=prefixes, z=prefixes),), bytes_max=10**18)
    base64 = len(msgspec.json.encode(most)) * 4 // 3
    assert base64 < TYPES["rfq+jwt"].bytes_max // 2
    flow = {"a": list(prefixes), "z": list(prefixes), "protocol": "tcp", "ports": ["443"]}
    assert f"at most {NAMES_MAX} prefixes and port ranges in all" in refused([flow])


def test_sonata_says_which_member_is_no_boundary() -> None:
    wire = msgspec.to_builtins(configuration(SEGMENT))
    wire["boundary"] = {"flows": [{"a": ["10.1.0.5/16"], "z": ["10.2.0.0/16"]}]}
    with pytest.raises(Problem, match="host bits") as caught:
        segment_of(msgspec.convert(wire, SegmentConfiguration))
    assert caught.value.field == "segment.boundary"
