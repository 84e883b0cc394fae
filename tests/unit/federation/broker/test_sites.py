"""Sites as auditors found them, and promises against the speed of light: what is refused, what is merely not proven."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from federation.broker.market.sites import Sites, contradictions, contradicts, floor_us
from federation.broker.quotes.extension import Extending
from schemas.jurisdiction import Attestation, AttestedPlace
from schemas.problem import Problem
from tests.support.fake_operators import FakeOperator
from tests.support.loops import run
from tests.support.seams import FixedClock
from tests.support.small_market import ALPHA, BETA, DELTA, GAMMA, SmallMarket, intent, small_market
from tests.unit.federation.broker.test_extension import bought, longer

HERE = AttestedPlace(country="NL", lat_e6=52_000_000, lon_e6=5_000_000)
NEAR = AttestedPlace(country="NL", lat_e6=52_100_000, lon_e6=5_000_000)  # 11 km
FAR = AttestedPlace(country="NL", lat_e6=53_000_000, lon_e6=5_000_000)  # 111 km
ABROAD = AttestedPlace(country="DE", lat_e6=52_000_000, lon_e6=5_000_000)
LYON = AttestedPlace(country="FR", lat_e6=45_760_000, lon_e6=4_840_000)


def sites(**found: AttestedPlace) -> Attestation:
    return Attestation(sites={name.replace("_", "-"): place for name, place in found.items()})


def world(
    main: Callable[[SmallMarket, list[tuple[str, str]]], Coroutine[Any, Any, None]],
    change: Callable[[Mapping[str, FakeOperator]], None] = lambda by_name: None,
) -> None:
    clock = FixedClock()

    async def whole() -> None:
        async with small_market(clock, change) as market:
            told: list[tuple[str, str]] = []
            held = Sites(lambda: market.market.snapshot.sheets, market.facts.get, lambda *one: told.append(one))
            terms = replace(market.searching.terms, sites=held.agree, doubt=held.doubt)
            market.searching.terms = terms
            await main(market, told)

    run(whole(), clock.advance)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (HERE, None),
        (NEAR, None),
        (FAR, "b-a is said to be 111 km from where an auditor found it"),
        (ABROAD, "b-a is said to be in NL, and an auditor found it in DE"),
    ],
)
def test_what_a_sheet_says_of_an_attested_site_agrees_or_is_told_once(place: AttestedPlace, says: str | None) -> None:
    async def main(market: SmallMarket, told: list[tuple[str, str]]) -> None:
        terms = market.searching.terms
        assert terms.sites(BETA)
        market.facts[BETA] = sites(b_a=place)
        assert terms.sites(BETA) is (says is None)
        assert terms.sites(BETA) is (says is None)
        assert told == ([] if says is None else [(BETA, says)])
        assert list(contradictions(market.searching.sheets[BETA], market.facts[BETA])) == [why for _, why in told]
        assert terms.sites("https://nobody.example")

    world(main)


def test_a_site_may_be_attested_by_its_name() -> None:
    def named(by_name: Mapping[str, FakeOperator]) -> None:
        beta = by_name["Beta"]
        beta.interfaces["b-a"] = structs.replace(beta.interfaces["b-a"], name="Halle 5")

    async def main(market: SmallMarket, told: list[tuple[str, str]]) -> None:
        market.facts[BETA] = Attestation(sites={"Halle 5": ABROAD})
        assert not market.searching.terms.sites(BETA)
        assert told

    world(main, named)


def test_an_offer_below_light_between_attested_sites_is_not_searched_and_the_reason_is_told() -> None:
    async def main(market: SmallMarket, _: list[tuple[str, str]]) -> None:
        assert [one.operator for one in (await market.quote()).held] == [ALPHA, BETA, GAMMA]
        market.facts[BETA] = sites(b_a=HERE, b_g=LYON)  # 695 km: 2,314 us, and 500 us are promised
        answer = await market.searching.search(intent(), 3)
        assert [path.segments[1].operator for path in answer.paths] == [DELTA]
        (why,) = [one for one in answer.excluded if one.rule == "plausibility"]
        assert (why.operator, why.route_class) == (BETA, "any")
        assert why.detail == "promises 0.5 ms between Frankfurt and Zurich, where light needs 2.314 ms"
        assert [one.operator for one in (await market.quote()).held] == [ALPHA, DELTA, GAMMA]
        market.facts[DELTA] = market.facts[BETA] = sites(b_a=HERE, b_g=LYON, d_a=HERE, d_g=LYON)
        answer = await market.searching.search(intent(), 3)
        assert not answer.found
        assert {one.operator for one in answer.excluded if one.rule == "plausibility"} == {BETA, DELTA}

    world(main)


def test_declared_places_count_where_nobody_attests_them() -> None:
    def stretched(by_name: Mapping[str, FakeOperator]) -> None:
        beta = by_name["Beta"]
        beta.interfaces["b-g"] = structs.replace(beta.interfaces["b-g"], lat_udeg=45_760_000)

    async def main(market: SmallMarket, _: list[tuple[str, str]]) -> None:
        assert [one.operator for one in (await market.quote()).held] == [ALPHA, DELTA, GAMMA]
        market.facts[BETA] = sites(b_g=HERE)  # an auditor found it where light is fast enough
        assert [one.operator for one in (await market.quote()).held] == [ALPHA, BETA, GAMMA]

    world(main, stretched)


def test_a_quote_below_light_is_refused_and_its_hold_let_go() -> None:
    async def main(market: SmallMarket, _: list[tuple[str, str]]) -> None:
        market.facts[BETA] = sites(b_a=HERE, b_g=FAR)  # 111 km: 370 us; the offer of 500 us is honest
        market.beta.slower_us = -200
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert "promises 0.3 ms" in stored.path.why
        assert market.held() == {"Alpha": 1, "Beta": 0, "Gamma": 1, "Delta": 1}

    world(main)


def test_an_extension_below_light_leaves_the_lease_as_it_is() -> None:
    async def main(market: SmallMarket, _: list[tuple[str, str]]) -> None:
        before = await bought(market)
        market.facts[BETA] = sites(b_a=HERE, b_g=LYON)
        with pytest.raises(Problem, match="where light needs") as caught:
            await Extending(market.quoting).quote(longer(before))
        assert caught.value.code == "OPERATOR_REFUSED"
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_a_measured_latency_contradicts_only_what_light_cannot_do() -> None:
    floor = floor_us(HERE, LYON)
    assert floor_us(LYON, HERE) == floor == 2_314
    assert contradicts(floor - 1, HERE, LYON)
    assert not contradicts(floor, HERE, LYON)
    assert not contradicts(10**9, HERE, LYON)
    assert not contradicts(0, HERE, HERE)
