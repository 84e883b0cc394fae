"""The parts of a configuration that every daemon has in common: ports, key hashes, its keys, its trust domain."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
TLS: Final = "tls"  # below the data folder: where a node keeps its TLS authority and leaf unless told otherwise
KeyHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Keys(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of this node.

    `private` signs every document (a key file of `peerway keys`, or a private JWK); `tls` is the folder of its own TLS
    authority and leaf, made when missing, `tls` below the data folder if left out.
    """

    private: str
    tls: str | None = None


class EgressRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What of other nodes may be called: public addresses on `ports`, and what is listed besides, nothing by default.

    `networks` are private networks whose addresses count as public. For development on one machine: `names` leads
    `name:port` to a loopback `address:port`, and `literals` are loopback `address:port` that are called as they are.
    """

    ports: tuple[Port, ...] = (443, 8443)
    networks: tuple[str, ...] = ()
    names: Mapping[str, str] = MappingProxyType({})
    literals: tuple[str, ...] = ()


class Trust(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The folder of the trust domain, the file of the anchors that are believed, and what of others may be called."""

    domain: str
    anchors: str
    egress: EgressRules = EgressRules()
