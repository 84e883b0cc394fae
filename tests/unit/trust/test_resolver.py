"""The resolver over a tree in memory: which chain it takes, what it costs, what it forgets and what it never does."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from federation.trust.cache import Seen
from federation.trust.issue import jwks, status_list
from federation.trust.keys import generate
from federation.trust.resolve import FETCHES_MAX, Resolver
from federation.trust.statements import parse_list
from schemas.entity import EntityStatement, Jwks
from schemas.problem import Problem
from tests.support.loops import run
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import ANCHOR, AUDITOR, FACTS, LEAF, MIDDLE, STATUS, Tree, resign, superior

SECOND, STRANGER = "https://second.example", "https://stranger.example"
HALF_DAY_S = 43_200


@pytest.fixture
def tree() -> Tree:
    made = Tree(FixedClock())
    made.add(ANCHOR)
    made.add(MIDDLE, ANCHOR, metadata=superior(MIDDLE))
    made.add(LEAF, MIDDLE)
    return made


def resolver(tree: Tree, anchors: dict[str, Jwks] | None = None, seen: Seen | None = None) -> Resolver:
    return Resolver(tree, anchors or tree.anchors(), now=tree.clock.now, rng=random.Random(7), seen=seen)


def play(tree: Tree, story: Callable[[Resolver], Awaitable[Any]], **how: Any) -> Any:
    """Tell a story in a loop whose time jumps, with the clock keeping step."""

    async def main() -> Any:
        made = resolver(tree, **how)
        try:
            return await story(made)
        finally:
            await made.close()

    return run(main(), tree.clock.advance)


def path_of(tree: Tree, entity: str = LEAF, **how: Any) -> tuple[str, ...] | None:
    async def story(made: Resolver) -> Any:
        found = await made.resolve(entity)
        return found.chain and found.chain.path

    return play(tree, story, **how)


def why_not(tree: Tree, entity: str = LEAF, **how: Any) -> str:
    async def story(made: Resolver) -> Any:
        return (await made.resolve(entity)).why_not

    return str(play(tree, story, **how))


def test_a_chain_through_an_intermediate_is_found(tree: Tree) -> None:
    assert path_of(tree) == (LEAF, MIDDLE, ANCHOR)
    assert tree.asked == {"configuration": 3, "statement": 2}


def test_an_anchor_resolves_to_itself_and_a_stranger_to_nothing(tree: Tree) -> None:
    assert path_of(tree, ANCHOR) == (ANCHOR,)
    assert "no https://stranger.example" in why_not(tree, STRANGER)
    tree.add(STRANGER)
    assert why_not(tree, STRANGER) == f"{STRANGER} names no superior"


def test_the_shortest_chain_is_taken(tree: Tree) -> None:
    tree.nodes[LEAF].superiors = (MIDDLE, ANCHOR)
    assert path_of(tree) == (LEAF, ANCHOR)


def test_a_longer_chain_is_taken_where_the_short_one_does_not_verify(tree: Tree) -> None:
    tree.nodes[LEAF].superiors = (MIDDLE, ANCHOR)
    tree.replaced["statement", ANCHOR, LEAF] = tree.chain(MIDDLE, ANCHOR)[1]
    assert path_of(tree) == (LEAF, MIDDLE, ANCHOR)


def test_of_several_anchors_the_chain_that_lasts_longest_is_taken(tree: Tree) -> None:
    tree.add(SECOND)
    tree.nodes[LEAF].superiors = (ANCHOR, SECOND)
    tree.nodes[ANCHOR].life_s = 3600
    assert path_of(tree, anchors=tree.anchors(ANCHOR, SECOND)) == (LEAF, SECOND)
    assert path_of(tree, anchors=tree.anchors(ANCHOR)) == (LEAF, ANCHOR)
    tree.nodes[ANCHOR].life_s = 86_400
    assert path_of(tree, anchors=tree.anchors(ANCHOR, SECOND)) == (LEAF, ANCHOR)  # as long: the first by its id


def test_a_validly_signed_stranger_is_not_believed(tree: Tree) -> None:
    evil = "https://evil.example"
    tree.add(evil)
    tree.add(STRANGER, evil)
    assert "evil.example names no superior" in why_not(tree, STRANGER)


def test_whoever_answers_for_another_is_ignored(tree: Tree) -> None:
    tree.replaced["configuration", LEAF] = tree.chain(MIDDLE, ANCHOR)[0]
    assert "it is the configuration of https://middle.example" in why_not(tree)


def test_ways_in_circles_end(tree: Tree) -> None:
    tree.add("https://a.example", "https://b.example", metadata=superior("https://a.example"))
    tree.add("https://b.example", "https://a.example", metadata=superior("https://b.example"))
    tree.nodes[LEAF].superiors = ("https://a.example",)
    assert "the way leads back to https://a.example" in why_not(tree)


def test_a_flood_of_hints_costs_no_more_than_the_caps(tree: Tree) -> None:
    """Every superior names four more: at most the fetches of one search, and no exception but ours."""

    class Bomb(Tree):
        async def configuration(self, entity: str) -> str:
            if entity not in self.nodes:
                names = [f"{entity[:-8]}{number}.example" for number in range(9)]
                self.add(entity, *names, metadata=superior(entity))
            return await super().configuration(entity)

        async def statement(self, superior: EntityStatement, entity: str) -> str:
            self.nodes[entity].superiors += (superior.iss,)
            return await super().statement(superior, entity)

    bomb = Bomb(tree.clock)
    bomb.add(ANCHOR)
    assert f"more than {FETCHES_MAX} documents" in why_not(bomb, "https://x.example", anchors=bomb.anchors())
    assert sum(bomb.asked.values()) <= FETCHES_MAX
    bomb.asked.clear()

    async def many(made: Resolver) -> None:
        for number in range(20):
            await made.resolve(f"https://x{number % 9}.example")

    play(bomb, many, anchors=bomb.anchors())
    assert sum(bomb.asked.values()) <= FETCHES_MAX * 9


def test_many_who_ask_at_once_make_one_search(tree: Tree) -> None:
    async def story(made: Resolver) -> Any:
        return await asyncio.gather(*(made.resolve(LEAF) for _ in range(50)))

    assert {found.chain.path for found in play(tree, story)} == {(LEAF, MIDDLE, ANCHOR)}
    assert tree.asked == {"configuration": 3, "statement": 2}


def test_superiors_are_read_once_for_many_members(tree: Tree) -> None:
    for number in range(20):
        tree.add(f"https://m{number}.example", ANCHOR)

    async def story(made: Resolver) -> Any:
        return [await made.resolve(f"https://m{number}.example") for number in range(20)]

    assert all(found.member for found in play(tree, story))
    assert tree.asked == {"configuration": 21, "statement": 20}


def test_failures_are_remembered_for_a_minute(tree: Tree) -> None:
    async def story(made: Resolver) -> list[bool]:
        tree.silent = {LEAF}
        answers = [(await made.resolve(LEAF)).member is not None]
        tree.silent = set()
        for wait_s in (59, 2):
            await asyncio.sleep(wait_s)
            answers.append((await made.resolve(LEAF)).member is not None)
        return answers

    assert play(tree, story) == [False, False, True]
    assert tree.asked["configuration"] == 4


def test_a_superior_that_does_not_answer_is_not_asked_again_for_each_member(tree: Tree) -> None:
    tree.add(STRANGER, MIDDLE)
    tree.silent = {MIDDLE}

    async def story(made: Resolver) -> list[int]:
        asked = []
        for entity in (LEAF, STRANGER):
            assert (await made.resolve(entity)).member is None
            asked.append(tree.asked["configuration"])
        return asked

    assert play(tree, story) == [2, 3]


def test_a_chain_is_read_again_at_half_of_its_life(tree: Tree) -> None:
    async def story(made: Resolver) -> list[int]:
        asked = []
        for wait_s in (0, HALF_DAY_S * 0.9 - 10, HALF_DAY_S * 0.2 + 20):
            await asyncio.sleep(wait_s)
            found = await made.resolve(LEAF)
            assert found.chain is not None
            asked.append(tree.asked["statement"])
        return asked

    assert play(tree, story) == [2, 2, 4]


def test_stale_trust_lasts_until_it_expires_and_not_a_second_longer(tree: Tree) -> None:
    async def story(made: Resolver) -> list[int]:
        await made.resolve(LEAF)
        tree.silent = {LEAF, MIDDLE, ANCHOR}
        ends = []
        for _ in range(30):
            await asyncio.sleep(3600)
            found = await made.resolve(LEAF)
            if found.member:
                ends.append(found.member.exp)
                assert found.member.exp > tree.clock.now() - 3600
        return ends

    assert set(play(tree, story)) == {NOW + 86_400}


def after_half_a_day(tree: Tree, change: Callable[[], object]) -> tuple[bool, str]:
    async def story(made: Resolver) -> Any:
        assert (await made.resolve(LEAF)).member
        change()
        await asyncio.sleep(HALF_DAY_S * 1.1 + 1)
        found = await made.resolve(LEAF)
        return found.member is not None, found.why_not

    return play(tree, story)


def test_whom_the_superior_no_longer_knows_is_out_at_once(tree: Tree) -> None:
    def removed() -> None:
        tree.nodes[LEAF].superiors = ()
        tree.replaced["configuration", LEAF] = signed

    signed = tree.chain(LEAF, MIDDLE)[0]
    trusted, why = after_half_a_day(tree, removed)
    assert (trusted, "knows no https://surf.leaf.example" in why) == (False, True)


def test_whoever_was_removed_cannot_stay_by_being_silent_or_by_naming_a_silent_superior(tree: Tree) -> None:
    def removed_and_silent() -> None:
        tree.nodes[LEAF].superiors = ()
        tree.silent = {LEAF}

    assert after_half_a_day(tree, removed_and_silent)[0] is False
    tree.silent = set()
    tree.nodes[LEAF].superiors = (MIDDLE,)

    def removed_with_another_hint() -> None:
        tree.add("https://dead.example", ANCHOR, metadata=superior("https://dead.example"))
        tree.nodes[LEAF].superiors = (MIDDLE, "https://dead.example")
        tree.replaced["statement", MIDDLE, LEAF] = tree.chain(MIDDLE, ANCHOR)[1]
        tree.silent = {"https://dead.example"}

    assert after_half_a_day(tree, removed_with_another_hint)[0] is False


def test_whoever_was_removed_cannot_stay_by_naming_superiors_that_take_their_time(tree: Tree) -> None:
    class Slow(Tree):
        async def configuration(self, entity: str) -> str:
            if entity.startswith("https://slow"):
                await asyncio.sleep(9)
            return await super().configuration(entity)

    slow = Slow(tree.clock)
    slow.nodes = tree.nodes

    def removed() -> None:
        tree.nodes[LEAF].superiors = ("https://slow1.example", "https://slow2.example", MIDDLE)
        slow.replaced["statement", MIDDLE, LEAF] = tree.chain(MIDDLE, ANCHOR)[1]

    trusted, why = after_half_a_day(slow, removed)
    assert (trusted, "the answers are not by" in why) == (False, True)


def test_a_silent_superior_keeps_its_members_until_they_expire(tree: Tree) -> None:
    assert after_half_a_day(tree, lambda: tree.silent.add(MIDDLE))[0] is True


def test_a_key_that_the_superior_took_back_ends_trust(tree: Tree) -> None:
    def replaced() -> None:
        tree.nodes[LEAF].listed_keys = jwks(generate())

    trusted, why = after_half_a_day(tree, replaced)
    assert (trusted, "kid names no key" in why) == (False, True)


def test_an_older_statement_is_a_rollback_and_the_newer_one_stays(tree: Tree) -> None:
    older = tree.chain(LEAF, MIDDLE)[0]
    tree.clock.advance(600)

    async def story(made: Resolver) -> Any:
        before = await made.resolve(LEAF)
        tree.replaced["configuration", LEAF] = older
        await asyncio.sleep(HALF_DAY_S * 1.1 + 1)
        return before, await made.resolve(LEAF)

    before, after = play(tree, story)
    assert after.chain == before.chain
    assert "rollback" in after.attempts[-1].failure


def test_what_was_seen_is_remembered_over_a_restart(tree: Tree) -> None:
    older = tree.chain(LEAF, MIDDLE)[0]
    tree.clock.advance(600)
    seen = Seen()
    assert path_of(tree, seen=seen)
    tree.replaced["configuration", LEAF] = older
    assert "rollback" in why_not(tree, seen=Seen(seen.dump()))
    assert path_of(tree, seen=Seen(b"broken")) is not None


def test_a_large_iat_that_does_not_verify_locks_nobody_out(tree: Tree) -> None:
    async def story(made: Resolver) -> Any:
        forged = resign(generate(), tree.chain(LEAF, MIDDLE)[0], iat=NOW + 29)
        tree.replaced["configuration", LEAF] = forged
        assert (await made.resolve(LEAF)).member is None
        del tree.replaced["configuration", LEAF]
        await asyncio.sleep(61)
        return (await made.resolve(LEAF)).member

    assert play(tree, story) is not None


def test_keys_of_members_and_anchors_are_replaced_without_a_gap(tree: Tree) -> None:
    """The new key is published before it is used, and the old one until nothing that it signed is left."""

    async def turn(made: Resolver, entity: str) -> None:
        node = tree.nodes[entity]
        old, new = node.key, generate()
        steps = [(old, (new.jwk(),), (old, new)), (new, (old.jwk(),), (old, new)), (new, (), (new,))]
        for key, also, listed in steps:
            node.key, node.also, node.listed_keys = key, also, jwks(*listed)
            for _ in range(26):
                await asyncio.sleep(3600)
                assert (await made.resolve(LEAF)).member, f"a gap while {entity} replaced its key"

    async def story(made: Resolver) -> None:
        await made.resolve(LEAF)
        await turn(made, LEAF)
        await turn(made, MIDDLE)

    play(tree, story)

    # Of an anchor the new key is added to the node's own configuration during the overlap.
    old, new = tree.nodes[ANCHOR].key, generate()
    tree.nodes[ANCHOR].also = (new.jwk(),)
    assert path_of(tree, anchors={ANCHOR: jwks(old)})
    tree.nodes[ANCHOR].key, tree.nodes[ANCHOR].also = new, (old.jwk(),)
    assert path_of(tree, anchors={ANCHOR: jwks(old, new)})
    assert "kid names no key" in why_not(tree, anchors={ANCHOR: jwks(old)})
    tree.nodes[ANCHOR].also = ()
    assert path_of(tree, anchors={ANCHOR: jwks(old, new)})


def test_a_superior_that_changed_its_key_since_others_read_it_is_read_again_for_its_members(tree: Tree) -> None:
    tree.nodes[LEAF].superiors = (ANCHOR,)
    old, new = tree.nodes[ANCHOR].key, generate()

    async def story(made: Resolver) -> Any:
        assert (await made.resolve(LEAF)).member
        await asyncio.sleep(HALF_DAY_S * 1.1 + 1)
        assert (await made.resolve(MIDDLE)).member  # from now on the anchor's configuration is at hand
        tree.nodes[ANCHOR].key = new
        return (await made.resolve(LEAF)).why_not

    assert play(tree, story, anchors={ANCHOR: jwks(old, new)}) == ""


def test_an_answer_that_never_comes_ends_after_ten_seconds(tree: Tree) -> None:
    class Slow(Tree):
        async def configuration(self, entity: str) -> str:
            await asyncio.sleep(4 if entity == LEAF else 1000)
            return await super().configuration(entity)

    slow = Slow(tree.clock)
    slow.nodes = tree.nodes

    async def story(made: Resolver) -> Any:
        before = asyncio.get_running_loop().time()
        found = await made.resolve(LEAF)
        return found.why_not, asyncio.get_running_loop().time() - before

    why, took_s = play(slow, story)
    assert ("longer than 10 s" in why, took_s) == (True, 10.0)


# --- marks --------------------------------------------------------------------------------------------------------


def test_marks_count_with_their_issuers_chain_and_a_fresh_list(tree: Tree) -> None:
    tree.recognise()
    tree.attest(LEAF, index=5)

    async def story(made: Resolver) -> list[Any]:
        first = await made.resolve(LEAF)
        tree.revoked = {5}
        await asyncio.sleep(301)
        return [first.marks, first.marks_refused, *(await made.resolve(LEAF)).marks_refused]

    marks, refused, revoked = play(tree, story)
    assert ([mark.attest for mark in marks], refused) == ([FACTS], ())
    assert "revoked" in revoked


def test_an_older_list_that_says_less_is_not_believed(tree: Tree) -> None:
    tree.recognise()
    tree.attest(LEAF, index=5)
    older = status_list(tree.nodes[AUDITOR].key, AUDITOR, STATUS, (), 1024, now=NOW)

    async def story(made: Resolver) -> Any:
        await asyncio.sleep(10)
        tree.revoked = {5}
        assert not (await made.resolve(LEAF)).marks
        tree.replaced["status", STATUS] = older
        await asyncio.sleep(301)
        return await made.resolve(LEAF)

    assert play(tree, story).marks == ()


def test_two_who_attest_each_other_do_not_wait_for_each_other(tree: Tree) -> None:
    tree.recognise()
    tree.attest(AUDITOR)

    async def story(made: Resolver) -> Any:
        return await asyncio.gather(made.resolve(AUDITOR), made.resolve(LEAF))

    found = play(tree, story)
    assert len(found[0].marks) == 1


def test_a_list_is_read_as_entity_ids_and_nothing_else() -> None:
    body = b'["https://a.example", "https://a.example", "http://b.example", 7, "https://c.example/\\u001b[2J", null]'
    assert parse_list(body, ANCHOR) == ("https://a.example",)
    for broken in (b"{}", b"\xff", b"[" * 10_000, json.dumps(["x"] * 5000).encode()):
        with pytest.raises(Problem):
            parse_list(broken, ANCHOR)


def test_resolving_never_raises(tree: Tree) -> None:
    tree.replaced["configuration", LEAF] = "no.token.at-all"
    tree.replaced["statement", MIDDLE, LEAF] = "\x00"
    assert why_not(tree)
    assert why_not(tree, "")
    with pytest.raises(Problem):
        play(tree, lambda made: made.root(LEAF))
