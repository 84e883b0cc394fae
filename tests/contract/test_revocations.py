"""What every memory of revoked mandates must do, and that no order begins under one, whoever raced to begin it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import takewhile
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from federation.broker.authority.power import Power
from federation.broker.authority.revocations import Revocations
from federation.broker.orders.protocols import Filed, Outdated
from federation.broker.orders.saga.decide import begin
from federation.broker.orders.terms import order_terms, wanted_of
from federation.broker.spend.protocols import Charge
from federation.broker.store.sqlite import SqliteStore, migrations, open_database
from federation.node.sqlite import Database
from federation.tokens.mandate import Budget
from federation.tokens.narrows import passed_on
from schemas.lease import State
from schemas.problem import Outcome, Problem
from schemas.segment import window
from tests.support.agents import TakenBack
from tests.support.authority import AGENT, AUTHORITY
from tests.support.authority import BUYER as ENTITY
from tests.support.broker_stores import KINDS, BrokerStore, broker_store
from tests.support.redis_server import emptied, redis_server
from tests.support.seams import NOW
from tests.support.world.run import BUYER, RATES, Plan, World

pytestmark = pytest.mark.asyncio
__all__ = ["emptied", "redis_server"]
MANDATE, ANOTHER, KEY, OTHER_KEY = "m" * 43, "n" * 43, "k" * 43, "l" * 43


@pytest_asyncio.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BrokerStore]:
    async with broker_store(request.param, request, tmp_path) as made:
        yield made


@pytest_asyncio.fixture(params=["memory", *KINDS])
async def revocations(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Revocations]:
    if request.param == "memory":
        yield TakenBack()
        return
    async with broker_store(request.param, request, tmp_path) as made:
        yield made


async def test_a_mandate_is_revoked_once_by_its_buyer_alone(revocations: Revocations) -> None:
    assert not await revocations.revoked("carol", MANDATE)
    assert await revocations.revoke(["carol"], MANDATE, NOW) == NOW
    assert await revocations.revoke(["carol"], MANDATE, NOW + 9) == NOW, "again changes nothing"
    assert await revocations.revoked("carol", MANDATE)
    assert not await revocations.revoked("carol", ANOTHER)
    assert not await revocations.revoked("bob", MANDATE)


async def test_whoever_is_known_by_several_names_revokes_what_any_of_them_gave(revocations: Revocations) -> None:
    assert await revocations.revoke([ENTITY, "carol"], MANDATE, NOW) == NOW
    assert await revocations.revoked(ENTITY, MANDATE)
    assert await revocations.revoked("carol", MANDATE)


async def test_what_was_revoked_before_issuers_were_written_down_stays_revoked(tmp_path: Path) -> None:
    path, before = tmp_path / "old.sqlite", list(takewhile(lambda one: "TABLE revoked" not in one, migrations()))
    async with Database(path, before) as database:
        row = "INSERT INTO revocations (buyer, mandate_h, at_s) VALUES ('carol', ?, ?)"
        await database.write(lambda connection: connection.execute(row, (MANDATE, NOW)).rowcount)
    async with open_database(path) as database:
        store = SqliteStore(database)
        assert await store.revoked(ENTITY, MANDATE)
        assert not await store.revoked(ENTITY, ANOTHER)
        assert await store.revoke([ENTITY], MANDATE, NOW + 9) == NOW


async def test_no_order_begins_after_the_revocation_and_nothing_of_it_is_kept(store: BrokerStore) -> None:
    world = World(1, Plan(operators=2, trouble=False), asyncio.get_running_loop())
    power = Power(mandate_h=MANDATE, buyer=ENTITY, agent=AGENT, authority=passed_on(AUTHORITY), txn="txn-1", key=KEY)
    quotes = [structs.replace(world.path_quote(window(NOW, NOW + 60)), power=power) for _ in range(2)]
    budget = power.budget._replace(per_order_micro=10**12, total_micro=10**13)
    for number, quote in enumerate(quotes):
        await store.put_quote(quote, None)
        state, _ = begin(order_terms(quote, f"order-{number}", RATES, NOW), NOW + 60, NOW * 1_000_000)
        filed = [Filed(document_h=str(number) * 43, operator="https://op0.example", document=f"d{number}")]
        charge = Charge(budget, wanted_of(quote, state.terms.id, RATES), NOW)
        if number == 0:
            await store.begin(state, quote.id, None, filed, charge)
            await store.revoke([ENTITY], MANDATE, NOW)
            continue
        with pytest.raises(Problem) as caught:
            await store.begin(state, quote.id, None, filed, charge)
        assert (caught.value.code, caught.value.outcome) == ("POLICY_DENIED", Outcome.NONE)
    assert [state.terms.id for state in await store.list_orders(BUYER)] == ["order-0"]
    assert [expense.id for expense in await store.reserved()] == ["order-0"]
    assert await store.get_document(BUYER, "1" * 43) is None


async def test_a_change_that_another_was_faster_than_is_told_so_and_takes_nothing(store: BrokerStore) -> None:
    """Both count as the first change of the order, and each has a price of its own."""
    world = World(1, Plan(operators=2, trouble=False), asyncio.get_running_loop())
    budget = Budget(MANDATE, ENTITY, "EUR", 10**12, 10**13, NOW + 60)
    quotes = [world.path_quote(window(NOW, NOW + 60)) for _ in range(3)]
    state, _ = begin(order_terms(quotes[0], "order", RATES, NOW), NOW + 60, NOW * 1_000_000)
    for version, quote in zip((1, 2, 2), quotes, strict=True):
        await store.put_quote(quote, None)
        charge = Charge(budget, wanted_of(quote, f"order.{version}", RATES), NOW)
        changed, left = structs.replace(state, version=version), await store.left(budget)
        if quote is not quotes[2]:
            await store.begin(changed, quote.id, None, [], charge)
            continue
        with pytest.raises(Outdated):
            await store.begin(changed, quote.id, None, [], charge)
        found = await store.get_quote(BUYER, quote.id)
        assert (found and found.state, await store.left(budget)) == (State.HELD, left)


async def test_documents_are_the_agents_who_asked_and_the_buyers(store: BrokerStore) -> None:
    world = World(1, Plan(operators=2, trouble=False), asyncio.get_running_loop())
    power = Power(mandate_h=MANDATE, buyer=ENTITY, agent=AGENT, authority=passed_on(AUTHORITY), txn="txn-1", key=KEY)
    quote = structs.replace(world.path_quote(window(NOW, NOW + 60)), power=power)
    await store.put_quote(quote, None)
    document_h = quote.held[0].quote_h
    for agent, found in ((None, True), (KEY, True), (OTHER_KEY, False)):
        assert (await store.get_document(BUYER, document_h, agent) is not None) == found, agent
    assert await store.get_document("bob", document_h) is None
