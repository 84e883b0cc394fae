"""One test for every store of an operator: SQLite, with and without the rows that it has in memory too, and the one in
memory that the property tests stand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from msgspec import structs

from federation.node.sqlite import Database
from operators.inventory.ledger import Claim
from operators.orders.fsm import Entry, Lease, Quote
from operators.orders.keeping import Batch, CancelRow, Document, OrderRow, Seen, Store
from operators.pricing.billing import Period
from operators.store.sqlite import SqliteStore
from operators.store.tables import MIGRATIONS
from schemas.lease import State
from schemas.price import Tariff
from schemas.quote import Action
from schemas.segment import End, Segment, window
from schemas.sonata.refusal import Refusal
from schemas.sonata.states import CancelState
from tests.support.operator_shop import MemoryStore

pytestmark = pytest.mark.asyncio
NOW = 1_795_000_000
OVER = State.RELEASED
BROKER, OTHER = "https://broker.example", "https://other.example"
SEGMENT = Segment(a=End("uni-a", 1), z=End("uni-z", 2), bandwidth_bps=10**9, window=window(NOW, NOW + 60))
TARIFF = Tariff(currency="EUR", hourly_micro=1)


@pytest_asyncio.fixture(params=["sqlite", "disk", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with Database(tmp_path / "operator.sqlite", MIGRATIONS) as database:
        yield SqliteStore(database, 0) if request.param == "disk" else SqliteStore(database)


def digest(name: str) -> str:
    return f"{name:x<43}"[:43]


def quote(name: str = "q1", state: State = State.HELD, broker: str = BROKER, at: int = NOW) -> Quote:
    return Quote(
        id=name,
        broker=broker,
        buyer="b",
        created_at=at,
        exp=at + 30,
        state=state,
        history=(Entry(state, at),),
        segment=SEGMENT,
        route=("x", "y"),
        tariff=TARIFF,
        external_id=f"jti-{name}",
        rfq_h=digest(f"rfq-{name}"),
        hash=digest(f"hash-{name}"),
    )


def lease(name: str = "p1", state: State = State.UP) -> Lease:
    return Lease(
        id=name,
        broker=BROKER,
        buyer="b",
        state=state,
        history=(Entry(State.COMMITTED, NOW), Entry(state, NOW)),
        claim="q1",
        order_id="o1",
        segment=SEGMENT,
        route=("x",),
        periods=(Period(tariff=TARIFF, bandwidth_bps=10**9, start_s=NOW, end_s=NOW + 60, term_s=60),),
        created_at=NOW,
    )


def claim(name: str) -> Claim:
    ends = (("uni-a", 1), ("uni-z", 2))
    return Claim(id=name, links=("x",), ends=ends, bandwidth_bps=10**9, start_s=NOW, end_s=NOW + 60)


async def test_rows_come_back_as_they_were(store: Store) -> None:
    refused = structs.replace(quote("q2"), refusal=Refusal(code="LABEL_TAKEN", detail="d", extra={"free": "5"}))
    order = OrderRow(id="o1", broker=BROKER, created_at=NOW, action=Action.ADD, product="p1", external_id="jti-o1")
    cancel = CancelRow(id="c1", broker=BROKER, order_id="o1", state=CancelState.DONE)
    rows = Batch(quotes=[quote(), refused], leases=[lease()], orders=[order], cancels=[cancel])
    rows.requests += [("q1", b'{"a":1}'), ("o1", b"{}")]
    await store.commit(rows)
    assert await store.quote("q1") == quote()
    assert await store.quote("q2") == refused
    assert await store.quote_by_hash(digest("hash-q2")) == refused
    assert await store.lease("p1") == lease()
    assert await store.order("o1") == order
    assert await store.cancel("c1") == cancel
    assert await store.request("q1") == b'{"a":1}'
    assert await store.requests(["o1", "q1"]) == {"o1": b"{}", "q1": b'{"a":1}'}


async def test_what_is_not_there_is_none(store: Store) -> None:
    assert await store.quote("q") is None
    assert await store.quote_by_hash("h") is None
    assert await store.lease("p") is None
    assert await store.order("o") is None
    assert await store.cancel("c") is None
    assert await store.seen(BROKER, "j") is None
    assert await store.document("h", BROKER) is None


async def test_what_is_live(store: Store) -> None:
    states = (State.HELD, State.QUOTED, State.EXPIRED, State.DECLINED, State.COMMITTED)
    leases = (State.UP, State.ACTIVE, State.RELEASING, State.COMPENSATING, State.RELEASED, State.FAILED)
    await store.commit(
        Batch(
            quotes=[quote(f"q-{state}", state) for state in states],
            leases=[lease(f"p-{state}", state) for state in leases],
            claims=[claim("q-HELD"), claim("q-gone")],
        )
    )
    await store.commit(Batch(freed=["q-gone", "q-never"]))
    live = await store.live()
    assert {row.id for row in live.quotes} == {"q-HELD", "q-QUOTED"}
    assert {row.id for row in live.leases} == {"p-UP", "p-ACTIVE", "p-RELEASING", "p-COMPENSATING"}
    assert live.claims == (claim("q-HELD"),)


async def test_a_row_is_replaced_and_keeps_its_place(store: Store) -> None:
    await store.commit(Batch(quotes=[quote("q1"), quote("q2"), quote("q3", broker=OTHER)]))
    await store.commit(Batch(quotes=[structs.replace(quote("q1"), state=State.EXPIRED)]))
    assert [(row.id, row.state) for row in await store.quotes(BROKER, None)] == [
        ("q1", State.EXPIRED),
        ("q2", State.HELD),
    ]
    assert [row.id for row in await store.quotes(BROKER, "jti-q2")] == ["q2"]
    assert await store.quotes(OTHER, "jti-q2") == await store.orders(OTHER, None) == await store.leases(OTHER)


async def test_a_document_is_read_by_its_broker_alone(store: Store) -> None:
    await store.commit(Batch(documents=[Document("h1", BROKER, "a.b.c")], seen=[Seen(BROKER, "j1", "h1", "q1")]))
    assert await store.document("h1", BROKER) == "a.b.c"
    assert await store.document("h1", OTHER) is None
    assert await store.seen(BROKER, "j1") == Seen(BROKER, "j1", "h1", "q1")
    assert await store.seen(OTHER, "j1") is None


async def test_a_document_has_one_effect(store: Store) -> None:
    await store.commit(Batch(seen=[Seen(BROKER, "j1", "h1", "q1")]))
    with pytest.raises(Exception, match=r"UNIQUE|one effect"):
        await store.commit(Batch(seen=[Seen(BROKER, "j1", "h2", "q2")]))
    assert await store.seen(BROKER, "j1") == Seen(BROKER, "j1", "h1", "q1")


async def test_quotes_that_came_to_nothing_are_forgotten(store: Store) -> None:
    old = [quote(f"q-{state}", state) for state in (State.HELD, State.COMMITTED, State.EXPIRED, State.DECLINED)]
    seen = [Seen(BROKER, f"jti-{one.id}", "h", one.id) for one in old] + [Seen(BROKER, "jti-o", "h", "o")]
    await store.commit(Batch(quotes=[*old, quote("q-young", State.EXPIRED, at=NOW + 100)], seen=seen))
    assert [await store.prune(NOW + 50, 1) for _ in range(3)] == [1, 1, 0], "a little at a time"
    assert [one.ref for one in seen if await store.seen(one.iss, one.jti)] == ["q-HELD", "q-COMMITTED", "o"]
    assert [row.id for row in await store.quotes(BROKER, None)] == ["q-HELD", "q-COMMITTED", "q-young"]


async def test_a_quote_that_waited_long_is_there_for_as_long_after_its_end_as_any_other(store: Store) -> None:
    """Who asked for it comes back to see why it was refused, and would ask anew for what nobody knows."""
    asked = quote("q-asked", State.ASKED)
    refused = structs.replace(asked, state=State.DECLINED, history=(*asked.history, Entry(State.DECLINED, NOW + 90)))
    for row in (asked, refused):
        await store.commit(Batch(quotes=[row]))
    assert await store.prune(NOW + 90, 10) == 0
    assert await store.quote("q-asked") == refused
    assert await store.prune(NOW + 91, 10) == 1
    assert await store.quote("q-asked") is None


async def test_leases_that_ended_long_ago_are_forgotten_with_what_is_theirs_alone(store: Store) -> None:
    def ended(name: str, at: int, state: State = OVER) -> Batch:
        made = structs.replace(lease(name, state), claim=f"q-{name}", order_id=f"o-{name}")
        made = structs.replace(made, history=(Entry(State.COMMITTED, NOW), Entry(state, at)))
        order = OrderRow(id=f"o-{name}", broker=BROKER, created_at=NOW, action=Action.ADD, product=name)
        longer = structs.replace(order, id=f"m-{name}", quote_id=f"mq-{name}", action=Action.MODIFY)
        quotes = [quote(f"q-{name}", State.COMMITTED), quote(f"mq-{name}", State.COMMITTED)]
        found = Batch(leases=[made], orders=[order, longer], quotes=quotes)
        found.requests += [(row.id, b"{}") for row in (*quotes, order, longer)]
        return found

    ahead = ended("ahead", NOW + 20)  # made while the clock was wrong
    await store.commit(Batch(leases=[structs.replace(ahead.leases[0], created_at=NOW + 90)]))
    for name, at in (("old", NOW + 10), ("older", NOW + 5), ("young", NOW + 20)):
        await store.commit(ended(name, at))
    await store.commit(ended("live", NOW, State.UP))
    assert await store.prune_ended(NOW + 5, 10) == 0
    assert [await store.prune_ended(NOW + 15, 1) for _ in range(3)] == [1, 1, 0]
    assert {row.id for row in await store.leases(BROKER)} == {"ahead", "young", "live"}
    assert {row.id for row in await store.orders(BROKER, None)} == {"o-young", "m-young", "o-live", "m-live"}
    assert {row.id for row in await store.quotes(BROKER, None)} == {"q-young", "mq-young", "q-live", "mq-live"}
    assert {*await store.requests(["q-old", "mq-old", "o-older", "m-older", "o-live"])} == {"o-live"}


async def test_an_older_store_is_carried_forward(tmp_path: Path) -> None:
    path, first = tmp_path / "operator.sqlite", MIGRATIONS[:4]
    async with Database(path, first) as database:
        rows = [(one.id, BROKER, one.state, NOW, msgspec.json.encode(one)) for one in (lease(), lease("p2", OVER))]
        await database.write(lambda c: c.executemany("INSERT INTO leases VALUES (?, ?, ?, ?, ?)", rows).rowcount)
        await database.write(lambda c: c.execute("INSERT INTO seen VALUES (?, 'j', 'h', 'q1')", (BROKER,)).rowcount)
        body = msgspec.json.encode(claim("q1"))
        await database.write(lambda c: c.execute("INSERT INTO claims VALUES ('q1', ?)", (body,)).rowcount)
    async with Database(path, MIGRATIONS) as database:
        store = SqliteStore(database)
        live = await store.live()
        assert (live.leases, live.claims) == ((lease(),), (claim("q1"),))
        assert [row.id for row in await store.leases(BROKER)] == ["p1", "p2"]
        assert await store.seen(BROKER, "j") == Seen(BROKER, "j", "h", "q1")


async def test_only_the_last_rows_are_in_memory_and_none_that_is_not_on_disk(tmp_path: Path) -> None:
    async with Database(tmp_path / "operator.sqlite", MIGRATIONS) as database:
        store = SqliteStore(database, 2)
        await store.commit(Batch(requests=[("q1", b"1"), ("q2", b"2")], seen=[Seen(BROKER, "j", "h", "q1")]))
        with pytest.raises(Exception, match="UNIQUE"):
            await store.commit(Batch(requests=[("q3", b"3")], seen=[Seen(BROKER, "j", "h", "q3")]))
        await database.write(lambda c: c.execute("UPDATE requests SET body = CAST('disk' AS BLOB)").rowcount)
        assert [await store.request(name) for name in ("q1", "q2")] == [b"1", b"2"]
        await store.commit(Batch(requests=[("q4", b"4")]))
        assert [await store.request(name) for name in ("q1", "q2", "q4")] == [b"disk", b"2", b"4"]
        await store.prune_ended(NOW, 10)
        assert await store.request("q2") == b"disk"
        lost = quote("q5", State.DECLINED, at=NOW - 9)
        for row in (structs.replace(lost, state=State.HELD), lost):
            await store.commit(Batch(quotes=[row]))
        assert await store.prune(NOW, 10) == 1
        assert [await store.quote("q5"), await store.quote_by_hash(lost.hash or "")] == [None, None]
        assert (await store.requests(["q3"])) == {}


async def test_what_is_in_memory_gives_way_to_a_commit_whose_caller_went_away(tmp_path: Path) -> None:
    async with Database(tmp_path / "operator.sqlite", MIGRATIONS) as database:
        store = SqliteStore(database)
        await store.commit(Batch(quotes=[quote("q1")]))
        gone = asyncio.ensure_future(store.commit(Batch(quotes=[quote("q1", State.COMMITTED)])))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait({gone})
        await store.commit(Batch())
        found = await store.quote("q1")
        assert found is not None
        assert (gone.cancelled(), found.state) == (True, State.COMMITTED)
