"""Inputs that lead far inside, for a fuzzer to bend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from federation.tokens.assertion import Chained, client_assertion, delegation_grant
from federation.tokens.dpop import make_proof
from federation.tokens.endpoint import CLIENT_ASSERTION, JWT_BEARER
from federation.trust.jose import doc_hash
from federation.trust.keys import b64url_decode
from federation.trust.status import status_bits
from schemas.policy.texts import shipped
from tests.fuzz.harness import CAST, GENUINE, GOLDEN, NONCES, TYPS, URL, head
from tests.support import vectors
from tests.support.authority import AGENT, AUTHORITY, BROKER, OPERATOR


def _verify() -> list[bytes]:
    found = []
    for number, typ in enumerate(TYPS):
        claims = json.dumps(GOLDEN[typ]["claims"]).encode()
        found += [
            bytes([number, 0]) + GOLDEN[typ]["token"].encode(),
            bytes([number, 1]) + claims,
            bytes([number, 2]) + head(typ) + b"\x00" + claims,
        ]
    return found


def _proof() -> list[bytes]:
    made = make_proof(CAST.keys[AGENT], "POST", URL, now=vectors.NOW, jti="j" * 22)
    urls = (URL, "HTTPS://Broker.Example:443/a/../oauth/%74oken?x#y", "http://[::1]:80/%2e%2E/.")
    return [b"\x00".join((url.encode(), b"POST", NONCES.issue(0).encode(), made.encode())) for url in urls]


def _endpoints() -> list[bytes]:
    proof = make_proof(CAST.keys[AGENT], "POST", URL, now=vectors.NOW, jti="j" * 22)
    mandate, broker = CAST.mandate(), CAST.issuer(BROKER)
    chained = Chained(doc_hash(mandate), "txn-1", "buyer-there", "agent-there")
    forms = (
        {"grant_type": JWT_BEARER, "assertion": mandate},
        {"grant_type": JWT_BEARER, "assertion": mandate, "authorization_details": '[{"type":"x"}]'},
        {
            "grant_type": JWT_BEARER,
            "assertion": delegation_grant(broker, OPERATOR, AUTHORITY, chained, now=vectors.NOW),
            "client_assertion_type": CLIENT_ASSERTION,
            "client_assertion": client_assertion(broker, OPERATOR, now=vectors.NOW),
            "client_id": BROKER,
        },
    )
    return [proof.encode() + b"\x00" + urlencode(form).encode() for form in forms]


def _resolver() -> list[bytes]:
    pieces = [bytes([0, 3]) + _claims(GENUINE[0]), bytes([3, 2]) + _claims(GENUINE[1]), bytes([1, 1, 2])]
    return [*pieces, b"\xff\xff".join(pieces), bytes([0, 0]) + GENUINE[0].encode()]


def _claims(token: str) -> bytes:
    return b64url_decode(token.split(".")[1])


def _outside() -> list[bytes]:
    bits = b64url_decode(status_bits([7], 64).lst)
    texts = ("https://surf.example/a?b=c", "surf.example:8443", "http://127.0.0.1/", '["https://a.example"]')
    return [bits, *(text.encode() for text in texts)]


def _policies() -> list[bytes]:
    nested = f"permit (principal, action, resource) when {{ {'(' * 20}resource.sites_agree{')' * 20} }};"
    return [*(text.encode() for text in shipped().values()), nested.encode()]


SEEDS: Final[Mapping[str, list[bytes]]] = {
    "verify": _verify(),
    "proof": _proof(),
    "endpoints": _endpoints(),
    "resolver": _resolver(),
    "outside": _outside(),
    "policies": _policies(),
}


def write(folder: Path, name: str) -> None:
    """A corpus to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(SEEDS[name]):
        (folder / f"seed-{number}").write_bytes(data)
