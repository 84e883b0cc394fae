"""Events on their way: in order per hub, again until they are taken, one hub never in the way of another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from federation.sonata import delivery
from federation.sonata.delivery import JSON, NEWS_S, Delivery, Letter
from federation.trust.fetch import Answer
from schemas.problem import Problem
from tests.support.seams import NOW


class Post:
    """A listener per hub; those in `deaf` do not answer, those in `cross` answer 500."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.deaf: set[str] = set()
        self.cross: set[str] = set()
        self.tries = 0

    async def post(self, url: str, body: bytes, content_type: str | None = None) -> Answer:
        self.tries += 1
        assert content_type == JSON
        await asyncio.sleep(0)
        if url in self.deaf:
            raise Problem("UNAVAILABLE", "no answer")
        if url in self.cross:
            return Answer(500, b"")
        self.taken.append((url, body))
        return Answer(204, b"")


class Outbox:
    """What is not delivered yet, in memory."""

    def __init__(self, *letters: Letter) -> None:
        self.left = list(letters)

    async def letters(self) -> Sequence[Letter]:
        return list(self.left)

    async def forget(self, seqs: Sequence[int]) -> None:
        self.left = [letter for letter in self.left if letter.seq not in seqs]


def letters(hub: str, *bodies: bytes, at: int = NOW) -> list[Letter]:
    return [Letter(100 * ord(hub) + place, hub, hub, body, at) for place, body in enumerate(bodies)]


async def looked(made: Delivery) -> float | None:
    wait_s = await made.look()
    await made.settled()
    return wait_s


@pytest.mark.asyncio
async def test_each_hub_gets_its_events_in_order_and_none_waits_for_another() -> None:
    post, outbox = Post(), Outbox(*letters("a", b"1", b"2"), *letters("b", b"1", b"2", b"3"))
    post.deaf = {"a"}
    made = Delivery(outbox, post, lambda: NOW)
    await looked(made)
    assert post.taken == [("b", b"1"), ("b", b"2"), ("b", b"3")]
    assert [letter.hub for letter in outbox.left] == ["a", "a"]


@pytest.mark.asyncio
async def test_what_is_not_taken_is_tried_later_and_later_and_then_goes_on_in_order() -> None:
    post, outbox = Post(), Outbox(*letters("a", b"1", b"2"))
    post.cross = {"a"}
    made = Delivery(outbox, post, lambda: NOW)
    await looked(made)
    first = await made.look()
    assert first is not None
    assert 0 < first <= 1
    assert post.tries == 1, "it is left alone until then"
    made._silent["a"] = (1, 0.0)
    await looked(made)
    second = await made.look()
    assert second is not None
    assert first < second <= 2
    post.cross = set()
    made._silent["a"] = (2, 0.0)
    await looked(made)
    assert post.taken == [("a", b"1"), ("a", b"2")]
    assert outbox.left == []
    assert await made.look() is None


@pytest.mark.asyncio
async def test_old_news_is_no_news() -> None:
    post, outbox = Post(), Outbox(*letters("a", b"old", at=NOW - NEWS_S), *letters("a", b"", b"new")[1:])
    await looked(Delivery(outbox, post, lambda: NOW))
    assert post.taken == [("a", b"new")]
    assert outbox.left == []


@pytest.mark.asyncio
async def test_a_store_that_is_away_is_asked_again() -> None:
    class Away(Outbox):
        async def letters(self) -> Sequence[Letter]:
            raise Problem("UNAVAILABLE", "the disk is full")

    assert await Delivery(Away(), Post(), lambda: NOW).look() == delivery.AGAIN_S_MAX


@pytest.mark.asyncio
async def test_what_cannot_be_forgotten_is_not_told_as_fast_as_it_is_taken() -> None:
    class Full(Outbox):
        async def forget(self, seqs: Sequence[int]) -> None:
            raise Problem("UNAVAILABLE", "the disk is full")

    post = Post()
    made = Delivery(Full(*letters("a", b"1", b"2")), post, lambda: NOW)
    for _ in range(10):
        await looked(made)
    assert post.taken == [("a", b"1")]


@pytest.mark.asyncio
async def test_a_fault_at_one_hub_is_tried_later_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise it would be tried again at once, and again, as fast as the processor can."""
    post, outbox = Post(), Outbox(*letters("a", b"1"), *letters("b", b"1"))

    async def odd(url: str, body: bytes, content_type: str | None = None) -> Answer:
        if url == "a":
            raise RuntimeError("what nobody foresaw")
        return await Post.post(post, url, body, content_type)

    post.post = odd  # type: ignore[method-assign]
    made = Delivery(outbox, post, lambda: NOW)
    await looked(made)
    assert await made.look() is not None
    assert made._running == {}, "it is left alone until then"
    assert [letter.hub for letter in outbox.left] == ["a"]
    assert "what nobody foresaw" in caplog.text
