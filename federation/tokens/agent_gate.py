"""Who calls a broker with a DPoP-bound token (RFC 9449 section 7): token, proof, nonce for writes, replay (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.tokens.access import Call, verify_call
from federation.tokens.agents import PROOF_ROLE
from federation.tokens.dpop import Nonces
from federation.tokens.refusal import TokenRefused
from federation.tokens.replay import Replay
from federation.trust.keys import PublicKey
from schemas.access import AccessToken
from schemas.segment import EntityId

READS: Final = frozenset({"GET", "HEAD"})


class AgentGate:
    """The gate of one broker. `keys` verify the tokens it issued."""

    def __init__(self, me: EntityId, keys: Mapping[str, PublicKey], replay: Replay, nonces: Nonces) -> None:
        self._me, self._keys = me, keys
        self._replay, self._nonces = replay, nonces

    async def who(self, call: Call, now: int) -> AccessToken:
        """The authority behind a call. A write needs a fresh nonce of this server; a proof counts once.

        Raises `TokenRefused`, or what the replay filter raises when it cannot remember: then nothing may change.
        """
        nonces = None if call.method in READS else self._nonces
        access, proven = verify_call(call, self._keys, me=self._me, now=now, nonces=nonces)
        if not await self._replay.first(PROOF_ROLE, proven.jkt, proven.jti, until=proven.until, now=now):
            raise TokenRefused("invalid_dpop_proof", "the proof was used before")
        return access

    def challenge(self, refusal: TokenRefused, now: int) -> dict[str, str]:
        """The headers of a 401: what would be right, and a nonce to try again with."""
        return {
            "WWW-Authenticate": f'DPoP error="{refusal.error}", algs="ES256"',
            "DPoP-Nonce": self._nonces.issue(now),
        }
