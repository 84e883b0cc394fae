"""The one verifier against hostile tokens: each is refused with `DOCUMENT_INVALID`, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from federation.trust import jose
from federation.trust.jose import doc_hash, sign_jws, unverified, verify_jws
from federation.trust.keys import b64url, b64url_decode, generate, load_private, public_keys, thumbprint
from schemas.entity import EntityStatement, Jwk, Jwks
from schemas.order import Confirm, Receipt
from schemas.problem import Problem
from tests.support.seams import NOW

KEY, OTHER = generate(), generate()
KEYS = {KEY.kid: KEY.key.public_key()}
BROKER, OPERATOR = "https://broker.example", "https://surf.example"
HASH = "a" * 43
CONFIRM = Confirm(
    iss=BROKER,
    sub="buyer",
    aud=OPERATOR,
    iat=NOW,
    exp=NOW + 60,
    jti="j" * 22,
    order_h=HASH,
    prev_h=HASH,
    path_root=HASH,
    product="p-1",
)


def verify(token: str, now: int = NOW, aud: str = OPERATOR) -> Confirm:
    return verify_jws(token, Confirm, KEYS, now=now, iss=BROKER, aud=aud)


def forge(header: Any = None, claims: Any = None, *, raw_header: str | None = None, raw: str | None = None) -> str:
    """A token with a valid signature of KEY over whatever header and claims are given."""
    head = raw_header or json.dumps({"alg": "ES256", "typ": "confirm+jwt", "kid": KEY.kid} | (header or {}))
    body = raw or json.dumps(msgspec.to_builtins(CONFIRM) | (claims or {}))
    signing_input = f"{b64url(head.encode())}.{b64url(body.encode())}"
    r, s = decode_dss_signature(KEY.key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def without(member: str) -> str:
    claims = msgspec.to_builtins(CONFIRM)
    return json.dumps({k: v for k, v in claims.items() if k != member})


def twice(member: str, value: str) -> str:
    return json.dumps(msgspec.to_builtins(CONFIRM))[:-1] + f', "{member}": "{value}"}}'


def test_what_was_signed_verifies_and_signing_is_deterministic() -> None:
    token = sign_jws(KEY, CONFIRM)
    assert verify(token) == CONFIRM
    assert token == sign_jws(KEY, CONFIRM)
    assert verify(forge()) == CONFIRM


HOSTILE: dict[str, Callable[[], str]] = {
    "alg none": lambda: forge({"alg": "none"}),
    "alg none, no signature": lambda: forge({"alg": "none"}).rpartition(".")[0] + ".",
    "alg HS256": lambda: forge({"alg": "HS256"}),
    "key in the header": lambda: forge({"jwk": msgspec.to_builtins(KEY.jwk())}),
    "key by address": lambda: forge({"jku": "https://evil.example/keys"}),
    "certificate by address": lambda: forge({"x5u": "https://evil.example/cert"}),
    "critical extension": lambda: forge({"crit": ["exp"]}),
    "unencoded payload": lambda: forge({"b64": False}),
    "another typ": lambda: forge({"typ": "order+jwt"}),
    "typ JWT": lambda: forge({"typ": "JWT"}),
    "unknown kid": lambda: forge({"kid": OTHER.kid}),
    "kid no string": lambda: forge({"kid": 7}),
    "signed by another key": lambda: sign_jws(OTHER, CONFIRM),
    "duplicate header member": lambda: forge(
        raw_header=f'{{"alg":"none","alg":"ES256","typ":"confirm+jwt","kid":"{KEY.kid}"}}'
    ),
    "header no object": lambda: forge(raw_header='["ES256"]'),
    "duplicate claim": lambda: forge(raw=twice("sub", "admin")),
    "claim missing": lambda: forge(raw=without("order_h")),
    "no exp": lambda: forge(raw=without("exp")),
    "claim undeclared": lambda: forge(claims={"admin": True}),
    "exp as text": lambda: forge(claims={"exp": str(NOW + 60)}),
    "exp as bool": lambda: forge(claims={"exp": True}),
    "exp as float": lambda: forge(claims={"exp": NOW + 60.5}),
    "exp NaN": lambda: forge(raw=json.dumps(msgspec.to_builtins(CONFIRM) | {"exp": float("nan")})),
    "life over the cap": lambda: forge(claims={"exp": NOW + 61}),
    "expired": lambda: forge(claims={"iat": NOW - 60, "exp": NOW}),
    "from the future": lambda: forge(claims={"iat": NOW + 31, "exp": NOW + 60}),
    "exp before iat": lambda: forge(claims={"iat": NOW + 20, "exp": NOW + 10}),
    "other issuer": lambda: forge(claims={"iss": "https://evil.example"}),
    "other audience": lambda: forge(claims={"aud": "https://evil.example"}),
    "list of audiences": lambda: forge(claims={"aud": [OPERATOR]}),
    "short jti": lambda: forge(claims={"jti": "x"}),
    "jti of another alphabet": lambda: forge(claims={"jti": "x" * 20 + "/+"}),
    "other version": lambda: forge(claims={"v": 2}),
    "padding": lambda: forge() + "==",
    "four parts": lambda: forge() + ".x",
    "two parts": lambda: forge().rpartition(".")[0],
    "not ASCII": lambda: forge().replace(".", "·"),
    "empty": lambda: "",
    "deep nesting": lambda: forge(raw="[" * 6000 + "]" * 6000),
    "too large": lambda: forge(claims={"product": "x" * 20_000}),
    "claims no object": lambda: forge(raw="[]"),
    "lone surrogate": lambda: forge(raw=json.dumps(msgspec.to_builtins(CONFIRM) | {"product": "\ud800"})),
}


@pytest.mark.parametrize("attack", sorted(HOSTILE))
def test_hostile_tokens_are_refused(attack: str) -> None:
    with pytest.raises(Problem) as caught:
        verify(HOSTILE[attack]())
    assert caught.value.code == "DOCUMENT_INVALID"


@pytest.mark.parametrize("part", [b"[" * 8_000, b'{"alg":' * 1_500, '{"alg":"ES256"}'.encode("utf-16")])
def test_nothing_deep_or_of_another_encoding_is_read(part: bytes) -> None:
    for token in (f"{b64url(part)}.e30.AAAA", f"e30.{b64url(part)}.AAAA"):
        with pytest.raises(Problem, match=r"no compact JWS|not well formed"):
            unverified(token, Receipt)


def test_half_a_character_is_refused_because_no_answer_could_repeat_it() -> None:
    half = rb'{"sub":"\ud800"}'
    with pytest.raises(Problem) as caught:
        unverified(f"e30.{b64url(half)}.AAAA", Receipt)
    assert caught.value.code == "DOCUMENT_INVALID"
    caught.value.detail.encode()


STATEMENT = EntityStatement(
    iss=BROKER, sub=BROKER, iat=NOW, exp=NOW + 60, jwks=Jwks((KEY.jwk(),)), metadata={"a": {"b": [1, None, "ü\n"]}}
)
WRITTEN = [msgspec.json.encode(CONFIRM), msgspec.json.encode(STATEMENT)]
PIECES = [
    b'"v":1,',
    b',"sub":"x"',
    b'"b":2,',
    b'{"b":1,"b":1}',
    b"1.5",
    b"1e3",
    b"-0",
    b" ",
    b"\\ud800",
    b"\xff",
    b"NaN",
]


@given(st.sampled_from([0, 1]), st.data())
def test_reading_fast_is_as_strict_as_reading_slowly(which: int, data: st.DataObject) -> None:
    kind, payload = (type(CONFIRM), type(STATEMENT))[which], WRITTEN[which]
    begin = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(begin, min(len(payload), begin + data.draw(st.sampled_from([0, 1, 40])))))
    piece = data.draw(st.sampled_from([b"", *PIECES, payload[begin:end] * 2]))
    changed = payload[:begin] + piece + payload[end:]
    assert _outcome(jose._read, changed, kind) == _outcome(jose._read_strictly, changed, kind)


def _outcome(read: Callable[[bytes, type[Any]], Any], payload: bytes, kind: type[Any]) -> object:
    try:
        return read(payload, kind)
    except Problem as problem:
        return problem.detail


def test_another_key_of_the_same_name_verifies_nothing_that_the_first_one_did() -> None:
    token = sign_jws(KEY, CONFIRM)
    assert verify(token) == CONFIRM
    with pytest.raises(Problem, match="signature"):
        verify_jws(token, Confirm, {KEY.kid: OTHER.key.public_key()}, now=NOW, iss=BROKER, aud=OPERATOR)


def test_a_document_that_was_read_as_one_kind_is_read_anew_as_another() -> None:
    token = sign_jws(KEY, CONFIRM)
    assert unverified(token, Confirm) == CONFIRM
    with pytest.raises(Problem, match="not well formed"):
        unverified(token, Receipt)


def test_a_token_for_another_receiver_and_one_without_a_receiver_are_refused() -> None:
    with pytest.raises(Problem, match="aud"):
        verify(sign_jws(KEY, CONFIRM), aud="https://dfn.example")
    with pytest.raises(Problem, match="aud"):
        verify_jws(sign_jws(KEY, CONFIRM), Confirm, KEYS, now=NOW)


def test_the_hash_does_not_change_with_a_second_valid_signature() -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    head, body, signature = sign_jws(KEY, CONFIRM).split(".")
    raw = b64url_decode(signature)
    mirrored = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    other = f"{head}.{body}.{b64url(mirrored)}"
    assert verify(other) == CONFIRM
    assert doc_hash(other) == doc_hash(f"{head}.{body}.{signature}")


@given(st.integers(0, 600), st.integers(1, 255))
def test_no_altered_byte_survives(position: int, flip: int) -> None:
    token = sign_jws(KEY, CONFIRM)
    position %= len(token)
    altered = token[:position] + chr(ord(token[position]) ^ flip) + token[position + 1 :]
    with pytest.raises(Problem):
        verify(altered)


@given(st.text(max_size=200))
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    with pytest.raises(Problem):
        verify(text)


def test_thumbprint_of_a_known_key() -> None:
    # The P-256 key of RFC 7517 appendix A.1.
    x, y = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
    assert thumbprint(x, y) == "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"


@pytest.mark.parametrize(
    "change", [{"use": "enc"}, {"alg": "ES384"}, {"crv": "P-384"}, {"kid": "mine"}, {"x": "AAAA"}, {"kty": "RSA"}]
)
def test_keys_that_are_not_plain_p256_signature_keys_are_refused(change: dict[str, str]) -> None:
    jwk = msgspec.convert(msgspec.to_builtins(KEY.jwk()) | change, Jwk)
    with pytest.raises(Problem):
        public_keys(Jwks((jwk,)))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"d":7}', b'{"d":"AA"}'])
def test_a_broken_key_file_is_named(data: bytes) -> None:
    with pytest.raises(Problem, match=r"^keys/protocol.jwk: no private key"):
        load_private(data, "keys/protocol.jwk")
