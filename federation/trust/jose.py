"""The one place where documents are signed and verified: compact JWS, ES256 only (RFC 7515, RFC 7518 section 3.4).

A document's hash is SHA-256 over its signing input, never over the signature: ECDSA signatures are malleable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.utils import der_to_raw_signature, raw_to_der_signature

from federation.trust.keys import PrivateKey, PublicKey, b64url, b64url_decode, proof_key
from schemas.problem import Problem
from schemas.token import SKEW_S, TYP_OF, TYPES, Kind

T = TypeVar("T", bound=msgspec.Struct)
HEADER_MEMBERS: Final = {"alg", "typ", "kid"}
PROOF_MEMBERS: Final = {"alg", "typ", "jwk"}
JTI_LENGTH_MIN, JTI_LENGTH_MAX = 16, 64
KID_LENGTH_MAX: Final = 64
HEADER_KEPT_MAX: Final = 512  # characters of a header that is remembered, parsed
TOKEN_KEPT_MAX: Final = 4096  # characters of a document that is remembered, taken apart
_ES256: Final = ec.ECDSA(hashes.SHA256())
_DETERMINISTIC: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def sign_jws(key: PrivateKey, claims: msgspec.Struct) -> str:
    """Sign a document; its `typ` follows from the type of its claims. The signature is deterministic (RFC 6979)."""
    typ = TYP_OF[type(claims)]
    header = _written(typ, jwk=key.bare_jwk()) if TYPES[typ].proof else _naming(key.kid, typ)
    signing_input = f"{header}.{b64url(msgspec.json.encode(claims))}"
    der = key.key.sign(signing_input.encode(), _DETERMINISTIC)
    return f"{signing_input}.{b64url(der_to_raw_signature(der, key.key.curve))}"


@lru_cache(maxsize=256)
def _naming(kid: str, typ: str) -> str:
    """Remembered by what stands in it, never by the signer, whose key changes when its file is replaced."""
    return _written(typ, kid=kid)


def _written(typ: str, **named: Any) -> str:
    return b64url(msgspec.json.encode({"alg": "ES256", "typ": typ, **named}))


@lru_cache(maxsize=1024)
def doc_hash(token: str) -> str:
    """Hash of a document: base64url SHA-256 of its signing input, 43 characters."""
    return sha256_b64(token.rpartition(".")[0].encode())


def sha256_b64(data: bytes) -> str:
    """Base64url SHA-256, 43 characters."""
    return b64url(hashlib.sha256(data).digest())


def verify_jws(
    token: str,
    claims: type[T],
    keys: Mapping[str, PublicKey],
    *,
    now: int,
    iss: str | None = None,
    aud: str | None = None,
) -> T:
    """The claims of `token`, once all of this holds; `DOCUMENT_INVALID` otherwise.

    (1) size under the cap of its typ, ASCII, three parts of strict base64url
    (2) header of alg, typ, kid alone, no member twice; typ exact; kid among `keys`, whose key fixes the algorithm
    (3) the signature
    (4) claims of the declared shape, no member twice; iss and aud exact; jti well formed
    (5) times: integers, not from the future, not expired, not longer than its typ may live
    """
    typ = TYP_OF[claims]
    kind = TYPES[typ]
    assert not kind.proof, f"{typ} brings its own key"
    document = _split(token, kind)
    _check_header(document.header, typ, keys)
    if not document.is_signed_by(keys[document.header["kid"]]):
        _refuse("the signature does not verify")
    trusted = document.read(claims)
    _check_parties(trusted, kind, iss, aud)
    _check_times(trusted, kind, now)
    return trusted


def verify_proof(token: str, claims: type[T], *, now: int) -> tuple[T, str]:
    """The claims of a proof of possession, and the thumbprint of the key in its own header (RFC 9449 section 4.3).

    As `verify_jws`, but for the kinds that bring their key and say when they were made instead of when they expire. It
    shows only that somebody has that key: whose it is, the token bound to it says. Raises `DOCUMENT_INVALID`.
    """
    typ = TYP_OF[claims]
    kind = TYPES[typ]
    assert kind.proof, f"{typ} names its key and does not bring it"
    document = _split(token, kind)
    _check_form(document.header, typ, PROOF_MEMBERS)
    kid, key = proof_key(document.header["jwk"])
    if not document.is_signed_by(key):
        _refuse("the signature does not verify")
    trusted = document.read(claims)
    _check_parties(trusted, kind, None, None)
    made: Any = trusted
    if abs(made.iat - now) > kind.life_s_max:
        _refuse(f"iat is more than {kind.life_s_max} s away")
    return trusted, kid


def unverified(token: str, claims: type[T]) -> T:
    """The claims of a document before it can be verified, to look up whose keys to use. Never to be acted on."""
    return _split(token, TYPES[TYP_OF[claims]]).read(claims)


def claimed_typ(token: str) -> str:
    """The `typ` that a document claims in its header, to look up how it is to be read. Raises `DOCUMENT_INVALID`."""
    part = token.partition(".")[0]
    try:
        header = _header(part) if len(part) <= HEADER_KEPT_MAX and part.isascii() else None
    except (ValueError, RecursionError):
        header = None
    typ = header.get("typ") if isinstance(header, dict) else None
    if not isinstance(typ, str):
        _refuse("no compact JWS with a typ")
    return typ


def claimed_kid(token: str) -> str | None:
    """Which key a document says that it was signed with, before it can be verified; None where it does not say."""
    part = token.partition(".")[0]
    if not 0 < len(part) <= HEADER_KEPT_MAX or not part.isascii():
        return None
    try:
        header = _header(part)
    except (ValueError, RecursionError):
        return None
    kid = header.get("kid") if isinstance(header, dict) else None
    return kid if isinstance(kid, str) and len(kid) <= KID_LENGTH_MAX else None


class _Document:
    """A document taken apart, and what was found of it so far: it is read once, and what a key signed is computed once.

    Raises `ValueError` for what is no compact JWS."""

    __slots__ = ("_claims", "_signature", "_signer", "header", "payload", "signing_input")

    def __init__(self, token: str) -> None:
        header, payload, signature = token.split(".")
        self.header = _header(header) if len(header) <= HEADER_KEPT_MAX else _json(b64url_decode(header))
        self.payload, self._signature = b64url_decode(payload), b64url_decode(signature)
        self.signing_input = token.rpartition(".")[0].encode()
        self._signer: PublicKey | None = None
        self._claims: Any = None

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether this very key made the signature."""
        if self._signer is key:
            return True
        if not _verifies(key, self._signature, self.signing_input):
            return False
        self._signer = key
        return True

    def read(self, claims: type[T]) -> T:
        """The claims, which are frozen. Raises `DOCUMENT_INVALID`."""
        if type(found := self._claims) is not claims:
            found = self._claims = _read(self.payload, claims)
        return found


def _verifies(key: PublicKey, signature: bytes, signing_input: bytes) -> bool:
    """ES256, whose signatures are two numbers of 32 bytes (RFC 7518 section 3.4)."""
    try:
        key.verify(raw_to_der_signature(signature, key.curve), signing_input, _ES256)
    except (ValueError, InvalidSignature):
        return False
    return True


def _split(token: str, kind: Kind) -> _Document:
    """A document is read several times on its way, and a token comes again with every request; a proof comes once."""
    if len(token) > kind.bytes_max:
        _refuse(f"larger than {kind.bytes_max} bytes")
    if not token.isascii():
        _refuse("no compact JWS")
    try:
        return _Document(token) if kind.proof or len(token) > TOKEN_KEPT_MAX else _document(token)
    except (ValueError, RecursionError):
        _refuse("no compact JWS")


@lru_cache(maxsize=1024)
def _document(token: str) -> _Document:
    return _Document(token)


@lru_cache(maxsize=1024)
def _header(part: str) -> Any:
    """A header as it was written. A signer writes the same one every time, and nobody changes what is returned."""
    return _json(b64url_decode(part))


def _check_header(header: Any, typ: str, keys: Mapping[str, PublicKey]) -> None:
    _check_form(header, typ, HEADER_MEMBERS)
    kid = header["kid"]
    if not isinstance(kid, str) or len(kid) > KID_LENGTH_MAX or kid not in keys:
        _refuse("kid names no key of the signer")


def _check_form(header: Any, typ: str, members: set[str]) -> None:
    if not isinstance(header, dict) or header.keys() != members:
        _refuse(f"the header must hold {', '.join(sorted(members))}, and nothing else")
    if header["typ"] != typ:
        _refuse(f"typ must be {typ}")
    if header["alg"] != "ES256":
        _refuse("alg must be ES256")


def _read(payload: bytes, claims: type[T]) -> T:
    """What comes out as the very same bytes when it is written again holds no member twice, and nothing that we do not
    write; whatever is spelled otherwise is read in the strict way, which is slower."""
    try:
        found: T = _decoder(claims).decode(payload)
        if msgspec.json.encode(found) == payload:
            return found
    except (ValueError, RecursionError):
        pass  # the strict way says what is wrong
    return _read_strictly(payload, claims)


def _read_strictly(payload: bytes, claims: type[T]) -> T:
    try:
        return msgspec.convert(_json(payload), claims)
    except (ValueError, RecursionError) as error:
        _refuse(f"the claims are not well formed: {error}")


@lru_cache(maxsize=64)
def _decoder(claims: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(claims, float_hook=_no_constant)


def _check_parties(trusted: Any, kind: Kind, iss: str | None, aud: str | None) -> None:
    if iss is not None and trusted.iss != iss:
        _refuse("iss is not the expected signer")
    if kind.addressed and (aud is None or trusted.aud != aud):
        _refuse("aud is not this receiver")
    jti = getattr(trusted, "jti", None)
    if jti is not None and not (JTI_LENGTH_MIN <= len(jti) <= JTI_LENGTH_MAX and _is_b64url_text(jti)):
        _refuse("jti must be 16 to 64 base64url characters")
    if getattr(trusted, "v", 1) != 1:
        _refuse("v must be 1, the only version spoken here")


def _check_times(trusted: Any, kind: Kind, now: int) -> None:
    if trusted.iat > now + SKEW_S:
        _refuse("iat lies in the future")
    if trusted.exp <= now:
        _refuse("expired")
    if not 0 < trusted.exp - trusted.iat <= kind.life_s_max:
        _refuse(f"lives longer than {kind.life_s_max} s")


def _is_b64url_text(text: str) -> bool:
    return text.isascii() and text.replace("-", "").replace("_", "").isalnum()


def _json(data: bytes) -> Any:
    text = data.decode()  # json.loads would also guess UTF-16, and let halves of characters pass
    found = _JSON.decode(text)
    if "\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()  # an escape may spell half a character
    return found


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text}: signed data hold integers only")


_JSON: Final = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_no_constant)


def _refuse(why: str) -> NoReturn:
    raise Problem("DOCUMENT_INVALID", why)
