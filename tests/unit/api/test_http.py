from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from federation.broker.config import Limits
from federation.client.broker import BrokerClient
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from schemas.request import Extension, Resize, Way
from tests.support.face import World

INTENT = Intent(a="Utrecht@SURF", z="Milan@GARR", bandwidth_bps=10**10, duration_s=7200)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with World() as made:
        yield made


@pytest.mark.asyncio
async def test_a_purchase_from_search_to_bill(world: World) -> None:
    async with world.client() as broker:
        found = await broker.search(INTENT, 2)
        assert found.found
        assert len(found.paths) == 2
        assert broker.timing["search"] == pytest.approx(0.42)
        quote = await broker.quote(INTENT)
        order = await broker.order(quote.id)
        assert order.state is State.ACTIVE
        longer = await broker.extend(order.id, Extension(by_s=600))
        assert longer.window.duration_s == 7800
        resized = await broker.resize(order.id, Resize(bandwidth_bps=2 * 10**10))
        assert (resized.way, resized.order.bandwidth_bps) == (Way.IN_PLACE, 2 * 10**10)
        ended = await broker.release(order.id)
        assert ended.bill
        assert ended.bill.total.micro == 1_500_000
        assert (await broker.statement(order.id)).statement.order == order.id
        assert [o.id for o in await broker.orders()] == [order.id]
        assert (await broker.federation()).operators[0].name == "SURF"
        assert await broker.document("h" * 43) == "e30.e30.sig"


@pytest.mark.asyncio
async def test_orders_come_in_pages_and_the_client_joins_them(world: World) -> None:
    async with world.client() as broker:
        placed = [(await broker.order((await broker.quote(INTENT)).id)).id for _ in range(7)]
        latest = placed[::-1]
        assert [one.id for one in await broker.orders(3)] == latest[:3]
        assert [one.id for one in await broker.orders(3, latest[2])] == latest[3:6]
        assert [one.id for one in await broker.orders()] == latest
        assert [one.id for one in await broker.orders(150)] == latest


@pytest.mark.asyncio
async def test_a_lease_is_released_whatever_happens_inside(world: World) -> None:
    async with world.client() as broker:
        lease = broker.lease(INTENT)

        async def work() -> None:
            async with lease:
                assert lease.view.state is State.ACTIVE
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await work()
        assert lease.view.state is State.RELEASED
        assert lease.view.bill


@pytest.mark.asyncio
async def test_a_lease_for_a_block_begins_now(world: World) -> None:
    later = msgspec.structs.replace(INTENT, start=datetime(2030, 1, 1, tzinfo=UTC))
    async with world.client() as broker:
        with pytest.raises(Problem, match="begins now"):
            broker.lease(later)


@pytest.mark.asyncio
async def test_another_buyer_sees_nothing(world: World) -> None:
    async with world.client() as alice, world.client("bob-key") as bob:
        quote = await alice.quote(INTENT)
        for call in (bob.get_quote(quote.id), bob.order(quote.id), bob.decline(quote.id)):
            with pytest.raises(Problem) as caught:
                await call
            assert caught.value.code == "NOT_FOUND"


@pytest.mark.asyncio
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}])
async def test_an_unknown_caller_learns_nothing(world: World, header: dict[str, str]) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(world.address + "/peerway/v1/orders", headers=header) as response,
    ):
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer, DPoP algs="ES256"'
        assert response.headers["DPoP-Nonce"]
        assert (await response.json(content_type="application/problem+json"))["code"] == "UNAUTHENTICATED"


@pytest.mark.asyncio
async def test_one_key_has_one_effect(world: World) -> None:
    async with world.client() as broker:
        first, again = await broker.quote(INTENT, "k1"), await broker.quote(INTENT, "k1")
        assert first == again
        with pytest.raises(Problem) as caught:
            await broker.quote(msgspec.structs.replace(INTENT, bandwidth_bps=1), "k1")
        assert caught.value.code == "IDEMPOTENCY_CONFLICT"
        assert caught.value.outcome == "none"


BODY = msgspec.json.encode({"intent": msgspec.to_builtins(INTENT)})


KEYED = {"Idempotency-Key": "k"}


def bps(value: bytes) -> bytes:
    return BODY.replace(b"10000000000", value)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("line", "body", "headers", "expected"),
    [
        ("POST /quotes", BODY, {}, (400, "Idempotency-Key")),
        ("POST /quotes", BODY, {"Idempotency-Key": "x" * 256}, (400, "Idempotency-Key")),
        ("POST /quotes", b"{", KEYED, (400, "body")),
        ("POST /quotes", b"", KEYED, (400, "body")),
        ("POST /quotes", b'{"intent": {}, "intent": {}}', KEYED, (400, "body")),
        ("POST /quotes", b" " * 70_000, KEYED, (413, "body")),
        ("POST /quotes", BODY.replace(b'"a"', b'"aa"'), KEYED, (400, "intent.aa")),
        ("POST /quotes", bps(b"0"), KEYED, (400, "intent.bandwidth_bps")),
        ("POST /quotes", bps(b"-5"), KEYED, (400, "intent.bandwidth_bps")),
        ("POST /quotes", bps(b"1e400"), KEYED, (400, None)),
        ("POST /quotes", bps(b"NaN"), KEYED, (400, "body")),
        ("POST /quotes", bps(b'"10G"'), KEYED, (400, "intent.bandwidth_bps")),
        ("POST /quotes", BODY[:-1] + b',"extra":1}', KEYED, (400, "extra")),
        ("POST /search", BODY[:-1] + b',"paths":99}', {}, (400, "paths")),
        ("POST /orders/o1/extend", b'{"by_s":0}', KEYED, (400, "by_s")),
        ("POST /orders/o1/extend", b"{}", KEYED, (400, "body")),
        ("POST /orders/o1/resize", b'{"bandwidth_bps":0}', KEYED, (400, "bandwidth_bps")),
        ("POST /orders/o1/resize", b'{"bandwidth_bps":1,"way":"both"}', KEYED, (400, "way")),
        ("GET /orders/o1?wait_s=abc", None, {}, (400, "wait_s")),
        ("GET /orders/o1?wait_s=-1", None, {}, (400, "wait_s")),
        ("GET /orders/o1?wait=5", None, {}, (400, "wait")),
        ("GET /orders?limit=0", None, {}, (400, "limit")),
        ("GET /orders?limit=501", None, {}, (400, "limit")),
        ("GET /orders?limit=all", None, {}, (400, "limit")),
        ("GET /orders/absent", None, {}, (404, None)),
        ("GET /nothing", None, {}, (404, None)),
        ("DELETE /orders", None, {}, (400, None)),
    ],
)  # fmt: skip
async def test_bad_input_gets_a_clear_answer(
    world: World, line: str, body: bytes | None, headers: dict[str, str], expected: tuple[int, str | None]
) -> None:
    got, sent, text = await world.raw(line.replace(" ", " /peerway/v1"), data=body, headers=headers)
    problem = msgspec.json.decode(text)
    assert (got, sent["Content-Type"].split(";")[0]) == (expected[0], "application/problem+json")
    if expected[1]:
        assert problem["field"] == expected[1]
    assert problem["detail"]
    assert "Traceback" not in text.decode()
    assert not world.exchanges["alice"].quotes


@pytest.mark.asyncio
async def test_a_contradiction_inside_the_intent_is_named(world: World) -> None:
    body = BODY.replace(b'"duration_s":7200', b'"start":"2026-12-01T08:00:00Z","end":"2026-12-01T07:00:00Z"')
    status, _, text = await world.raw("POST /peerway/v1/quotes", data=body, headers={"Idempotency-Key": "k"})
    assert status == 400
    assert "end must be later than start" in msgspec.json.decode(text)["detail"]


@pytest.mark.asyncio
async def test_a_fault_of_ours_shows_no_detail(world: World) -> None:
    world.exchanges["alice"].fail = RuntimeError("secret path in the store")
    status, _, text = await world.raw("POST /peerway/v1/quotes", data=BODY, headers={"Idempotency-Key": "k"})
    problem = msgspec.json.decode(text)
    assert (status, problem["code"], problem["outcome"]) == (500, "INTERNAL", "unknown")
    assert "secret" not in text.decode()


@pytest.mark.asyncio
async def test_the_correlator_comes_back_and_timing_is_told(world: World) -> None:
    _, headers, _ = await world.raw("GET /peerway/v1/orders", headers={"x-correlator": "abc-1"})
    assert headers["x-correlator"] == "abc-1"
    assert "total;dur=" in headers["Server-Timing"]
    _, headers, _ = await world.raw("GET /peerway/v1/absent", headers={"x-correlator": "no spaces allowed"})
    assert headers["x-correlator"] not in {"", "no spaces allowed"}


@pytest.mark.asyncio
async def test_a_new_thing_says_where_it_is(world: World) -> None:
    status, headers, text = await world.raw("POST /peerway/v1/quotes", data=BODY, headers={"Idempotency-Key": "k"})
    assert status == 201
    assert headers["Location"] == f"/peerway/v1/quotes/{msgspec.json.decode(text)['id']}"


@pytest.mark.asyncio
async def test_a_broker_that_is_not_there_is_named(unused_tcp_port: int) -> None:
    async with BrokerClient(f"http://127.0.0.1:{unused_tcp_port}", "k") as broker:
        with pytest.raises(Problem) as caught:
            await broker.order("q1")
    assert caught.value.code == "UNAVAILABLE"
    assert str(unused_tcp_port) in caught.value.detail
    assert caught.value.outcome == "none"


@pytest.mark.asyncio
async def test_the_client_asks_again_while_the_broker_cannot_serve(world: World) -> None:
    world.exchanges["alice"].fail = Problem("UNAVAILABLE", "starting")
    async with world.client() as broker:
        assert (await broker.quote(INTENT)).id == "q1"
        world.exchanges["alice"].fail = Problem("QUOTE_EXPIRED", "too late")
        with pytest.raises(Problem, match="too late"):
            await broker.quote(INTENT)
        assert len(world.exchanges["alice"].quotes) == 1


@pytest.mark.asyncio
async def test_a_write_may_wait_until_its_order_stands_still(world: World) -> None:
    for line in ("POST /peerway/v1/orders?wait_s=x", "POST /peerway/v1/orders/o1/release?wait_s=-1"):
        status, _, text = await world.raw(line, data=b'{"quote":"q"}', headers=KEYED)
        assert (status, msgspec.json.decode(text)["field"]) == (400, "wait_s")
    asked = list[int]()
    seen = world.exchanges["alice"].get_order

    async def noted(order_id: str, wait_s: int) -> object:
        asked.append(wait_s)
        return await seen(order_id, wait_s)

    world.exchanges["alice"].get_order = noted  # type: ignore[method-assign,assignment]
    async with world.client() as client:
        order = await client.order((await client.quote(INTENT)).id, wait_s=7)
        await client.release(order.id, wait_s=3)
        await client.release(order.id)
    assert [wait_s for wait_s in asked if wait_s] == [7, 3], "the double looks at its own orders too"


@pytest.mark.asyncio
async def test_what_ends_something_goes_on_while_nothing_new_may_begin(world: World) -> None:
    exchange, held, free = world.exchanges["alice"], asyncio.Semaphore(0), asyncio.Event()
    release = exchange.release

    async def slow(order_id: str, key: str) -> object:
        held.release()
        await free.wait()
        return await release(order_id, key)

    async with world.client() as broker:
        order = await broker.order((await broker.quote(INTENT)).id)
        exchange.release = slow  # type: ignore[method-assign,assignment]
        releases = [asyncio.ensure_future(broker.release(order.id)) for _ in range(Limits().quotes_at_once + 1)]
        for _ in releases:
            await held.acquire()
        with pytest.raises(Problem) as caught:
            await broker.quote(INTENT)
        assert (caught.value.code, caught.value.outcome, caught.value.retry_after_s) == ("TOO_MANY_REQUESTS", "none", 1)
        async with world.client("bob-key") as other:
            assert await other.quote(INTENT), "one buyer leaves room for the others"
        free.set()
        assert {view.state for view in await asyncio.gather(*releases)} == {State.RELEASED}
        assert await broker.quote(INTENT)
