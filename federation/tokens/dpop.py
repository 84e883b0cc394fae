"""Proof of possession for agents (RFC 9449): this very request is made now by whoever has that key (pure)."""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from federation.tokens.refusal import TokenRefused
from federation.trust.jose import sha256_b64, sign_jws, verify_proof
from federation.trust.keys import PrivateKey, b64url
from schemas.access import PROOF_AGE_S, DpopProof
from schemas.problem import Problem
from schemas.segment import Hash

PORTS: Final = {"https": 443, "http": 80}
URL_CHARS_MAX: Final = 2048
NONCE_STEP_S: Final = 60
NONCE_BYTES: Final = 24
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9\-._~]")


class Proven(NamedTuple):
    """A verified proof: the thumbprint of the key, the proof's id, and until when it would count again."""

    jkt: Hash
    jti: str
    until: int


class Nonces:
    """Nonces of a server that keeps none: a time step and a MAC over it. One counts in its step and in the next."""

    def __init__(self, secret: bytes, step_s: int = NONCE_STEP_S) -> None:
        assert len(secret) >= 16, "nonces under a short secret could be guessed"
        self._secret, self._step_s = secret, step_s
        self._of_step = lru_cache(maxsize=4)(self._made)

    def issue(self, now: int) -> str:
        """The nonce of this moment."""
        return self._of_step(now // self._step_s)

    def _made(self, number: int) -> str:
        step = number.to_bytes(8, "big")
        mac = hmac.new(self._secret, step, hashlib.sha256).digest()
        return b64url(step + mac[: NONCE_BYTES - len(step)])

    def fresh(self, nonce: str | None, now: int) -> bool:
        """Whether this is a nonce of ours that still counts."""
        given = (nonce or "").encode(errors="surrogateescape")
        return any(hmac.compare_digest(self.issue(at).encode(), given) for at in (now, now - self._step_s))


def make_proof(
    key: PrivateKey, method: str, url: str, *, now: int, jti: str, token: str | None = None, nonce: str | None = None
) -> str:
    """A proof for one request; `token` is the access token that goes with it."""
    ath = None if token is None else token_hash(token)
    htu = url.partition("#")[0].partition("?")[0]
    return sign_jws(key, DpopProof(jti=jti, htm=method, htu=htu, iat=now, ath=ath, nonce=nonce))


def check_proof(
    proof: str, method: str, url: str, *, now: int, token: str | None = None, nonces: Nonces | None = None
) -> Proven:
    """A proof of this request (section 4.3), for `token` where there is one, with a fresh nonce where `nonces` asks for
    one. Whether it was seen before is for the caller to ask. Raises `TokenRefused`."""
    try:
        claims, jkt = verify_proof(proof, DpopProof, now=now)
        same = claims.htm == method and normal_url(claims.htu) == normal_url(url)
    except Problem as problem:
        raise TokenRefused("invalid_dpop_proof", problem.detail) from problem
    if not same:
        raise TokenRefused("invalid_dpop_proof", "the proof is for another request")
    if claims.ath != (None if token is None else token_hash(token)):
        raise TokenRefused("invalid_dpop_proof", "the proof is for another access token")
    if nonces is not None and not nonces.fresh(claims.nonce, now):
        raise TokenRefused("use_dpop_nonce", "a nonce of this server is missing or too old")
    return Proven(jkt, claims.jti, claims.iat + PROOF_AGE_S)


def token_hash(token: str) -> Hash:
    """`ath`: base64url SHA-256 of an access token."""
    return sha256_b64(token.encode(errors="surrogateescape"))


@lru_cache(maxsize=1024)
def normal_url(url: str) -> str:
    """A URL as it is compared: lower-case scheme and host, no default port, no query, no fragment, dots and escapes
    resolved (RFC 3986 section 6.2). Raises `DOCUMENT_INVALID` for what is no absolute http or https URL."""
    try:
        if len(url) > URL_CHARS_MAX or not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
            raise ValueError("characters")
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.username is not None:
            raise ValueError("parts")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port in {None, PORTS[parts.scheme]} else f":{parts.port}"
    except ValueError as error:
        raise Problem("DOCUMENT_INVALID", "htu is no absolute http or https URL") from error
    return f"{parts.scheme}://{host}{port}{_path(parts.path)}"


def _path(path: str) -> str:
    """Without dot segments, with escapes in upper case, and none for a character that needs none."""
    kept: list[str] = []
    segments = _ESCAPE.sub(_escape, path or "/").split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _escape(found: re.Match[str]) -> str:
    plain = unquote(found[0], errors="replace")
    return plain if _UNRESERVED.fullmatch(plain) else found[0].upper()
