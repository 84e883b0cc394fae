"""An anchor, an auditor and a member on real listeners, a real resolver, and a clock that is moved."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from federation.anchor.anchor import Running, anchor
from federation.anchor.books import Enrolled, Me
from federation.anchor.hatch import (
    Enrol,
    Give,
    Read,
    Remove,
    RevokeKey,
    RevokeMark,
    Rotate,
    Show,
    TakeBack,
    open_books,
    order_at,
)
from federation.anchor.registrar import FETCH, HISTORY, LIST, MARK, MARK_STATUS, MARKED, begin
from federation.node.dns import Dns
from federation.node.http import listen
from federation.node.public import WELL_KNOWN, base_path, public_app
from federation.trust.cache import Seen
from federation.trust.destinations import Rules
from federation.trust.domain import read_anchors
from federation.trust.egress import Egress
from federation.trust.history import key_at, verify_history
from federation.trust.issue import jwks, plain_mark
from federation.trust.jose import unverified, verify_jws
from federation.trust.keys import generate, public_keys
from federation.trust.keyset import KeySet
from federation.trust.own import OwnConfiguration
from federation.trust.resolve import Resolution, Resolver
from federation.trust.statements import Elsewhere, HttpStatements
from federation.trust.view import TrustView
from schemas.entity import FACTS_MARK, Constraints, EntityStatement, Jwks, MarkStatus, StatusIndex, TrustMark
from schemas.problem import Problem
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import FACTS, operator

ANCHOR, AUDITOR, SURF = "https://anchor.example", "https://audit.example/marks", "https://surf.example"
HOUR_S, DAY_S = 3600, 86_400


@dataclass
class World:
    """Three nodes and what anybody outside would need to judge them."""

    clock: FixedClock
    folder: Path
    egress: Egress | None = None
    nodes: dict[str, Running] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    surf: KeySet = field(default_factory=lambda: KeySet((generate(),)))
    marks: list[str] = field(default_factory=list)
    own: OwnConfiguration | None = None
    seen: Seen = field(default_factory=Seen)

    async def order(self, entity: str, order: Any) -> dict[str, Any]:
        """Over the hatch of the daemon that runs, as a command would."""
        return await order_at(self.folder / entity.removeprefix("https://").partition(".")[0], order, self.clock)

    async def anchors(self) -> dict[str, Jwks]:
        path = self.folder / "anchors.json"
        path.write_bytes(msgspec.json.encode((await self.order(ANCHOR, Show()))["anchors"]))
        return read_anchors(path)

    def resolver(self, anchors: dict[str, Jwks]) -> Resolver:
        assert self.egress is not None
        statements = HttpStatements(Elsewhere(self.egress, self.places))
        return Resolver(statements, anchors, now=self.clock.now, rng=random.Random(7), seen=self.seen)

    async def resolve(self, anchors: dict[str, Jwks] | None = None, entity: str = SURF) -> Resolution:
        """By somebody who has just come and knows nothing but the anchors."""
        made = self.resolver(anchors or await self.anchors())
        try:
            return await made.resolve(entity)
        finally:
            await made.close()

    async def get(self, path: str, entity: str = ANCHOR) -> tuple[int, str, Any]:
        async with aiohttp.ClientSession() as session, session.get(self.places[entity] + path) as response:
            return response.status, response.content_type, await response.text()

    async def enrol_surf(self, keys: KeySet | None = None, **said: Any) -> None:
        member = Enrolled(entity=SURF, jwks=(keys or self.surf).public(), types=("connectivity_operator",), **said)
        await self.order(ANCHOR, Enrol(member=member))

    async def attest(self) -> int:
        done = await self.order(AUDITOR, Give(entity=SURF, type=FACTS_MARK, life_s=30 * DAY_S, facts=FACTS))
        self.marks.append(done["mark"])
        assert self.own is not None
        self.own.changed()
        return int(done["index"])


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        dns = Dns()
        stack.callback(dns.close)
        clock = FixedClock()
        made = World(clock, folder)
        for entity, me in (
            (ANCHOR, Me(entity=ANCHOR, name="Anchor")),
            (AUDITOR, Me(entity=AUDITOR, name="Audit", superiors=(ANCHOR,), auditor=True)),
        ):
            place = folder / entity.removeprefix("https://").partition(".")[0]
            async with open_books(place) as database:
                await begin(database, me, clock)
            running = await stack.enter_async_context(anchor(place, "127.0.0.1", 0, clock))
            made.nodes[entity] = running
            made.places[entity] = f"http://127.0.0.1:{running.port}{base_path(entity)}"
        metadata = operator()
        made.own = OwnConfiguration(
            SURF, lambda: made.surf, lambda: metadata, authorities=(ANCHOR,), now=clock.now, marks=lambda: made.marks
        )
        port = await listen(public_app(SURF, made.own.current), "127.0.0.1", 0, stack)
        made.places[SURF] = f"http://127.0.0.1:{port}"
        audit_keys = msgspec.convert((await made.order(AUDITOR, Show()))["jwks"], Jwks)
        auditor = Enrolled(entity=AUDITOR, jwks=audit_keys, types=("connectivity_auditor",))
        await made.order(ANCHOR, Enrol(member=auditor, issues=(FACTS_MARK,)))
        await made.enrol_surf()
        literals = frozenset(place.split("/")[2] for place in made.places.values())
        made.egress = await stack.enter_async_context(Egress(dns, rules=Rules(literals=literals)))
        yield made


def run(folder: Path, story: Any) -> None:
    async def main() -> None:
        async with world(folder) as made:
            await story(made)

    asyncio.run(main())


def test_a_member_is_found_resolved_attested_and_taken_back(tmp_path: Path) -> None:
    async def story(w: World) -> None:
        index = await w.attest()
        found = await w.resolve()
        assert found.member is not None, found.why_not
        assert (found.member.path, found.member.name) == ((SURF, ANCHOR), "SURF")
        assert [mark.attest for mark in found.marks] == [FACTS]
        domain = await TrustView(w.resolver(await w.anchors()), rng=random.Random(7)).refresh()
        assert set(domain.members) == {SURF, AUDITOR}
        assert domain.facts(SURF, w.clock.now()) == FACTS
        for chosen, expected in (("connectivity_operator", {SURF}), ("connectivity_broker", set())):
            view = TrustView(w.resolver(await w.anchors()), entity_types=(chosen,), rng=random.Random(7))
            assert set((await view.refresh()).members) == expected

        await w.order(AUDITOR, RevokeMark(index=index))
        found = await w.resolve()
        assert (found.marks, "revoked" in found.marks_refused[0]) == ((), True)

        await w.order(ANCHOR, Remove(entity=SURF))
        found = await w.resolve()
        assert (found.member, "anchor.example has no such document" in found.why_not) == (None, False)
        assert "no such document" in found.why_not
        with pytest.raises(Problem, match="not enrolled"):
            await w.order(ANCHOR, Remove(entity=SURF))

    run(tmp_path, story)


def test_constraints_and_policies_of_the_anchor_hold(tmp_path: Path) -> None:
    async def story(w: World) -> None:
        await w.enrol_surf(constraints=Constraints(allowed_entity_types=("connectivity_broker",)))
        found = await w.resolve()
        assert found.member is not None
        assert found.member.metadata.connectivity_operator is None
        policy = {"connectivity_operator": {"mesh_endpoint": {"one_of": ["other.example:1"]}}}
        await w.enrol_surf(policy=policy)
        assert "one_of" in (await w.resolve()).why_not
        with pytest.raises(Problem, match="cannot stand together"):
            await w.enrol_surf(policy={"t": {"p": {"one_of": ["a"], "add": ["b"]}}})
        with pytest.raises(Problem, match="does not enrol itself"):
            await w.order(ANCHOR, Enrol(member=Enrolled(entity=ANCHOR, jwks=w.surf.public())))

    run(tmp_path, story)


def test_the_anchors_key_is_replaced_without_a_gap_and_the_former_one_becomes_history(tmp_path: Path) -> None:
    async def story(w: World) -> None:
        before = await w.anchors()
        former = before[ANCHOR].keys[0].kid
        began = w.clock.now()
        done = await w.order(ANCHOR, Rotate(overlap_s=DAY_S))
        assert (await w.resolve(before)).member, "the new key signs before its time"
        both = await w.anchors()
        assert {key.kid for key in both[ANCHOR].keys} == {former, done["kid"]}
        with pytest.raises(Problem, match="under way"):
            await w.order(ANCHOR, Rotate(overlap_s=DAY_S))
        for hour in range(0, 100, 5):
            w.clock.advance(5 * HOUR_S)
            assert (await w.resolve(both)).member, f"a gap after {hour} hours"
        after = await w.anchors()
        assert [key.kid for key in after[ANCHOR].keys] == [done["kid"]]
        assert (await w.resolve(after)).member
        assert "kid names no key" in (await w.resolve(before)).why_not
        keys = public_keys(after[ANCHOR])
        _, content, token = await w.get(HISTORY)
        past = verify_history(token, ANCHOR, keys, w.clock.now())
        assert content == "application/jwk-set+jwt"
        assert key_at(past, former, began)
        assert [(key.kid, key.revoked) for key in past.keys] == [(former, None)]

    run(tmp_path, story)


def test_a_compromised_key_is_out_at_once(tmp_path: Path) -> None:
    async def story(w: World) -> None:
        before = await w.anchors()
        kid = before[ANCHOR].keys[0].kid
        done = await w.order(ANCHOR, RevokeKey(kid=kid, reason="compromised"))
        assert "kid names no key" in (await w.resolve(before)).why_not
        assert (await w.resolve()).member
        after = await w.anchors()
        assert [key.kid for key in after[ANCHOR].keys] == [done["new_kid"]]
        past = verify_history((await w.get(HISTORY))[2], ANCHOR, public_keys(after[ANCHOR]), w.clock.now())
        with pytest.raises(Problem, match="compromised"):
            key_at(past, kid, NOW - 1)

    run(tmp_path, story)


def test_a_members_federation_key_is_replaced_without_a_gap(tmp_path: Path) -> None:
    async def story(w: World) -> None:
        assert w.own is not None
        old, new = w.surf.signer, generate()
        both = KeySet((old, new))
        steps = [(both, both), (both.signing_with(new.kid), both), (KeySet((new,)), KeySet((new,)))]
        for mine, enrolled in steps:
            # What is published grows before what is listed, and shrinks after it.
            await w.enrol_surf(enrolled)
            w.surf = mine
            w.own.changed()
            assert (await w.resolve()).member, (await w.resolve()).why_not
            w.clock.advance(DAY_S)
        w.surf = KeySet((old,))
        w.own.changed()
        assert "kid names no key" in (await w.resolve()).why_not

    run(tmp_path, story)


def test_what_is_served_is_signed_anew_before_it_expires(tmp_path: Path) -> None:
    async def story(w: World) -> None:
        assert w.own is not None
        for entity in (ANCHOR, SURF):
            first = unverified((await w.get(WELL_KNOWN, entity))[2], EntityStatement)
            w.clock.advance(11 * HOUR_S)
            assert unverified((await w.get(WELL_KNOWN, entity))[2], EntityStatement) == first
            w.clock.advance(2 * HOUR_S)
            again = unverified((await w.get(WELL_KNOWN, entity))[2], EntityStatement)
            assert again.exp == w.clock.now() + DAY_S
        await w.attest()
        again = unverified((await w.get(WELL_KNOWN, SURF))[2], EntityStatement)
        assert again.trust_marks is not None

    run(tmp_path, story)


def test_the_lists_filter_as_the_specification_says(tmp_path: Path) -> None:
    """OpenID Federation sections 8.2, 8.5 and 8.6."""

    async def story(w: World) -> None:
        async def listed(query: str, path: str = LIST, entity: str = ANCHOR) -> Any:
            return msgspec.json.decode((await w.get(path + query, entity))[2])

        assert await listed("") == [AUDITOR, SURF]
        assert await listed("?entity_type=connectivity_operator") == [SURF]
        assert await listed("?entity_type=connectivity_operator&entity_type=connectivity_broker") == []
        assert await listed("?entity_type=federation_entity") == [AUDITOR, SURF]
        assert await listed("?intermediate=true") == []
        assert await listed("?intermediate=false") == [AUDITOR, SURF], "only true filters"
        assert await listed("?trust_marked=true") == []
        assert await listed("?trust_marked=false") == [AUDITOR, SURF]
        assert await listed("?trust_marked=false&trust_mark_type=https://t.example/1") == []
        assert await listed("?what_nobody_knows=1&entity_type=connectivity_auditor") == [AUDITOR]
        assert (await listed("?intermediate=maybe"))["error"] == "invalid_request"
        index = await w.attest()
        about = f"?trust_mark_type={FACTS_MARK}"
        assert await listed(about, MARKED, AUDITOR) == [SURF]
        assert await listed(about + f"&sub={ANCHOR}", MARKED, AUDITOR) == []
        status, content, token = await w.get(f"{MARK}{about}&sub={SURF}", AUDITOR)
        assert (status, content, token) == (200, "application/trust-mark+jwt", w.marks[0])
        await w.order(AUDITOR, RevokeMark(index=index))
        assert await listed(about, MARKED, AUDITOR) == []
        assert (await w.get(f"{MARK}{about}&sub={SURF}", AUDITOR))[0] == 404

    run(tmp_path, story)


def test_the_status_of_a_mark_is_answered_signed(tmp_path: Path) -> None:
    """OpenID Federation section 8.4."""

    async def story(w: World) -> None:
        async def ask(token: str) -> tuple[int, str]:
            url = w.places[AUDITOR] + MARK_STATUS
            async with aiohttp.ClientSession() as session, session.post(url, data={"trust_mark": token}) as response:
                return response.status, await response.text()

        index = await w.attest()
        found = await w.resolve(entity=AUDITOR)
        assert found.chain is not None

        async def status() -> str:
            _, answer = await ask(w.marks[0])
            assert found.chain is not None
            claims = verify_jws(answer, MarkStatus, found.chain.keys, now=w.clock.now(), iss=AUDITOR)
            assert claims.trust_mark == w.marks[0]
            return claims.status

        assert await status() == "active"
        await w.order(AUDITOR, RevokeMark(index=index))
        assert await status() == "revoked"
        assert (await ask("a.b.c"))[0] == 404
        far = plain_mark(generate(), AUDITOR, SURF, "t", now=NOW, status=StatusIndex(idx=2**70, uri="u"))
        assert (await ask(far))[0] == 404
        assert (await ask("x" * 100_000))[0] == 413

    run(tmp_path, story)


def test_errors_have_the_form_of_the_specification(tmp_path: Path) -> None:
    """OpenID Federation section 8.9."""

    async def story(w: World) -> None:
        for path, wanted in (
            (FETCH, (400, "invalid_request")),
            (f"{FETCH}?sub=https://nobody.example", (404, "not_found")),
            (f"{FETCH}?sub=a&sub=b", (400, "invalid_request")),
            (f"{FETCH}?sub={ANCHOR}", (400, "invalid_request")),
        ):
            status, content, body = await w.get(path)
            assert (status, msgspec.json.decode(body)["error"], content) == (*wanted, "application/json")

    run(tmp_path, story)


def test_everything_survives_a_restart_and_orders_work_without_a_daemon(tmp_path: Path) -> None:
    clock, folder = FixedClock(), tmp_path / "anchor"

    async def story() -> None:
        async with open_books(folder) as database:
            await begin(database, Me(entity=ANCHOR, name="Anchor"), clock)
        member = Enrolled(entity=SURF, jwks=jwks(generate()))
        await order_at(folder, Enrol(member=member, issues=("https://t.example/1",)), clock)
        given = await order_at(folder, Give(entity=SURF, type="https://t.example/1", life_s=DAY_S), clock)
        assert unverified(given["mark"], TrustMark).sub == SURF
        async with anchor(folder, "127.0.0.1", 0, clock) as running:
            assert [one.entity for one in await running.registrar.members()] == [SURF]
            own = unverified(await running.registrar.configuration(), EntityStatement)
            assert own.trust_mark_issuers == {"https://t.example/1": (SURF,)}
            shown = await order_at(folder, Show(), clock)
        assert shown == await order_at(folder, Show(), clock)
        assert (await order_at(folder, Remove(entity=SURF), clock))["marks_revoked"] == 1
        shown = await order_at(folder, Show(), clock)
        assert (shown["members"], [row["revoked_at"] for row in shown["marks"]]) == ([], [clock.now()])
        with pytest.raises(Problem, match="already holds"):
            async with open_books(folder) as database:
                await begin(database, Me(entity=ANCHOR, name="Anchor"), clock)
        with pytest.raises(Problem, match="anchor init"):
            await order_at(tmp_path, Show(), clock)

    asyncio.run(story())


def test_a_mark_says_no_more_than_it_may(tmp_path: Path) -> None:
    async def story(w: World) -> None:
        wrong = [
            Give(entity=SURF, type="https://t.example/1", life_s=DAY_S, facts=FACTS),
            Give(entity=SURF, type=FACTS_MARK, life_s=DAY_S),
            Give(entity=SURF, type="https://t.example/1", life_s=91 * DAY_S),
        ]
        for order in wrong:
            with pytest.raises(Problem) as caught:
                await w.order(AUDITOR, order)
            assert caught.value.code == "INVALID_ARGUMENT"
        with pytest.raises(Problem, match="no mark has the index 9"):
            await w.order(AUDITOR, RevokeMark(index=9))

    run(tmp_path, story)


def test_new_facts_replace_the_former_ones_within_the_life_of_a_status_list(tmp_path: Path) -> None:
    async def story(w: World) -> None:
        await w.attest()
        abroad = msgspec.structs.replace(FACTS, controlling_parents=("US",))
        given = Give(entity=SURF, type=FACTS_MARK, life_s=DAY_S, facts=abroad, alone=True)
        w.marks.append((await w.order(AUDITOR, given))["mark"])
        assert w.own is not None
        w.own.changed()
        found = (await w.resolve()).marks
        assert [mark.attest for mark in found] == [abroad], "the former one lasts longer, and counts no more"
        assert (await w.order(AUDITOR, TakeBack(entity=SURF)))["marks_revoked"] == 1
        assert (await w.resolve()).marks == ()
        assert (await w.order(AUDITOR, Read(index=2)))["facts"]["controlling_parents"] == ["US"]

    run(tmp_path, story)
