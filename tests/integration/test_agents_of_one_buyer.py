"""Agents of one buyer: each sees and touches its own, the buyer sees all, and takes a mandate back at once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from federation.cli.main import run
from federation.client.agent import Agent
from federation.client.broker import BrokerClient
from federation.client.lease import active, released
from federation.tokens.narrows import narrows
from federation.trust.jose import doc_hash, unverified
from federation.trust.keys import b64url_decode, dump_private
from schemas.access import AccessToken, DelegationGrant
from schemas.intent import Intent
from schemas.lease import State
from schemas.mandate import Mandate
from schemas.problem import Outcome, Problem
from schemas.quote import PathQuote
from schemas.request import Extension
from tests.support.agents import Principal, refused
from tests.support.federation import BROKER_ENTITY, BrokerPlan, Plan, TinyFederation, tiny_federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALONE = Plan(
    "north",
    (("oslo", "Oslo", 59.9, 10.7, "NO"), ("kiel", "Kiel", 54.3, 10.1, "DE")),
    {},
    ("oslo", "kiel"),
)
INTENT = Intent(a="Oslo@north", z="Kiel@north", bandwidth_bps=10**8, duration_s=3600)
Attempt = Callable[[BrokerClient], Coroutine[Any, Any, object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[TinyFederation, Principal]]:
    carol, folder = Principal(), tmp_path_factory.mktemp("market")
    async with tiny_federation(folder, (ALONE,), desk=BrokerPlan(hold_s=60), start=False) as made:
        carol.introduce(folder / "broker")
        await made.start("north")
        await made.start("broker")
        yield made, carol


async def test_an_agent_finds_nothing_of_another_and_the_buyer_finds_all(
    market: tuple[TinyFederation, Principal],
) -> None:
    made, carol = market
    mine = carol.agent()
    async with (
        BrokerClient(made.broker, mine) as one,
        BrokerClient(made.broker, carol.agent(key=mine.key)) as renewed,
        BrokerClient(made.broker, carol.agent()) as other,
        BrokerClient(made.broker, carol.itself()) as buyer,
    ):
        held, quote = await one.quote(INTENT, "k"), await one.quote(INTENT)
        order = await active(one, await one.order(quote.id))
        receipt = order.segments[0].receipt_h or ""
        attempts: tuple[Attempt, ...] = (
            lambda who: who.get_quote(held.id),
            lambda who: who.decline(held.id),
            lambda who: who.order(held.id),
            lambda who: who.get_order(order.id),
            lambda who: who.get_order(order.id, 1),
            lambda who: who.extend(order.id, Extension(by_s=60)),
            lambda who: who.release(order.id),
            lambda who: who.document(receipt),
            lambda who: who.document(doc_hash(quote.document)),
        )
        for attempt in attempts:
            assert (await refused(attempt(other))).code == "NOT_FOUND"
        assert await other.orders() == ()
        assert (await other.quote(INTENT, "k")).id != held.id, "the keys of two agents do not meet"
        for who in (renewed, buyer):
            assert order.id in {found.id for found in await who.orders()}
            assert (await who.get_quote(held.id)).state is State.HELD
            assert (await who.document(receipt)).count(".") == 2
        bought = await active(buyer, await buyer.order((await buyer.quote(INTENT)).id))
        assert (await refused(one.get_order(bought.id))).code == "NOT_FOUND", "what the buyer bought is not its agents'"
        assert [found.id for found in await one.orders()] == [order.id]
        assert (await released(buyer, order)).state is State.RELEASED
        assert (await released(buyer, bought)).state is State.RELEASED


def typ(document: str) -> object:
    return json.loads(b64url_decode(document.partition(".")[0]))["typ"]


async def test_what_an_agent_acted_under_is_filed_for_it_at_every_hop(
    market: tuple[TinyFederation, Principal],
) -> None:
    made, carol = market
    agent, stranger = carol.agent(), carol.agent()
    async with BrokerClient(made.broker, agent) as one, BrokerClient(made.broker, stranger) as other:
        quote = await one.quote(INTENT)
        mandate_h = unverified(quote.document, PathQuote).mandate_h
        assert await one.document(mandate_h or "") == agent.mandate
        assert (await refused(other.document(mandate_h or ""))).code == "NOT_FOUND"
        await one.decline(quote.id)
    with closing(sqlite3.connect(made.folder / "broker" / "data" / "broker.sqlite3")) as file:
        rows = file.execute("SELECT document FROM documents WHERE agent = ?", (agent.key.kid,))
        filed = [text for (text,) in rows]
        stood = file.execute("SELECT entity FROM standing").fetchall()
    tokens = [unverified(text, AccessToken) for text in filed if typ(text) == "at+jwt"]
    asked = [unverified(text, DelegationGrant) for text in filed if typ(text) == "authorization-grant+jwt"]
    assert {one.mandate_h for one in (*tokens, *asked)} == {mandate_h}
    assert {one.iss for one in tokens} == {BROKER_ENTITY, ALONE.entity}
    (there,) = [one for one in tokens if one.iss == ALONE.entity]
    (slice_,) = asked
    assert (slice_.aud, slice_.sub, slice_.txn) == (there.iss, there.sub, there.txn)
    (mine,) = [one for one in tokens if one.iss == BROKER_ENTITY]
    for child, parent in ((there, slice_), (slice_, mine), (mine, unverified(agent.mandate, Mandate))):
        assert narrows(child.authorization_details[0], parent.authorization_details[0])
    assert {entity for (entity,) in stood} >= {BROKER_ENTITY, ALONE.entity}


async def test_a_revoked_mandate_is_worth_nothing_at_once_and_after_a_restart(
    market: tuple[TinyFederation, Principal],
) -> None:
    made, carol = market
    agent, never_shown = carol.agent(), carol.agent()
    async with BrokerClient(made.broker, agent) as one, BrokerClient(made.broker, carol.itself()) as buyer:
        order, quote = await active(one, await one.order((await one.quote(INTENT)).id)), await one.quote(INTENT)
        denied = await refused(one.revoke(doc_hash(agent.mandate)))
        assert (denied.code, denied.outcome) == ("POLICY_DENIED", Outcome.NONE)
        assert (await refused(buyer.revoke("no-hash"))).field == "id"
        told = [await buyer.revoke(doc_hash(agent.mandate)) for _ in range(2)]
        assert told[0] == told[1]
        await buyer.revoke(doc_hash(never_shown.mandate))
        await nothing_works(one, order.id, quote.id)
    await restarted_where_carol_is(made, "renamed")
    async with BrokerClient(made.broker, agent) as one:
        await nothing_works(one, order.id, quote.id)
    await restarted_where_carol_is(made, "carol")
    async with (
        BrokerClient(made.broker, agent) as one,
        BrokerClient(made.broker, never_shown) as unused,
        BrokerClient(made.broker, carol.itself()) as buyer,
    ):
        await nothing_works(one, order.id, quote.id)
        assert (await refused(unused.search(INTENT))).code == "UNAUTHENTICATED"
        assert (await buyer.get_order(order.id)).state is State.ACTIVE, "its leases go on"
        assert (await released(buyer, order)).state is State.RELEASED
        again: Agent = carol.agent(key=agent.key)
    async with BrokerClient(made.broker, again) as renewed:
        assert [found.state for found in await renewed.orders()] == [State.RELEASED], "a new mandate is another one"


async def restarted_where_carol_is(made: TinyFederation, name: str) -> None:
    """The broker again, whose configuration calls her so."""
    made.kill("broker")
    config = made.folder / "broker" / "config.toml"
    before, _, after = config.read_text().rpartition('[[buyers]]\nname = "')
    config.write_text(f'{before}[[buyers]]\nname = "{name}{after[after.index(chr(34)) :]}')
    await made.start("broker")


async def nothing_works(agent: BrokerClient, order: str, quote: str) -> None:
    """With a token of before, which the client still has, or without one."""
    attempts = (agent.search(INTENT), agent.quote(INTENT), agent.order(quote), agent.orders(), agent.release(order))
    for attempt in attempts:
        problem = await refused(attempt)
        assert problem.code == "UNAUTHENTICATED"
    assert "revoked" in problem.detail


async def test_the_command_line_revokes_with_the_buyers_key_and_says_why_not_with_another(
    market: tuple[TinyFederation, Principal], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, carol = market
    agent = carol.agent()
    for name, content in (
        ("mandate.jwt", agent.mandate.encode()), ("agent.json", dump_private(agent.key)),
        ("buyer.json", dump_private(carol.key)),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
    mandate = str(tmp_path / "mandate.jwt")

    async def peerway(*arguments: str) -> tuple[int, str]:
        status = await asyncio.to_thread(run, [*arguments, "--broker", made.broker])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return status, told.out + told.err

    act = ("--mandate", mandate, "--agent-key", str(tmp_path / "agent.json"))
    assert (await peerway("orders", *act)) == (0, "You have no orders.\n")
    status, said = await peerway("mandate", "revoke", mandate, *act)
    assert (status, "the buyer does" in said) == (4, True)
    status, said = await peerway("mandate", "revoke", mandate, "--sign-with", str(tmp_path / "agent.json"))
    assert (status, "signed by a buyer it knows" in said) == (4, True)
    status, said = await peerway("mandate", "revoke", doc_hash(agent.mandate), "--sign-with", mandate)
    assert (status, "needs the mandate itself" in said) == (2, True)
    status, said = await peerway("mandate", "revoke", mandate, "--sign-with", str(tmp_path / "buyer.json"))
    assert (status, said.startswith("Revoked since "), doc_hash(agent.mandate) in said) == (0, True, True)
    status, said = await peerway("orders", *act)
    assert (status, "nor revoked" in said) == (4, True)


async def test_a_buyer_revokes_its_own_mandates_only(market: tuple[TinyFederation, Principal]) -> None:
    made, carol = market
    agent = carol.agent()
    async with made.client() as alice, BrokerClient(made.broker, agent) as one:
        await alice.revoke(doc_hash(agent.mandate))
        assert (await one.quote(INTENT)).state is State.HELD


async def test_of_an_order_and_a_revocation_at_once_one_comes_first(market: tuple[TinyFederation, Principal]) -> None:
    made, carol = market
    agent = carol.agent()
    async with BrokerClient(made.broker, agent) as one, BrokerClient(made.broker, carol.itself()) as buyer:
        quotes = [await one.quote(INTENT) for _ in range(6)]
        answers = await asyncio.gather(
            *(one.order(quote.id) for quote in quotes), buyer.revoke(doc_hash(agent.mandate)), return_exceptions=True
        )
        placed = [order for order in await buyer.orders() if order.quote in {quote.id for quote in quotes}]
        refusals = [answer for answer in answers if isinstance(answer, Problem)]
        assert len(placed) + len(refusals) == len(quotes)
        assert {(one.code, one.outcome) for one in refusals} <= {
            ("POLICY_DENIED", Outcome.NONE),
            ("UNAUTHENTICATED", Outcome.NONE),
            ("UNAUTHENTICATED", None),
        }
        for order in placed:
            await released(buyer, order)
