"""Asking an operator's token endpoint for a token: what a `TokenSource` sends, and what it believes of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from federation.broker.peers.tokens import Fetched, Need
from federation.node.seams import Clock
from federation.tokens.access import Issuer
from federation.tokens.assertion import client_assertion, delegation_grant
from federation.tokens.endpoint import CLIENT_ASSERTION, JWT_BEARER
from federation.trust.jose import unverified
from schemas.access import OPERATOR_TOKEN_LIFE_S, AccessToken
from schemas.entity import OperatorMetadata
from schemas.problem import Problem
from schemas.segment import EntityId

TRY_AGAIN: Final = range(500, 600)
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path


class Poster(Protocol):
    """An HTTP client to one operator, over mTLS with the very certificate that the need names."""

    async def post(self, operator: EntityId, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer, the body within the caps. Raises `OPERATOR_UNREACHABLE`."""
        ...


class _Answer(Struct, frozen=True):
    """RFC 6749 section 5.1; what else stands in it is for others."""

    access_token: Annotated[str, Meta(min_length=1, max_length=16 * 1024)]
    token_type: Literal["Bearer", "bearer"]
    expires_in: Annotated[int, Meta(ge=1, le=OPERATOR_TOKEN_LIFE_S)]


def token_endpoint(operator: EntityId, role: OperatorMetadata | None) -> str:
    """Where an operator gives tokens, by its metadata: where it says, or beside its other endpoints.

    Raises `OPERATOR_UNREACHABLE` for one that is none any more, or whose endpoint is no URL.
    """
    try:
        if role is None:
            raise ValueError("no operator")
        at = urlsplit(role.sonata_endpoint)
    except ValueError as error:
        why = f"{operator} does not say where it gives tokens"
        raise Problem("OPERATOR_UNREACHABLE", why, extra={"operator": operator}) from error
    return role.token_endpoint or f"{at.scheme}://{at.netloc}{TOKEN_PATH}"


class PostedTokens:
    """Implements `TokenSource`: a fresh assertion and grant for every request, each good for that operator alone.

    `endpoint` finds the token endpoint in an operator's verified metadata, and raises `Problem` where there is none.
    """

    def __init__(self, broker: Issuer, endpoint: Callable[[EntityId], str], poster: Poster, clock: Clock) -> None:
        self._broker, self._endpoint = broker, endpoint
        self._poster, self._clock = poster, clock

    async def fetch(self, need: Need) -> Fetched:
        """See `TokenSource.fetch`. Raises OPERATOR_REFUSED, OPERATOR_UNREACHABLE."""
        now = self._clock.now()
        asked = delegation_grant(self._broker, need.operator, need.authority, need.chained, now=now)
        form = {
            "grant_type": JWT_BEARER,
            "assertion": asked,
            "client_assertion_type": CLIENT_ASSERTION,
            "client_assertion": client_assertion(self._broker, need.operator, now=now),
        }
        status, body = await self._poster.post(need.operator, self._endpoint(need.operator), form)
        extra = {"operator": need.operator}
        if status in TRY_AGAIN:
            raise Problem("OPERATOR_UNREACHABLE", "the operator gives no tokens now", extra=extra)
        if status != 200:
            raise Problem("OPERATOR_REFUSED", "the operator gave no token for this mandate", extra=extra)
        return _read(body, need)._replace(asked=asked)


def _read(body: bytes, need: Need) -> Fetched:
    """The token. It is the operator's own and only it can verify it; what it says of us must be what we asked for."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        said = unverified(answer.access_token, AccessToken)
        same = (said.iss, said.mandate_h, said.cnf.x5t) == (need.operator, need.chained.mandate_h, need.x5t)
    except (ValueError, RecursionError, Problem) as error:
        raise _odd(need) from error
    if not same:
        raise _odd(need)
    return Fetched(answer.access_token, answer.expires_in)


def _odd(need: Need) -> Problem:
    extra = {"operator": need.operator}
    return Problem("OPERATOR_REFUSED", "the operator's token is not what was asked for", extra=extra)
