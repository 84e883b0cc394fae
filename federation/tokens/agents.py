"""A broker's token endpoint: an agent shows its mandate and its key, and gets a token for that broker (pure)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from federation.tokens.access import Holder, Issuer, issue_access
from federation.tokens.dpop import Nonces, Proven, check_proof
from federation.tokens.endpoint import Connection, TokenAnswer, assertion_of, details_of, granted, refused
from federation.tokens.mandate import Given, KeysOf, verify_mandate
from federation.tokens.narrows import check_narrows, passed_on
from federation.tokens.refusal import TokenRefused
from federation.tokens.replay import Replay
from schemas.access import AGENT_TOKEN_LIFE_S, Actor, Confirmation
from schemas.authority import Authority
from schemas.problem import Problem
from schemas.segment import EntityId, Hash

PROOF_ROLE: Final = "dpop"
Revoked = Callable[[EntityId, Hash], Awaitable[bool]]
Keep = Callable[[Given, str, str], Awaitable[None]]


async def nothing_revoked(buyer: EntityId, mandate_h: Hash) -> bool:
    """Where mandates only end by themselves."""
    return False


async def unkept(given: Given, mandate: str, token: str) -> None:
    """Where nobody files what was shown and given."""


class AgentTokens:
    """Implements `TokenEndpoint` for one broker. `url` is the endpoint as agents call it, unless the listener knows
    better; `revoked` says whether a buyer took back the mandate with a hash; `keep` files a mandate and the token
    given for it, before anybody has that."""

    def __init__(
        self,
        issuer: Issuer,
        url: str,
        keys_of: KeysOf,
        replay: Replay,
        nonces: Nonces,
        *,
        revoked: Revoked = nothing_revoked,
        keep: Keep = unkept,
    ) -> None:
        self._issuer, self._url, self._keys_of = issuer, url, keys_of
        self._replay, self._nonces, self._revoked, self._keep = replay, nonces, revoked, keep

    async def answer(self, form: Mapping[str, str], connection: Connection, now: int) -> TokenAnswer:
        """A token bound to the agent's key, for the mandate's authority or less; every answer brings a nonce."""
        nonce = {"DPoP-Nonce": self._nonces.issue(now)}
        try:
            answer = await self._answer(form, connection, now)
        except TokenRefused as refusal:
            return refused(refusal, nonce)
        return answer._replace(headers=nonce)

    async def _answer(self, form: Mapping[str, str], connection: Connection, now: int) -> TokenAnswer:
        """(1) form (2) proof of this request (3) mandate (4) for this key (5) in force (6) narrowed (7) proof new."""
        assertion, asked = assertion_of(form), details_of(form)
        if connection.proof is None:
            raise TokenRefused("invalid_dpop_proof", "a DPoP proof is missing")
        url = connection.url or self._url
        proven = check_proof(connection.proof, "POST", url, now=now, nonces=self._nonces)
        given = self._given(assertion, proven, now)
        if await self._revoked(given.claims.iss, given.hash):
            raise TokenRefused("invalid_grant", "the mandate was revoked")
        authority = _narrowed(given.authority, asked)
        if not await self._replay.first(PROOF_ROLE, proven.jkt, proven.jti, until=proven.until, now=now):
            raise TokenRefused("invalid_dpop_proof", "the proof was used before")
        life_s = min(AGENT_TOKEN_LIFE_S, given.claims.exp - now)
        token = self._issue(given, proven, authority, now, life_s)
        await self._keep(given, assertion, token)
        return granted(token, "DPoP", life_s, authority)

    def _given(self, assertion: str, proven: Proven, now: int) -> Given:
        try:
            given = verify_mandate(assertion, self._keys_of, broker=self._issuer.entity, now=now)
        except Problem as problem:
            raise TokenRefused("invalid_grant", problem.detail) from problem
        if given.claims.cnf.jkt != proven.jkt:
            raise TokenRefused("invalid_grant", "the mandate is for another key")
        return given

    def _issue(self, given: Given, proven: Proven, authority: Authority, now: int, life_s: int) -> str:
        agent = given.claims.sub
        holder = Holder(agent, given.claims.iss, Confirmation(jkt=proven.jkt), Actor(sub=agent))
        txn = self._issuer.token()
        return issue_access(self._issuer, holder, authority, mandate_h=given.hash, txn=txn, now=now, life_s=life_s)


def _narrowed(parent: Authority, asked: Authority | None) -> Authority:
    try:
        return passed_on(parent) if asked is None else check_narrows(asked, parent)
    except Problem as problem:
        raise TokenRefused("invalid_authorization_details", problem.detail) from problem
