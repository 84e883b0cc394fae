"""DPoP (RFC 9449): the published examples hold, and a proof counts once, for one request, one token, one moment."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import example, given
from hypothesis import strategies as st

from federation.tokens.dpop import Nonces, check_proof, make_proof, normal_url, token_hash
from federation.tokens.refusal import TokenRefused
from federation.trust.keys import PrivateKey, b64url, dump_private, generate
from schemas.problem import Problem
from tests.support.seams import NOW

URL = "https://broker.example/peerway/v1/orders"
KEY, OTHER = generate(), generate()
NONCES = Nonces(b"sixteen bytes at least")

# RFC 9449, figures 2 and 12, and the thumbprint and hash that go with them (sections 6.1 and 7.1).
HEADER = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
TOKEN_REQUEST = (
    f"{HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2Vu"
    "IiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RESOURCE_REQUEST = (
    f"{HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90"
    "ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9"
    ".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
ACCESS_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
ATH = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


def test_the_examples_of_the_standard() -> None:
    first = check_proof(TOKEN_REQUEST, "POST", "https://server.example.com/token", now=1562262616)
    assert first == (JKT, "-BwC3ESc6acc2lTc", 1562262616 + 30)
    assert token_hash(ACCESS_TOKEN) == ATH
    url = "https://resource.example.org/protectedresource"
    second = check_proof(RESOURCE_REQUEST, "GET", url, now=1562262618, token=ACCESS_TOKEN)
    assert second == (JKT, "e1j3V_bKic8-LAEB", 1562262618 + 30)


def proof(key: PrivateKey = KEY, now: int = NOW, method: str = "POST", url: str = URL, token: str | None = "t") -> str:
    return make_proof(key, method, url, now=now, jti="j" * 22, token=token, nonce=NONCES.issue(now))


def check(text: str, *, now: int = NOW, token: str | None = "t", nonces: Nonces | None = None) -> str:
    return check_proof(text, "POST", URL, now=now, token=token, nonces=nonces).jkt


def test_a_proof_of_ours_names_its_key() -> None:
    assert check(proof(), nonces=NONCES) == KEY.kid
    assert check(proof(OTHER)) == OTHER.kid


@pytest.mark.parametrize("seconds", [-30, -1, 0, 1, 30])
def test_a_proof_counts_around_its_time(seconds: int) -> None:
    assert check(proof(), now=NOW + seconds) == KEY.kid


def forge(claims: object = None, *, jwk: object = None, raw: str | None = None, key: PrivateKey = KEY) -> str:
    """A proof with a valid signature over whatever header and claims are given."""
    header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk if jwk is not None else KEY.bare_jwk()}
    plain = {"jti": "j" * 22, "htm": "POST", "htu": URL, "iat": NOW, "ath": token_hash("t")}
    body = json.dumps(plain | (claims if isinstance(claims, dict) else {})) if raw is None else raw
    signing_input = f"{b64url(json.dumps(header).encode())}.{b64url(body.encode())}"
    r, s = decode_dss_signature(key.key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


REFUSED: dict[str, Callable[[], str]] = {
    "another method": lambda: proof(method="GET"),
    "method in lower case": lambda: proof(method="post"),
    "another path": lambda: proof(url=URL + "/7"),
    "another host": lambda: proof(url=URL.replace("broker", "evil")),
    "another scheme": lambda: proof(url=URL.replace("https", "http")),
    "another port": lambda: proof(url=URL.replace(".example", ".example:8443")),
    "without the token": lambda: proof(token=None),
    "for another token": lambda: proof(token="u"),
    "too old": lambda: proof(now=NOW - 31),
    "from the future": lambda: proof(now=NOW + 31),
    "signed by another key": lambda: forge(key=OTHER),
    "a private key in the header": lambda: forge(jwk=json.loads(dump_private(KEY))),
    "a key for encryption": lambda: forge(jwk=KEY.bare_jwk() | {"use": "enc"}),
    "a key of another algorithm": lambda: forge(jwk=KEY.bare_jwk() | {"alg": "ES384"}),
    "a key under another name": lambda: forge(jwk=KEY.bare_jwk() | {"kid": OTHER.kid}),
    "a key by address": lambda: forge(jwk=KEY.bare_jwk() | {"x5u": "https://evil.example"}),
    "a point that is none": lambda: forge(jwk=KEY.bare_jwk() | {"y": "A" * 43}),
    "a short coordinate": lambda: forge(jwk=KEY.bare_jwk() | {"x": "AQ"}),
    "a coordinate that is no text": lambda: forge(jwk=KEY.bare_jwk() | {"x": 7}),
    "a symmetric key": lambda: forge(jwk={"kty": "oct", "k": "AAAA"}),
    "no key": lambda: forge(jwk="me"),
    "iat as text": lambda: forge({"iat": str(NOW)}),
    "iat true": lambda: forge({"iat": True}),
    "a short jti": lambda: forge({"jti": "x"}),
    "no jti": lambda: forge(raw=json.dumps({"htm": "POST", "htu": URL, "iat": NOW})),
    "htu no URL": lambda: forge({"htu": "orders"}),
    "htu with a user": lambda: forge({"htu": URL.replace("//", "//me@")}),
    "kid instead of a key": lambda: forge().replace("x", "y"),
    "empty": lambda: "",
}


@pytest.mark.parametrize("attack", sorted(REFUSED))
def test_what_is_no_proof_of_this_request(attack: str) -> None:
    with pytest.raises(TokenRefused) as found:
        check(REFUSED[attack]())
    assert found.value.error == "invalid_dpop_proof"


def test_members_that_others_add_are_passed_over() -> None:
    assert check(forge({"exp": NOW + 60, "nbf": NOW, "extra": ["x"]})) == KEY.kid


def test_a_nonce_counts_in_its_minute_and_the_next() -> None:
    made = NOW // 60 * 60
    nonce = NONCES.issue(made)
    assert NONCES.fresh(nonce, made)
    assert NONCES.fresh(nonce, made + 119)
    assert not NONCES.fresh(nonce, made + 120)
    assert not NONCES.fresh(nonce, made - 61)
    for other in (None, "", "ä" * 32, nonce[:-1] + "A", Nonces(b"another secret of ours").issue(made)):
        assert not NONCES.fresh(other, made)


def test_a_proof_without_a_fresh_nonce_is_asked_for_one() -> None:
    plain = make_proof(KEY, "POST", URL, now=NOW, jti="j" * 22, token="t")
    stale = make_proof(KEY, "POST", URL, now=NOW, jti="j" * 22, token="t", nonce=NONCES.issue(NOW - 200))
    for one in (plain, stale):
        with pytest.raises(TokenRefused) as found:
            check(one, nonces=NONCES)
        assert found.value.error == "use_dpop_nonce"


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTPS://Broker.Example:443/a", "https://broker.example/a"),
        ("http://broker.example:80", "http://broker.example/"),
        ("https://broker.example/a/./b/../c?x=1#y", "https://broker.example/a/c"),
        ("https://broker.example/%7euser/%2f%c3", "https://broker.example/~user/%2F%C3"),
        ("https://broker.example/../..", "https://broker.example/"),
        ("https://[::1]:8443/a", "https://[::1]:8443/a"),
        ("https://broker.example:0443/a", "https://broker.example/a"),
        ("https://broker.example//a", "https://broker.example//a"),
    ],
)
def test_urls_are_compared_in_one_form(url: str, same: str) -> None:
    assert normal_url(url) == same
    assert normal_url(same) == same


@pytest.mark.parametrize(
    "url",
    ["", "/a", "broker.example/a", "ftp://broker.example/", "https://", "https:///a", "https://a:b@broker.example/",
     "https://broker.example:99999/", "https://broker.example:x/", "https://[::1/", "https://bröker.example/",
     "https://broker.example/\n", "https://broker.example\\@evil.example/", "https://b.example/" + "a" * 2048],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Problem):
        normal_url(url)


@given(st.text(max_size=80) | st.text("/.%aAbB2fF7eE:@[]?#", max_size=40).map("https://h".__add__))
@example("https://[v1.x]/")
def test_the_form_of_a_url_is_stable_or_refused(url: str) -> None:
    try:
        once = normal_url(url)
    except Problem:
        return
    assert normal_url(once) == once
