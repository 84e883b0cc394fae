"""An agent as it proves itself to a broker: an access token for its mandate, and a proof of its key for every request.

RFC 9449 and RFC 7523. The token is fetched when it is needed first and again before it ends; a nonce that the broker
wants is taken from its refusal, and every answer brings the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol

import aiohttp
import msgspec
from msgspec import Meta, Struct

from federation.node.seams import Clock, Entropy, SystemClock
from federation.tokens.dpop import make_proof
from federation.tokens.endpoint import JWT_BEARER
from federation.trust.jose import unverified
from federation.trust.keys import PrivateKey
from federation.trust.keyset import load_key_set
from schemas.access import AGENT_TOKEN_LIFE_S
from schemas.mandate import Mandate
from schemas.problem import Outcome, Problem, invalid
from schemas.segment import moment

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path
NONCE: Final = "DPoP-Nonce"
USED_PERCENT: Final = 80
ATTEMPTS: Final = 3  # as it is, with a nonce, with a new token


class Agent(NamedTuple):
    """The agent's key, and the mandate that names it."""

    key: PrivateKey
    mandate: str


class Identity(Protocol):
    """Who asks, as a request shows it."""

    async def headers(self, session: aiohttp.ClientSession, method: str, url: str) -> dict[str, str]:
        """Headers for this very request. Raises `Problem` where no token is given."""
        ...

    def heard(self, status: int, headers: Mapping[str, str]) -> bool:
        """Learn from an answer; whether the same request may be granted now."""
        ...


class Bearer:
    """A buyer with a bearer key: for loopback and closed networks."""

    def __init__(self, key: str) -> None:
        self._headers = {"Authorization": f"Bearer {key}"}

    async def headers(self, session: aiohttp.ClientSession, method: str, url: str) -> dict[str, str]:
        """See `Identity.headers`."""
        return self._headers

    def heard(self, status: int, headers: Mapping[str, str]) -> bool:
        """See `Identity.heard`: another try shows the same key."""
        return False


class _Given(Struct, frozen=True):
    access_token: Annotated[str, Meta(min_length=1, max_length=16 * 1024)]
    token_type: Literal["DPoP"]
    expires_in: Annotated[int, Meta(ge=1, le=AGENT_TOKEN_LIFE_S)]


class Proving:
    """An agent at one broker."""

    def __init__(self, agent: Agent, address: str, clock: Clock, entropy: Entropy) -> None:
        self._agent, self._endpoint = agent, address + TOKEN_PATH
        self._clock, self._entropy = clock, entropy
        self._nonce: str | None = None
        self._token, self._until = "", 0
        self._turn = asyncio.Lock()

    async def headers(self, session: aiohttp.ClientSession, method: str, url: str) -> dict[str, str]:
        """See `Identity.headers`."""
        async with self._turn:
            if self._clock.now() >= self._until:
                await self._fetch(session)
        return {"Authorization": f"DPoP {self._token}", "DPoP": self._proof(method, url, self._token)}

    def heard(self, status: int, headers: Mapping[str, str]) -> bool:
        """See `Identity.heard`."""
        self._nonce = headers.get(NONCE, self._nonce)
        if status != 401:
            return False
        said = headers.get("WWW-Authenticate", "")
        if "invalid_token" in said:
            self._until = 0  # the broker's key changed, or its clock is ahead: another token may do
        return "use_dpop_nonce" in said or "invalid_token" in said

    def _proof(self, method: str, url: str, token: str | None = None) -> str:
        now, jti = self._clock.now(), self._entropy.token()
        return make_proof(self._agent.key, method, url, now=now, jti=jti, token=token, nonce=self._nonce)

    async def _fetch(self, session: aiohttp.ClientSession) -> None:
        form = {"grant_type": JWT_BEARER, "assertion": self._agent.mandate}
        status, body = 0, b""
        for _ in range(ATTEMPTS - 1):
            asked = self._clock.now()
            headers = {"DPoP": self._proof("POST", self._endpoint)}
            async with session.post(self._endpoint, data=form, headers=headers) as response:
                status, body = response.status, await response.read()
                self._nonce = response.headers.get(NONCE, self._nonce)
            if status == 200:
                given = _read(body)
                self._token, self._until = given.access_token, asked + given.expires_in * USED_PERCENT // 100
                return
        raise refused(status, body)


def refused(status: int, body: bytes) -> Problem:
    """Why there is no token, as far as the broker says."""
    if status >= 500:
        return Problem("UNAVAILABLE", "the broker gives no tokens now", outcome=Outcome.NONE)
    try:
        error = msgspec.json.decode(body, type=dict[str, Any]).get("error", "")
    except msgspec.MsgspecError:
        error = f"status {status}"
    why = "it must be for this broker, for your key, signed by a buyer it knows, neither ended nor revoked"
    return Problem("UNAUTHENTICATED", f"the broker does not take the mandate ({error}): {why}", outcome=Outcome.NONE)


def _read(body: bytes) -> _Given:
    try:
        return msgspec.json.decode(body, type=_Given)
    except msgspec.MsgspecError as error:
        raise Problem("INTERNAL", f"what answers there gives no access token: {error}") from error


def load_agent(mandate: Path, key: Path) -> Agent:
    """An agent from its two files; of several keys, the one that the mandate names.

    Raises `Problem` naming the file at fault: also for a mandate for another key, and for one that has ended.
    """
    texts = []
    for path in (mandate, key):
        try:
            texts.append(path.read_bytes())
        except OSError as error:
            raise invalid(str(path), f"cannot be read ({error.strerror})") from error
    token = texts[0].decode("ascii", errors="replace").strip()
    try:
        claims = unverified(token, Mandate)
    except Problem as problem:
        raise invalid(str(mandate), f"holds no mandate that can be read: {problem.detail}") from problem
    if SystemClock().now() >= claims.exp:
        ended = f"{moment(claims.exp):%Y-%m-%d %H:%M:%SZ}"
        raise invalid(str(mandate), f"the mandate ended at {ended}; ask its buyer for another")
    found = {one.kid: one for one in load_key_set(texts[1], str(key)).keys}
    if claims.cnf.jkt not in found:
        raise invalid(str(key), f"is not the key that the mandate is for, {claims.cnf.jkt}")
    return Agent(found[claims.cnf.jkt], token)
