"""What a client makes of lost answers and of refusals that may pass."""

from __future__ import annotations

import aiohttp
import pytest

from federation.client.retry import persistent
from schemas.problem import Outcome, Problem
from tests.support.loops import run
from tests.support.seams import FixedClock

LOST, BUSY = aiohttp.ServerDisconnectedError(), Problem("TOO_MANY_REQUESTS", "wait", outcome=Outcome.NONE)
AWAY, USED = (Problem(code, "no", outcome=Outcome.NONE) for code in ("UNAVAILABLE", "QUOTE_USED"))
NEVER = aiohttp.ClientConnectorError(None, OSError(111, "refused"))  # type: ignore[arg-type]


def told(*answers: Exception, write: bool = True) -> Problem:
    """What a caller is told where these are the answers, the last one again and again."""
    left = list(answers)

    async def call() -> None:
        raise left.pop(0) if len(left) > 1 else left[0]

    async def main() -> Problem:
        with pytest.raises(Problem) as caught:
            await persistent(call, "http://broker.example", write=write)
        return caught.value

    return run(main(), FixedClock().advance)


def test_after_a_lost_copy_a_refusal_that_binds_no_key_leaves_the_outcome_open() -> None:
    assert (told(LOST, BUSY).code, told(LOST, BUSY).outcome) == ("TOO_MANY_REQUESTS", Outcome.UNKNOWN)
    assert told(LOST, AWAY).outcome is Outcome.UNKNOWN
    assert told(LOST, NEVER).outcome is Outcome.UNKNOWN, "the first may have arrived"
    assert told(LOST).outcome is Outcome.UNKNOWN


def test_without_a_lost_copy_or_with_a_bound_key_the_broker_is_believed() -> None:
    assert told(BUSY).outcome is Outcome.NONE
    assert told(NEVER, AWAY).outcome is Outcome.NONE
    assert told(NEVER).outcome is Outcome.NONE
    assert told(LOST, USED).outcome is Outcome.NONE
    assert told(LOST, write=False).outcome is None
