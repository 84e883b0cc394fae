"""Real processes from a quote to a bill: what a buyer sees, and what every operator has in its books."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from federation.broker.quotes.protocols import StoredQuote
from federation.client.broker import BrokerClient
from federation.client.lease import active, extended, released
from federation.evidence.verify.stated import check_statement
from federation.trust.chain import verify_chain
from federation.trust.domain import load_domain, read_anchors
from federation.trust.jose import doc_hash, sha256_b64, unverified, verify_jws
from federation.trust.marks import Grounds, verify_mark
from federation.trust.merkle import path_root
from schemas.answer import OrderView
from schemas.boundary import Boundary, Flow
from schemas.entity import TrustMark
from schemas.intent import Intent
from schemas.jurisdiction import Sovereignty
from schemas.lease import State
from schemas.order import Receipt
from schemas.price import usage
from schemas.problem import Problem
from schemas.quote import PathQuote, SegmentQuote
from schemas.request import Extension
from schemas.segment import Limits, moment
from schemas.statement import BillingStatement
from tests.support.federation import AUDITOR_ENTITY, BROKER_ENTITY, ENDS, GBPS, TinyFederation, retried, tiny_federation

ROOT = Path(__file__).parents[2]
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, duration_s=600)
NOTHING: dict[str, dict[str, str]] = {"north": {}, "middle": {}, "south": {}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def federation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TinyFederation]:
    async with tiny_federation(tmp_path_factory.mktemp("federation")) as made:
        yield made


async def bought(client: BrokerClient, intent: Intent = INTENT) -> OrderView:
    quote = await client.quote(intent)
    return await active(client, await client.order(quote.id))


@pytest.mark.asyncio(loop_scope="module")
async def test_a_path_is_bought_extended_released_and_billed_to_the_second(federation: TinyFederation) -> None:
    async with federation.client() as client:
        quote = await client.quote(INTENT)
        order = await active(client, await client.order(quote.id))
        assert [lease.operator_name for lease in order.segments] == ["North", "Middle", "South"]
        assert {lease.state for lease in order.segments} == {State.ACTIVE}
        for one, two in zip(order.segments, order.segments[1:], strict=False):
            assert one.z.label == two.a.label is not None
        booked = await federation.products()
        assert booked == {lease.operator_name.lower(): {lease.product: "active"} for lease in order.segments}

        longer = await extended(client, order, Extension(by_s=300))
        assert longer.window.end_s == order.window.end_s + 300
        ended = await released(client, longer)
        assert ended.state is State.RELEASED
        assert await federation.products() == NOTHING
        again = await client.release(order.id)
        assert again.bill == ended.bill, "release is legal again and changes nothing"
        await _check_documents(federation, client, quote.document, ended)
        await _check_statement(federation, client, ended)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_lease_that_needs_heartbeats_says_until_when(federation: TinyFederation) -> None:
    async with federation.client() as client, federation.client("bob") as bob:
        order = await bought(client, changed(idle_release_s=30))
        assert order.idle_release_s == 30
        assert order.idle_release_at is not None
        active_at = next(change.at for change in order.history if change.state is State.ACTIVE)
        assert (order.idle_release_at - active_at).total_seconds() == 33
        first, again = await client.heartbeat(order.id, "a beat"), await client.heartbeat(order.id, "a beat")
        assert first.idle_release_at == again.idle_release_at >= order.idle_release_at
        with pytest.raises(Problem, match="not known"):
            await bob.heartbeat(order.id)
        ended = await released(client, order)
        assert (ended.state, ended.idle_release_at) == (State.RELEASED, None)


@pytest.mark.long
@pytest.mark.asyncio(loop_scope="module")
async def test_silence_ends_a_lease_everywhere(federation: TinyFederation) -> None:
    async with federation.client() as client:
        lease = client.lease(changed(idle_release_s=30))
        async with lease:
            await asyncio.sleep(40)
            assert (await client.get_order(lease.view.id)).state is State.ACTIVE, "it beats by itself"
        order = await bought(client, changed(idle_release_s=30))
        for _ in range(60):
            if (order := await client.get_order(order.id)).state is State.RELEASED:
                break
            await asyncio.sleep(1)
        assert "its holder was silent for 30 s" in {change.why for change in order.history}
        stated = (await client.statement(order.id)).statement
        assert 33 <= sum(use.seconds for use in stated.segments[0].uses) <= 50
        assert await federation.products() == NOTHING


async def _check_statement(federation: TinyFederation, client: BrokerClient, ended: OrderView) -> None:
    """What it came to is signed, is the bill, and can be computed again from the statement alone."""
    answer = await client.statement(ended.id)
    iat = unverified(answer.document, BillingStatement).iat
    domain = load_domain(federation.folder / "trust", federation.folder / "trust" / "anchors.json", iat)
    keys = domain.member(BROKER_ENTITY, iat).keys
    stated = verify_jws(answer.document, BillingStatement, keys, now=iat, iss=BROKER_ENTITY, aud="alice")
    check_statement(stated)
    assert ended.bill is not None
    assert (stated, stated.total) == (answer.statement, ended.bill.total)
    assert stated.total.micro == sum(line.micro for line in ended.bill.lines) > 0
    assert all(segment.due == segment.claimed for segment in stated.segments)
    assert (await client.statement(ended.id)).document == answer.document
    assert await client.document(doc_hash(answer.document)) == answer.document


async def _check_documents(federation: TinyFederation, client: BrokerClient, document: str, ended: OrderView) -> None:
    """Everything agreed can be verified from the documents alone, and the bill follows from them."""
    iat = unverified(document, PathQuote).iat
    domain = load_domain(federation.folder / "trust", federation.folder / "trust" / "anchors.json", iat)
    broker = domain.member(BROKER_ENTITY, iat)
    claims = verify_jws(document, PathQuote, broker.keys, now=iat, iss=BROKER_ENTITY, aud="alice")
    assert claims.path_root == path_root([segment.quote_h for segment in claims.path])
    for lease, segment in zip(ended.segments, claims.path, strict=True):
        keys = domain.member(segment.operator, iat).keys
        assert segment.quote
        assert doc_hash(segment.quote) == segment.quote_h
        quoted = verify_jws(segment.quote, SegmentQuote, keys, now=iat, iss=segment.operator, aud=BROKER_ENTITY)
        receipt_jws = await client.document(lease.receipt_h or "")
        at = unverified(receipt_jws, Receipt).iat
        receipt = verify_jws(receipt_jws, Receipt, keys, now=at, iss=segment.operator, aud=BROKER_ENTITY)
        assert receipt.bill == lease.bill
        assert receipt.bill
        assert receipt.bill.start
        assert receipt.bill.end
        span = int(receipt.bill.start.timestamp()), int(receipt.bill.end.timestamp())
        used = usage(quoted.tariff, GBPS, *span, quoted.segment.window.duration_s)
        assert [line for line in receipt.bill.lines if line.name in {"port", "bandwidth"} and line.micro] == [
            line for line in used if line.micro
        ]


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_quote_rests_on_is_kept_and_verifies_without_anybody(federation: TinyFederation) -> None:
    async with federation.client() as client:
        quote = await client.quote(INTENT)
        await client.decline(quote.id)
    iat = unverified(quote.document, PathQuote).iat
    claims, body = unverified(quote.document, PathQuote), kept_quote(federation, quote.id)
    assert body.basis is not None
    texts = kept_texts(federation, {*body.basis.hashes(), claims.intent_h, claims.rates_h})
    assert msgspec.json.decode(texts[claims.intent_h], type=Intent) == INTENT
    anchors = read_anchors(federation.folder / "trust" / "anchors.json")
    chains = {
        entity: verify_chain([texts[one] for one in hashes], anchors, iat)
        for entity, hashes in body.basis.chains.items()
    }
    assert set(chains) == {BROKER_ENTITY, AUDITOR_ENTITY, *(segment.operator for segment in claims.path)}
    roots = {chain.anchor: chain.root for chain in chains.values()}
    lists = {uri: texts[one] for uri, one in body.basis.status_lists.items()}
    marks = [texts[one] for one in body.basis.marks]
    for segment in claims.path:
        (mine,) = [mark for mark in marks if unverified(mark, TrustMark).sub == segment.operator]
        assert verify_mark(mine, segment.operator, Grounds(chains, roots, lists, iat)).attest.legal_domicile


def kept_quote(federation: TinyFederation, quote_id: str) -> StoredQuote:
    """A quote as the broker's file has it."""
    with closing(sqlite3.connect(federation.folder / "broker" / "data" / "broker.sqlite3")) as file:
        (body,) = file.execute("SELECT body FROM quote_bodies WHERE id = ?", (quote_id,)).fetchone()
    return msgspec.json.decode(body, type=StoredQuote)


def kept_texts(federation: TinyFederation, hashes: set[str]) -> dict[str, str]:
    """Texts as the broker's file has them, each under its true hash."""
    with closing(sqlite3.connect(federation.folder / "broker" / "data" / "broker.sqlite3")) as file:
        rows = dict(file.execute("SELECT hash, text FROM kept"))
    found = {name: rows[name] for name in hashes}
    assert all(name in {doc_hash(text), sha256_b64(text.encode())} for name, text in found.items())
    return found


@pytest.mark.asyncio(loop_scope="module")
async def test_a_boundary_is_signed_by_the_operators_at_the_ends(federation: TinyFederation) -> None:
    boundary = Boundary(flows=(Flow(a=("10.1.0.0/16",), z=("10.2.0.0/16",), protocol="tcp", ports=("443",)),))
    async with federation.client() as client:
        order = await bought(client, msgspec.structs.replace(INTENT, boundary=boundary))
        receipts = [unverified(await client.document(one.receipt_h or ""), Receipt) for one in order.segments]
        assert [receipt.segment.boundary for receipt in receipts] == [boundary, None, boundary]
        longer = await extended(client, order, Extension(by_s=300))
        assert longer.window.end_s == order.window.end_s + 300
        assert (await released(client, longer)).state is State.RELEASED


@pytest.mark.asyncio(loop_scope="module")
async def test_the_client_leases_a_path_for_a_block(federation: TinyFederation) -> None:
    async with federation.client() as client:
        async with client.lease(INTENT) as lease:
            assert lease.view.state is State.ACTIVE
            longer = await lease.extend(by_s=60)
            assert longer.window.duration_s == 660
        assert lease.view.state is State.RELEASED
        assert lease.view.bill
    assert await federation.products() == NOTHING


@pytest.mark.asyncio(loop_scope="module")
async def test_policy_refuses_with_reasons_and_relaxations(federation: TinyFederation) -> None:
    strict = msgspec.structs.replace(INTENT, sovereignty=Sovereignty(countries=("EU",)))
    async with federation.client() as client:
        answer = await client.search(strict)
        assert not answer.found
        assert {e.operator_name for e in answer.excluded} == {"North"}
        assert all("NO" in e.detail for e in answer.excluded)
        with pytest.raises(Problem) as caught:
            await client.quote(strict)
        assert caught.value.code == "NO_FEASIBLE_PATH"
        assert caught.value.outcome == "none"


Ask = Callable[[BrokerClient], Awaitable[Any]]
PAST = moment(1_600_000_000)


def changed(**members: Any) -> Intent:
    return msgspec.structs.replace(INTENT, **members)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("ask", "code", "says"),
    [
        (lambda c: c.quote(changed(a="Atlantis@north")), "INVALID_ARGUMENT", "Atlantis"),
        (lambda c: c.quote(changed(a="Oslo@nobody")), "INVALID_ARGUMENT", "nobody"),
        (lambda c: c.quote(changed(a="Kiel@north")), "INVALID_ARGUMENT", "ENNI"),
        (lambda c: c.quote(changed(bandwidth_bps=0)), "INVALID_ARGUMENT", "bandwidth_bps"),
        (lambda c: c.quote(changed(bandwidth_bps=-5)), "INVALID_ARGUMENT", "bandwidth_bps"),
        (lambda c: c.quote(changed(bandwidth_bps=10**18)), "INVALID_ARGUMENT", "bandwidth_bps"),
        (lambda c: c.quote(changed(bandwidth_bps=90 * 10**12)), "NO_FEASIBLE_PATH", "bandwidth"),
        (lambda c: c.quote(changed(start=PAST)), "INVALID_ARGUMENT", "start"),
        (lambda c: c.quote(changed(limits=Limits(latency_us=1))), "NO_FEASIBLE_PATH", "latency"),
        (lambda c: c.quote(changed(currency="XTS")), "INVALID_ARGUMENT", "currency"),
        (lambda c: c.quote(changed(sovereignty=Sovereignty(countries=("Europe",)))), "INVALID_ARGUMENT", "Europe"),
        (lambda c: c.order("no-such-quote"), "NOT_FOUND", "no-such-quote"),
        (lambda c: c.get_order("no-such-order"), "NOT_FOUND", "no-such-order"),
        (lambda c: c.release("no-such-order"), "NOT_FOUND", "no-such-order"),
        (lambda c: c.extend("no-such-order", Extension(by_s=60)), "NOT_FOUND", "no-such-order"),
        (lambda c: c.document("h" * 43), "NOT_FOUND", "h" * 43),
    ],
)
async def test_bad_input_is_told_and_changes_nothing(
    federation: TinyFederation, ask: Ask, code: str, says: str
) -> None:
    async with federation.client() as client:
        with pytest.raises(Problem) as caught:
            await ask(client)
    assert caught.value.code == code
    assert says in str(caught.value)
    assert await federation.products() == NOTHING


@pytest.mark.asyncio(loop_scope="module")
async def test_a_quote_is_ordered_once_and_by_its_owner(federation: TinyFederation) -> None:
    async with federation.client() as alice, federation.client("bob") as bob:
        quote = await alice.quote(INTENT, "quote-key")
        assert (await alice.quote(INTENT, "quote-key")).id == quote.id
        for call, code in (
            (lambda: alice.quote(changed(duration_s=601), "quote-key"), "IDEMPOTENCY_CONFLICT"),
            (lambda: bob.order(quote.id), "NOT_FOUND"),
            (lambda: bob.get_quote(quote.id), "NOT_FOUND"),
        ):
            with pytest.raises(Problem) as caught:
                await call()
            assert caught.value.code == code
        order = await active(alice, await alice.order(quote.id, "order-key"))
        assert (await alice.order(quote.id, "order-key")).id == order.id
        with pytest.raises(Problem) as caught:
            await alice.order(quote.id, "another-key")
        assert caught.value.code == "QUOTE_USED"
        assert await bob.orders() == ()
        for foreign in (bob.get_order(order.id), bob.release(order.id), bob.extend(order.id, Extension(by_s=60))):
            with pytest.raises(Problem, match="not known"):
                await foreign
        await released(alice, order)
        with pytest.raises(Problem) as caught:
            await alice.extend(order.id, Extension(by_s=60))
        assert caught.value.code == "INCOMPATIBLE_STATE"
        with pytest.raises(Problem) as caught:
            await alice.decline(quote.id)
        assert caught.value.code == "INCOMPATIBLE_STATE"
    assert await federation.products() == NOTHING


@pytest.mark.asyncio(loop_scope="module")
async def test_a_declined_quote_holds_nothing_and_cannot_be_ordered(federation: TinyFederation) -> None:
    whole = changed(bandwidth_bps=10 * GBPS)
    async with federation.client() as client:
        quote = await retried(lambda: client.quote(whole))
        with pytest.raises(Problem):
            await client.quote(whole)
        assert (await client.decline(quote.id)).state is State.DECLINED
        with pytest.raises(Problem) as caught:
            await client.order(quote.id)
        assert caught.value.code == "INCOMPATIBLE_STATE"
        free = await retried(lambda: client.quote(whole))
        await client.decline(free.id)


@pytest.mark.asyncio(loop_scope="module")
async def test_oversized_and_malformed_bodies_are_refused_by_the_real_thing(federation: TinyFederation) -> None:
    headers = {"Authorization": "Bearer alice-key", "Idempotency-Key": "k"}
    url = f"{federation.broker}/peerway/v1/quotes"
    bodies = {b"{" * 70_000: 413, b"{": 400, b"[" * 60_000: 400, b'{"intent": {}, "more": 1}': 400, b"\xff": 400}
    async with aiohttp.ClientSession(headers=headers) as session:
        for body, status in bodies.items():
            async with session.post(url, data=body) as response:
                assert response.status == status
                assert (await response.json(content_type="application/problem+json"))["outcome"] == "none"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_purchase_at_the_terminal(federation: TinyFederation) -> None:
    async def peerway(*arguments: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "federation.cli.main",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PEERWAY_BROKER": federation.broker, "PEERWAY_KEY": "alice-key", "PYTHONPATH": str(ROOT)},
        )
        out, err = await process.communicate()
        assert b"Traceback" not in out + err
        return process.returncode or 0, out.decode(), err.decode()

    asked = (*ENDS, "--bandwidth", "1G", "--for", "10m")
    status, out, err = await peerway("search", *asked, "--timing")
    assert (status, err) == (0, "")
    assert "Path 1" in out
    status, out, err = await peerway("quote", *asked, "--json")
    quote = json.loads(out)
    status, out, err = await peerway("order", quote["id"], "--json")
    order = json.loads(out)
    assert (status, order["state"]) == (0, "ACTIVE")
    status, out, err = await peerway("extend", order["id"], "--by", "5m")
    assert (status, "extended" in out or "ACTIVE" in out) == (0, True), err
    status, out, err = await peerway("release", order["id"])
    assert (status, "RELEASED" in out, "total" in out) == (0, True, True)
    status, out, err = await peerway("release", order["id"], "--json")
    assert (status, json.loads(out)["state"]) == (0, "RELEASED")
    tomorrow = datetime.fromtimestamp(time.time() + 86_400, UTC).strftime("%Y-%m-%dT%H:%MZ")
    status, out, err = await peerway("quote", *asked, "--start", tomorrow, "--json")
    status, out, err = await peerway("order", json.loads(out)["id"], "--json")
    assert (status, json.loads(out)["state"]) == (0, "COMMITTED"), "a later start rests until then"
    status, out, err = await peerway("release", json.loads(out)["id"], "--json")
    assert (status, json.loads(out)["state"]) == (0, "RELEASED")
    status, out, err = await peerway("search", *asked, "--latency", "1ms")
    assert (status, "latency" in out) == (3, True)
    status, out, err = await peerway("search", "Oslo@nort", "Rome", *asked[2:])
    assert (status, out, "did you mean North" in err) == (2, "", True)
    assert await federation.products() == NOTHING
