"""Confirms, handed in where an operator keeps documents (ADR 0035), over the connections that its Sonata is called by.

The same document may be handed in again, as after an answer that was lost: it has the same receipt.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from federation.sonata.calls import Answer, Calls
from schemas.problem import Outcome, Problem, from_dict

HEADERS: Final = {"Content-Type": "application/jose"}


class Confirms:
    """Hands confirms in at one operator, whose documents lie under `endpoint`; `session` is the one to use now."""

    def __init__(
        self, operator: str, session: Callable[[], aiohttp.ClientSession], endpoint: str, *, deadline_s: float
    ) -> None:
        self._operator = operator
        self._calls = Calls(session, endpoint, HEADERS, deadline_s=deadline_s)

    async def confirm(self, document: bytes) -> bytes:
        """Hand in a confirm; its receipt document. Raises `Problem`; a lost answer has the outcome `unknown`."""
        answer = await self._calls.call("POST", "", {}, document)
        if answer.status != HTTPStatus.OK:
            raise self._problem(answer)
        return answer.body

    def _problem(self, answer: Answer) -> Problem:
        """What the operator said. What it refused left nothing behind, anything else may have."""
        refused = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
        extra = {"operator": self._operator}
        said = _said(answer.body)
        if said is None:
            code = "OPERATOR_REFUSED" if refused else "OPERATOR_UNREACHABLE"
            said = Problem(
                code, f"the operator answered a confirm with {answer.status}", retry_after_s=answer.retry_after_s
            )
        return said.with_outcome(Outcome.NONE if refused else Outcome.UNKNOWN, **extra)


def _said(body: bytes) -> Problem | None:
    """The problem that an operator of ours answers with, if that is what it is."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return from_dict(found) if isinstance(found, dict) and "code" in found else None
