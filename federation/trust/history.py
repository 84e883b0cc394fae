"""Keys of the past (OpenID Federation 1.1, section 8.7): what verified when it was signed can still be verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.trust.jose import verify_jws
from federation.trust.keys import PublicKey, public_keys
from schemas.entity import HistoricalKey, HistoricalKeys, Jwk, Jwks
from schemas.problem import Problem

COMPROMISED: Final = "compromised"
KEYS_MAX: Final = 64


def verify_history(token: str, issuer: str, keys: Mapping[str, PublicKey], now: int) -> HistoricalKeys:
    """The document, signed by a present key of its issuer. Raises `DOCUMENT_INVALID`."""
    found = verify_jws(token, HistoricalKeys, keys, now=now, iss=issuer)
    if len(found.keys) > KEYS_MAX:
        raise Problem("DOCUMENT_INVALID", f"more than {KEYS_MAX} keys", field="keys")
    return found


def key_at(history: HistoricalKeys, kid: str, at: int) -> PublicKey:
    """The key that could sign at `at`, a Unix second. Raises `DOCUMENT_INVALID`.

    A compromised key proves nothing at any time: whoever took it can sign with an old date. One revoked for another
    reason counts until then.
    """
    row = next((key for key in history.keys if key.kid == kid), None)
    if row is None:
        raise Problem("DOCUMENT_INVALID", "no key of the signer's past has this id", field="kid")
    if row.revoked and (row.revoked.reason == COMPROMISED or row.revoked.revoked_at <= at):
        raise Problem("DOCUMENT_INVALID", f"the key was revoked ({row.revoked.reason})", field="kid")
    if not max(row.iat, row.nbf) <= at < row.exp:
        raise Problem("DOCUMENT_INVALID", "the key was not in use at that time", field="kid")
    return public_keys(Jwks((_plain(row),)))[kid]


def _plain(key: HistoricalKey) -> Jwk:
    return Jwk(kty=key.kty, crv=key.crv, x=key.x, y=key.y, kid=key.kid, alg=key.alg, use=key.use)
