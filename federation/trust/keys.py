"""P-256 keys as JWK; the key id is the RFC 7638 thumbprint."""

from __future__ import annotations

import binascii
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.entity import Jwk, Jwks
from schemas.problem import Problem, invalid

PublicKey = ec.EllipticCurvePublicKey
COORDINATE_BYTES = 32
COORDINATE_CHARS = 43
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
PROOF_KEY_MEMBERS = frozenset({"kty", "crv", "x", "y", "kid", "alg", "use"})


class PrivateKey:
    """A signing key. `kid` names it; `jwk()` is what others may know of it."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self.key = key
        numbers = key.public_key().public_numbers()
        self._x, self._y = _coordinate(numbers.x), _coordinate(numbers.y)
        self.kid = thumbprint(self._x, self._y)

    def jwk(self) -> Jwk:
        """The public half."""
        return Jwk(kty="EC", crv="P-256", x=self._x, y=self._y, kid=self.kid)

    def verifiers(self) -> Mapping[str, PublicKey]:
        """What verifies its signatures, by kid."""
        return {self.kid: self.key.public_key()}

    def bare_jwk(self) -> dict[str, str]:
        """The public half with its required members alone, as it stands in the header of a proof."""
        return {"kty": "EC", "crv": "P-256", "x": self._x, "y": self._y}


def generate() -> PrivateKey:
    """A fresh key from the operating system's randomness."""
    return PrivateKey(ec.generate_private_key(ec.SECP256R1()))


def dump_private(key: PrivateKey) -> bytes:
    """The key as a private JWK, for a file that only its owner may read."""
    secret = _coordinate(key.key.private_numbers().private_value)
    return msgspec.json.encode(msgspec.to_builtins(key.jwk()) | {"d": secret})


def load_private(data: bytes, name: str) -> PrivateKey:
    """Read a private JWK; `name` is what errors call it. Raises `Problem`."""
    try:
        jwk: dict[str, Any] = json.loads(data)
        secret = int.from_bytes(b64url_decode(jwk["d"]), "big")
        return PrivateKey(ec.derive_private_key(secret, ec.SECP256R1()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise invalid(name, "no private key; expected a JWK with kty EC, crv P-256 and a member d") from error


def public_keys(jwks: Jwks) -> dict[str, PublicKey]:
    """Verification keys by kid. Raises `DOCUMENT_INVALID` for any key that is not plain P-256 for signatures."""
    return {jwk.kid: _public_key(jwk) for jwk in jwks.keys}


def proof_key(found: Any) -> tuple[str, PublicKey]:
    """Thumbprint and key of the `jwk` in the header of a proof. Raises `DOCUMENT_INVALID` for any that is not plain
    P-256 for signatures, and for one that shows its secret."""
    if not isinstance(found, dict) or not found.keys() <= PROOF_KEY_MEMBERS:
        raise Problem("DOCUMENT_INVALID", "jwk must be a public P-256 key and nothing else")
    x, y = found.get("x"), found.get("y")
    if not (isinstance(x, str) and isinstance(y, str) and x.isascii() and y.isascii()):
        raise Problem("DOCUMENT_INVALID", "jwk must be a public P-256 key")
    try:
        jwk = msgspec.convert({"kid": _point(x, y)[0]} | found, Jwk)
    except ValueError as error:
        raise Problem("DOCUMENT_INVALID", "jwk must be a public P-256 key") from error
    return jwk.kid, _public_key(jwk)


def _public_key(jwk: Jwk) -> PublicKey:
    if (jwk.kty, jwk.crv, jwk.alg, jwk.use) != ("EC", "P-256", "ES256", "sig"):
        raise Problem("DOCUMENT_INVALID", f"key {jwk.kid} is no P-256 signature key")
    try:
        kid, key = _point(jwk.x, jwk.y)
    except ValueError as error:
        raise Problem("DOCUMENT_INVALID", f"key {jwk.kid} is no point on P-256") from error
    if jwk.kid != kid:
        raise Problem("DOCUMENT_INVALID", f"key {jwk.kid} is not named by its RFC 7638 thumbprint")
    return key


@lru_cache(maxsize=1024)
def _point(x: str, y: str) -> tuple[str, PublicKey]:
    """Thumbprint and key, which an agent shows with every request. Raises `ValueError`."""
    if len(x) != COORDINATE_CHARS or len(y) != COORDINATE_CHARS:
        raise ValueError("a coordinate has 32 bytes: a shorter spelling would give one key two names")
    numbers = [int.from_bytes(b64url_decode(coordinate), "big") for coordinate in (x, y)]
    key = ec.EllipticCurvePublicNumbers(numbers[0], numbers[1], ec.SECP256R1()).public_key()
    return thumbprint(x, y), key


def thumbprint(x: str, y: str) -> str:
    """RFC 7638 thumbprint of a P-256 key."""
    return thumbprint_of({"kty": "EC", "crv": "P-256", "x": x, "y": y})


def thumbprint_of(required: Mapping[str, str]) -> str:
    """RFC 7638 thumbprint: SHA-256 over the required members of a key, sorted, as JSON without spaces."""
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return b64url(hashlib.sha256(canonical.encode()).digest())


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode()


def b64url_decode(text: str) -> bytes:
    """Strict inverse of `b64url`: no padding, no other alphabet, no stray bits. Raises `ValueError`."""
    try:
        data = binascii.a2b_base64(text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("no base64url") from error
    if b64url(data) != text:  # so that one value has one spelling, and nothing was passed over
        raise ValueError("no canonical base64url")
    return data


def _coordinate(number: int) -> str:
    return b64url(number.to_bytes(COORDINATE_BYTES, "big"))
