"""gRPC takes any name for an option and says nothing of one that it does not know."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from federation.node.rpc import CHANNEL_OPTIONS, SERVER_OPTIONS

SERVER, CHANNEL = dict(SERVER_OPTIONS), dict(CHANNEL_OPTIONS)


@pytest.fixture(scope="module")
def known() -> frozenset[str]:
    """What looks like an option's name in gRPC's own library."""
    found = find_spec("grpc._cython.cygrpc")
    assert found is not None, "gRPC is installed"
    assert found.origin is not None, "as a file"
    return frozenset(name.decode() for name in re.findall(rb"grpc\.[a-z0-9_.]+", Path(found.origin).read_bytes()))


@pytest.mark.parametrize("name", sorted({*SERVER, *CHANNEL}))
def test_grpc_knows_every_option(known: frozenset[str], name: str) -> None:
    assert name in known


def test_a_server_bears_the_pings_by_which_watchers_keep_a_quiet_stream() -> None:
    # Three that come sooner than this end the connection, and with it every stream and call on it.
    allowed_ms = SERVER["grpc.http2.min_ping_interval_without_data_ms"]
    assert allowed_ms < CHANNEL["grpc.keepalive_time_ms"]
    assert CHANNEL["grpc.http2.max_pings_without_data"] == 0, "or they come once a minute"
