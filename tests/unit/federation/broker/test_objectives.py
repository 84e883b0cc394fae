"""What the best path is the least of, and how a buyer is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import pytest
from msgspec import structs

from federation.broker.market.asking import weighing_of
from federation.broker.market.words import carbon, listed
from federation.broker.paths.search import Found
from schemas.intent import Intent, Objective, Weights
from schemas.segment import Limits
from tests.support.fake_operators import FakeOperator
from tests.support.seams import FixedClock
from tests.support.small_market import SmallMarket, intent, small_market

DIRTY, CLEAN = 2_000, 300


def green(by_name: Mapping[str, FakeOperator]) -> None:
    """Beta, the cheaper way, emits more than Delta."""
    for name, mg_gb in (("Beta", DIRTY), ("Delta", CLEAN)):
        for key, offer in by_name[name].offers.items():
            by_name[name].offers[key] = structs.replace(
                offer, promise=structs.replace(offer.promise, carbon_mg_gb=mg_gb)
            )


def over(**changes: object) -> tuple[list[str], str]:
    """The operator in the middle of each path found, and why the first is the first."""

    async def whole() -> tuple[list[str], str]:
        clock = FixedClock()
        async with small_market(clock, green) as market:
            return await told(market, changes)

    return asyncio.run(whole())


async def told(market: SmallMarket, changes: Mapping[str, object]) -> tuple[list[str], str]:
    answer = await market.searching.search(intent(**changes), 2)
    assert answer.proven
    middle = [path.segments[1].operator_name for path in answer.paths]
    return middle, answer.paths[0].why if answer.paths else ""


def test_the_lowest_in_carbon_is_found_and_told() -> None:
    assert over(objective=Objective.CARBON) == (
        ["Delta", "Beta"],
        "the lowest in carbon (300 mg CO2e/GB) that keeps every limit; the next, over Beta instead of Delta, is "
        "EUR 200.00 cheaper, 0.4 ms faster and 1.7 g CO2e/GB more carbon",
    )


def test_a_limit_on_carbon_keeps_out_what_emits_more() -> None:
    assert over(limits=Limits(carbon_mg_gb=1_999)) == (["Delta"], "the only path that keeps every limit")


@pytest.mark.parametrize(
    ("weights", "best"),
    [  # Beta: 205 EUR, 1010 us, 2000 mg/GB; Delta: 200 EUR dearer, 400 us slower, 1700 mg/GB less; 450 GB in the hour
        (Weights(latency_micro_per_ms=10**9), "Beta"),
        (Weights(carbon_micro_per_kg=261_437_000), "Beta"),  # 0.765 kg less are worth 199.9993 EUR
        (Weights(carbon_micro_per_kg=261_438_000), "Delta"),  # 200.00007 EUR
        (Weights(carbon_micro_per_kg=261_438_000, latency_micro_per_ms=1000), "Beta"),
    ],
)
def test_weights_decide_to_the_last_micro_unit(weights: Weights, best: str) -> None:
    middle, why = over(objective=Objective.WEIGHTED, weights=weights)
    assert middle[0] == best
    assert why.startswith("the best by price, latency and carbon as weighted that keeps every limit; the next, over")


def test_carbon_is_weighed_as_if_the_bandwidth_were_used_all_the_time() -> None:
    # 1 Gb/s for an hour carries 450 GB: a mg/GB comes to 450 mg, worth 450 micro-units at 1 unit a kg
    weighing = weighing_of(Weights(carbon_micro_per_kg=10**6, latency_micro_per_ms=7), 10**9, 3600)
    assert weighing == (7, 450_000)
    assert weighing_of(Weights(carbon_micro_per_kg=1), 1, 1) == (0, 1), "rounded up, never forgotten"


@pytest.mark.parametrize(
    "changes",
    [{"objective": "weighted"}, {"weights": {"latency_micro_per_ms": 1}}, {"objective": "weighted", "weights": {}}],
)
def test_weights_and_the_objective_weighted_belong_together(changes: dict[str, object]) -> None:
    asked = msgspec.to_builtins(intent()) | changes
    with pytest.raises(msgspec.ValidationError, match="weights"):
        msgspec.convert(asked, Intent)


def test_out_of_work_the_bound_is_told() -> None:
    async def whole() -> str:
        clock = FixedClock()
        async with small_market(clock, green) as market:
            sight = await market.searching.look(intent(), 1)
            assert isinstance(sight.found, Found)
            spent = sight._replace(found=structs.replace(sight.found, proven=False, bound=200_000_000))
            return spent.answer(market.searching.terms).paths[0].why

    assert asyncio.run(whole()) == (
        "the cheapest found before the work allowed for one search ran out; none costs less than EUR 200.00"
    )


def test_lists_and_carbon_read_as_people_write_them() -> None:
    assert [listed(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert (carbon(999), carbon(12_340)) == ("999 mg CO2e/GB", "12.34 g CO2e/GB")
