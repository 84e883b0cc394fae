"""What every ledger of expenses must do, whatever it is made of: no budget is exceeded under any interleaving."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.broker.spend.protocols import Expense, SpendLedger, Spent, Wanted
from federation.broker.spend.rules import expense_id
from federation.broker.store.redis.keys import Keyspace
from federation.broker.store.redis.spends import settle_order as settle_keys
from federation.broker.store.redis.store import RedisStore
from federation.broker.store.spends import SpendRows, settle_order
from federation.broker.store.sqlite import open_database
from federation.tokens.mandate import Budget
from schemas.price import Money, RateTable
from schemas.problem import Problem
from tests.support.broker_stores import KINDS, broker_store
from tests.support.redis_server import RedisServer, emptied, redis_server, redis_space
from tests.support.seams import NOW
from tests.support.simulated_keys import SimulatedKeys
from tests.support.spend_model import MemoryLedger

__all__ = ["emptied", "redis_server"]

RATES = RateTable("2026-11-02", {"EUR": 1_000_000, "CHF": 1_068_000, "GBP": 1_149_001})
BUDGET = Budget("m" * 43, "https://buyer.example", "EUR", 100, 100, NOW + 60)


def wanted(name: str, micro: int, currency: str = "EUR") -> Wanted:
    return Wanted(id=name, most=Money(currency, micro), rates=RATES)


@pytest_asyncio.fixture(params=["memory", *KINDS])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SpendLedger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    async with broker_store(request.param, request, tmp_path) as made:
        yield made


async def refused(work: Awaitable[Expense], code: str) -> Problem:
    with pytest.raises(Problem) as found:
        await work
    assert (found.value.code, found.value.outcome) == (code, None if code == "NOT_FOUND" else "none")
    return found.value


@pytest.mark.asyncio
async def test_of_100_parallel_orders_a_budget_for_7_allows_exactly_7(ledger: SpendLedger) -> None:
    orders = (ledger.reserve(BUDGET, wanted(f"o{n}", 14), NOW) for n in range(100))
    outcomes = await asyncio.gather(*orders, return_exceptions=True)
    placed = [one for one in outcomes if isinstance(one, Expense)]
    assert len(placed) == 7
    assert await ledger.left(BUDGET) == 2
    assert {one.code for one in outcomes if isinstance(one, Problem)} == {"POLICY_DENIED"}
    assert {one.id for one in await ledger.reserved()} == {one.id for one in placed}
    await ledger.credit(placed[0].id)
    assert (await ledger.reserve(BUDGET, wanted("o100", 14), NOW)).micro == 14


@pytest.mark.asyncio
async def test_the_same_order_is_one_expense(ledger: SpendLedger) -> None:
    first = await ledger.reserve(BUDGET, wanted("o", 40), NOW)
    again = await asyncio.gather(*(ledger.reserve(BUDGET, wanted("o", 40), NOW + 99) for _ in range(8)))
    assert set(map(repr, again)) == {repr(first)}
    assert await ledger.left(BUDGET) == 60
    await refused(ledger.reserve(BUDGET, wanted("o", 41), NOW), "IDEMPOTENCY_CONFLICT")
    await refused(ledger.reserve(BUDGET._replace(mandate_h="n" * 43), wanted("o", 40), NOW), "IDEMPOTENCY_CONFLICT")
    other_rates = Wanted(id="o", most=Money("EUR", 40), rates=RateTable("2026-11-03", RATES.worth_ppm))
    await refused(ledger.reserve(BUDGET, other_rates, NOW), "IDEMPOTENCY_CONFLICT")
    await ledger.settle("o", Money("EUR", 10))
    assert (await ledger.reserve(BUDGET, wanted("o", 40), NOW)).state is Spent.SETTLED
    assert await ledger.left(BUDGET) == 90


@pytest.mark.asyncio
async def test_what_is_too_much_or_too_late_takes_nothing(ledger: SpendLedger) -> None:
    narrow = BUDGET._replace(per_order_micro=30)
    problem = await refused(ledger.reserve(narrow, wanted("o", 31), NOW), "POLICY_DENIED")
    assert problem.extra == {"left": 100, "ccy": "EUR"}
    await refused(ledger.reserve(narrow, wanted("o", 30), NOW + 60), "POLICY_DENIED")
    with pytest.raises(Problem, match="no rate for USD"):
        await ledger.reserve(narrow, wanted("o", 1, "USD"), NOW)
    assert await ledger.left(narrow) == 100
    assert (await ledger.reserve(narrow, wanted("o", 30), NOW + 59)).micro == 30


@pytest.mark.asyncio
async def test_it_settles_once_and_never_above_what_was_set_aside(ledger: SpendLedger) -> None:
    await ledger.reserve(BUDGET, wanted("o", 80), NOW)
    await refused(ledger.settle("o", Money("EUR", 81)), "INCOMPATIBLE_STATE")
    assert await ledger.left(BUDGET) == 20
    answers = await asyncio.gather(*(ledger.settle("o", Money("EUR", 30)) for _ in range(8)))
    assert {(one.state, one.micro) for one in answers} == {(Spent.SETTLED, 30)}
    assert await ledger.left(BUDGET) == 70
    await refused(ledger.settle("o", Money("EUR", 31)), "INCOMPATIBLE_STATE")
    await refused(ledger.credit("o"), "INCOMPATIBLE_STATE")
    await refused(ledger.settle("nobody's", Money("EUR", 0)), "NOT_FOUND")
    assert await ledger.reserved() == ()


@pytest.mark.asyncio
async def test_every_mandate_has_a_budget_of_its_own(ledger: SpendLedger) -> None:
    other = BUDGET._replace(mandate_h="n" * 43, ccy="GBP")
    await ledger.reserve(BUDGET, wanted("a", 100), NOW)
    await ledger.reserve(other, wanted("b", 100, "GBP"), NOW)
    assert [await ledger.left(one) for one in (BUDGET, other)] == [0, 0]


@pytest.mark.asyncio
async def test_other_currencies_count_at_the_quotes_rates_rounded_up(ledger: SpendLedger) -> None:
    assert (await ledger.reserve(BUDGET, wanted("o", 9, "GBP"), NOW)).micro == 11
    assert (await ledger.settle("o", Money("CHF", 9))).micro == 10


@pytest.mark.asyncio
async def test_a_crash_between_reserve_and_settle_loses_nothing(tmp_path: Path) -> None:
    """The next run finds what was set aside, and credits it where no order came of it."""
    path = tmp_path / "broker.sqlite"
    async with open_database(path) as database:
        await SpendRows(database).reserve(BUDGET, wanted("o1", 60), NOW)
        await SpendRows(database).reserve(BUDGET, wanted("o2", 40), NOW)
    async with open_database(path) as database:
        ledger = SpendRows(database)
        assert [one.id for one in await ledger.reserved()] == ["o1", "o2"]
        await refused(ledger.reserve(BUDGET, wanted("o3", 1), NOW), "POLICY_DENIED")
        await ledger.credit("o2")
    async with open_database(path) as database:
        assert await SpendRows(database).left(BUDGET) == 40
        assert (await SpendRows(database).credit("o2")).micro == 0


@pytest.mark.asyncio
async def test_nor_does_one_of_the_server_or_of_a_replica(emptied: RedisServer) -> None:
    async with redis_space(emptied) as space:
        await RedisStore(space).reserve(BUDGET, wanted("o1", 60), NOW)
        await RedisStore(space).reserve(BUDGET, wanted("o2", 40), NOW)
    emptied.kill()
    emptied.start()
    async with redis_space(emptied) as space, redis_space(emptied) as other:
        ledger = RedisStore(space)
        assert [one.id for one in await ledger.reserved()] == ["o1", "o2"]
        await refused(RedisStore(other).reserve(BUDGET, wanted("o3", 1), NOW), "POLICY_DENIED")
        await ledger.credit("o2")
        assert await RedisStore(other).left(BUDGET) == 40
        assert (await RedisStore(other).credit("o2")).micro == 0


# Orders by number; amounts from cheap to far too dear; three currencies; sometimes the broker dies and starts again.
STEPS = st.one_of(
    st.tuples(st.just("reserve"), st.integers(0, 9), st.integers(0, 60), st.sampled_from(("EUR", "CHF", "GBP"))),
    st.tuples(st.just("settle"), st.integers(0, 9), st.integers(0, 60), st.sampled_from(("EUR", "CHF", "GBP"))),
    st.tuples(st.just("credit"), st.integers(0, 9), st.just(0), st.just("EUR")),
    st.tuples(st.just("crash"), st.just(0), st.just(0), st.just("EUR")),
)
Step = tuple[str, int, int, str]


def act(ledger: SpendLedger, step: Step) -> Awaitable[Expense]:
    what, number, micro, currency = step
    if what == "reserve":
        return ledger.reserve(BUDGET, wanted(f"o{number}", micro, currency), NOW)
    if what == "settle":
        return ledger.settle(f"o{number}", Money(currency, micro))
    return ledger.credit(f"o{number}")


async def outcome(work: Awaitable[Expense]) -> tuple[str, object]:
    try:
        return "done", await work
    except Problem as problem:
        return problem.code, problem.detail


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(STEPS, min_size=1, max_size=6), max_size=10))
def test_under_any_interleaving_the_budget_holds(waves: list[list[Step]]) -> None:
    """Waves of concurrent acts: SQLite says what the model says, act by act, and never more is taken than there is."""

    waves = [*waves]

    async def run(folder: Path) -> None:
        model, path = MemoryLedger(), folder / "broker.sqlite"
        while waves:
            async with open_database(path) as database:
                await until_crash(SpendRows(database), model)

    async def until_crash(rows: SpendRows, model: MemoryLedger) -> None:
        while waves:
            wave = waves.pop(0)
            acts = [step for step in wave if step[0] != "crash"]
            found = await asyncio.gather(*(outcome(act(rows, step)) for step in acts))
            assert found == [await outcome(act(model, step)) for step in acts]
            assert await rows.left(BUDGET) == await model.left(BUDGET) >= 0
            assert await rows.reserved() == await model.reserved()
            if len(acts) < len(wave):
                return

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_over_keys_it_does_what_the_model_does(steps: list[Step]) -> None:
    async def run() -> None:
        model, rows = MemoryLedger(), RedisStore(Keyspace(SimulatedKeys()))
        for step in steps:
            if step[0] != "crash":
                assert await outcome(act(rows, step)) == await outcome(act(model, step))
                assert await rows.left(BUDGET) == await model.left(BUDGET) >= 0
        assert await rows.reserved() == await model.reserved()

    asyncio.run(run())


@given(
    st.lists(st.tuples(st.integers(0, 10**18), st.integers(0, 10**18)), max_size=8),
    st.sampled_from(("EUR", "CHF", "GBP")),
    st.randoms(use_true_random=False),
)
def test_a_bill_within_its_quote_always_settles(rows: list[tuple[int, int]], currency: str, random: object) -> None:
    """Reserving and settling round the same way, so that no rate makes a bill larger than what was set aside."""
    budget = BUDGET._replace(per_order_micro=10**30, total_micro=10**30)
    shuffle: Callable[[list[int]], None] = random.shuffle  # type: ignore[attr-defined]
    order = list(range(len(rows)))
    shuffle(order)

    async def run() -> None:
        ledger = MemoryLedger()
        for number, (most, _) in enumerate(rows):
            await ledger.reserve(budget, wanted(f"o{number}", most, currency), NOW)
        for number in order:
            most, share = rows[number]
            await ledger.settle(f"o{number}", Money(currency, min(most, share)))
        assert await ledger.reserved() == ()

    asyncio.run(run())


@pytest.mark.asyncio
async def test_an_extension_that_came_to_nothing_bears_none_of_the_bill(tmp_path: Path) -> None:
    """Otherwise each one that is refused would hide what a later one costs, and the budget would be spent twice."""
    async with open_database(tmp_path / "broker.sqlite") as database:
        ledger = SpendRows(database)
        for number, micro in enumerate((40, 20, 30)):
            await ledger.reserve(BUDGET, wanted(expense_id("o", number), micro), NOW)
        await ledger.credit(expense_id("o", 1))
        names = [expense_id("o", number) for number in range(3)]
        for _ in range(2):  # the end of an order may be written down twice
            await database.write(lambda connection: settle_order(connection, names, Money("EUR", 65)))
            assert await ledger.left(BUDGET) == 35
        assert await ledger.reserved() == ()


@pytest.mark.asyncio
async def test_over_keys_too_several_expenses_of_one_order_are_settled_at_once() -> None:
    space = Keyspace(SimulatedKeys())
    ledger, names = RedisStore(space), [expense_id("o", number) for number in range(3)]
    for name, micro in zip(names, (40, 20, 30), strict=True):
        await ledger.reserve(BUDGET, wanted(name, micro), NOW)
    await ledger.credit(names[1])
    for _ in range(2):
        await space.transact(lambda transaction: settle_keys(transaction, names, Money("EUR", 65)))
        assert await ledger.left(BUDGET) == 35
    assert await ledger.reserved() == ()
