"""A boundary: who may talk to whom over a lease. The operators at its ends put it into force with their fabric.

Prefixes are written as the address family writes them (RFC 5952 for IPv6), so that equal boundaries are equal bytes.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

FLOWS_MAX: Final = 16
PREFIXES_MAX: Final = 32
NAMES_MAX: Final = 64  # prefixes and port ranges of one boundary: it stands in every document of both end segments

Prefix = Annotated[str, Meta(min_length=3, max_length=43)]
PortRange = Annotated[str, Meta(pattern=r"^[0-9]{1,5}(-[0-9]{1,5})?\Z")]


class Flow(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Traffic between the prefixes at one end and those at the other, both ways; `ports` are those of the `z` end."""

    a: Annotated[tuple[Prefix, ...], Meta(min_length=1, max_length=PREFIXES_MAX)]
    z: Annotated[tuple[Prefix, ...], Meta(min_length=1, max_length=PREFIXES_MAX)]
    protocol: Literal["any", "tcp", "udp", "sctp"] = "any"
    ports: Annotated[tuple[PortRange, ...], Meta(max_length=PREFIXES_MAX)] = ()

    def __post_init__(self) -> None:
        for name in (*self.a, *self.z):
            _check_prefix(name)
        for ports in self.ports:
            _check_ports(ports)
        if self.ports and self.protocol == "any":
            raise ValueError("ports need a protocol that has them: tcp, udp or sctp")
        if not {_version(name) for name in self.a} & {_version(name) for name in self.z}:
            raise ValueError("nothing at a can talk to anything at z: one names IPv4 only, the other IPv6 only")

    @property
    def names(self) -> int:
        """How many prefixes and port ranges it has."""
        return len(self.a) + len(self.z) + len(self.ports)


class Boundary(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a lease may carry: these flows and nothing else, and at most `bytes_max` bytes in all if it is set."""

    flows: Annotated[tuple[Flow, ...], Meta(max_length=FLOWS_MAX)] = ()
    bytes_max: Annotated[int, Meta(ge=1, le=10**18)] | None = None

    def __post_init__(self) -> None:
        if not self.flows and self.bytes_max is None:
            raise ValueError("a boundary names flows, bytes_max or both")
        if sum(flow.names for flow in self.flows) > NAMES_MAX:
            raise ValueError(f"a boundary has at most {NAMES_MAX} prefixes and port ranges in all; use wider ones")


def _check_prefix(name: str) -> None:
    try:
        found = ipaddress.ip_network(name)
    except ValueError as error:
        raise ValueError(f"'{name}' is no IP prefix such as 10.1.0.0/16 or 2001:db8::/48 ({error})") from None
    if str(found) != name:
        raise ValueError(f"write '{name}' as {found}")


def _version(name: str) -> int:
    return ipaddress.ip_network(name).version


def _check_ports(name: str) -> None:
    first, _, last = name.partition("-")
    if not 1 <= int(first) <= int(last or first) <= 65535:
        raise ValueError(f"'{name}' is no port or range of ports from 1 to 65535")
