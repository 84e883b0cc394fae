"""A key that a member uses before anybody has read of it: read of at once, and a flood of them read of once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from federation.node.identity.heed import AGAIN_S, Heed
from federation.trust.issue import jwks
from federation.trust.jose import claimed_kid, sign_jws
from federation.trust.keys import PrivateKey, b64url, generate
from federation.trust.resolve import Resolver
from federation.trust.view import TrustView
from schemas.order import Confirm
from tests.support.loops import run
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import ANCHOR, LEAF, MIDDLE, Tree, superior

OTHER, STRANGER = "https://other.leaf.example", "https://stranger.example"
FLOOD = 5_000
ONE_READING = 4  # its configuration and the statement about it, each superior's once more at most
FOREVER_S = 43_200


def signed(key: PrivateKey, number: int = 0) -> str:
    claims = Confirm(
        iss=LEAF, sub="buyer", aud="https://me.example", iat=NOW, exp=NOW + 60, jti=f"{number:022d}",
        order_h="o" * 43, prev_h="p" * 43, path_root="r" * 43, product="p-1",
    )  # fmt: skip
    return sign_jws(key, claims)


def unknown(number: int) -> str:
    """A document whose head names a key that nobody has."""
    head = b64url(f'{{"alg":"ES256","typ":"confirm+jwt","kid":"{number:043d}"}}'.encode())
    return f"{head}.e30.AAAA"


class World:
    """A view of a small tree, and what stands in front of verification."""

    def __init__(self) -> None:
        self.tree = Tree(FixedClock())
        self.tree.add(ANCHOR)
        self.tree.add(MIDDLE, ANCHOR, metadata=superior(MIDDLE))
        for entity in (LEAF, OTHER):
            self.tree.add(entity, MIDDLE)
        rng = random.Random(7)
        self.resolver = Resolver(self.tree, self.tree.anchors(), now=self.tree.clock.now, rng=rng)
        self.view = TrustView(self.resolver, rng=rng)
        self.heed = Heed(self.view, self.tree.clock)

    @property
    def asked(self) -> int:
        return sum(self.tree.asked.values())

    def swap(self, entity: str) -> PrivateKey:
        """Another key signs its documents, without an overlap."""
        node, key = self.tree.nodes[entity], generate()
        role = node.metadata.connectivity_operator
        assert role is not None
        node.metadata = structs.replace(node.metadata, connectivity_operator=structs.replace(role, jwks=jwks(key)))
        return key

    def keys(self, entity: str) -> set[str]:
        return set(self.view.domain.member(entity, self.tree.clock.now()).keys)


def play(story: Callable[[World], Awaitable[Any]]) -> None:
    async def main() -> None:
        world = World()
        try:
            await world.view.refresh()
            await story(world)
        finally:
            await world.resolver.close()

    run(main())


def test_a_key_that_was_swapped_is_known_when_its_first_document_comes() -> None:
    async def story(world: World) -> None:
        key = world.swap(LEAF)
        assert key.kid not in world.keys(LEAF)
        await world.heed(LEAF, signed(key))
        assert world.keys(LEAF) == {key.kid}
        before = world.asked
        await world.heed(LEAF, signed(key))
        assert world.asked == before, "a key that is known is no reason to ask anybody"

    play(story)


def test_a_flood_of_unknown_keys_is_read_of_once_in_a_while() -> None:
    async def story(world: World) -> None:
        before = world.asked
        for number in range(FLOOD):
            await world.heed(LEAF, unknown(number))
        assert 0 < world.asked - before <= ONE_READING
        key, before = world.swap(OTHER), world.asked
        await world.heed(OTHER, signed(key))
        assert world.keys(OTHER) == {key.kid}, "one member's flood is not another's"
        await asyncio.sleep(AGAIN_S)
        key = world.swap(LEAF)
        before = world.asked
        for number in range(FLOOD):
            await world.heed(LEAF, signed(key) if number == 0 else unknown(number))
        assert 0 < world.asked - before <= ONE_READING
        assert world.keys(LEAF) == {key.kid}

    play(story)


def test_all_that_come_at_once_wait_for_one_reading() -> None:
    async def story(world: World) -> None:
        key, before = world.swap(LEAF), world.asked
        await asyncio.gather(*(world.heed(LEAF, signed(key, number)) for number in range(200)))
        assert world.keys(LEAF) == {key.kid}
        assert world.asked - before <= ONE_READING

    play(story)


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "e30.e30.AAAA", "\x00", "[" * 4000, b64url(b"[1]") + ".x.y"])
def test_what_names_no_key_is_no_reason_to_read(token: str) -> None:
    async def story(world: World) -> None:
        before = world.asked
        await world.heed(LEAF, token)
        await world.heed(STRANGER, unknown(1))
        assert world.asked == before

    play(story)


def test_a_retired_key_is_no_more_believed_than_before() -> None:
    async def story(world: World) -> None:
        first = world.keys(LEAF)
        key = world.swap(LEAF)
        await world.heed(LEAF, signed(key))
        await asyncio.sleep(AGAIN_S)
        await world.heed(LEAF, unknown(1))
        assert world.keys(LEAF) == {key.kid}
        assert not first & world.keys(LEAF)

    play(story)


def test_silence_leaves_what_was_believed() -> None:
    async def story(world: World) -> None:
        first = world.keys(LEAF)
        world.tree.silent |= {LEAF, MIDDLE}
        await world.heed(LEAF, unknown(1))
        assert world.keys(LEAF) == first

    play(story)


def test_a_refresh_under_way_does_not_bring_the_former_key_back() -> None:
    async def story(world: World) -> None:
        former, gate, real = world.view._resolve, asyncio.Event(), world.view._resolve

        async def slow(entity: str) -> Any:
            found = await real(entity)
            await gate.wait()
            return found

        world.view._resolve = slow  # type: ignore[method-assign]
        refreshing = asyncio.ensure_future(world.view.refresh())
        await asyncio.sleep(1)
        world.view._resolve = former  # type: ignore[method-assign]
        key = world.swap(LEAF)
        await world.heed(LEAF, signed(key))
        gate.set()
        await refreshing
        assert world.keys(LEAF) == {key.kid}

    play(story)


@given(st.text())
def test_whatever_is_sent_names_a_key_or_none(token: str) -> None:
    found = claimed_kid(token)
    assert found is None or len(found) <= 64


def test_the_key_of_a_document_is_the_one_it_names() -> None:
    key = generate()
    assert claimed_kid(signed(key)) == key.kid
