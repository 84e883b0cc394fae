"""A new path for another bandwidth is bought unseen, so what it costs is held against the lease that it replaces."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from msgspec import structs

from federation.broker.authority.power import Buyer
from federation.broker.orders.protocols import Orders
from federation.broker.orders.saga.decide import begin
from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.terms import extend_asked, order_terms
from federation.broker.quotes.extension import Extending, Longer
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.resizing import Resizing, leased, leaving_early
from schemas.lease import State
from schemas.order import CHANGES_MAX
from schemas.price import Money
from schemas.problem import Outcome, Problem
from schemas.request import Resize, Way
from schemas.segment import window
from schemas.statement import USES_MAX
from tests.support.loops import run
from tests.support.seams import FixedClock
from tests.support.small_market import GBPS, RATES, SmallMarket, small_market

CLAIM = Claim(buyer="ann", key="k", digest="d")
ASKED = Resize(bandwidth_bps=2 * GBPS, way=Way.NEW_PATH)


class Placed(Exception):
    """An order that would have been placed."""


class NoOrders:
    """Places nothing."""

    async def place(self, quote: StoredQuote, *_: Any, replaces: str) -> None:
        raise Placed(quote, replaces)

    async def extend(self, quote: StoredQuote, *_: Any) -> None:
        raise Placed(quote, "")


def world(main: Callable[[SmallMarket, Resizing], Coroutine[Any, Any, None]]) -> None:
    clock = FixedClock()

    async def whole() -> None:
        async with small_market(clock) as market:
            orders = cast(Orders, NoOrders())
            await main(market, Resizing(market.quoting, Extending(market.quoting), orders, clock))

    run(whole(), clock.advance)


async def active(market: SmallMarket, **changes: object) -> tuple[OrderState, StoredQuote]:
    """An order in force, and the quote that became it."""
    quote = await market.quote(**changes)
    for operator in market.operators:
        operator.holds.clear()
    now = market.clock.now()
    state, _ = begin(order_terms(quote, "o-1", RATES, now), quote.claims.window.end_s, now * 1_000_000)
    legs = tuple(structs.replace(leg, product=f"p-{place}") for place, leg in enumerate(state.legs))
    return structs.replace(state, state=State.ACTIVE, legs=legs), quote


@pytest.mark.parametrize(("lie", "budget"), [("price", False), ("exit", False), ("exit", True)])
def test_no_operator_has_a_path_bought_at_a_price_that_nobody_saw(lie: str, budget: bool) -> None:
    async def main(market: SmallMarket, resizing: Resizing) -> None:
        total = (await market.quote()).claims.total
        state, quote = await active(
            market, **({"budget": structs.replace(total, micro=2 * total.micro)} if budget else {})
        )
        with pytest.raises(Placed):
            await resizing.resize(Buyer("ann"), state, quote, ASKED, CLAIM)
        for operator in market.operators:
            operator.holds.clear()
        if lie == "price":
            market.alpha.surcharge_micro = 10**12
        else:
            market.alpha.beside = {"exit_micro": 10**12}
        with pytest.raises(Problem, match="ask for a quote, look at it") as caught:
            await resizing.resize(Buyer("ann"), state, quote, ASKED, CLAIM)
        assert (caught.value.code, caught.value.outcome) == ("NO_FEASIBLE_PATH", Outcome.UNDONE)
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_a_budget_says_what_may_be_spent_unseen() -> None:
    async def main(market: SmallMarket, resizing: Resizing) -> None:
        plain = await market.quote()
        budget = structs.replace(plain.claims.total, micro=1_000 * plain.claims.total.micro)
        state, quote = await active(market, budget=budget)
        market.alpha.surcharge_micro = 10**9
        with pytest.raises(Placed):
            await resizing.resize(Buyer("ann"), state, quote, ASKED, CLAIM)

    world(main)


def costing(state: OrderState, exit_micro: int) -> OrderState:
    """The order, where each operator asks so much for an early end."""
    parts = tuple(
        structs.replace(
            part, pledge=structs.replace(part.pledge, tariff=structs.replace(part.pledge.tariff, exit_micro=exit_micro))
        )
        for part in state.terms.parts
        if part.pledge.tariff
    )
    return structs.replace(state, terms=structs.replace(state.terms, parts=parts))


@pytest.mark.parametrize("way", Way)
def test_a_resize_costs_no_more_than_its_own_budget(way: Way) -> None:
    async def main(market: SmallMarket, resizing: Resizing) -> None:
        state, quote = await active(market)
        state = costing(state, 5_000)
        leaving = leaving_early(state, RATES, "EUR").micro

        async def told(budget: Money | None) -> Exception:
            for operator in market.operators:
                operator.holds.clear()
            asked = structs.replace(ASKED, way=way, budget=budget)
            with pytest.raises((Placed, Problem)) as caught:
                await resizing.resize(Buyer("ann"), state, quote, asked, CLAIM)
            return caught.value

        claims = (await told(None)).args[0].claims
        whole = claims.total.micro + (leaving + claims.exit_total.micro if way is Way.NEW_PATH else 0)
        assert isinstance(await told(Money("EUR", whole)), Placed)
        beyond = [1, whole // 2, whole - 1] + ([leaving] if way is Way.NEW_PATH else [])
        for micro in beyond:
            problem = await told(Money("EUR", micro))
            assert isinstance(problem, Problem), micro
            assert (problem.code, problem.field) == ("NO_FEASIBLE_PATH", "budget")
            assert problem.outcome in {Outcome.NONE, Outcome.UNDONE}
            assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_a_budget_in_another_currency_counts_at_the_rates() -> None:
    async def main(market: SmallMarket, resizing: Resizing) -> None:
        state, quote = await active(market)
        asked = structs.replace(ASKED, budget=Money("JPY", 1_000_000))
        with pytest.raises(Problem, match="no rate for JPY") as caught:
            await resizing.resize(Buyer("ann"), state, quote, asked, CLAIM)
        assert caught.value.field == "budget.currency"

    world(main)


def test_an_order_is_not_changed_without_end() -> None:
    async def main(market: SmallMarket, resizing: Resizing) -> None:
        state, quote = await active(market)
        now = market.clock.now()
        half = Longer(
            order="o-1", quote=quote, leased=leased(state), window=window(now, state.end_s), total=state.total,
            bandwidth_bps=GBPS // 2,
        )  # fmt: skip
        change = await Extending(market.quoting).quote(half)
        often = structs.replace(state, extensions=CHANGES_MAX - 1)
        assert extend_asked(change, often, now * 1_000_000).extension.number == CHANGES_MAX
        nine = structs.replace(often, legs=often.legs * 3, extensions=USES_MAX // 9 - 1)
        with pytest.raises(Problem, match="was changed 454 times"):
            extend_asked(change, nine, now * 1_000_000)
        with pytest.raises(Problem, match="was changed 512 times") as caught:
            extend_asked(change, structs.replace(often, extensions=CHANGES_MAX), now * 1_000_000)
        assert caught.value.code == "INCOMPATIBLE_STATE"

    world(main)
