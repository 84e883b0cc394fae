"""The committed golden vectors: formats do not drift, and every typ has one."""

from __future__ import annotations

import json

import msgspec
import pytest

from federation.trust.jose import doc_hash, verify_jws, verify_proof
from schemas.token import TYPES
from tests.support import vectors

COMMITTED = json.loads(vectors.PATH.read_text())


def test_the_committed_vectors_are_what_the_code_makes() -> None:
    assert json.loads(msgspec.json.encode(vectors.vectors())) == COMMITTED


@pytest.mark.parametrize("typ", sorted(TYPES))
def test_every_typ_has_a_vector_that_verifies(typ: str) -> None:
    golden, kind = COMMITTED["documents"][typ], TYPES[typ]
    keys = {vectors.KEY.kid: vectors.KEY.key.public_key()}
    if kind.proof:
        assert verify_proof(golden["token"], kind.claims, now=COMMITTED["now"])[1] == vectors.KEY.kid
    else:
        iss, aud = golden["claims"]["iss"], golden["claims"].get("aud")
        verify_jws(golden["token"], kind.claims, keys, now=COMMITTED["now"], iss=iss, aud=aud)
    assert doc_hash(golden["token"]) == golden["hash"]


def test_members_that_later_features_fill_exist_and_are_null() -> None:
    claims = {typ: golden["claims"] for typ, golden in COMMITTED["documents"].items()}
    assert claims["rfq+jwt"]["mandate_h"] is None
    assert claims["rfq+jwt"]["grant_h"] is None
    assert claims["quote+jwt"]["tm_h"] is None
    assert {claims["order+jwt"][m] for m in ("mandate_h", "decision_h", "grant_h")} == {None}
    assert {claims["path-quote+jwt"][m] for m in ("mandate_h", "decision_h")} == {None}
