"""What a broker forgets by itself: in small pieces, what is old enough, and nothing while the store cannot."""

from __future__ import annotations

import asyncio

import pytest

from federation.broker.housekeeping import AT_ONCE, CLAIMS_KEPT_S, EVERY_S, QUOTES_KEPT_S, Housekeeping
from schemas.problem import Problem
from tests.support.loops import run
from tests.support.seams import NOW, FixedClock


class Old:
    """So many keys and quotes that are old enough."""

    def __init__(self, claims: int, quotes: int) -> None:
        self.left = {"claims": claims, "quotes": quotes}
        self.asked: list[tuple[str, int, int]] = []
        self.away = False

    async def prune_claims(self, before_s: int, limit: int) -> int:
        return self._prune("claims", before_s, limit)

    async def prune_quotes(self, before_s: int, limit: int) -> int:
        return self._prune("quotes", before_s, limit)

    def _prune(self, what: str, before_s: int, limit: int) -> int:
        if self.away:
            raise Problem("UNAVAILABLE", "the disk is full")
        count = min(limit, self.left[what])
        self.left[what] -= count
        self.asked.append((what, before_s, count))
        return count


def test_everything_that_is_old_goes_a_little_at_a_time() -> None:
    old = Old(2 * AT_ONCE + 5, AT_ONCE)
    assert run(Housekeeping(old, FixedClock()).tidy()) == 3 * AT_ONCE + 5
    claims, quotes = NOW - CLAIMS_KEPT_S, NOW - QUOTES_KEPT_S
    assert old.asked == [
        ("claims", claims, AT_ONCE), ("claims", claims, AT_ONCE), ("claims", claims, 5),
        ("quotes", quotes, AT_ONCE), ("quotes", quotes, 0),
    ]  # fmt: skip


def test_a_store_that_is_away_is_asked_again_an_hour_later() -> None:
    old = Old(1, 1)
    old.away = True

    async def main() -> None:
        task = asyncio.ensure_future(Housekeeping(old, FixedClock()).run())
        await asyncio.sleep(EVERY_S - 1)
        old.away = False
        assert old.left == {"claims": 1, "quotes": 1}
        await asyncio.sleep(2)
        assert old.left == {"claims": 0, "quotes": 0}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
