"""Which destinations named by somebody else may be called (pure): the form of a URL, and the addresses behind a name.

A foreign URL is a request to send something from inside this network. So only `https`, only names, only listed
ports; and every address that the name has must be one that anybody on the Internet may reach. Development is the one
exception, and it is spelled out port by port: nothing on loopback is open because loopback is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

from schemas.problem import Problem, invalid

URL_CHARS_MAX: Final = 2048
HOST_CHARS_MAX: Final = 253
PORT_MAX: Final = 65535
PORTS: Final = frozenset({443, 8443})
_URL: Final = re.compile(r"(https?)://([a-z0-9.\-]+)(?::([0-9]{1,5}))?((?:[/?][!$-;=?-\[\]_a-z~]*)?)", re.ASCII)
_ENDPOINT: Final = re.compile(r"([a-z0-9.\-]+):([0-9]{1,5})", re.ASCII)
_NAME: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9\-]{0,61}[a-z0-9])?", re.ASCII)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
# Addresses that `ipaddress` calls global, or did in some Python we run on, and that lead inside all the same.
_INSIDE: Final = (
    ipaddress.IPv4Network("168.63.129.16/32"),  # the platform address of a large cloud
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4
    ipaddress.IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    ipaddress.IPv6Network("2001:db8::/32"),
    ipaddress.IPv6Network("3fff::/20"),
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Destination(NamedTuple):
    """Whom to dial: `host` is a name, or a loopback address that the rules list."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Rules:
    """What may be called beside nothing: `ports` of public names; the rest is for development alone.

    `names` leads a name and port to a loopback address and port (`{"surf.example:443": "127.0.0.1:8102"}`), `literals`
    are loopback addresses with a port that may be called as they are, and without TLS.
    """

    ports: frozenset[int] = PORTS
    names: Mapping[str, str] = field(default_factory=dict)
    literals: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raises `INVALID_ARGUMENT` where a development address is not on loopback."""
        for authority in (*self.names.values(), *self.literals):
            host, _, port = authority.rpartition(":")
            if not (_is_loopback(host) and _port_of(port)):
                raise invalid("development", f"{authority} is no loopback address with a port, such as 127.0.0.1:8102")


def destination(url: str, rules: Rules) -> Destination:
    """Where `url` leads. Raises `INVALID_ARGUMENT` for what must not be called, whatever is behind the name."""
    found = _URL.fullmatch(url) if len(url) <= URL_CHARS_MAX else None
    if found is None:
        _refuse("expected https://name[:port][/path], in lower case up to the path, without user or fragment")
    scheme, host, port = found[1], found[2], _port_of(found[3] or ("443" if found[1] == "https" else "80"))
    there = Destination(scheme, host, port)
    if there.authority in rules.literals:
        return there
    if scheme != "https":
        _refuse("only https is called")
    return _named(there, rules)


def endpoint(text: str, rules: Rules) -> Destination:
    """Where a gRPC endpoint `name:port` leads; no other form of target exists. Raises `INVALID_ARGUMENT`."""
    found = _ENDPOINT.fullmatch(text) if len(text) <= URL_CHARS_MAX else None
    if found is None:
        _refuse("expected name:port; schemes such as unix:, dns: or xds: are not dialled")
    there = Destination("https", found[1], _port_of(found[2]))
    return there if there.authority in rules.literals else _named(there, rules)


def _named(there: Destination, rules: Rules) -> Destination:
    if len(there.host) > HOST_CHARS_MAX or not _NAME.fullmatch(there.host):
        _refuse("the host must be a full domain name, not an address")
    if there.authority not in rules.names and there.port not in rules.ports:
        ports = ", ".join(map(str, sorted(rules.ports)))
        _refuse(f"port {there.port} is not called, only {ports}; on one machine also what [trust.egress] literals name")
    return there


def is_public(text: str) -> bool:
    """Whether anybody on the Internet may reach this address, and whatever IPv4 address is wrapped in it."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return _is_open(address)
    if address.scope_id is not None:
        return False
    wrapped = _wrapped(address)
    if wrapped is not None:
        return _is_open(wrapped)
    return address in _GLOBAL_UNICAST and _is_open(address)


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to `address` end at, where a gateway or the kernel unwraps one."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_open(address: Address) -> bool:
    odd = address.is_multicast or address.is_reserved or address.is_private or address.is_link_local
    inside = any(address in network for network in _INSIDE if network.version == address.version)
    return address.is_global and not (odd or inside or address.is_unspecified or address.is_loopback)


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.IPv4Address(text).is_loopback
    except ValueError:
        return False


def _port_of(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 0 < port <= PORT_MAX:
        _refuse("the port must be between 1 and 65535")
    return port


def _refuse(why: str) -> NoReturn:
    raise Problem("INVALID_ARGUMENT", why, field="url")
