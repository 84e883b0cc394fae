"""What a buyer is told of a search."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest
from msgspec import structs

from federation.broker.market.view import federation_view
from federation.broker.market.words import bandwidth, duration, milliseconds, money, share
from schemas.answer import SearchAnswer
from schemas.intent import Objective
from schemas.jurisdiction import Attestation, ClassFacts, Sovereignty
from schemas.price import Money
from schemas.segment import Limits, moment
from tests.support.fake_operators import FakeOperator
from tests.support.loops import run
from tests.support.seams import FixedClock
from tests.support.small_market import ALPHA, BETA, DELTA, GAMMA, GBPS, SmallMarket, intent, small_market


def world(
    main: Callable[[SmallMarket], Coroutine[Any, Any, None]],
    change: Callable[[Mapping[str, FakeOperator]], None] = lambda by_name: None,
) -> None:
    clock = FixedClock()

    async def whole() -> None:
        async with small_market(clock, change) as market:
            await main(market)

    run(whole(), clock.advance)


async def search(market: SmallMarket, paths: int = 3, **changes: object) -> SearchAnswer:
    return await market.searching.search(intent(**changes), paths)


def attest(market: SmallMarket, **countries: str) -> None:
    for entity in (ALPHA, BETA, GAMMA, DELTA):
        name = entity.removeprefix("https://").partition(".")[0]
        if name in countries:
            market.facts[entity] = Attestation(classes={"any": ClassFacts(countries=tuple(countries[name].split()))})


def test_paths_come_best_first_and_say_why() -> None:
    async def main(market: SmallMarket) -> None:
        answer = await search(market)
        assert answer.found
        assert answer.proven
        assert [[s.operator_name for s in path.segments] for path in answer.paths] == [
            ["Alpha", "Beta", "Gamma"],
            ["Alpha", "Delta", "Gamma"],
        ]
        assert answer.paths[0].why == (
            "the cheapest that keeps every limit; the next, over Delta instead of Beta, is EUR 200.00 dearer and "
            "0.4 ms slower"
        )
        assert answer.paths[1].why == (
            "EUR 200.00 dearer and 0.4 ms slower than the best: "
            "EUR 300.00 for usage at Delta instead of EUR 100.00 for usage at Beta"
        )
        assert answer.paths[0].total == Money("EUR", 205_000_000)
        assert answer.paths[0].segments[2].price == Money("CHF", 50_000_000)
        assert answer.paths[0].countries is None, "nothing is attested"
        assert 0 < answer.floor_us < answer.paths[0].promise.latency_us
        assert answer.window.start == moment(market.clock.now())
        assert answer.epoch == market.federation.known.epoch

    world(main)


def test_a_front_is_every_path_that_none_beats() -> None:
    async def main(market: SmallMarket) -> None:
        names = (Objective.LATENCY, Objective.PRICE)
        front = (await market.searching.search(intent(), 1, front=names)).front
        assert front is not None
        assert (front.objectives, front.complete, front.least) == ((Objective.PRICE, Objective.LATENCY), True, None)
        assert front.why == "one path is the best on all of them"
        assert front.paths[0].why == "the cheapest and the fastest"
        beyond = await market.searching.search(intent(limits=Limits(latency_us=1)), 1, front=names)
        assert (beyond.found, beyond.front) == (False, None)

    world(main)


def test_countries_are_those_that_marks_say_may_be_crossed() -> None:
    async def main(market: SmallMarket) -> None:
        attest(market, alpha="NL", beta="DE NL", gamma="CH IT")
        answer = await search(market)
        assert answer.paths[0].countries == ("CH", "DE", "IT", "NL")
        assert answer.paths[1].countries is None

    world(main)


def test_policy_keeps_out_what_is_not_attested_and_says_so() -> None:
    async def main(market: SmallMarket) -> None:
        attest(market, alpha="NL", beta="DE US", gamma="CH IT", delta="DE")
        allowed = Sovereignty(countries=("EU", "CH"))
        answer = await search(market, sovereignty=allowed)
        assert [[s.operator_name for s in path.segments] for path in answer.paths] == [["Alpha", "Delta", "Gamma"]]
        assert answer.paths[0].why == "the only path that keeps every limit"
        (excluded,) = answer.excluded
        assert (excluded.operator_name, excluded.rule, excluded.route_class) == ("Beta", "countries", None)
        assert excluded.detail == "may cross US, which the intent does not allow"
        market.facts.clear()
        answer = await search(market, sovereignty=allowed)
        assert not answer.found
        assert {exclusion.operator for exclusion in answer.excluded} == {ALPHA, BETA, GAMMA, DELTA}

    world(main)


def test_an_impossible_intent_says_what_binds_and_what_would_help() -> None:
    async def main(market: SmallMarket) -> None:
        answer = await search(market, limits=Limits(latency_us=900))
        assert not answer.found
        assert [(b.limit, b.asked, b.floor) for b in answer.binding] == [("latency_us", "0.9 ms", "1.01 ms")]
        (relaxation,) = answer.relaxations
        assert relaxation.change == "accept latency of 1.01 ms (+0.11 ms)"
        assert relaxation.total == Money("EUR", 205_000_000)
        assert answer.floor_us > 0

    world(main)


def test_less_bandwidth_is_said_as_what_is_possible_instead() -> None:
    def change(by_name: Mapping[str, FakeOperator]) -> None:
        for name in ("Beta", "Delta"):
            for key, offer in by_name[name].offers.items():
                by_name[name].offers[key] = structs.replace(offer, free=((0, 2_345_678_901),))

    async def main(market: SmallMarket) -> None:
        answer = await search(market, bandwidth_bps=3 * GBPS)
        assert [r.change for r in answer.relaxations] == ["accept bandwidth of 2.345 Gb/s instead of 3 Gb/s"]

    world(main, change)


def test_operators_that_the_intent_names_are_listed_as_kept_out() -> None:
    async def main(market: SmallMarket) -> None:
        answer = await search(market, operators_denied=("beta",))
        assert [[s.operator_name for s in path.segments] for path in answer.paths] == [["Alpha", "Delta", "Gamma"]]
        assert [(e.operator, e.rule) for e in answer.excluded] == [(BETA, "operators_denied")]
        answer = await search(market, operators_allowed=("Alpha", "gamma"))
        assert not answer.found
        assert {(e.operator, e.rule) for e in answer.excluded} == {
            (BETA, "operators_allowed"),
            (DELTA, "operators_allowed"),
        }
        assert [relaxation.change for relaxation in answer.relaxations] == [
            "allow Beta (operators allowed)",
        ]

    world(main)


def test_a_budget_in_another_currency_is_rounded_against_the_spender() -> None:
    async def main(market: SmallMarket) -> None:
        # 205 EUR are 186.3636... CHF
        assert (await search(market, budget=Money("CHF", 186_363_637))).found
        assert not (await search(market, budget=Money("CHF", 186_363_636))).found

    world(main)


def test_a_search_sees_one_snapshot_and_changes_come_with_the_next() -> None:
    async def main(market: SmallMarket) -> None:
        before = market.market.snapshot
        market.beta.publish(drop=(("offer", "b-a--b-g:any"),))
        for _ in range(20):
            await asyncio.sleep(0.1)
        assert before.sheets[BETA].offers
        answer = await search(market)
        assert answer.epoch == before.known.epoch + 1
        assert [path.segments[1].operator_name for path in answer.paths] == ["Delta"]

    world(main)


def test_the_federation_is_described_with_those_that_are_absent() -> None:
    def change(by_name: Mapping[str, FakeOperator]) -> None:
        by_name["Delta"].down = True

    async def main(market: SmallMarket) -> None:
        attest(market, alpha="NL")
        view = federation_view(
            market.market.snapshot, market.federation.known, market.facts.get, memory_kib=1, discovery_ms=2
        )
        assert [(o.name, o.connected, o.attested, o.component) for o in view.operators] == [
            ("Alpha", True, True, 0),
            ("Beta", True, False, 0),
            ("Delta", False, False, -1),
            ("Gamma", True, False, 0),
        ]
        assert view.operators[2].why == "Delta did not answer"
        assert (view.interconnects, view.one_sided, view.offers) == (2, 2, 5)
        assert view.interfaces == 8
        assert view.components == ((ALPHA, BETA, GAMMA),)

    world(main, change)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (money(12_345_678, "EUR"), "EUR 12.35"),
        (money(0, "CHF"), "CHF 0.00"),
        (milliseconds(5200), "5.2 ms"),
        (milliseconds(100_000), "100 ms"),
        (share(999_500_000), "99.95 %"),
        (share(10**9), "100 %"),
        (bandwidth(10 * 10**9), "10 Gb/s"),
        (bandwidth(2_500_000), "2.5 Mb/s"),
        (bandwidth(12), "12 bit/s"),
        (bandwidth(3_358_400_358), "3.358 Gb/s"),
        (duration(90_061), "1 d 1 h"),
        (duration(90), "1 min 30 s"),
        (duration(0), "0 s"),
    ],
)
def test_quantities_read_as_people_write_them(said: str, expected: str) -> None:
    assert said == expected
