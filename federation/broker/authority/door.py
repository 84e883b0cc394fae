"""Who is behind a request: an agent with its token and a proof, or, where the configuration allows it, a bearer key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, NamedTuple

from federation.broker.authority.buyers import Buyers
from federation.broker.authority.filing import Filing, Party
from federation.broker.authority.power import Buyer, of_house, of_token
from federation.broker.authority.revocations import Revocations
from federation.node.callers import check_rate, network_of
from federation.node.limits import Buckets, Rate
from federation.node.seams import Clock
from federation.tokens.access import Call, Issuer
from federation.tokens.agent_gate import AgentGate
from federation.tokens.agents import AgentTokens
from federation.tokens.dpop import Nonces
from federation.tokens.mandate import Given
from federation.tokens.refusal import TokenRefused
from federation.tokens.replay import Replay
from schemas.problem import Problem
from schemas.segment import EntityId, Hash

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path
DPOP: Final = 'DPoP algs="ES256"'
RATE: Final = Rate(per_second=200, burst=4_000)  # requests of one address
GIVEN: Final = Rate(per_second=1, burst=100)  # tokens of one agent, each of which is filed
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Origins(NamedTuple):
    """How agents call a listener: the origins that the configuration names, and loopback by any of its names.

    What a proof is for is compared with this, and not with whatever a caller says that it called.
    """

    scheme: str
    named: tuple[str, ...] = ()
    loopback: bool = True  # whether the listener is bound there: elsewhere nobody calls it by these names

    def url(self, host: str, path: str) -> str:
        """The URL of a request by its Host header; empty, which no proof is for, where nobody calls us by that name."""
        for origin in self.named:
            if origin.partition("://")[2] == host:
                return origin + path
        name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
        return f"{self.scheme}://{host}{path}" if self.loopback and name in LOOPBACK else ""


Record = Callable[[Problem, str], object]


def unrecorded(problem: Problem, act: str) -> None:
    """Where nobody keeps a record of refusals."""


class Door:
    """In front of every operation of one broker. `record` keeps the reason of each refusal, with the act refused,
    `filing` the mandates that were shown and the tokens given for them."""

    def __init__(
        self,
        me: Issuer,
        buyers: Buyers,
        replay: Replay,
        secret: bytes,
        clock: Clock,
        *,
        revocations: Revocations,
        record: Record = unrecorded,
        filing: Filing | None = None,
    ) -> None:
        self._me, self._buyers, self._clock, self._record = me, buyers, clock, record
        self._revocations, self._filing = revocations, filing
        self._buckets, self._given = Buckets(RATE), Buckets(GIVEN)
        # One secret serves two ends, so each has its own key of it.
        nonces = Nonces(hmac.new(secret, b"dpop nonces", hashlib.sha256).digest())
        self._gate = AgentGate(me.entity, me.keys(), replay, nonces)
        self._nonces = nonces
        url = me.entity + TOKEN_PATH
        self.tokens = AgentTokens(me, url, buyers.keys_of, replay, nonces, revoked=self._revoked, keep=self._file)

    def pace(self, address: str) -> None:
        """Nobody is known yet, so one address has one bucket. Raises `TOO_MANY_REQUESTS`."""
        check_rate(self._buckets, network_of(address), self._clock)

    async def who(self, call: Call) -> Buyer:
        """The buyer, and the authority that this request is made under. Raises `UNAUTHENTICATED`."""
        try:
            return await self._who(call)
        except Problem as problem:
            self._record(problem, call.method)
            raise

    def no_token(self, _: str | None, reason: str) -> None:
        """Record that the token endpoint refused somebody."""
        self._record(Problem("UNAUTHENTICATED", reason), f"POST {TOKEN_PATH}")

    async def _who(self, call: Call) -> Buyer:
        scheme = (call.authorization or "").partition(" ")[0].lower()
        if scheme == "bearer" and self._buyers.any_bearer:
            name = self._buyers.bearers.who(call.authorization)
            power = of_house(self._me.entity, name, self._buyers.house(name), self._me.token())
            return Buyer(name, power, self._buyers.entity_of(name))
        if scheme != "dpop":
            also = "or 'Authorization: Bearer KEY'" if self._buyers.any_bearer else "bearer keys are not taken here"
            why = f"act under a mandate: send 'Authorization: DPoP TOKEN' with a proof; {also}"
            raise Problem("UNAUTHENTICATED", why)
        access = await self._gate.who(call, self._clock.now())
        name = self._buyers.name_of(access.sub)
        if await self._revoked(access.sub, access.mandate_h):
            raise TokenRefused("invalid_token", "the mandate was revoked")
        itself = access.cnf.jkt in self._buyers.keys_of(access.sub)
        return Buyer(name, of_token(access, itself=itself), access.sub)

    async def _file(self, given: Given, mandate: str, token: str) -> None:
        check_rate(self._given, given.claims.cnf.jkt, self._clock)
        if self._filing is not None:
            buyer, key = given.claims.iss, given.claims.cnf.jkt
            party = Party(self._buyers.name_of(buyer), None if key in self._buyers.keys_of(buyer) else key)
            await self._filing.file(party, None, (mandate, token))

    async def _revoked(self, entity: EntityId, mandate_h: Hash) -> bool:
        return await self._revocations.revoked(entity, mandate_h)

    def challenge(self, problem: Exception) -> dict[str, str]:
        """What goes with a 401: how to authenticate here, and a nonce to try again with."""
        if isinstance(problem, TokenRefused) and problem.error != "invalid_token":
            return self._gate.challenge(problem, self._clock.now())
        error = 'error="invalid_token", ' if isinstance(problem, TokenRefused) else ""
        ways = [*(["Bearer"] if self._buyers.any_bearer else []), DPOP.replace("algs", f"{error}algs")]
        return {"WWW-Authenticate": ", ".join(ways)} | self.nonce()

    def nonce(self) -> dict[str, str]:
        """A nonce for the next write (RFC 9449 section 8.2)."""
        return {"DPoP-Nonce": self._nonces.issue(self._clock.now())}
