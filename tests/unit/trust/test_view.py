"""The live view: members are found through lists, come and go, and whoever keeps the view sees it."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from federation.trust.certificates import authority, der
from federation.trust.chain import TrustDomain
from federation.trust.domain import load_domain, read_anchors
from federation.trust.keys import generate
from federation.trust.resolve import Resolver
from federation.trust.statements import FolderStatements
from federation.trust.throwaway import ThrowawayDomain
from federation.trust.view import TrustView, authorities
from schemas.entity import Metadata
from schemas.problem import Problem
from tests.support.loops import run
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import ANCHOR, FACTS, LEAF, MIDDLE, Tree, operator, superior

NEW, STRANGER = "https://new.example", "https://stranger.example"


@pytest.fixture
def tree() -> Tree:
    made = Tree(FixedClock())
    made.add(ANCHOR)
    made.add(MIDDLE, ANCHOR, metadata=superior(MIDDLE))
    made.add(LEAF, MIDDLE)
    made.recognise()
    made.attest(LEAF)
    return made


def play(tree: Tree, story: Callable[[TrustView], Awaitable[Any]], **how: Any) -> Any:
    async def main() -> Any:
        resolver = Resolver(tree, tree.anchors(), now=tree.clock.now, rng=random.Random(7))
        view = TrustView(resolver, rng=random.Random(7), **how)
        try:
            return await story(view)
        finally:
            await resolver.close()

    return run(main(), tree.clock.advance)


def test_members_are_found_through_anchors_and_intermediates(tree: Tree) -> None:
    domain: TrustDomain = play(tree, lambda view: view.refresh())
    assert [member.entity for member in domain.operators()] == [LEAF]
    assert set(domain.members) == {LEAF, MIDDLE, "https://audit.example"}
    assert domain.facts(LEAF, NOW) == FACTS
    assert domain.rejected == {}


def test_without_lists_only_the_configured_ones_are_known(tree: Tree) -> None:
    domain = play(tree, lambda view: view.refresh(), known=(LEAF, STRANGER), listing=False)
    assert set(domain.members) == {LEAF}
    assert "no https://stranger.example" in domain.rejected[STRANGER]
    assert tree.asked["list"] == 0


def test_who_is_enrolled_and_who_is_removed_shows_within_minutes(tree: Tree) -> None:
    async def story(view: TrustView) -> list[Any]:
        told: list[TrustDomain] = []
        view.on_change(told.append)
        running = asyncio.ensure_future(view.run())
        seen = []
        for change in (lambda: None, lambda: tree.add(NEW, ANCHOR), lambda: tree.nodes.pop(LEAF)):
            change()
            await asyncio.sleep(400)
            seen.append({one.entity for one in view.domain.operators()})
        running.cancel()
        assert len(told) == 4, "the present one, and each that follows"
        return seen

    assert play(tree, story) == [{LEAF}, {LEAF, NEW}, {NEW}]


def test_a_fault_of_one_who_is_told_keeps_nobody_else_from_hearing(
    tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(domain: TrustDomain) -> None:
        if domain.members and LEAF not in domain.members:
            raise Problem("UNAVAILABLE", "no")

    async def story(view: TrustView) -> TrustDomain:
        told: list[TrustDomain] = []
        view.on_change(faulty)
        view.on_change(told.append)
        await view.refresh()
        tree.nodes.pop(LEAF)
        await asyncio.sleep(50_000)
        await view.refresh()
        return told[-1]

    assert LEAF not in play(tree, story).members
    assert "a fault in following" in caplog.text


def test_a_list_that_cannot_be_had_takes_nobody_away(tree: Tree) -> None:
    async def story(view: TrustView) -> Any:
        await view.refresh()
        tree.silent = {MIDDLE}
        await asyncio.sleep(400)
        return await view.refresh()

    assert LEAF in play(tree, story).members


def test_who_never_answers_is_asked_ever_more_rarely(tree: Tree) -> None:
    async def story(view: TrustView) -> list[int]:
        tree.silent, asked = {LEAF}, []
        running = asyncio.ensure_future(view.run())
        for _ in range(4):
            tree.asked.clear()
            await asyncio.sleep(100)
            asked.append(tree.asked["configuration"])
        running.cancel()
        return asked

    asked = play(tree, story)
    assert 10 < asked[0] < 100
    assert all(later < asked[0] / 4 for later in asked[1:])


def test_a_node_that_was_there_first_finds_the_others_within_a_second(tree: Tree) -> None:
    async def story(view: TrustView) -> list[Any]:
        tree.silent = {ANCHOR, LEAF}
        running = asyncio.ensure_future(view.run())
        await asyncio.sleep(0.3)
        tree.silent = {LEAF}
        await asyncio.sleep(0.5)
        tree.silent = set()
        await asyncio.sleep(1)
        running.cancel()
        return [one.entity for one in view.domain.operators()]

    assert play(tree, story) == [LEAF]


def test_an_auditor_that_is_recognised_later_counts_within_minutes(tree: Tree) -> None:
    issuers = tree.issuers.pop(ANCHOR)

    async def story(view: TrustView) -> list[Any]:
        running = asyncio.ensure_future(view.run())
        await asyncio.sleep(1)
        before = view.domain.facts(LEAF, NOW)
        tree.issuers[ANCHOR] = issuers
        tree.clock.advance(1)  # a statement of the same second is the same statement
        await asyncio.sleep(700)
        running.cancel()
        return [before, view.domain.facts(LEAF, NOW)]

    assert play(tree, story) == [None, FACTS]


def test_one_bad_member_spoils_no_other(tree: Tree) -> None:
    tree.add(NEW, ANCHOR)
    tree.replaced["configuration", NEW] = "broken"
    domain = play(tree, lambda view: view.refresh())
    assert (LEAF in domain.members, NEW in domain.members, NEW in domain.rejected) == (True, False, True)


def test_a_member_that_is_not_listed_yet_is_resolved_when_it_speaks(tree: Tree) -> None:
    async def story(view: TrustView) -> Any:
        await view.refresh()
        tree.add(NEW, ANCHOR)
        found = await view.member(NEW, tree.clock.now())
        with pytest.raises(Problem) as caught:
            await view.member(STRANGER, tree.clock.now())
        assert caught.value.code == "NOT_FOUND"
        return found.entity, set(view.domain.members)

    entity, members = play(tree, story, known=(LEAF,), listing=False)
    assert (entity, members) == (NEW, {LEAF, NEW})


def test_nothing_is_believed_after_its_time(tree: Tree) -> None:
    async def story(view: TrustView) -> None:
        await view.refresh()
        tree.clock.advance(86_400)
        with pytest.raises(Problem):
            view.domain.member(LEAF, tree.clock.now())

    play(tree, story)


def test_every_members_own_authority_comes_out_and_a_bad_one_spoils_no_other(tree: Tree) -> None:
    def with_ca(entity: str, *named: str) -> Metadata:
        made = operator()
        assert made.connectivity_operator
        ca = [base64.b64encode(der(authority(generate(), name, now=NOW))).decode() for name in named]
        role = structs.replace(made.connectivity_operator, tls_ca=tuple(ca))
        return structs.replace(made, connectivity_operator=role)

    tree.add(NEW, ANCHOR, metadata=with_ca(NEW, NEW))
    tree.add(STRANGER, ANCHOR, metadata=with_ca(STRANGER, STRANGER))
    tree.nodes[LEAF].metadata = with_ca(LEAF, *[LEAF] * 4)
    domain = play(tree, lambda view: view.refresh())
    assert {one.entity for one in authorities(domain, NOW + 1)} == {LEAF, NEW, STRANGER}
    assert authorities(domain, NOW + 86_400) == ()
    members = dict(domain.members) | {NEW: dataclasses.replace(domain.members[NEW], tls_ca=(b"broken",))}
    assert {one.entity for one in authorities(TrustDomain(members), NOW + 1)} == {LEAF, STRANGER}


def test_a_folder_gives_the_same_members_through_the_resolver_as_when_read_at_once(tmp_path: Path) -> None:
    domain = ThrowawayDomain(tmp_path, NOW)
    domain.add_auditor("https://audit.example", "Auditor")
    for name in ("surf", "kpn"):
        domain.add_operator(f"https://{name}.example", name, sonata="http://h:1", mesh="h:2", documents="http://h:1")
    domain.attest("https://audit.example", "https://surf.example", FACTS)
    domain.write()
    (tmp_path / "kpn.example" / "subordinate-statement.jwt").unlink()
    at_once = load_domain(tmp_path, domain.anchors_file, NOW + 1)

    async def main() -> TrustDomain:
        anchors = read_anchors(domain.anchors_file)
        clock = FixedClock(NOW + 1)
        resolver = Resolver(FolderStatements(tmp_path), anchors, now=clock.now, rng=random.Random(7))
        return await TrustView(resolver, rng=random.Random(7)).refresh()

    live = asyncio.run(main())
    assert (live.members, live.marks) == (at_once.members, at_once.marks)
    assert set(live.rejected) == set(at_once.rejected) == {"https://kpn.example"}
