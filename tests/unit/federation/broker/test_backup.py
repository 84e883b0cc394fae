"""A backup as the desk answers it: the pair in words, or what both paths always share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from federation.broker.market.backups import thing_said
from schemas.answer import BackupView
from schemas.backup import Apart, BackupRequest
from schemas.price import Money
from schemas.problem import Problem
from schemas.segment import Limits
from tests.support.seams import FixedClock
from tests.support.small_market import SmallMarket, intent, small_market


def world(main: Callable[[SmallMarket], Awaitable[None]]) -> None:
    async def run() -> None:
        async with small_market(FixedClock()) as market:
            await main(market)

    asyncio.run(run())


async def pair(market: SmallMarket, apart: Apart, **own: object) -> BackupView:
    asked = BackupRequest(apart=apart, **own)  # type: ignore[arg-type]
    answer = await market.searching.search(intent(), 1, backup=asked)
    assert answer.backup is not None
    return answer.backup


def test_the_pair_costs_what_both_cost_and_says_why_it_is_the_best() -> None:
    async def main(market: SmallMarket) -> None:
        for apart in (Apart.SEGMENT, Apart.OPERATOR):
            view = await pair(market, apart)
            assert view.found
            assert view.proven
            assert view.primary is not None
            assert view.backup is not None
            names = [[segment.operator_name for segment in path.segments] for path in (view.primary, view.backup)]
            assert names == [["Alpha", "Beta", "Gamma"], ["Alpha", "Delta", "Gamma"]]
            assert view.total == Money("EUR", view.primary.total.micro + view.backup.total.micro)
            assert view.primary.why == "the best path there is"
            assert view.backup.why == "EUR 200.00 dearer and 0.4 ms slower than the primary"
            assert view.why.startswith("the two paths cheapest in sum that share no ")
            assert view.least is None

    world(main)


def test_what_both_always_share_is_named() -> None:
    async def main(market: SmallMarket) -> None:
        view = await pair(market, Apart.CITY)
        assert (view.found, view.proven, view.primary) == (False, True, None)
        assert view.shared == ("the city Frankfurt NL", "the city Zurich NL")
        assert view.why == "whatever two paths are taken, both use the city Frankfurt NL and the city Zurich NL"
        assert view.relaxation is None, "the backup has no limits of its own"

    world(main)


def test_without_the_limits_of_the_backup_there_may_be_a_pair() -> None:
    async def main(market: SmallMarket) -> None:
        fast = Limits(latency_us=1_100)
        swapped = await pair(market, Apart.OPERATOR, limits=fast)
        assert swapped.primary is not None, "the backup gets the only path that is fast enough"
        assert swapped.primary.why == "EUR 200.00 dearer and 0.4 ms slower than the best path alone"
        asked = BackupRequest(apart=Apart.OPERATOR)
        view = (await market.searching.search(intent(limits=fast), 1, backup=asked)).backup
        assert view is not None
        assert (view.found, view.shared) == (False, ("the operator Beta",))
        assert view.relaxation is not None
        assert view.relaxation.promise.latency_us == 1_410
        assert view.relaxation.total == Money("EUR", 610_000_000)
        nothing = await pair(market, Apart.OPERATOR, budget=Money("CHF", 100_000_000))
        assert nothing.why == "no path at all keeps the backup's own limits"
        with pytest.raises(Problem) as error:
            await pair(market, Apart.OPERATOR, budget=Money("SEK", 1))
        assert error.value.field == "backup.budget.currency"

    world(main)


def test_where_there_is_no_path_there_is_no_word_of_a_backup() -> None:
    async def main(market: SmallMarket) -> None:
        asked = BackupRequest(apart=Apart.CITY)
        answer = await market.searching.search(intent(limits=Limits(latency_us=1)), 1, backup=asked)
        assert (answer.found, answer.backup) == (False, None)

    world(main)


def test_things_are_called_what_people_call_them() -> None:
    async def main(market: SmallMarket) -> None:
        snapshot, (alpha, beta, *_) = market.market.snapshot, (o.entity for o in market.operators)
        said = {
            ("interconnect", alpha, "a-b", beta, "b-a"): "the interconnect a-b of Alpha and Beta in Frankfurt NL",
            ("segment", alpha, "any", "u", "v"): "the segment u to v of Alpha, class any",
            ("stretch", alpha, "n1", "n2"): "the stretch n1 to n2 inside Alpha",
            ("operator", beta): "the operator Beta",
            ("city", "IT", "milan"): "the city Milan IT",
            ("site", "51500", "5000"): "the site at 51.500, 5.000 in Milan IT",
        }
        for item, words in said.items():
            assert thing_said(item, snapshot) == words

    world(main)
