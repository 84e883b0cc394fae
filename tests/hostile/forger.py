"""Whoever writes tokens and documents: unsigned, of another kind, said twice, too early, too late, too large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from msgspec import to_builtins

from federation.tokens.mandate import verify_mandate
from federation.trust.chain import verify_chain
from federation.trust.issue import entity_configuration, jwks
from federation.trust.jose import unverified
from federation.trust.keys import PrivateKey, b64url, generate
from schemas.entity import FederationEntity, Metadata
from schemas.mandate import Mandate
from tests.support.authority import BROKER, BUYER, STRANGER, Cast
from tests.support.seams import NOW
from tests.support.trust_tree import ANCHOR


def compact(key: PrivateKey, header: dict[str, Any], claims: str) -> str:
    """Any header and any text, with a genuine signature."""
    signing_input = f"{b64url(json.dumps(header).encode())}.{b64url(claims.encode())}"
    r, s = decode_dss_signature(key.key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Forgery:
    """A mandate at the broker that it is made for; the forger bends its parts."""

    def __init__(self, **changes: Any) -> None:
        self.cast = Cast()
        self.claims = json.dumps(to_builtins(unverified(self.cast.mandate(**changes), Mandate)))
        self.key = self.cast.keys[BUYER]
        self.header = {"alg": "ES256", "typ": "mandate+jwt", "kid": self.key.kid}

    def verify(self, token: str, now: int = NOW) -> Mandate:
        """The broker reads it."""
        return verify_mandate(token, self.cast.keys_of, broker=BROKER, now=now).claims


async def signs_with_a_key_of_its_own(folder: Path) -> None:
    """T11: the buyer's kid in the header, the forger's key behind it."""
    made = Forgery()
    made.verify(compact(made.cast.keys[STRANGER], made.header, made.claims))


async def leaves_the_signature_out(folder: Path) -> None:
    """T11: alg none."""
    made = Forgery()
    made.verify(compact(made.key, made.header | {"alg": "none"}, made.claims).rpartition(".")[0] + ".")


async def passes_one_kind_of_document_off_as_another(folder: Path) -> None:
    """T11: something that the buyer signs for anybody who asks, shown as its mandate."""
    made = Forgery()
    made.verify(compact(made.key, made.header | {"typ": "login+jwt"}, made.claims))


async def says_two_things_at_once(folder: Path) -> None:
    """T11: a member that stands twice: whoever shows the mandate reads the first, whoever acts on it the last."""
    made = Forgery()
    found = made.verify(compact(made.key, made.header, made.claims[:-1] + ', "sub": "another-agent"}'))
    assert found.sub == "another-agent"


async def comes_a_second_too_late(folder: Path) -> None:
    """T14: a mandate at the very second of its end."""
    made = Forgery(exp=NOW + 60)
    made.verify(compact(made.key, made.header, made.claims), NOW + 60)


async def comes_from_the_future(folder: Path) -> None:
    """T14: made 31 s from now, so that it can be kept for later."""
    made = Forgery(iat=NOW + 31)
    made.verify(compact(made.key, made.header, made.claims))


async def lives_for_a_century(folder: Path) -> None:
    """T14: no key change and no status list would ever end it."""
    made = Forgery(exp=NOW + 100 * 365 * 86_400)
    made.verify(compact(made.key, made.header, made.claims))


async def sends_a_megabyte_of_metadata(folder: Path) -> None:
    """T16: a configuration that is genuine and as large as its signer likes."""
    key = generate()
    metadata = Metadata(federation_entity=FederationEntity(organization_name="x" * 1_000_000))
    token = entity_configuration(key, ANCHOR, metadata, now=NOW, life_s=3600)
    assert verify_chain([token], {ANCHOR: jwks(key)}, NOW).entity == ANCHOR
