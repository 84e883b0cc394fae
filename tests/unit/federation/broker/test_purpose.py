"""What operators are told for policies of their own: the class of the data, and the countries at the ends."""

from __future__ import annotations

from federation.broker.quotes.ask import Purpose, purpose_of
from tests.support.loops import run
from tests.support.seams import FixedClock
from tests.support.small_market import ALPHA, GAMMA, LIMITS, intent, small_market


def test_every_operator_of_a_path_is_told_the_same() -> None:
    clock = FixedClock()

    async def main() -> None:
        async with small_market(clock, lambda by_name: None, LIMITS) as market:
            await market.quote(data_class="public")
            told = {(rfq.data_class, rfq.destinations) for one in market.operators for rfq in one.asked}
            sheets = market.quoting.searching.sheets
            ends = (sheets[ALPHA].interfaces["a-ut"], sheets[GAMMA].interfaces["g-mi"])
            assert told == {("public", tuple(sorted(one.country for one in ends)))}
            assert len(told.pop()[1] or ()) == 2

    run(main(), clock.advance)


def test_an_end_without_a_place_leaves_the_countries_unsaid() -> None:
    assert purpose_of(intent(), [("https://nobody.example", "uni")], {}) == Purpose()
