"""The parts of a configuration that every daemon has in common: ports, key hashes, its key, its trust domain."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
KeyHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Keys(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The key that signs every document of this node (a private JWK, EC P-256)."""

    private: str


class Trust(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The folder of the trust domain, and the file of the anchors that are believed."""

    domain: str
    anchors: str
