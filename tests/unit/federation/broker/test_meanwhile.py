"""While the store of replicas is away: quotes go on and are kept, nothing else does, and all of it is written later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import pytest_asyncio

from federation.broker.authority.filing import Party
from federation.broker.quotes.protocols import Claim
from federation.broker.store.meanwhile import AGAIN_S, QUOTES_MAX, RATE, Meanwhile
from federation.broker.store.redis.keys import Keyspace, Step
from federation.broker.store.redis.replay import ReplayKeys
from federation.broker.store.redis.store import RedisStore
from federation.trust.jose import doc_hash
from schemas.lease import State
from schemas.problem import Outcome, Problem
from schemas.segment import window
from tests.support.seams import NOW, FixedClock
from tests.support.simulated_keys import SimulatedKeys
from tests.support.world.run import BUYER, Plan, World

pytestmark = pytest.mark.asyncio
MANDATE = "m" * 43


class Away:
    """A store that can be away, what goes on meanwhile, and another replica of the same broker."""

    def __init__(self, world: World) -> None:
        self.keys, self.clock, self.world = SimulatedKeys(), FixedClock(), world
        self.store, self.replay = RedisStore(Keyspace(self.keys)), ReplayKeys(Keyspace(self.keys))
        self.meanwhile = self.replica()

    def replica(self) -> Meanwhile:
        return Meanwhile(self.store, self.replay, self.clock)

    def quote(self, life_s: int = 3600):
        return self.world.path_quote(window(NOW, NOW + life_s))

    async def back(self) -> None:
        self.keys.away = False
        await self.meanwhile.write()


@pytest_asyncio.fixture
async def away() -> Away:
    return Away(World(1, Plan(operators=2, trouble=False), asyncio.get_running_loop()))


def claim(key: str, digest: str = "d") -> Claim:
    return Claim(buyer=BUYER, key=key, digest=digest)


async def refused(work: object, code: str = "UNAVAILABLE") -> Problem:
    with pytest.raises(Problem) as caught:
        await work  # type: ignore[misc]
    assert caught.value.code == code
    return caught.value


async def test_a_quote_is_kept_and_written_before_it_can_be_ordered(away: Away) -> None:
    away.keys.away, quote = True, away.quote()
    assert await away.meanwhile.claim(claim("k"), NOW) is None
    await away.meanwhile.put_quote(quote, claim("k"), {"t" * 43: "text"})
    assert await away.meanwhile.claim(claim("k"), NOW) == quote.id, "once, as far as this replica can tell"
    assert (await refused(away.meanwhile.claim(claim("k", "other"), NOW), "IDEMPOTENCY_CONFLICT")).outcome == "none"
    assert await away.meanwhile.get_quote(BUYER, quote.id) == quote
    assert await away.meanwhile.get_quote("bob", quote.id) is None
    problem = await refused(away.meanwhile.move_quote(BUYER, quote.id, State.HELD, State.DECLINED))
    assert problem.retry_after_s
    away.keys.away = False
    assert await away.meanwhile.get_quote(BUYER, quote.id) == quote
    assert await away.store.get_quote(BUYER, quote.id) == quote
    assert await away.store.claim(claim("k"), NOW) == quote.id
    assert await away.store.get_texts(["t" * 43]) == {"t" * 43: "text"}
    assert await away.meanwhile.move_quote(BUYER, quote.id, State.HELD, State.DECLINED)


async def test_it_is_written_by_itself_once_and_only_while_it_counts(away: Away) -> None:
    away.keys.away = True
    kept, over = away.quote(), away.quote()
    for quote in (kept, over):
        await away.meanwhile.put_quote(quote, None)
    away.clock.advance(kept.claims.exp - NOW - 1)
    writer = asyncio.create_task(away.meanwhile.run())
    await asyncio.sleep(0)
    away.keys.away = False
    async with asyncio.timeout(30):
        while await away.store.get_quote(BUYER, kept.id) is None:
            await asyncio.sleep(0.05)
    writer.cancel()
    await away.meanwhile.write()
    third = away.quote()
    away.keys.away = True
    await away.meanwhile.put_quote(third, None)
    away.clock.advance(3600)
    await away.back()
    assert await away.store.get_quote(BUYER, third.id) is None, "it has ended"


async def test_what_is_kept_while_the_rest_is_written_is_written_too(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was away a moment ago is not asked again at once, though it is back."""
    early, late = away.quote(), away.quote()
    away.keys.away = True
    await away.meanwhile.put_quote(early, None)
    away.keys.away, put = False, away.store.put_quote

    async def slowly(*quote: object) -> None:
        monkeypatch.undo()
        await away.meanwhile.put_quote(late, None)
        assert await away.meanwhile.first("dpop", "i", "late", until=NOW + 60, now=NOW)
        await put(*quote)  # type: ignore[arg-type]

    monkeypatch.setattr(away.store, "put_quote", slowly)
    writer = asyncio.create_task(away.meanwhile.run())
    for _ in range(100):
        await asyncio.sleep(0)
    assert [one.id for one in (early, late) if await away.store.get_quote(BUYER, one.id) is None] == []
    assert not await away.replica().first("dpop", "i", "late", until=NOW + 60, now=NOW)
    writer.cancel()


async def test_what_has_ended_makes_room_for_what_comes(away: Away) -> None:
    """However long the store is away."""
    away.keys.away = True
    for number in range(QUOTES_MAX + 200):
        await away.meanwhile.claim(claim(f"k{number}"), NOW)
        assert await away.meanwhile.first("dpop", "i", f"j{number}", until=away.clock.now() + 60, now=away.clock.now())
        away.clock.advance(1)
    assert len(away.meanwhile._proofs) <= 61
    assert len(away.meanwhile._claims) <= QUOTES_MAX


async def test_a_write_whose_answer_was_lost_is_not_done_twice(away: Away) -> None:
    quote = away.quote()
    await away.store.put_quote(quote, claim("k"))
    away.keys.away = True
    await away.meanwhile.put_quote(quote, claim("k"))
    await away.back()
    assert await away.meanwhile.get_quote(BUYER, quote.id) == quote


async def test_many_who_want_it_at_once_write_it_once(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    quote, commit, tries = away.quote(), away.keys.commit, 0
    away.keys.away = True
    await away.meanwhile.put_quote(quote, claim("k"))
    away.keys.away = False

    async def slowly(steps: Sequence[Step]) -> bool:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        return await commit(steps)

    monkeypatch.setattr(away.keys, "commit", slowly)
    await asyncio.gather(away.meanwhile.write(), *(away.meanwhile.get_quote(BUYER, quote.id) for _ in range(5)))
    assert tries == 1


async def test_who_asks_for_a_quote_waits_once_for_a_store_that_does_not_answer(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not as often as there are others who ask."""
    quotes, asked, silence = [away.quote() for _ in range(5)], list[str](), asyncio.Event()
    away.keys.away = True
    for one in quotes:
        await away.meanwhile.put_quote(one, None)

    async def silent(_: str, quote_id: str) -> None:
        asked.append(quote_id)
        await silence.wait()
        raise Problem("UNAVAILABLE", "it took too long")

    monkeypatch.setattr(away.store, "get_quote", silent)
    finding = [asyncio.ensure_future(away.meanwhile.get_quote(BUYER, one.id)) for one in [*quotes, *quotes]]
    for _ in range(20):
        await asyncio.sleep(0)
    assert asked == [one.id for one in quotes]
    silence.set()
    assert await asyncio.gather(*finding) == [*quotes, *quotes]


async def test_a_key_that_another_replica_had_keeps_no_quote_from_being_written(away: Away) -> None:
    away.keys.away, quote = True, away.quote()
    await away.meanwhile.put_quote(quote, claim("k"))
    away.keys.away = False
    await away.store.claim(claim("k", "something else"), NOW)
    await away.meanwhile.write()
    assert await away.store.get_quote(BUYER, quote.id) == quote


async def test_a_refusal_binds_its_key_here_meanwhile_and_everywhere_afterwards(away: Away) -> None:
    await away.meanwhile.claim(claim("k"), NOW)
    away.keys.away = True
    await away.meanwhile.answer(claim("k"), "!no", 0)
    assert await away.meanwhile.claim(claim("k"), NOW) == "!no"
    await away.back()
    assert await away.replica().claim(claim("k"), NOW) == "!no"


async def test_a_proof_counts_once_here_meanwhile_and_once_everywhere_afterwards(away: Away) -> None:
    proof = {"until": NOW + 60, "now": NOW}
    assert await away.meanwhile.first("dpop", "i", "before", **proof)
    away.keys.away = True
    assert not await away.meanwhile.first("dpop", "i", "before", **proof)
    assert await away.meanwhile.first("dpop", "i", "meanwhile", **proof)
    assert not await away.meanwhile.first("dpop", "i", "meanwhile", **proof)
    await away.back()
    other = away.replica()
    for jti in ("before", "meanwhile"):
        assert not await other.first("dpop", "i", jti, **proof)
    assert await other.first("dpop", "i", "new", **proof)
    assert not await away.replica().first("dpop", "i", "new", **proof)


async def test_what_was_revoked_stays_revoked_and_nothing_is_revoked_meanwhile(away: Away) -> None:
    await away.meanwhile.revoke(["carol"], MANDATE, NOW)
    assert await away.meanwhile.revoked("carol", MANDATE)
    away.keys.away = True
    assert await away.meanwhile.revoked("carol", MANDATE)
    assert not await away.meanwhile.revoked("carol", "n" * 43)
    await refused(away.meanwhile.revoke(["carol"], "n" * 43, NOW))
    assert await away.replica().revoked("carol", MANDATE) is False, "it has never heard of it; no order begins on that"


async def test_documents_are_filed_afterwards(away: Away) -> None:
    away.keys.away = True
    await away.meanwhile.file(Party(BUYER, None), None, ["a.b.c"])
    await away.back()
    assert await away.store.get_document(BUYER, doc_hash("a.b.c")) == "a.b.c"


async def test_quotes_are_rate_limited_meanwhile_and_what_is_kept_is_bounded(away: Away) -> None:
    away.keys.away = True
    for number in range(RATE.burst):
        await away.meanwhile.claim(claim(f"k{number}"), NOW)
    assert (await refused(away.meanwhile.claim(claim("one more"), NOW), "TOO_MANY_REQUESTS")).retry_after_s
    away.clock.advance(1)
    await away.meanwhile.claim(claim("one more"), NOW)
    for number in range(QUOTES_MAX):
        await away.meanwhile.file(Party(BUYER, None), None, [f"a.{number}.c"])
    problem = await refused(away.meanwhile.file(Party(BUYER, None), None, ["one.too.many"]))
    assert problem.outcome is Outcome.NONE


async def test_a_store_that_is_away_is_not_asked_every_time(away: Away) -> None:
    away.keys.away = True
    assert not await away.meanwhile.revoked("carol", MANDATE)
    away.keys.away = False
    await away.store.revoke(["carol"], MANDATE, NOW)
    assert not await away.meanwhile.revoked("carol", MANDATE), f"it is asked again after {AGAIN_S} s"
