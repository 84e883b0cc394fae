"""What the token endpoints of brokers and operators have in common: a strict form in, an RFC 6749 answer out (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from federation.tokens.refusal import TokenRefused
from schemas.access import Confirmation
from schemas.authority import Authority
from schemas.segment import EntityId

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DETAILS_CHARS_MAX: Final = 16 * 1024
STATUS: Final[Mapping[str, int]] = {"invalid_client": 401}


class Connection(NamedTuple):
    """What the listener knows of a caller: the DPoP header with the URL that was called, and after a TLS handshake the
    entity that the certificate was checked against, with the certificate's SHA-256 thumbprint (`x5t#S256`)."""

    proof: str | None = None
    entity: EntityId | None = None
    x5t: str | None = None
    url: str | None = None


class TokenAnswer(NamedTuple):
    """A response. Its body is JSON; `reason` is for the local record and never leaves this node."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = {}
    reason: str | None = None


class TokenEndpoint(Protocol):
    """What `http.mount` serves."""

    async def answer(self, form: Mapping[str, str], connection: Connection, now: int) -> TokenAnswer:
        """The answer to a form; never raises for what a caller sent."""
        ...


def single_valued(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """A form in which nothing stands twice (RFC 6749 section 3.2). Raises `TokenRefused`."""
    form = dict(pairs)
    if len(form) != len(pairs):
        raise TokenRefused("invalid_request", "a parameter stands twice")
    return form


def assertion_of(form: Mapping[str, str]) -> str:
    """The JWT that is presented as a grant (RFC 7523 section 2.1). Raises `TokenRefused`."""
    if "grant_type" not in form:
        raise TokenRefused("invalid_request", "grant_type is missing")
    if form["grant_type"] != JWT_BEARER:
        raise TokenRefused("unsupported_grant_type", "only JWT bearer grants are spoken here")
    if not form.get("assertion"):
        raise TokenRefused("invalid_request", "assertion is missing")
    return form["assertion"]


def details_of(form: Mapping[str, str]) -> Authority | None:
    """The one authority that is asked for, if the request names it (RFC 9396 section 6). Raises `TokenRefused`."""
    text = form.get("authorization_details")
    if text is None:
        return None
    try:
        if len(text) > DETAILS_CHARS_MAX:
            raise ValueError("too long")
        return msgspec.json.decode(text, type=tuple[Authority])[0]
    except (ValueError, RecursionError) as error:
        raise TokenRefused("invalid_authorization_details", f"not one authority: {error}") from error


def granted(token: str, kind: str, life_s: int, authority: Authority) -> TokenAnswer:
    """The successful answer, with what was really given (RFC 9396 section 7)."""
    body = {
        "access_token": token,
        "token_type": kind,
        "expires_in": life_s,
        "authorization_details": [msgspec.to_builtins(authority)],
    }
    return TokenAnswer(200, body)


def refused(refusal: TokenRefused, headers: Mapping[str, str] | None = None) -> TokenAnswer:
    """The one shape of a refusal: it does not say which check failed."""
    return TokenAnswer(STATUS.get(refusal.error, 400), {"error": refusal.error}, headers or {}, refusal.reason)


def bound_to_certificate(connection: Connection) -> Confirmation:
    """What a token is bound to whose client came over mTLS. Raises `TokenRefused`."""
    if connection.x5t is None:
        raise TokenRefused("invalid_client", "no TLS client certificate to bind a token to")
    return Confirmation(x5t=connection.x5t)
