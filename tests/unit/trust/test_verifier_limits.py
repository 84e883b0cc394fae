"""The one verifier under fuzzing: no exception but ours, no work beyond the caps, whatever the typ."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given
from hypothesis import strategies as st

from federation.trust import jose
from federation.trust.jose import sign_jws, unverified, verify_jws, verify_proof
from federation.trust.keys import PublicKey, b64url, b64url_decode, generate, thumbprint, thumbprint_of
from schemas.access import DpopProof
from schemas.problem import Problem
from schemas.token import TYP_OF, TYPES
from tests.support import vectors
from tests.support.seams import NOW

KEYS = {vectors.KEY.kid: vectors.KEY.key.public_key()}
GOLDEN: Mapping[str, dict[str, Any]] = json.loads(vectors.PATH.read_text())["documents"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def signed(header: str, claims: str) -> str:
    """A valid signature over any header and claims, text as they are."""
    signing_input = f"{b64url(header.encode(errors='surrogatepass'))}.{b64url(claims.encode(errors='surrogatepass'))}"
    der = vectors.KEY.key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    return f"{signing_input}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def head(typ: str, /, **changes: Any) -> str:
    named = {"jwk": vectors.KEY.bare_jwk()} if TYPES[typ].proof else {"kid": vectors.KEY.kid}
    return json.dumps({"alg": "ES256", "typ": typ, **named} | changes)


def read(typ: str, token: str, now: int = vectors.NOW) -> None:
    """Verify as the typ demands, with the parties of the golden vector."""
    kind, claims = TYPES[typ], GOLDEN[typ]["claims"]
    if kind.proof:
        verify_proof(token, kind.claims, now=now)
    else:
        verify_jws(token, kind.claims, KEYS, now=now, iss=claims["iss"], aud=claims.get("aud"))


def refused(typ: str, token: str, now: int = vectors.NOW) -> None:
    with pytest.raises(Problem) as found:
        read(typ, token, now)
    assert found.value.code == "DOCUMENT_INVALID"
    found.value.detail.encode()


@pytest.mark.parametrize("typ", sorted(TYPES))
def test_the_golden_documents_are_read_with_their_own_header(typ: str) -> None:
    read(typ, signed(head(typ), json.dumps(GOLDEN[typ]["claims"])))


def changed(typ: str, **changes: Any) -> str:
    return signed(head(typ), json.dumps(GOLDEN[typ]["claims"] | changes))


PROBES: dict[str, Callable[[str], str]] = {
    "duplicate claim": lambda t: signed(head(t), json.dumps(GOLDEN[t]["claims"])[:-1] + ',"iat":1}'),
    "duplicate header member": lambda t: signed(head(t)[:-1] + ',"alg":"ES256"}', json.dumps(GOLDEN[t]["claims"])),
    "iat as text": lambda t: changed(t, iat=str(vectors.NOW)),
    "iat true": lambda t: changed(t, iat=True),
    "iat as float": lambda t: changed(t, iat=float(vectors.NOW)),
    "iat far away": lambda t: changed(t, iat=10**4000),
    "another typ": lambda t: signed(head(t, typ="at+jwt" if t != "at+jwt" else "jwt"), json.dumps(GOLDEN[t]["claims"])),
    "typ in capitals": lambda t: signed(head(t, typ=t.upper()), json.dumps(GOLDEN[t]["claims"])),
    "typ with application": lambda t: signed(head(t, typ=f"application/{t}"), json.dumps(GOLDEN[t]["claims"])),
    "alg none": lambda t: signed(head(t, alg="none"), json.dumps(GOLDEN[t]["claims"])).rpartition(".")[0] + ".",
    "alg ES384": lambda t: signed(head(t, alg="ES384"), json.dumps(GOLDEN[t]["claims"])),
    "padding": lambda t: GOLDEN[t]["token"] + "==",
    "padding inside": lambda t: GOLDEN[t]["token"].replace(".", "=.", 1),
    "line end": lambda t: GOLDEN[t]["token"] + "\n",
    "half a character": lambda t: signed(head(t), json.dumps(GOLDEN[t]["claims"])[:-1] + ',"\\ud800":1}'),
    "half a character in bytes": lambda t: signed(head(t), json.dumps(GOLDEN[t]["claims"])[:-1] + ',"\ud800":1}'),
    "critical": lambda t: signed(head(t, crit=["exp"]), json.dumps(GOLDEN[t]["claims"])),
    "unencoded": lambda t: signed(head(t, b64=False), json.dumps(GOLDEN[t]["claims"])),
    "compressed": lambda t: signed(head(t, zip="DEF"), json.dumps(GOLDEN[t]["claims"])),
    "key by address": lambda t: signed(head(t, jku="https://evil.example"), json.dumps(GOLDEN[t]["claims"])),
    "certificate": lambda t: signed(head(t, x5c=["AAAA"]), json.dumps(GOLDEN[t]["claims"])),
    "certificate by address": lambda t: signed(head(t, x5u="https://evil.example"), json.dumps(GOLDEN[t]["claims"])),
    "kid as path": lambda t: signed(head(t, kid="../../etc/passwd"), json.dumps(GOLDEN[t]["claims"])),
    "deep": lambda t: signed(head(t), "[" * 2000 + "]" * 2000),
    "8 MB": lambda t: "A" * 8_000_000,
    "infinite": lambda t: signed(head(t), json.dumps(GOLDEN[t]["claims"] | {"iat": float("inf")})),
}


@pytest.mark.parametrize("probe", sorted(PROBES))
@pytest.mark.parametrize("typ", sorted(TYPES))
def test_no_typ_accepts_a_probe(typ: str, probe: str) -> None:
    refused(typ, PROBES[probe](typ))


@pytest.mark.parametrize("typ", sorted(typ for typ, kind in TYPES.items() if not kind.proof))
def test_no_typ_lives_without_end(typ: str) -> None:
    claims = GOLDEN[typ]["claims"]
    too_long = TYPES[typ].life_s_max + 1
    for exp in (str(claims["exp"]), 253402300799, claims["iat"] + too_long, True, None, -1):
        refused(typ, changed(typ, exp=exp))
    for now in (claims["exp"], claims["exp"] + 1, claims["iat"] - 31):
        refused(typ, GOLDEN[typ]["token"], now)
    read(typ, GOLDEN[typ]["token"], claims["iat"] - 30)
    read(typ, GOLDEN[typ]["token"], claims["exp"] - 1)


@pytest.mark.parametrize("typ", sorted(typ for typ, kind in TYPES.items() if kind.addressed))
def test_every_addressed_typ_wants_one_receiver_as_one_string(typ: str) -> None:
    aud = GOLDEN[typ]["claims"]["aud"]
    for other in ([aud], [aud, "https://evil.example"], aud + "/", aud + "/token", aud.upper(), None, {"aud": aud}):
        refused(typ, changed(typ, aud=other))


@pytest.mark.parametrize("typ", sorted(TYPES))
def test_no_document_is_read_as_another_kind(typ: str) -> None:
    for other in set(TYPES) - {typ}:
        refused(other, GOLDEN[typ]["token"])


def test_the_bytes_of_a_public_key_are_no_secret() -> None:
    """Confusing a public key with an HMAC secret: neither its raw bytes nor its PEM sign anything."""
    public = vectors.KEY.key.public_key()
    numbers = public.public_numbers()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (numbers.x.to_bytes(32, "big"), pem):
        for alg in ("HS256", "ES256"):
            signing_input = (
                f"{b64url(head('order+jwt', alg=alg).encode())}.{GOLDEN['order+jwt']['token'].split('.')[1]}"
            )
            mac = HMAC(secret, hashes.SHA256())
            mac.update(signing_input.encode())
            tag = mac.finalize()
            for signature in (tag, tag + tag):
                refused("order+jwt", f"{signing_input}.{b64url(signature)}")


def test_what_is_too_large_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size cap comes before any parsing, the header before the signature, the signature before the claims."""
    calls: list[str] = []
    for name in ("b64url_decode", "_json", "_read"):
        real = getattr(jose, name)
        monkeypatch.setattr(jose, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
    for typ, kind in TYPES.items():
        refused(typ, "A" * (kind.bytes_max + 1))
    assert calls == []
    refused("order+jwt", signed(head("order+jwt", typ="x"), "{}"))
    refused("order+jwt", sign_jws(generate(), vectors.documents()[8]))
    assert "_read" not in calls


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "mandate+jwt", "order+jwt", "entity-statement+jwt"])
@given(claims=JSON)
def test_no_signed_claims_make_it_raise_anything_else(typ: str, claims: Any) -> None:
    refused(typ, signed(head(typ), json.dumps(claims)))


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "mandate+jwt", "endpoint-grant+jwt", "rfq+jwt"])
@given(data=st.data())
def test_no_altered_member_makes_it_raise_anything_else(typ: str, data: st.DataObject) -> None:
    claims = GOLDEN[typ]["claims"]
    member = data.draw(st.sampled_from(sorted(claims)))
    token = changed(typ, **{member: data.draw(JSON)})
    try:
        read(typ, token)
    except Problem as problem:
        assert problem.code == "DOCUMENT_INVALID"  # noqa: PT017 - some values are as good as the golden one
        problem.detail.encode()


@given(header=JSON)
def test_no_header_makes_it_raise_anything_else(header: Any) -> None:
    for typ in ("order+jwt", "dpop+jwt"):
        refused(typ, signed(json.dumps(header), json.dumps(GOLDEN[typ]["claims"])))


@given(jwk=JSON | st.dictionaries(st.sampled_from(("kty", "crv", "x", "y", "kid", "alg", "use")), JSON))
def test_no_key_in_a_header_makes_it_raise_anything_else(jwk: Any) -> None:
    refused("dpop+jwt", signed(head("dpop+jwt", jwk=jwk), json.dumps(GOLDEN["dpop+jwt"]["claims"])))


@given(st.binary(max_size=300), st.sampled_from(sorted(TYPES)))
def test_no_bytes_make_it_raise_anything_else(data: bytes, typ: str) -> None:
    part = b64url(data)
    for token in (part, f"{part}.{part}.{part}", data.decode("latin-1"), f"{head(typ)}.{part}.", f"..{part}"):
        refused(typ, token)
        with pytest.raises(Problem):
            unverified(token, TYPES[typ].claims)


@pytest.mark.parametrize("typ", sorted(TYPES))
def test_no_claims_have_a_float_by_their_type(typ: str) -> None:
    """Reading in one pass refuses floats only where the type leaves the shape open."""
    assert b'"number"' not in msgspec.json.encode(msgspec.json.schema(TYPES[typ].claims))


def test_each_claims_type_has_one_typ() -> None:
    assert len(TYP_OF) == len(TYPES)
    assert [typ for typ, kind in TYPES.items() if kind.proof] == [TYP_OF[DpopProof]]


def test_thumbprints_that_are_published() -> None:
    """The RSA key of RFC 7638 section 3.1, which shows how members are hashed, and the P-256 key of RFC 9449."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    assert thumbprint_of({"n": n, "kty": "RSA", "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    x, y = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"
    assert thumbprint(x, y) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize("r", [0, 1, N - 1, N, N + 1, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, N, 2**256 - 1])
def test_no_number_at_the_edge_is_a_signature(r: int, s: int) -> None:
    signing_input = GOLDEN["order+jwt"]["token"].rpartition(".")[0]
    refused("order+jwt", f"{signing_input}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}")


@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 72, 96, 128])
def test_a_signature_of_another_length_is_none(size: int) -> None:
    signing_input, _, signature = GOLDEN["order+jwt"]["token"].rpartition(".")
    raw = (b64url_decode(signature) * 2)[:size]
    refused("order+jwt", f"{signing_input}.{b64url(raw)}")
    der = encode_dss_signature(*(int.from_bytes(half, "big") for half in (raw[:32] or b"1", raw[32:64] or b"1")))
    refused("order+jwt", f"{signing_input}.{b64url(der)}")


def test_a_key_of_another_signer_is_never_asked() -> None:
    others: dict[str, PublicKey] = {}
    typ = "confirm+jwt"
    with pytest.raises(Problem, match="kid"):
        verify_jws(GOLDEN[typ]["token"], TYPES[typ].claims, others, now=NOW, iss=GOLDEN[typ]["claims"]["iss"], aud=None)
    assert msgspec.json.decode(msgspec.json.encode(GOLDEN[typ]["claims"])) == GOLDEN[typ]["claims"]
