"""Mandates that were taken back: `Revocations` over Redis. Key `revoked:MANDATE:ISSUER` holds since when."""

from __future__ import annotations

from collections.abc import Collection

from federation.broker.store.redis.keys import Keyspace, Transaction, named
from schemas.problem import Outcome, Problem
from schemas.segment import Hash


class RevocationKeys:
    """Implements `Revocations`."""

    _space: Keyspace

    async def revoke(self, issuers: Collection[str], mandate_h: Hash, now: int) -> int:
        """See `Revocations.revoke`."""
        names = [revoked_name(issuer, mandate_h) for issuer in issuers]
        assert names, "somebody revokes"

        async def work(transaction: Transaction) -> int:
            found = await transaction.get(*names)
            for name, since in zip(names, found, strict=True):
                if since is None:
                    transaction.put(name, str(now))
            transaction.rely()
            return min(now if since is None else int(since) for since in found)

        return await self._space.transact(work)

    async def revoked(self, issuer: str, mandate_h: Hash) -> bool:
        """See `Revocations.revoked`."""
        (since,) = await self._space.keys.get([revoked_name(issuer, mandate_h)])
        return since is not None


async def check_in_force(transaction: Transaction, issuer: str, mandate_h: Hash) -> None:
    """Within the transaction of an order, so that none begins after the revocation. Raises POLICY_DENIED."""
    (since,) = await transaction.get(revoked_name(issuer, mandate_h))
    if since is not None:
        raise Problem("POLICY_DENIED", "the mandate was revoked", field="mandate", outcome=Outcome.NONE)


def revoked_name(issuer: str, mandate_h: Hash) -> str:
    """The key of what one issuer took back."""
    return named("revoked", mandate_h, issuer)
