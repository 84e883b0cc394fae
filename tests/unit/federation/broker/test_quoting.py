"""Quoting against operators in memory: what is asked, held, signed, refused, tried again and let go."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
import pytest
from msgspec import structs

from federation.broker.once import claim_of
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.hand import Ask, fits
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.quotes.quoting import QuotingLimits
from federation.broker.quotes.tally import labels_agree
from federation.trust.jose import verify_jws
from federation.trust.keys import public_keys
from federation.trust.merkle import path_root
from schemas.boundary import Boundary, Flow
from schemas.entity import Jwks
from schemas.lease import State
from schemas.price import Money, TimeBand
from schemas.problem import Outcome, Problem
from schemas.quote import PathQuote
from schemas.segment import Limits
from schemas.token import TYPES
from tests.support.fake_operators import FakeOperator
from tests.support.loops import run
from tests.support.seams import FixedClock
from tests.support.small_market import (
    ALPHA,
    BETA,
    BROKER,
    DELTA,
    GAMMA,
    GBPS,
    LIMITS,
    SmallMarket,
    intent,
    small_market,
)

Change = Callable[[Mapping[str, FakeOperator]], None]


def world(
    main: Callable[[SmallMarket], Coroutine[Any, Any, None]],
    change: Change = lambda by_name: None,
    limits: QuotingLimits = LIMITS,
) -> None:
    """Run `main` in a small market whose time jumps."""
    clock = FixedClock()

    async def whole() -> None:
        async with small_market(clock, change, limits) as market:
            await main(market)

    run(whole(), clock.advance)


async def refused(market: SmallMarket, **changes: object) -> Problem:
    with pytest.raises(Problem) as caught:
        await market.quote(**changes)
    return caught.value


def test_a_quote_is_signed_held_everywhere_and_stored() -> None:
    async def main(market: SmallMarket) -> None:
        stored = await market.quote()
        keys = public_keys(Jwks((market.quoting.author.key.jwk(),)))
        claims = verify_jws(stored.document, PathQuote, keys, now=market.clock.now(), iss=BROKER, aud="ann")
        assert claims == stored.claims
        assert [one.operator for one in stored.held] == [ALPHA, BETA, GAMMA]
        assert claims.path_root == path_root([one.quote_h for one in stored.held])
        assert claims.exp == min(one.quote.exp for one in stored.held) - 1
        assert (stored.state, stored.rounds) == (State.HELD, 1)
        # 50 + 100 EUR, 50 CHF at 1.10, all for an hour
        assert stored.claims.total == Money("EUR", 205_000_000)
        assert stored.claims.promise.latency_us == 200 + 5 + 500 + 5 + 300
        assert labels_agree(stored.held)
        assert market.held() == {"Alpha": 1, "Beta": 1, "Gamma": 1, "Delta": 0}
        assert await market.store.get_quote("ann", stored.id) == stored
        assert await market.store.get_quote("bob", stored.id) is None
        ends = [(s.a.city, s.a.label, s.z.label) for s in stored.path.segments]
        assert ends[0][2] == ends[1][1]
        assert [city for city, _, _ in ends] == ["Utrecht", "Frankfurt", "Zurich"]

    world(main)


def test_a_buyer_has_another_name_at_every_operator() -> None:
    async def main(market: SmallMarket) -> None:
        await market.quote("ann")
        await market.quote("bob")
        subs = {operator.name: {rfq.sub for rfq in operator.asked} for operator in market.operators}
        assert [len(subs[name]) for name in ("Alpha", "Beta", "Gamma")] == [2, 2, 2]
        assert not subs["Alpha"] & subs["Beta"]

    world(main)


def test_only_the_operators_at_the_ends_learn_the_boundary() -> None:
    boundary = Boundary(flows=(Flow(a=("10.1.0.0/16",), z=("10.2.0.0/16",)),))

    async def main(market: SmallMarket) -> None:
        stored = await market.quote(boundary=boundary)
        assert [one.quote.segment.boundary for one in stored.held] == [boundary, None, boundary]
        assert [rfq.segment.boundary for rfq in market.beta.asked] == [None]
        # What is held for one boundary is not what is asked for with another.
        held, asked = stored.held[0], Ask(operator=ALPHA, segment=stored.held[0].quote.segment)
        assert fits(held, asked)
        assert not fits(held, structs.replace(asked, segment=structs.replace(asked.segment, boundary=None)))

    world(main)


def test_a_taken_label_asks_only_the_two_sides_concerned() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.labels["b-a"] = "77"
        stored = await market.quote()
        assert stored.rounds == 2
        assert [len(operator.asked) for operator in market.operators] == [2, 2, 1, 0]
        again = market.alpha.asked[1]
        assert again.replaces is not None
        assert again.segment.z.label == 77
        assert market.beta.asked[1].replaces is None
        assert stored.held[0].quote.segment.z.label == stored.held[1].quote.segment.a.label == 77
        assert market.held() == {"Alpha": 1, "Beta": 1, "Gamma": 1, "Delta": 0}

    world(main)


def test_an_interconnect_without_labels_is_gone_around() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.labels["b-g"] = ""
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert market.held() == {"Alpha": 1, "Beta": 0, "Gamma": 1, "Delta": 1}
        assert "taken" in stored.path.why

    world(main)


def test_capacity_that_is_gone_leads_over_another_operator_and_reuses_no_hold_twice() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.capacity["b-a--b-g:any"] = 0
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert stored.rounds == 2
        assert market.held() == {"Alpha": 1, "Beta": 0, "Gamma": 1, "Delta": 1}
        # Alpha and Gamma now end elsewhere, so their first holds were swapped in one step.
        assert market.alpha.asked[1].replaces is not None
        assert market.gamma.asked[1].replaces is not None

    world(main)


def test_an_operator_that_is_down_is_gone_around() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.down = True
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert "Beta did not answer" in stored.path.why

    world(main)


def test_an_operator_that_never_answers_costs_one_wait_and_no_more() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.silent = True
        begun = asyncio.get_running_loop().time()
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert asyncio.get_running_loop().time() - begun < LIMITS.total_s_max

    world(main)


def test_the_only_operator_down_lets_the_others_go_and_says_who() -> None:
    async def main(market: SmallMarket) -> None:
        market.gamma.down = True
        problem = await refused(market)
        assert (problem.code, problem.outcome) == ("OPERATOR_UNREACHABLE", Outcome.UNDONE)
        assert problem.extra["failed"] == (
            {
                "operator": GAMMA,
                "operator_name": "Gamma",
                "code": "OPERATOR_UNREACHABLE",
                "detail": "Gamma did not answer",
            },
        )
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}
        assert not market.store.quotes
        (left,) = problem.extra["left_to_expire"]
        assert left["operator"] == GAMMA, "whether it took the rfq is not known"

    world(main)


def test_a_hold_that_cannot_be_declined_is_left_to_expire_and_said_so() -> None:
    async def main(market: SmallMarket) -> None:
        async def nobody(quote_id: str) -> None:
            raise Problem("OPERATOR_UNREACHABLE", "gone", outcome=Outcome.UNKNOWN)

        market.alpha.decline = nobody  # type: ignore[method-assign]
        market.gamma.refusals = [Problem("OPERATOR_REFUSED", "no")] * 9
        problem = await refused(market)
        assert (problem.code, problem.outcome) == ("OPERATOR_REFUSED", Outcome.UNDONE)
        assert [left["operator"] for left in problem.extra["left_to_expire"]] == [ALPHA]

    world(main)


def test_a_dearer_quote_within_the_budget_is_taken_and_one_above_it_gone_around() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.surcharge_micro = 10_000_000
        stored = await market.quote(budget=Money("EUR", 500_000_000))
        assert stored.claims.total == Money("EUR", 215_000_000)
        market.beta.surcharge_micro = 900_000_000
        stored = await market.quote(budget=Money("EUR", 500_000_000))
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        problem = await refused(market, budget=Money("EUR", 300_000_000))
        assert (problem.code, problem.outcome) == ("OPERATOR_REFUSED", Outcome.UNDONE)
        assert "budget" in problem.detail

    world(main)


def test_a_promise_that_fell_below_the_limit_is_gone_around() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.slower_us = 10_000
        stored = await market.quote(limits=Limits(latency_us=2000))
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert not stored.intent.limits.broken_by(stored.claims.promise)

    world(main)


def test_each_operator_is_told_what_the_others_leave_of_the_limit() -> None:
    async def main(market: SmallMarket) -> None:
        await market.quote(limits=Limits(latency_us=2000))
        assert market.beta.asked[0].limits.latency_us == 2000 - 200 - 300 - 10

    world(main)


def test_rounds_have_an_end() -> None:
    async def main(market: SmallMarket) -> None:
        market.gamma.refusals = [Problem("LABEL_TAKEN", "no", extra={"interface": "g-b", "free": "9"})] * 99
        problem = await refused(market)
        assert problem.extra["rounds"] <= LIMITS.rounds_max
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_an_intent_that_nothing_meets_asks_nobody() -> None:
    async def main(market: SmallMarket) -> None:
        problem = await refused(market, limits=Limits(latency_us=1000))
        assert (problem.code, problem.outcome) == ("NO_FEASIBLE_PATH", Outcome.NONE)
        assert problem.extra["binding"][0]["limit"] == "latency_us"
        assert problem.extra["relaxations"]
        assert not any(operator.asked for operator in market.operators)

    world(main)


def test_a_store_that_fails_lets_every_hold_go() -> None:
    async def main(market: SmallMarket) -> None:
        market.store.fail = Problem("UNAVAILABLE", "disk full")
        problem = await refused(market)
        assert (problem.code, problem.outcome) == ("UNAVAILABLE", Outcome.UNDONE)
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


async def _faulty(*_: object) -> None:
    raise ZeroDivisionError("not foreseen")


FAULTY: Any = _faulty


def test_a_fault_with_one_operator_lets_the_others_go_and_names_it(caplog: pytest.LogCaptureFixture) -> None:
    async def main(market: SmallMarket) -> None:
        market.gamma.quote = FAULTY  # type: ignore[method-assign]
        problem = await refused(market)
        assert (problem.code, problem.outcome) == ("INTERNAL", Outcome.UNDONE)
        assert [failure["operator"] for failure in problem.extra["failed"]] == [GAMMA]
        assert "not foreseen" not in str(problem)
        assert "ZeroDivisionError: not foreseen" in caplog.text
        assert market.held() == {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def test_a_fault_with_an_operator_in_between_is_gone_around() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.quote = FAULTY  # type: ignore[method-assign]
        assert [one.operator for one in (await market.quote()).held] == [ALPHA, DELTA, GAMMA]

    world(main)


def test_a_fault_after_the_asking_and_one_in_letting_go_leave_no_other_hold() -> None:
    async def main(market: SmallMarket) -> None:
        market.store.put_quote = FAULTY  # type: ignore[method-assign]
        market.alpha.decline = FAULTY  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await market.quote()
        assert market.held() == {"Alpha": 1, "Beta": 0, "Gamma": 0, "Delta": 0}

    world(main)


def only_beta(by_name: Mapping[str, FakeOperator]) -> None:
    del by_name["Delta"].offers["d-a--d-g:any"]


async def race(market: SmallMarket, buyers: int, seed: int) -> tuple[int, set[str]]:
    """How many of so many buyers at once won, and why the others lost, when answers come in any order."""
    for number, operator in enumerate(market.operators):
        operator.delays = random.Random(seed * 10 + number)
    answers = await asyncio.gather(*(market.quote(f"b{i}") for i in range(buyers)), return_exceptions=True)
    won = [answer for answer in answers if not isinstance(answer, BaseException)]
    lost = [answer for answer in answers if isinstance(answer, Problem)]
    assert len(won) + len(lost) == buyers
    assert market.held() == {"Alpha": len(won), "Beta": len(won), "Gamma": len(won), "Delta": 0}
    return len(won), {problem.code for problem in lost}


def test_one_buyer_has_so_many_quotes_under_way_and_the_others_go_on() -> None:
    async def main(market: SmallMarket) -> None:
        asked = ["crowd"] * 20 + ["ann"]
        answers = await asyncio.gather(*(market.quote(buyer) for buyer in asked), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Problem)]
        assert {(problem.code, problem.outcome) for problem in refused} == {("TOO_MANY_REQUESTS", Outcome.NONE)}
        assert len(refused) == 17
        assert not isinstance(answers[-1], BaseException)
        assert market.held()["Alpha"] == 4
        await market.quote("crowd")

    world(main, limits=structs.replace(LIMITS, at_once_max=3))


@pytest.mark.parametrize("seed", range(8))
def test_of_many_buyers_racing_for_the_last_label_exactly_one_holds_it(seed: int) -> None:
    async def main(market: SmallMarket) -> None:
        market.alpha.labels["a-b"] = market.beta.labels["b-a"] = "50"
        assert await race(market, 16, seed) == (1, {"LABEL_TAKEN"})

    world(main, only_beta)


@pytest.mark.parametrize("seed", range(8))
def test_of_many_buyers_racing_for_the_last_gigabits_as_many_win_as_fit(seed: int) -> None:
    async def main(market: SmallMarket) -> None:
        market.alpha.capacity["a-ut--a-b:any"] = market.beta.capacity["b-a--b-g:any"] = 3 * GBPS
        won, codes = await race(market, 12, seed)
        assert 1 <= won <= 3
        assert codes == {"CAPACITY_CHANGED"}

    world(main, only_beta)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"bandwidth_bps": 0}, "bandwidth_bps", "is not sold"),
        ({"bandwidth_bps": -5}, "bandwidth_bps", "is not sold"),
        ({"bandwidth_bps": 10**30}, "bandwidth_bps", "is not sold"),
        ({"a": "Utrect@Alpha"}, "a", "did you mean Utrecht@Alpha?"),
        ({"z": "Milan@Omega"}, "z", "no operator 'Omega'"),
        ({"z": "Frankfurt@Alpha"}, "z", "where operators meet"),
        ({"z": "a-ut@alpha"}, "z", "is the same place"),
        ({"currency": "USD"}, "currency", "no rate for USD"),
        ({"budget": Money("JPY", 5)}, "budget.currency", "no rate for JPY"),
        ({"operators_denied": ("Lumen",)}, "operators_denied", "no operator 'Lumen'"),
        ({"duration_s": 10**10}, "duration_s", "five years"),
    ],
)
def test_bad_input_names_the_field_and_asks_nobody(changes: dict[str, object], field: str, said: str) -> None:
    async def main(market: SmallMarket) -> None:
        problem = await refused(market, **changes)
        assert (problem.code, problem.field) == ("INVALID_ARGUMENT", field)
        assert said in problem.detail
        assert not any(operator.asked for operator in market.operators)

    world(main)


def test_times_that_cannot_be_are_refused() -> None:
    async def main(market: SmallMarket) -> None:
        from schemas.segment import moment

        now = market.clock.now()
        problem = await refused(market, start=moment(now - 60))
        assert (problem.field, problem.code) == ("start", "INVALID_ARGUMENT")
        problem = await refused(market, duration_s=None, end=moment(now - 1))
        assert problem.field == "end"
        problem = await refused(market, start=moment(now + 10**9))
        assert problem.field == "start"

    world(main)


def test_the_claim_is_answered_with_the_quote() -> None:
    async def main(market: SmallMarket) -> None:
        claim = claim_of("ann", "k", "quote", intent())
        stored = await market.quoting.quote("ann", intent(), claim)
        assert await market.store.claim(claim, 0) == stored.id

    world(main)


@pytest.mark.parametrize(
    "change",
    [
        lambda beta: beta.beside.update(exit_micro=10**18),
        lambda beta: setattr(beta, "slower_us", 10**10 - 500),
    ],
)
def test_what_no_document_can_say_is_not_signed(change: Callable[[FakeOperator], object]) -> None:
    """Each number of an operator is one that may stand in a quote, and their sum is not: nobody could read it again."""

    async def main(market: SmallMarket) -> None:
        change(market.beta)
        market.alpha.beside["exit_micro"] = 1
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert "Beta quotes more than a path can be said to have" in stored.path.why
        assert msgspec.json.decode(msgspec.json.encode(stored), type=StoredQuote) == stored

    world(main)


def test_who_is_up_later_than_asked_for_keeps_nobody_else_from_the_path() -> None:
    async def main(market: SmallMarket) -> None:
        market.beta.up_within_s = 3_600
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert stored.path.why == "the best that could be held; Beta needs longer than was asked for"

    world(main)


@pytest.mark.parametrize("refuses", [True, False])
def test_an_operator_that_leaves_while_it_is_asked_is_no_fault_of_ours(refuses: bool) -> None:
    async def main(market: SmallMarket) -> None:
        granted = market.beta.quote

        async def leaving(*asked: Any) -> HeldQuote:
            held = await granted(*asked)
            del market.quoting.peers[BETA]  # type: ignore[attr-defined]
            if refuses:
                raise Problem("OPERATOR_REFUSED", "goodbye", outcome=Outcome.NONE)
            return held

        market.beta.quote = leaving  # type: ignore[method-assign]
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA if refuses else BETA, GAMMA]
        assert not refuses or "goodbye" in stored.path.why

    world(main)


def test_a_quote_that_may_be_in_the_store_is_told_as_unknown_and_keeps_its_holds() -> None:
    """Who asks again with the same key finds it, and it can be ordered still."""

    async def main(market: SmallMarket) -> None:
        kept = market.store.put_quote

        async def unheard(*given: Any) -> None:
            await kept(*given)
            raise Problem("UNAVAILABLE", "the answer was lost", outcome=Outcome.UNKNOWN)

        market.store.put_quote = unheard  # type: ignore[method-assign]
        problem = await refused(market)
        assert problem.outcome is Outcome.UNKNOWN
        assert market.held() == {"Alpha": 1, "Beta": 1, "Gamma": 1, "Delta": 0}

    world(main)


def test_what_fits_into_no_path_quote_is_not_signed() -> None:
    """Each quote is small enough by itself, and the one over all of them would be too large for any reader."""

    async def main(market: SmallMarket) -> None:
        for operator, count in ((market.alpha, 120), (market.beta, 130), (market.gamma, 120)):
            operator.beside["bands"] = tuple(TimeBand(m, m + 1, 10**6) for m in range(count))  # type: ignore[assignment]
        stored = await market.quote()
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert len(stored.document) <= TYPES["path-quote+jwt"].bytes_max

    world(main)
