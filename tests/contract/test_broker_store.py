"""What every store of a broker must do, whatever it is made of: SQLite, Redis, and what simulations use instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from federation.broker.orders.protocols import Filed, OrderStore, Outdated
from federation.broker.orders.saga.decide import begin
from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.terms import order_terms, rates_hash
from federation.broker.quotes.basis import canonical, kept_of
from federation.broker.quotes.protocols import Claim, ClaimStore, QuoteStore, StoredQuote
from federation.broker.store.redis.store import RedisStore
from federation.broker.store.sqlite import SqliteStore
from federation.trust.belief import Belief
from federation.trust.jose import doc_hash
from schemas.answer import MeasurementView
from schemas.lease import State
from schemas.problem import Problem
from schemas.segment import moment, window
from tests.support.broker_stores import KINDS, BrokerStore, broker_store
from tests.support.redis_server import RedisServer, emptied, redis_server, redis_space
from tests.support.seams import NOW
from tests.support.world.memory import MemoryStore
from tests.support.world.run import BUYER, RATES, Plan, World

__all__ = ["emptied", "redis_server"]
Store = MemoryStore | BrokerStore


@pytest_asyncio.fixture(params=["memory", *KINDS])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with broker_store(request.param, request, tmp_path) as made:
        yield made


@pytest_asyncio.fixture(params=KINDS)
async def whole(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BrokerStore]:
    """A store that keeps everything."""
    async with broker_store(request.param, request, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def world() -> World:
    return World(1, Plan(operators=3, trouble=False), asyncio.get_running_loop())


def claim(key: str, digest: str = "d", buyer: str = BUYER) -> Claim:
    return Claim(buyer=buyer, key=key, digest=digest)


async def quoted(store: QuoteStore, world: World) -> StoredQuote:
    quote = world.path_quote(window(NOW, NOW + 3600))
    quote = structs.replace(quote, document_h=doc_hash(quote.document))
    await store.put_quote(quote, claim(f"quote {quote.id}"))
    return quote


def placed(quote: StoredQuote, order_id: str, now_s: int = NOW) -> OrderState:
    terms = order_terms(quote, order_id, RATES, now_s)
    return begin(terms, quote.claims.window.end_s, now_s * 1_000_000)[0]


def test_all_keep_every_protocol() -> None:
    """The type checker's view, once more at run time."""
    for protocol in (ClaimStore, QuoteStore, OrderStore):
        for name in (name for name in vars(protocol) if not name.startswith("_")):
            assert hasattr(MemoryStore, name), name
            assert hasattr(SqliteStore, name), name
            assert hasattr(RedisStore, name), name


@pytest.mark.asyncio
async def test_a_quote_comes_back_as_it_was_and_to_its_buyer_alone(store: Store, world: World) -> None:
    quote = await quoted(store, world)
    assert await store.get_quote(BUYER, quote.id) == quote
    assert await store.get_quote("bob", quote.id) is None
    for document in quote.documents():
        assert await store.get_document(BUYER, doc_hash(document)) == document
        assert await store.get_document("bob", doc_hash(document)) is None
    assert await store.claim(claim(f"quote {quote.id}"), NOW) == quote.id


@pytest.mark.asyncio
async def test_what_a_quote_rests_on_is_kept_with_it_once_for_all(store: Store, world: World) -> None:
    kept = kept_of(Belief(chains={"https://op0.example": ("a.b.c", "d.e.f")}, marks=("a.b.c",)), NOW, RATES)
    quotes = [structs.replace(world.path_quote(window(NOW, NOW + 60 + n)), basis=kept.basis) for n in range(2)]
    for quote in quotes:
        await store.put_quote(quote, claim(f"quote {quote.id}"), kept.texts)
        found = await store.get_quote(BUYER, quote.id)
        assert found is not None
        assert found.basis == kept.basis
    texts = await store.get_texts([*kept.basis.hashes(), rates_hash(RATES), "n" * 43])
    assert texts == kept.texts
    assert sorted(texts.values()) == sorted(["a.b.c", "d.e.f", canonical(RATES).decode()])
    again = await store.get_texts([*kept.basis.hashes()])
    assert set(again) == kept.basis.hashes()


@pytest.mark.asyncio
async def test_a_quote_that_is_not_stored_leaves_no_text(store: Store, world: World) -> None:
    quote = await quoted(store, world)
    other = structs.replace(quote, id="other")
    with pytest.raises(Problem):
        await store.put_quote(other, claim(f"quote {quote.id}", "another digest"), {"h" * 43: "text"})
    assert await store.get_texts(["h" * 43]) == {}


@pytest.mark.asyncio
async def test_a_key_is_taken_once(store: Store) -> None:
    assert await store.claim(claim("k"), NOW) is None
    assert await store.claim(claim("k"), NOW) is None
    await store.answer(claim("k"), "a1", NOW)
    await store.answer(claim("k"), "a2", NOW)
    assert await store.claim(claim("k"), NOW) == "a1"
    assert await store.claim(claim("k", buyer="bob"), NOW) is None
    for again in (store.claim(claim("k", "other"), NOW), store.answer(claim("k", "other"), "a3", NOW)):
        with pytest.raises(Problem) as found:
            await again
        assert (found.value.code, found.value.outcome) == ("IDEMPOTENCY_CONFLICT", "none")


@pytest.mark.asyncio
async def test_what_was_refused_has_no_effect_later(whole: BrokerStore, world: World) -> None:
    quote = await quoted(whole, world)
    await whole.answer(claim("k"), "!no", NOW)
    with pytest.raises(Problem, match="refused meanwhile"):
        await whole.begin(placed(quote, "o1"), quote.id, claim("k"), [])
    assert (await whole.get_order(BUYER, "o1"), await whole.claim(claim("k"), NOW)) == (None, "!no")


@pytest.mark.asyncio
async def test_of_32_orders_of_one_quote_exactly_one_begins(store: Store, world: World) -> None:
    quote = await quoted(store, world)

    async def attempt(number: int) -> str:
        state = placed(quote, f"order-{number}")
        filed = Filed(document_h=f"{number:043d}", operator="https://op0.example", document=f"doc {number}")
        await store.begin(state, quote.id, claim(f"key {number}"), [filed])
        return state.terms.id

    outcomes = await asyncio.gather(*(attempt(number) for number in range(32)), return_exceptions=True)
    (winner,) = [one for one in outcomes if isinstance(one, str)]
    for loser in (one for one in outcomes if not isinstance(one, str)):
        assert isinstance(loser, Problem)
        assert (loser.code, loser.outcome, loser.extra) == ("QUOTE_USED", "none", {"order": winner})
    assert [state.terms.id for state in await store.list_orders(BUYER)] == [winner]
    assert [state.terms.id for state in await store.unfinished()] == [winner]
    used = await store.get_quote(BUYER, quote.id)
    assert used is not None
    assert (used.state, used.order) == (State.COMMITTED, winner)
    for number in range(32):
        won = winner == f"order-{number}"
        assert await store.claim(claim(f"key {number}"), NOW) == (winner if won else None)
        assert await store.get_document(BUYER, f"{number:043d}") == (f"doc {number}" if won else None)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("state", "code"), [(State.EXPIRED, "QUOTE_EXPIRED"), (State.DECLINED, "INCOMPATIBLE_STATE"), (None, "NOT_FOUND")]
)
async def test_a_quote_that_is_gone_begins_nothing(store: Store, world: World, state: State | None, code: str) -> None:
    quote = await quoted(store, world)
    if state is not None:
        assert await store.move_quote(BUYER, quote.id, State.HELD, state)
    with pytest.raises(Problem) as found:
        await store.begin(placed(quote, "o1"), quote.id if state else "another", claim("k"), [])
    assert found.value.code == code
    assert await store.list_orders(BUYER) == ()
    assert await store.claim(claim("k"), NOW) is None


@pytest.mark.asyncio
async def test_a_quote_of_another_buyer_begins_nothing(store: Store, world: World) -> None:
    quote = await quoted(store, world)
    with pytest.raises(Problem) as found:
        await store.begin(placed(structs.replace(quote, buyer="bob"), "o1"), quote.id, None, [])
    assert found.value.code == "NOT_FOUND"


@pytest.mark.asyncio
async def test_a_quote_moves_only_from_where_it_is(store: Store, world: World) -> None:
    quote = await quoted(store, world)
    assert not await store.move_quote("bob", quote.id, State.HELD, State.DECLINED)
    assert await store.move_quote(BUYER, quote.id, State.HELD, State.EXPIRED)
    assert not await store.move_quote(BUYER, quote.id, State.HELD, State.DECLINED)
    with pytest.raises(Problem, match="cannot become"):
        await store.move_quote(BUYER, quote.id, State.EXPIRED, State.HELD)


@pytest.mark.asyncio
async def test_the_journal_keeps_the_latest_of_each_order(store: Store, world: World) -> None:
    first, second = await quoted(store, world), await quoted(store, world)
    older, newer = placed(first, "o1", NOW), placed(second, "o2", NOW + 5)
    await store.begin(older, first.id, None, [])
    await store.begin(newer, second.id, None, [])
    over = structs.replace(older, state=State.FAILED, version=2)
    await store.save(over, [claim("release")], [Filed(document_h="h" * 43, operator="https://x.example", document="d")])
    assert await store.get_order(BUYER, "o1") == over
    assert await store.get_order("bob", "o1") is None
    assert [state.terms.id for state in await store.list_orders(BUYER)] == ["o2", "o1"]
    assert await store.unfinished() == (newer,)
    assert await store.claim(claim("release"), NOW) == "o1"
    assert await store.get_document(BUYER, "h" * 43) == "d"


@pytest.mark.asyncio
async def test_an_entry_replaces_the_one_before_it_and_none_else(store: Store, world: World) -> None:
    quote = await quoted(store, world)
    first = placed(quote, "o1")
    await store.begin(first, quote.id, None, [])
    filed = Filed(document_h="h" * 43, operator="https://x.example", document="d")
    for version in (0, 1, 3):
        with pytest.raises(Outdated):
            await store.save(structs.replace(first, version=version), [claim("late")], [filed])
    assert await store.get_order(BUYER, "o1") == first
    assert await store.claim(claim("late"), NOW) is None
    assert await store.get_document(BUYER, "h" * 43) is None

    second = structs.replace(first, version=2)
    racing = (store.save(structs.replace(second, end_s=second.end_s + n), [], []) for n in range(16))
    outcomes = await asyncio.gather(*racing, return_exceptions=True)
    (won,) = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert all(isinstance(outcome, Outdated) for n, outcome in enumerate(outcomes) if n != won)
    assert await store.get_order(BUYER, "o1") == structs.replace(second, end_s=second.end_s + won)


@pytest.mark.asyncio
async def test_open_quotes_are_those_that_may_still_be_ordered(store: Store, world: World) -> None:
    quotes = [await quoted(store, world) for _ in range(4)]
    exp = quotes[0].claims.exp
    assert {quote.id for quote in await store.open_quotes(exp - 1)} == {quote.id for quote in quotes}
    assert await store.open_quotes(exp) == ()
    await store.move_quote(BUYER, quotes[0].id, State.HELD, State.DECLINED)
    await store.move_quote(BUYER, quotes[1].id, State.HELD, State.EXPIRED)
    await store.begin(placed(quotes[2], "o1"), quotes[2].id, None, [])
    assert [quote.id for quote in await store.open_quotes(0)] == [quotes[3].id]
    assert await store.owner_of("o1") == (BUYER, None)
    assert await store.owner_of("another") is None


@pytest.mark.asyncio
async def test_quotes_that_came_to_nothing_are_forgotten_with_what_is_theirs_alone(
    whole: BrokerStore, world: World
) -> None:
    quotes = [await quoted(whole, world) for _ in range(5)]
    declined, expired, open_, ordered, _ = quotes
    await whole.move_quote(BUYER, declined.id, State.HELD, State.DECLINED)
    await whole.move_quote(BUYER, expired.id, State.HELD, State.EXPIRED)
    await whole.begin(placed(ordered, "o1"), ordered.id, None, [])
    exp = quotes[0].claims.exp
    assert await whole.prune_quotes(exp, 10) == 0, "none has been over for so long"
    forgotten = [await whole.prune_quotes(exp + 1, 3) for _ in range(3)]
    assert forgotten == [3, 1, 0]
    assert [await whole.get_quote(BUYER, quote.id) for quote in (declined, expired, open_)] == [None] * 3
    kept = await whole.get_quote(BUYER, ordered.id)
    assert kept is not None
    assert kept.order == "o1"
    for quote, there in ((declined, False), (ordered, True)):
        for document in (quote.document, quote.held[0].quote_jws):  # the rfqs of this world have one hash
            assert (await whole.get_document(BUYER, doc_hash(document)) == document) is there
    assert await whole.open_quotes(0) == ()


DAY = 86_400


@pytest.mark.asyncio
async def test_texts_that_nobody_needs_are_forgotten(whole: BrokerStore, world: World) -> None:
    def resting(*marks: str, day: int = 0) -> tuple[StoredQuote, Mapping[str, str]]:
        kept = kept_of(Belief(chains={}, marks=marks), NOW, RATES)
        quote = structs.replace(world.path_quote(window(NOW, NOW + 60)), basis=kept.basis)
        quote = structs.replace(quote, document_h=doc_hash(quote.document))
        return structs.replace(quote, claims=structs.replace(quote.claims, iat=NOW + day * DAY)), kept.texts

    ordered, lost, late = resting("a.b.c", "both.b.c"), resting("d.e.f", "both.b.c"), resting("g.h.i", "d.e.f", day=2)
    for quote, texts in (ordered, lost):
        await whole.put_quote(quote, None, texts)
    await whole.begin(placed(ordered[0], "o1"), ordered[0].id, None, [])
    await whole.put_chains(NOW, {"https://op.example": ("chain.b.c",)})
    every = {doc_hash(one): one for one in ("a.b.c", "both.b.c", "d.e.f", "g.h.i", "chain.b.c")}

    async def left() -> set[str]:
        """What is there after everything was looked at, a little at a time."""
        for _ in range(20):
            await whole.prune_texts(NOW + 2 * DAY, 2)
        return {*(await whole.get_texts(every)).values()}

    if isinstance(whole, RedisStore):
        assert await left() == {"a.b.c", "both.b.c", "d.e.f", "chain.b.c"}, "there they are kept"
        return
    await whole.put_quote(late[0], None, late[1])
    assert await left() == {*every.values()}, "one is used again, and what is young is not looked at"
    assert await whole.prune_texts(NOW + 4 * DAY, 100) < 100
    assert {*(await whole.get_texts(every)).values()} == {"a.b.c", "both.b.c", "chain.b.c"}
    assert await whole.prune_chains(NOW, 10) == 0
    await whole.put_chains(NOW + DAY, {"https://op.example": ("later.b.c", "chain.b.c")})
    assert await whole.prune_chains(NOW + 1, 10) == 1
    await whole.prune_texts(NOW + 4 * DAY, 100)
    assert [one.tokens for one in await whole.chains("https://op.example")] == [("later.b.c", "chain.b.c")], "shared"
    assert (await whole.prune_chains(NOW + 2 * DAY, 10), await whole.chains("https://op.example")) == (1, ())
    await whole.prune_texts(NOW + 4 * DAY, 100)
    assert {*(await whole.get_texts(every)).values()} == {"a.b.c", "both.b.c"}
    assert {*(await whole.get_texts(ordered[1])).values()} == {*ordered[1].values()}, "what an order rests on is there"


@pytest.mark.asyncio
async def test_a_key_that_was_bound_at_once_is_as_young_as_one_that_was_taken_first(
    whole: BrokerStore, world: World
) -> None:
    """What is forgotten first would have an effect twice."""
    quote = await quoted(whole, world)
    await whole.begin(placed(quote, "o1"), quote.id, claim("k"), [])
    await whole.answer(claim("refused"), "!no", NOW)
    await whole.prune_claims(NOW - 1, 10)
    assert await whole.claim(claim("k"), NOW) == "o1"
    assert await whole.claim(claim("refused"), NOW) == "!no"
    assert await whole.claim(claim(f"quote {quote.id}"), NOW) == quote.id


@pytest.mark.asyncio
async def test_old_idempotency_keys_are_forgotten(whole: BrokerStore) -> None:
    for number in range(5):
        await whole.claim(claim(f"k{number}"), NOW + number)
        await whole.answer(claim(f"k{number}"), f"answer {number}", NOW + 9)
    assert await whole.prune_claims(NOW, 10) == 0
    if isinstance(whole, RedisStore):
        return  # there each has its time, and goes by itself
    assert [await whole.prune_claims(NOW + 3, 2) for _ in range(3)] == [2, 1, 0]
    assert await whole.claim(claim("k3"), NOW) == "answer 3"
    assert await whole.claim(claim("k2", "another digest"), NOW) is None


@pytest.mark.asyncio
async def test_orders_are_told_in_pages(store: Store, world: World) -> None:
    for number in range(7):
        quote = await quoted(store, world)
        await store.begin(placed(quote, f"o{number}", NOW + number // 2), quote.id, None, [])
    pages, after = [], None
    while page := await store.list_orders(BUYER, 3, after):
        pages.append([state.terms.id for state in page])
        after = page[-1].terms.id
    assert pages == [["o6", "o5", "o4"], ["o3", "o2", "o1"], ["o0"]]
    assert await store.list_orders(BUYER, 3, "no-such-order") == ()
    assert await store.list_orders("bob", 3, "o4") == (), "an order of another says nothing"


@pytest.mark.asyncio
async def test_a_lease_leads_to_its_order(store: Store, world: World) -> None:
    quote = await quoted(store, world)
    state = placed(quote, "o1")
    await store.begin(state, quote.id, None, [])
    operator = state.terms.parts[0].operator
    assert await store.find_product(operator, "p1") is None
    leased = structs.replace(state.legs[0], product="p1")
    await store.save(structs.replace(state, legs=(leased, *state.legs[1:]), version=2), [], [])
    assert await store.find_product(operator, "p1") == "o1"
    assert await store.find_product("https://other.example", "p1") is None


@pytest.mark.asyncio
async def test_an_extension_uses_a_second_quote_of_the_same_order(store: Store, world: World) -> None:
    quote, longer = await quoted(store, world), await quoted(store, world)
    state = placed(quote, "o1")
    await store.begin(state, quote.id, None, [])
    active = structs.replace(state, state=State.ACTIVE, version=2)
    with pytest.raises(Outdated):
        await store.begin(structs.replace(active, version=3), longer.id, claim("extend"), [])
    assert await store.claim(claim("extend"), NOW) is None
    await store.begin(active, longer.id, claim("extend"), [])
    stored = await store.get_order(BUYER, "o1")
    assert stored is not None
    assert stored.state is State.ACTIVE
    with pytest.raises(Problem) as found:
        await store.begin(state, longer.id, None, [])
    assert found.value.code == "QUOTE_USED"
    assert await store.claim(claim("extend"), NOW) == "o1"


@pytest.mark.asyncio
async def test_the_quotes_of_an_order_are_found(whole: BrokerStore, world: World) -> None:
    quote, longer, other = [await quoted(whole, world) for _ in range(3)]
    state = placed(quote, "o1")
    await whole.begin(state, quote.id, None, [])
    await whole.begin(structs.replace(state, version=2), longer.id, None, [])
    assert {one.id for one in await whole.quotes_of(BUYER, "o1")} == {quote.id, longer.id}
    assert await whole.quotes_of("bob", "o1") == ()
    assert other.id not in {one.id for one in await whole.quotes_of(BUYER, "o1")}


@pytest.mark.asyncio
async def test_measurements_are_kept_up_to_a_limit(
    whole: BrokerStore, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("measurements", "redis.measurements"):
        monkeypatch.setattr(f"federation.broker.store.{module}.KEPT_MAX", 3)
    quote = await quoted(whole, world)
    await whole.begin(placed(quote, "o1"), quote.id, None, [])
    views = [
        MeasurementView(id=f"m{n}", order="o1", at=moment(NOW + n % 2), latency_us=n, promised_us=9, floor_us=None)
        for n in range(4)
    ]
    for view in views[:3]:
        await whole.put_measurement(view, claim(view.id))
    with pytest.raises(Problem) as found:
        await whole.put_measurement(views[3], claim(views[3].id))
    assert found.value.code == "TOO_MANY_REQUESTS"
    assert [view.id for view in await whole.measurements("o1")] == ["m0", "m2", "m1"]
    assert await whole.measurements("o2") == ()
    assert await whole.claim(claim("m1"), NOW) == "m1"
    assert await whole.claim(claim("m3"), NOW) is None


@pytest.mark.asyncio
async def test_redis_keeps_everything_over_a_power_cut(emptied: RedisServer, world: World) -> None:
    async with redis_space(emptied) as space:
        store = RedisStore(space)
        quote = await quoted(store, world)
        await store.begin(placed(quote, "o1"), quote.id, claim("k"), [])
        emptied.kill()
        emptied.start()
        assert await store.unfinished() == (placed(quote, "o1"),)
    async with redis_space(emptied) as space:
        store = RedisStore(space)
        assert await store.claim(claim("k"), NOW) == "o1"
        with pytest.raises(Problem, match="it became order o1"):
            await store.begin(placed(quote, "o2"), quote.id, None, [])
