"""A hostile agent, and the thief of an honest one's token: more than was given, another's token, twice the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import structs

from federation.broker.authority.power import Power
from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.saga.decide import begin
from federation.broker.orders.terms import order_terms
from federation.broker.spend.protocols import Wanted
from federation.broker.store.spends import SpendRows
from federation.broker.store.sqlite import SqliteStore, open_database
from federation.tokens.access import Call, Holder, issue_access, verify_call
from federation.tokens.agent_gate import AgentGate
from federation.tokens.agents import AgentTokens
from federation.tokens.dpop import Nonces, make_proof
from federation.tokens.endpoint import JWT_BEARER, Connection
from federation.tokens.mandate import Budget, verify_mandate
from federation.tokens.narrows import passed_on
from federation.tokens.replay import Seen
from schemas.access import Actor, Confirmation
from schemas.lease import State
from schemas.price import Money
from schemas.problem import Problem
from schemas.segment import window
from tests.hostile.control import beaten
from tests.support.authority import AGENT, AUTHORITY, BROKER, BUYER, RATES, STRANGER, Cast
from tests.support.seams import NOW, CountingEntropy
from tests.support.world.run import KEY, Plan, World
from tests.support.world.run import RATES as PRICES

ORDERS, TOKENS = f"{BROKER}/peerway/v1/orders", f"{BROKER}/oauth/token"
NONCES: Final = Nonces(b"sixteen bytes at least")


class Victim:
    """An honest agent with a token, at a broker's gate."""

    def __init__(self) -> None:
        self.cast = Cast()
        self.gate = AgentGate(BROKER, self.cast.keys_of(BROKER), Seen(), NONCES)
        holder = Holder(AGENT, BUYER, Confirmation(jkt=self.cast.keys[AGENT].kid), Actor(sub=AGENT))
        how: dict[str, Any] = {"mandate_h": "m" * 43, "txn": "txn-1", "now": NOW, "life_s": 300}
        self.token = issue_access(self.cast.issuer(BROKER), holder, passed_on(AUTHORITY), **how)

    def proof(self, who: str = AGENT, url: str = ORDERS, nonce: str | None = None) -> str:
        """A proof for one request with the token."""
        key, now = self.cast.keys[who], NOW
        nonce = NONCES.issue(now) if nonce is None else nonce
        return make_proof(key, "POST", url, now=now, jti=self.cast.jti(), token=self.token, nonce=nonce)

    async def call(self, proof: str, url: str = ORDERS) -> None:
        """A request with the victim's token."""
        await self.gate.who(Call(f"DPoP {self.token}", proof, "POST", url), NOW)


async def asks_for_more_than_its_mandate(folder: Path) -> None:
    """T4: a token for ten times the bandwidth that the buyer signed."""
    cast = Cast()
    tokens = AgentTokens(cast.issuer(BROKER), TOKENS, cast.keys_of, Seen(), NONCES)
    small = structs.replace(AUTHORITY, max_bandwidth_bps=10**9)
    more = structs.replace(passed_on(small), max_bandwidth_bps=10**10)
    proof = make_proof(cast.keys[AGENT], "POST", TOKENS, now=NOW, jti=cast.jti(), nonce=NONCES.issue(NOW))
    form = {"grant_type": JWT_BEARER, "assertion": cast.mandate(small)}
    form["authorization_details"] = msgspec.json.encode([more]).decode()
    answer = await tokens.answer(form, Connection(proof=proof), NOW)
    if answer.status != 200:
        beaten(answer.reason or "")
    assert answer.body["authorization_details"][0]["max_bandwidth_bps"] == 10**10


async def looks_at_what_another_agent_ordered(folder: Path) -> None:
    """T4: a second agent of the same buyer has learnt the id of an order; with it, it could read, extend and end it."""
    world = World(1, Plan(operators=1, trouble=False), asyncio.get_running_loop())
    mine, another = "m" * 43, "n" * 43
    power = Power(mandate_h="h" * 43, buyer=BUYER, agent=AGENT, authority=passed_on(AUTHORITY), txn="txn-1", key=mine)
    quote = structs.replace(world.path_quote(window(NOW, NOW + 3600)), power=power)
    state, _ = begin(order_terms(quote, "order-1", PRICES, NOW), NOW + 3600, NOW * 1_000_000)
    async with open_database(folder / "broker.db") as database, asyncio.TaskGroup() as tasks:
        store = SqliteStore(database)
        await store.put_quote(quote, None)
        await store.begin(structs.replace(state, state=State.FAILED), quote.id, None, ())
        orders = Coordinator(
            key=KEY, peers={}, store=store, quotes=store, rates=PRICES, clock=world.clock, entropy=CountingEntropy(),
            tasks=tasks,
        )  # fmt: skip
        assert (await orders.get(quote.buyer, "order-1", mine)).state is State.FAILED
        seen = await asyncio.gather(orders.get(quote.buyer, "order-1", another), return_exceptions=True)
    if isinstance(seen[0], Problem):
        beaten(seen[0].detail)


async def shows_a_stolen_token_with_a_key_of_its_own(folder: Path) -> None:
    """T5: the token was read from a log; the thief proves possession of another key."""
    victim = Victim()
    await victim.call(victim.proof(STRANGER))


async def takes_a_stolen_proof_to_another_request(folder: Path) -> None:
    """T5: token and proof of a search were read by a proxy; they come back as an order."""
    victim = Victim()
    await victim.call(victim.proof(url=f"{BROKER}/peerway/v1/searches"))


async def has_proofs_made_beforehand(folder: Path) -> None:
    """T5: whoever had the agent's key for a moment made proofs for later."""
    victim = Victim()
    await victim.call(victim.proof(nonce=NONCES.issue(NOW - 3600)))


async def sends_a_request_twice(folder: Path) -> None:
    """T7: token and proof of an order, word for word, again."""
    victim = Victim()
    proof = victim.proof()
    await victim.call(proof)
    await victim.call(proof)


async def sends_a_token_without_any_proof(folder: Path) -> None:
    """T5: a bound token used as if it were a bearer key."""
    victim = Victim()
    call = Call(f"DPoP {victim.token}", "", "POST", ORDERS)
    verify_call(call, victim.cast.keys_of(BROKER), me=BROKER, now=NOW)


async def orders_a_hundred_times_at_once(folder: Path) -> None:
    """T6: a budget for seven orders, and a hundred that begin together."""
    budget = Budget("m" * 43, BUYER, "EUR", 10_000_000, 70_000_000, NOW + 3600)
    async with open_database(folder / "broker.db") as database:
        ledger = SpendRows(database)

        async def order(number: int) -> bool:
            wanted = Wanted(id=f"order-{number}", most=Money("EUR", 10_000_000), rates=RATES)
            try:
                await ledger.reserve(budget, wanted, NOW)
            except Problem:
                return False
            return True

        went_through = sum(await asyncio.gather(*(order(number) for number in range(100))))
    assert went_through >= 7
    if went_through == 7:
        beaten("seven orders, as the budget says")


async def shows_one_mandate_to_two_brokers(folder: Path) -> None:
    """T6: a budget that is spent once at each broker."""
    cast = Cast()
    mandate = cast.mandate()
    for broker in (BROKER, "https://another-broker.example"):
        verify_mandate(mandate, cast.keys_of, broker=broker, now=NOW)
