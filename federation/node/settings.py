"""The parts of a configuration that every daemon has in common: ports, key hashes, its keys, its trust domain."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.segment import EntityId

Port = Annotated[int, Meta(ge=0, le=65535)]
Place = Annotated[str, Meta(pattern=r"^http://127\.[0-9.]+:[0-9]+(/[a-z0-9._~/\-]*)?\Z")]
# Below the data folder: where a node keeps its TLS authority and leaf, and its federation keys, unless told otherwise.
TLS: Final = "tls"
FEDERATION: Final = "federation-keys.json"
LOG: Final = "log-key"
WITNESS: Final = "witness-key"
KeyHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class ListenTls(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The certificate that callers of a listener are shown (a PEM chain), and its private key.

    Both are followed: who replaces the files restarts nothing.
    """

    certificate: str
    private_key: str


class Public(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the public listener is served: with TLS by the node itself, or in plain HTTP.

    Plain HTTP is for loopback; on any other address it is spoken only where `plain_http` says that something in front
    speaks TLS under the entity id.
    """

    tls: ListenTls | None = None
    plain_http: bool = False


class Keys(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of this node.

    `private` signs every document, `federation` what the node says of itself: files of private JWKs (EC P-256), of
    which the first signs. `tls` is the folder of its own TLS authority and leaf. `log` signs the checkpoints of its
    log, `witness` those of others: files of one private key of a signed note (Ed25519). All but the first are below the
    data folder if left out, and made when missing.
    """

    private: str
    federation: str | None = None
    tls: str | None = None
    log: str | None = None
    witness: str | None = None


class Evidence(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the log of what this node signed and received is kept.

    Every `every_s` seconds what is new is put into it, and `witnesses` are asked to sign below its checkpoint; if none
    are named, a few members that this node picks by its own id, the same ones every time.
    """

    every_s: Annotated[int, Meta(ge=1, le=60)] = 2
    witnesses: Annotated[tuple[EntityId, ...], Meta(max_length=16)] = ()


class EgressRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What of other nodes may be called: public addresses on `ports`, and what is listed besides, nothing by default.

    `networks` are private networks whose addresses count as public. For development on one machine: `names` leads
    `name:port` to a loopback `address:port`, and `literals` are loopback `address:port` that are called as they are;
    `places` leads an entity id to the base of its public listener, without TLS (`http://127.0.0.1:8102`). `roots` is a
    file of certificates (PEM) that vouch for public listeners of others, beside those of the system.
    """

    ports: tuple[Port, ...] = (443, 8443)
    networks: tuple[str, ...] = ()
    names: Mapping[str, str] = MappingProxyType({})
    literals: tuple[str, ...] = ()
    places: Mapping[EntityId, Place] = MappingProxyType({})
    roots: str | None = None


class Trust(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom this node believes: the file of its anchors, and where it looks for everybody else.

    Members are found by the lists of the anchors, and by the ids in `known`, every `refresh_s` seconds; what they say
    of themselves is read again after half of its life, or after `reread_s`; `domain` is a folder that is read instead.
    `superiors` are those that enrolled this node, all anchors if left out; `marks` is the folder of the trust marks
    about it (`*.jwt`).
    """

    anchors: str
    domain: str | None = None
    known: tuple[EntityId, ...] = ()
    refresh_s: Annotated[int, Meta(ge=1, le=3600)] = 300
    reread_s: Annotated[int, Meta(ge=1, le=86_400)] = 43_200
    superiors: tuple[EntityId, ...] | None = None
    marks: str | None = None
    egress: EgressRules = EgressRules()
