"""Agents buy under mandates, over HTTP, at a real broker with real operators."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from msgspec import structs

from federation.client.agent import Agent
from federation.client.broker import BrokerClient
from federation.client.lease import active, extended, released
from federation.node.seams import SystemClock, SystemEntropy
from federation.tokens.dpop import make_proof
from schemas.answer import OrderView, QuoteView
from schemas.authority import Deed
from schemas.intent import Intent
from schemas.jurisdiction import Sovereignty
from schemas.lease import State
from schemas.price import Money, RateTable
from schemas.problem import Outcome, Problem
from schemas.request import Extension, Resize
from tests.support.agents import Principal, wide
from tests.support.federation import CLIENT_S, BrokerPlan, Plan, TinyFederation, tiny_federation

ALONE = Plan(
    "north",
    (("oslo", "Oslo", 59.9, 10.7, "NO"), ("kiel", "Kiel", 54.3, 10.1, "DE")),
    {},
    ("oslo", "kiel"),
)
RATES = RateTable("2026-11-02", {"EUR": 1_000_000, "CHF": 1_068_000})
INTENT = Intent(a="Oslo@north", z="Kiel@north", bandwidth_bps=10**8, duration_s=3600)
MANY, AFFORDED = 100, 7


class Market:
    """One operator, a broker, and Carol, whose agents buy there."""

    def __init__(self, federation: TinyFederation, carol: Principal) -> None:
        self.federation, self.carol = federation, carol

    def client(self, agent: Agent) -> BrokerClient:
        return BrokerClient(self.federation.broker, agent, timeout_s=CLIENT_S)

    async def most(self) -> int:
        """What one order may come to, micro-EUR."""
        async with self.federation.client() as alice:
            quote = await alice.quote(INTENT)
            await alice.decline(quote.id)
            return quote.total.micro + quote.exit_total.micro

    def expenses(self) -> list[tuple[str, int]]:
        """State and amount of every expense, read beside the broker."""
        path = self.federation.folder / "broker" / "data" / "broker.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            return list(store.execute("SELECT state, micro FROM expenses ORDER BY rowid"))


@pytest_asyncio.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    carol = Principal()
    async with tiny_federation(tmp_path, (ALONE,), desk=BrokerPlan().patient(), start=False) as made:
        carol.introduce(tmp_path / "broker")
        await made.start("north")
        await made.start("broker")
        yield Market(made, carol)


async def refused(market: Market, agent: Agent, intent: Intent = INTENT) -> Problem:
    async with market.client(agent) as client:
        with pytest.raises(Problem) as caught:
            await client.quote(intent)
    return caught.value


@pytest.mark.asyncio
async def test_of_100_orders_at_once_a_budget_for_7_in_another_currency_allows_7(market: Market) -> None:
    each = RATES.convert(Money("EUR", await market.most()), "CHF").micro
    agent = market.carol.agent(wide("CHF", AFFORDED * each + each - 1, per_order=each))
    async with market.client(agent) as client:
        few = asyncio.Semaphore(8)  # a machine that is busy must not be what refuses

        async def quoted() -> QuoteView:
            async with few:
                return await client.quote(INTENT)

        quotes = await asyncio.gather(*(quoted() for _ in range(MANY)))
        answers = await asyncio.gather(*(client.order(quote.id) for quote in quotes), return_exceptions=True)
        orders = [one for one in answers if isinstance(one, OrderView)]
        problems = [one for one in answers if isinstance(one, Problem)]
        assert (len(orders), len(problems)) == (AFFORDED, MANY - AFFORDED)
        assert {(one.code, one.outcome, one.field) for one in problems} == {
            ("POLICY_DENIED", Outcome.NONE, "mandate.spend")
        }
        up = await asyncio.gather(*(active(client, order) for order in orders))
        assert {order.state for order in up} == {State.ACTIVE}
        assert [state for state, _ in market.expenses()] == ["RESERVED"] * AFFORDED
        assert (await client.allowance()).left == Money("CHF", each - 1)
    market.federation.kill("broker")
    await market.federation.start("broker")
    async with market.client(agent) as client:
        with pytest.raises(Problem, match="left"):
            await client.order(next(quote.id for quote in quotes if quote.id not in {order.quote for order in up}))
        ended = await asyncio.gather(*(released(client, order) for order in up))
        bills = [RATES.convert(order.bill.total, "CHF").micro for order in ended if order.bill]
        assert sorted(market.expenses()) == sorted(("SETTLED", micro) for micro in bills)
        assert (await client.allowance()).left == Money("CHF", AFFORDED * each + each - 1 - sum(bills))
        again = await client.order((await client.quote(INTENT)).id)
        assert (await active(client, again)).state is State.ACTIVE, "what was not used is there again"
        await released(client, again)


@pytest.mark.asyncio
async def test_what_a_mandate_does_not_allow_is_refused_on_its_axis(market: Market) -> None:
    most = await market.most()
    narrow = {
        "mandate.max_bandwidth_bps": wide(max_bandwidth_bps=10**7),
        "mandate.jurisdictions": wide(jurisdictions=("NO", "SE")),
        "mandate.locations": wide(locations=("https://elsewhere.example",)),
        "mandate.excluded_regimes": wide(excluded_regimes=("GB-IPA-2016",)),
        "mandate.required_marks": wide(required_marks=("https://marks.example/m",)),
        "mandate.data_class": wide(data_class="health"),
        "mandate.actions": wide(actions=(Deed.ORDER,)),
        "mandate.spend": wide(total=most - 1),
    }
    for axis, authority in narrow.items():
        problem = await refused(market, market.carol.agent(authority))
        assert (problem.code, problem.field, problem.outcome) == ("POLICY_DENIED", axis, Outcome.NONE), axis
    dear = wide(total=most - 1, jurisdictions=("NO", "DE"))
    problem = await refused(market, market.carol.agent(dear))
    assert (problem.field, "EUR" in problem.detail) == ("mandate.spend", True), "the axis that stands in the way"
    asked = structs.replace(INTENT, sovereignty=Sovereignty(countries=("NO", "DE", "SE")))
    problem = await refused(market, market.carol.agent(wide(jurisdictions=("NO", "DE"))), asked)
    assert (problem.code, problem.field) == ("POLICY_DENIED", "mandate.jurisdictions")
    async with market.client(market.carol.agent(wide(jurisdictions=("DE", "NO"), max_hops=1))) as client:
        assert (await client.search(INTENT)).found
        assert (await client.quote(INTENT)).state is State.HELD


@pytest.mark.asyncio
async def test_a_mandate_for_another_broker_key_or_time_gives_no_token(market: Market) -> None:
    carol, stranger = market.carol, Principal()
    good, now = carol.agent(), SystemClock().now()
    wrong = (
        carol.agent(aud="https://other.example"),
        stranger.agent(),
        good._replace(key=stranger.key),
        carol.agent(iat=now - 7200, exp=now - 3600),
        good._replace(mandate="no.such.mandate"),
    )
    for agent in wrong:
        assert (await refused(market, agent)).code == "UNAUTHENTICATED"
    async with market.client(good) as client:
        assert (await client.search(INTENT)).found


@pytest.mark.asyncio
async def test_a_quote_is_ordered_under_its_own_mandate_only_and_released_after_the_time_to_order(
    market: Market,
) -> None:
    carol, agent = market.carol, market.carol.agent()
    async with market.client(agent) as one, market.client(carol.agent(key=agent.key)) as renewed:
        quote = await one.quote(INTENT)
        with pytest.raises(Problem) as caught:
            await renewed.order(quote.id)
        assert (caught.value.code, caught.value.field) == ("POLICY_DENIED", "mandate.mandate_h")
        order = await active(one, await one.order(quote.id))
        late = wide()
        ended = structs.replace(late, spend=structs.replace(late.spend, until=SystemClock().now()))
        async with market.client(carol.agent(ended, key=agent.key)) as late_agent:
            assert (await released(late_agent, order)).state is State.RELEASED


@pytest.mark.asyncio
async def test_a_proof_counts_once_for_one_url_and_a_write_wants_a_nonce(market: Market) -> None:
    agent, base = market.carol.agent(), market.federation.broker
    now, jti = SystemClock().now(), SystemEntropy().token
    async with market.client(agent) as client, aiohttp.ClientSession() as session:
        await client.orders()
        shown = await client._identity.headers(session, "GET", f"{base}/peerway/v1/orders")
        token = shown["Authorization"].removeprefix("DPoP ")

        async def asked(method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
            async with session.request(method, base + path, headers=headers) as response:
                return response.status, response.headers.get("WWW-Authenticate", "")

        def proof(method: str, path: str) -> dict[str, str]:
            made = make_proof(agent.key, method, base + path, now=now, jti=jti(), token=token)
            return {"Authorization": f"DPoP {token}", "DPoP": made}

        assert (await asked("GET", "/peerway/v1/orders", shown))[0] == 200
        assert (await asked("GET", "/peerway/v1/orders", shown))[0] == 401, "the same proof again"
        assert (await asked("GET", "/peerway/v1/federation", proof("GET", "/peerway/v1/orders")))[0] == 401
        elsewhere = proof("GET", "/peerway/v1/orders") | {"Host": "evil.example"}
        assert (await asked("GET", "/peerway/v1/orders", elsewhere))[0] == 401
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await asked("GET", "/peerway/v1/orders", bearer))[0] == 401, "a bound token is no bearer token"
        status, said = await asked("POST", "/peerway/v1/orders", proof("POST", "/peerway/v1/orders"))
        assert (status, "use_dpop_nonce" in said) == (401, True)


@pytest.mark.asyncio
async def test_more_bandwidth_than_a_mandate_allows_is_refused_by_its_name(market: Market) -> None:
    agent = market.carol.agent(wide(max_bandwidth_bps=INTENT.bandwidth_bps))
    async with market.client(agent) as client:
        order = await active(client, await client.order((await client.quote(INTENT)).id))
        with pytest.raises(Problem) as caught:
            await client.resize(order.id, Resize(bandwidth_bps=2 * INTENT.bandwidth_bps))
        said = caught.value
        assert (said.code, said.field, said.outcome) == ("POLICY_DENIED", "mandate.max_bandwidth_bps", Outcome.NONE)
        await released(client, order)


@pytest.mark.asyncio
async def test_an_extension_is_set_aside_too_and_settled_with_the_order(market: Market) -> None:
    most = await market.most()
    agent = market.carol.agent(wide(total=2 * most, per_order=2 * most))
    async with market.client(agent) as client:
        order = await active(client, await client.order((await client.quote(INTENT)).id))
        longer = await extended(client, order, Extension(by_s=60))
        assert longer.window.duration_s == order.window.duration_s + 60
        assert [state for state, _ in market.expenses()] == ["RESERVED", "RESERVED"]
        with pytest.raises(Problem) as caught:
            await client.extend(order.id, Extension(by_s=7 * 86400))
        assert (caught.value.code, caught.value.field) == ("POLICY_DENIED", "mandate.spend")
        ended = await released(client, longer)
        assert ended.bill
        assert {state for state, _ in market.expenses()} == {"SETTLED"}
        assert sum(micro for _, micro in market.expenses()) == ended.bill.total.micro
