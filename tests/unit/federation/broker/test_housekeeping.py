"""What a broker forgets by itself: in small pieces, what is old enough, and nothing while the store cannot."""

from __future__ import annotations

import asyncio

import pytest

from federation.broker.housekeeping import (
    AT_ONCE,
    CHAINS_KEPT_S,
    CLAIMS_KEPT_S,
    EVERY_S,
    QUOTES_KEPT_S,
    TEXTS_EVERY_S,
    TEXTS_KEPT_S,
    Housekeeping,
)
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

    async def prune_texts(self, before_s: int, limit: int) -> int:
        return self._prune("texts", before_s, limit)

    async def prune_tokens(self, before_s: int, limit: int) -> int:
        return self._prune("tokens", before_s, limit)

    async def prune_chains(self, before_s: int, limit: int) -> int:
        return self._prune("chains", before_s, limit)

    def _prune(self, what: str, before_s: int, limit: int) -> int:
        if self.away:
            raise Problem("UNAVAILABLE", "the disk is full")
        count = min(limit, self.left.get(what, 0))
        if count:
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
        ("chains", NOW - CHAINS_KEPT_S, 0), ("texts", NOW - TEXTS_KEPT_S, 0), ("tokens", NOW - TEXTS_KEPT_S, 0),
    ]  # fmt: skip


def test_texts_are_gone_through_once_a_day() -> None:
    old, clock = Old(0, 0), FixedClock()
    house = Housekeeping(old, clock)
    run(house.tidy())
    old.asked.clear()
    clock.advance(TEXTS_EVERY_S - 1)
    run(house.tidy())
    assert {what for what, _, _ in old.asked} == {"claims", "quotes"}
    clock.advance(1)
    old.left["texts"] = AT_ONCE + 1
    run(house.tidy())
    assert [count for what, _, count in old.asked if what == "texts"] == [AT_ONCE, 1]


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
