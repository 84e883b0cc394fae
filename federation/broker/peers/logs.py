"""Documents that operators keep, and where they stand in their logs, asked of them over mutual TLS.

What comes back is not believed: whoever needs it verifies checkpoint, witnesses and inclusions as everybody else does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from federation.broker.peers.reach import Reach
from schemas.evidence import LogEvidence
from schemas.problem import Problem, not_found
from schemas.segment import EntityId, Hash

HASHES_AT_ONCE: Final = 64
DOCUMENTS: Final = "/documents"
PENDING, UNKNOWN = 503, 404


class OperatorLogs:
    """`endpoint` finds an operator's documents endpoint in its verified metadata, or raises `NOT_FOUND`."""

    def __init__(self, reach: Reach, endpoint: Callable[[EntityId], str]) -> None:
        self._reach, self._endpoint = reach, endpoint

    async def document(self, operator: EntityId, document_h: Hash) -> str | None:
        """A document between the two of us, as the operator keeps it; none where it has none. Not verified.

        Raises `NOT_FOUND` for no operator, `OPERATOR_UNREACHABLE`.
        """
        status, body = await self._reach.get(operator, f"{self._endpoint(operator)}/{document_h}")
        return body.decode("ascii", errors="replace") if status == 200 else None

    async def inclusions(self, operator: EntityId, hashes: Sequence[Hash]) -> LogEvidence | None:
        """What shows that documents between the two of us stand in its log; none as long as no checkpoint that others
        signed covers them all. At most 64 at once.

        Raises `NOT_FOUND` where it knows one of them not, `OPERATOR_UNREACHABLE`, `OPERATOR_REFUSED`.
        """
        assert 0 < len(hashes) <= HASHES_AT_ONCE, "the caller asks for the documents of one purchase"
        url = self._endpoint(operator).removesuffix(DOCUMENTS) + "/log/inclusion"
        status, body = await self._reach.get(operator, f"{url}?{urlencode([('hash', one) for one in hashes])}")
        if status == PENDING:
            return None
        if status == UNKNOWN:
            raise not_found(f"one of these documents at {operator}")
        return _read(operator, status, body, hashes)


def _read(operator: EntityId, status: int, body: bytes, hashes: Sequence[Hash]) -> LogEvidence:
    extra = {"operator": operator}
    try:
        if status == 200:
            found = msgspec.json.decode(body, type=LogEvidence)
            if found.inclusions.keys() == set(hashes):
                return found
    except (ValueError, RecursionError) as error:
        raise Problem("OPERATOR_REFUSED", "its answer about its log cannot be read", extra=extra) from error
    raise Problem("OPERATOR_REFUSED", f"it does not say where the documents stand in its log ({status})", extra=extra)
