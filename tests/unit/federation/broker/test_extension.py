"""Quotes for a longer lease: every operator or none, policy judged again."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec import structs

from federation.broker.quotes.extension import Extending, Leased, Longer
from federation.broker.quotes.protocols import StoredQuote
from schemas.jurisdiction import Attestation, ClassFacts, Sovereignty
from schemas.lease import State
from schemas.problem import Outcome, Problem, not_found
from schemas.quote import Action
from schemas.segment import Limits, window
from tests.support.loops import run
from tests.support.seams import FixedClock
from tests.support.small_market import ALPHA, BETA, GAMMA, SmallMarket, small_market


def world(main: Callable[[SmallMarket, Extending], Coroutine[Any, Any, None]]) -> None:
    clock = FixedClock()

    async def whole() -> None:
        async with small_market(clock) as market:
            await main(market, Extending(market.quoting))

    run(whole(), clock.advance)


def longer(stored: StoredQuote) -> Longer:
    end_s = stored.claims.window.end_s
    leased = tuple(
        Leased(operator=held.operator, product=f"p-{place}", segment=held.quote.segment)
        for place, held in enumerate(stored.held)
    )
    return Longer(
        order="o-1", quote=stored, leased=leased, window=window(end_s, end_s + 600), total=stored.claims.total
    )


async def bought(market: SmallMarket, **changes: object) -> StoredQuote:
    """A quote whose holds have since become leases."""
    stored = await market.quote(**changes)
    for operator in market.operators:
        operator.holds.clear()
    return stored


def test_an_extension_adds_a_window_with_the_labels_in_force() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        before = await bought(market)
        stored = await extending.quote(longer(before))
        claims = stored.claims
        assert (claims.action, claims.order, stored.order) == (Action.MODIFY, "o-1", "o-1")
        assert claims.window.start_s == before.claims.window.end_s
        assert [one.quote.segment.z.label for one in stored.held] == [one.quote.segment.z.label for one in before.held]
        assert [one.quote.product for one in stored.held] == ["p-0", "p-1", "p-2"]
        assert claims.promise == before.claims.promise
        assert claims.total.micro < before.claims.total.micro
        assert await market.store.get_quote("ann", stored.id) == stored
        await extending.let_go(stored)
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_one_refusal_ends_it_and_lets_the_others_go() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        before = await bought(market)
        market.gamma.capacity["g-b--g-mi:any"] = 0
        with pytest.raises(Problem) as caught:
            await extending.quote(longer(before))
        assert (caught.value.code, caught.value.outcome) == ("CAPACITY_CHANGED", Outcome.UNDONE)
        assert [failed["operator"] for failed in caught.value.extra["failed"]] == [GAMMA]
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_a_promise_that_fell_below_the_limits_is_not_extended() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        before = await bought(market, limits=Limits(latency_us=1100))
        market.beta.slower_us = 500
        with pytest.raises(Problem, match="promise less: latency_us"):
            await extending.quote(longer(before))
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_nobody_pays_more_for_longer_than_the_lease_was_sold_at() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        before = await bought(market)
        market.beta.surcharge_micro = 1_000_000_000
        with pytest.raises(Problem, match="at the tariff of the lease it is") as caught:
            await extending.quote(longer(before))
        assert (caught.value.code, caught.value.outcome) == ("OPERATOR_REFUSED", Outcome.UNDONE)
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


@pytest.mark.parametrize(
    ("beside", "why"),
    [({"exit_micro": 6_000_001}, "EUR 6.000001 for an early end, and sold the lease with EUR 6.00"),
     ({"set_up_micro": 1, "hourly_micro": 0}, "EUR 0.000001 for setting up what is there")],
)  # fmt: skip
def test_nobody_pays_more_beside_use_than_the_lease_was_sold_with(beside: dict[str, int], why: str) -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        market.beta.beside = {"exit_micro": 6_000_000}
        before = await bought(market)
        assert before.claims.exit_total.micro == 6_000_000
        await extending.let_go(await extending.quote(longer(before)))
        market.beta.beside = market.beta.beside | beside
        for bandwidth_bps in (None, before.claims.bandwidth_bps // 2):
            with pytest.raises(Problem, match=why) as caught:
                await extending.quote(structs.replace(longer(before), bandwidth_bps=bandwidth_bps))
            assert (caught.value.code, caught.value.outcome) == ("OPERATOR_REFUSED", Outcome.UNDONE)
            assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_a_budget_holds_for_the_lease_with_its_extensions() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        plain = await bought(market)
        before = await bought(market, budget=structs.replace(plain.claims.total, micro=plain.claims.total.micro + 1))
        with pytest.raises(Problem, match="more than the budget") as caught:
            await extending.quote(longer(before))
        assert (caught.value.field, caught.value.outcome) == ("budget", Outcome.UNDONE)
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_policy_is_judged_again() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        for entity in (ALPHA, BETA, GAMMA):
            market.facts[entity] = Attestation(classes={"any": ClassFacts(countries=("NL",))})
        before = await bought(market, sovereignty=Sovereignty(countries=("NL",)))
        assert before.path.countries == ("NL",)
        assert before.state is State.HELD
        del market.facts[BETA]
        asked = len(market.alpha.asked)
        with pytest.raises(Problem) as caught:
            await extending.quote(longer(before))
        assert (caught.value.code, caught.value.outcome) == ("POLICY_DENIED", Outcome.NONE)
        assert "Beta: no recognised auditor attests" in caught.value.detail
        assert len(market.alpha.asked) == asked

    world(main)


def test_an_operator_that_left_the_configuration_is_named() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        before = await bought(market)
        market.quoting.peers.pop(BETA)  # type: ignore[attr-defined]
        with pytest.raises(Problem) as caught:
            await extending.quote(longer(before))
        assert caught.value.code == "OPERATOR_UNREACHABLE"
        assert f"{BETA} is not among the operators of this broker any more" in caught.value.detail
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_one_change_of_an_order_is_asked_for_at_a_time() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        wanted = longer(await bought(market))

        async def ordered(_: StoredQuote) -> Any:
            with pytest.raises(Problem, match="another change") as caught:
                await extending.change(wanted, ordered)
            assert (caught.value.code, caught.value.outcome) == ("INCOMPATIBLE_STATE", Outcome.NONE)
            return "ordered"

        assert await extending.change(wanted, ordered) == "ordered"
        assert await extending.change(wanted, ordered) == "ordered", "and one after the other"

    world(main)


def test_a_quote_that_the_store_does_not_know_is_no_fault_of_the_buyer() -> None:
    async def main(market: SmallMarket, extending: Extending) -> None:
        async def unknown(stored: StoredQuote) -> Any:
            raise not_found(f"quote {stored.id}")

        with pytest.raises(Problem) as caught:
            await extending.change(longer(await bought(market)), unknown)
        problem = caught.value
        assert (problem.code, problem.outcome, problem.retry_after_s) == ("UNAVAILABLE", Outcome.UNDONE, 1)
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)
