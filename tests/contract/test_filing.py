"""What every store of a broker must keep beside quotes and orders: documents, tokens and chains of trust, by party."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from federation.broker.authority.filing import Party, Stood
from federation.broker.standing import Standing
from federation.tokens.access import Holder, issue_access
from federation.trust.chain import TrustDomain
from federation.trust.jose import doc_hash
from schemas.access import Confirmation
from schemas.problem import Problem
from tests.support.authority import AUTHORITY, BROKER, Cast
from tests.support.broker_stores import KINDS, BrokerStore, broker_store
from tests.support.redis_server import emptied, redis_server
from tests.support.seams import NOW, FixedClock
from tests.support.world.run import BUYER

__all__ = ["emptied", "redis_server"]


@pytest_asyncio.fixture(params=KINDS)
async def whole(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BrokerStore]:
    """A store that keeps everything."""
    async with broker_store(request.param, request, tmp_path) as made:
        yield made


@pytest.mark.asyncio
async def test_documents_are_filed_for_one_party(whole: BrokerStore) -> None:
    for _ in range(2):
        await whole.file(Party(BUYER, "k" * 43), None, ("a.b.c", "d.e.f"))
    await whole.file(Party(BUYER, None), "https://op0.example", ("g.h.i",))
    assert await whole.get_document(BUYER, doc_hash("a.b.c"), "k" * 43) == "a.b.c"
    assert await whole.get_document(BUYER, doc_hash("g.h.i")) == "g.h.i"
    assert await whole.get_document(BUYER, doc_hash("g.h.i"), "k" * 43) is None
    assert await whole.get_document("bob", doc_hash("a.b.c")) is None
    names = [doc_hash("g.h.i"), "n" * 43, doc_hash("a.b.c")]
    assert await whole.get_documents(BUYER, names) == {names[0]: "g.h.i", names[2]: "a.b.c"}
    assert await whole.get_documents("bob", names) == {}


@pytest.mark.asyncio
async def test_tokens_are_found_by_their_mandate_and_their_time(whole: BrokerStore) -> None:
    issuer, holder = Cast().issuer(BROKER), Holder("agent-7", "https://buyer.example", Confirmation(jkt="j" * 43))
    mandate_h, iat = "h" * 43, NOW
    token = issue_access(issuer, holder, AUTHORITY, mandate_h=mandate_h, txn="txn-1", now=iat, life_s=60)
    await whole.file(Party(BUYER, None), None, (token, "no.token.at-all"))
    assert await whole.get_passes(BUYER, mandate_h, iat, iat) == (token,)
    assert await whole.get_passes(BUYER, mandate_h, iat + 1, iat + 9) == ()
    assert await whole.get_passes("bob", mandate_h, iat, iat) == ()
    assert await whole.get_passes(BUYER, "m" * 43, iat, iat) == ()


@pytest.mark.asyncio
async def test_every_chain_that_was_believed_can_be_found_later(whole: BrokerStore) -> None:
    one, two = ("own1.x.s", "about.y.s", "root.z.s"), ("own2.x.s", "about.y.s", "root.z.s")
    clock = FixedClock()
    standing = Standing(whole, clock)
    for chains in ({"https://a": one}, {"https://a": one}, {"https://a": two, "https://b": one}, {}):
        standing.follow(TrustDomain({}, chains=chains))
        await standing.write()
        clock.advance(60)
    assert await whole.chains("https://a") == (Stood(NOW, one), Stood(NOW + 120, two))
    assert await whole.chains("https://b") == (Stood(NOW + 120, one),)
    assert await whole.chains("https://c") == ()
    again = Standing(whole, clock)  # as after a restart, which has forgotten what it wrote
    again.follow(TrustDomain({}, chains={"https://a": two}))
    await again.write()
    assert await whole.chains("https://a") == (Stood(NOW, one), Stood(NOW + 120, two))


@pytest.mark.asyncio
async def test_while_the_store_cannot_write_it_is_tried_again() -> None:
    class Sulky:
        """Writes at the second attempt."""

        def __init__(self) -> None:
            self.tried: list[Mapping[str, Sequence[str]]] = []

        async def put_chains(self, at: int, chains: Mapping[str, Sequence[str]]) -> None:
            self.tried.append(dict(chains))
            if len(self.tried) == 1:
                raise Problem("UNAVAILABLE", "the disk is full")

        async def chains(self, entity: str) -> tuple[Stood, ...]:
            raise AssertionError("nobody asks")

    sulky = Sulky()
    standing = Standing(sulky, FixedClock())
    standing.follow(TrustDomain({}, chains={"https://a": ("x.y.z",)}))
    with pytest.raises(Problem):
        await standing.write()
    await standing.write()
    await standing.write()
    assert sulky.tried == [{"https://a": ("x.y.z",)}] * 2
