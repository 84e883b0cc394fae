"""The desk over real processes: what a buyer may do with a quote and an order, once, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
import pytest_asyncio

from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Outcome, Problem
from schemas.request import Extension
from tests.support.federation import ENDS, GBPS, TinyFederation, tiny_federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, duration_s=600)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TinyFederation]:
    async with tiny_federation(tmp_path_factory.mktemp("line")) as federation:
        yield federation


async def refused(request: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await request
    return caught.value


async def test_a_purchase_each_step_once(line: TinyFederation) -> None:
    async with line.client() as alice, line.client("bob") as bob:
        quote = await alice.quote(INTENT, "q")
        assert (await refused(bob.get_quote(quote.id))).code == "NOT_FOUND"
        assert (await refused(bob.order(quote.id, "o"))).code == "NOT_FOUND"
        assert (await refused(alice.order("no-such-quote", "o0"))).code == "NOT_FOUND"

        first, second = await asyncio.gather(alice.order(quote.id, "o"), alice.order(quote.id, "o"))
        assert first.id == second.id
        used = await refused(alice.order(quote.id, "another key"))
        assert (used.code, used.outcome, used.extra["order"]) == ("QUOTE_USED", Outcome.NONE, first.id)
        conflict = await refused(alice.quote(INTENT, "o"))
        assert (conflict.code, conflict.outcome) == ("IDEMPOTENCY_CONFLICT", Outcome.NONE)
        assert (await refused(alice.decline(quote.id, "d"))).code == "INCOMPATIBLE_STATE"

        active = await alice.get_order(first.id, 20)
        assert active.state is State.ACTIVE, active
        assert (await alice.get_quote(quote.id)).order == first.id
        assert (await refused(bob.get_order(first.id))).code == "NOT_FOUND"

        longer = await alice.extend(first.id, Extension(by_s=300), "e")
        assert longer.id == first.id
        extended = await alice.get_order(first.id, 20)
        assert (extended.window.end - active.window.end).total_seconds() == 300
        assert (await alice.extend(first.id, Extension(by_s=300), "e")).window.end == extended.window.end, "once"
        back = await refused(alice.extend(first.id, Extension(end=active.window.end), "e2"))
        assert (back.code, back.field) == ("INVALID_ARGUMENT", "end")

        await alice.release(first.id, "r")
        released = await alice.get_order(first.id, 20)
        assert released.state is State.RELEASED
        assert (await alice.release(first.id, "r")).state is State.RELEASED
        assert (await refused(alice.extend(first.id, Extension(by_s=1), "e3"))).code == "INCOMPATIBLE_STATE"
        assert await line.products() == {"north": {}, "middle": {}, "south": {}}

        document = await alice.document(segment_h := released.segments[0].receipt_h or "")
        assert document.count(".") == 2
        assert (await refused(bob.document(segment_h))).code == "NOT_FOUND"


async def test_a_declined_quote_cannot_be_ordered(line: TinyFederation) -> None:
    async with line.client() as alice:
        quote = await alice.quote(INTENT, "q-declined")
        assert (await alice.decline(quote.id, "d1")).state is State.DECLINED
        assert (await alice.decline(quote.id, "d2")).state is State.DECLINED
        assert (await refused(alice.order(quote.id, "o-declined"))).code == "INCOMPATIBLE_STATE"


async def test_an_extension_that_one_operator_refuses_leaves_the_lease_as_it_was(line: TinyFederation) -> None:
    async with line.client() as alice, line.client("bob") as bob:
        lease = await alice.get_order((await alice.order((await alice.quote(INTENT, "q1")).id, "o1")).id, 20)
        assert lease.state is State.ACTIVE
        # Bob takes the rest of the interconnects right after the end of Alice's lease.
        after = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=10 * GBPS, start=lease.window.end, duration_s=600)
        async with asyncio.timeout(10):  # until the offers show what the tests before have released
            while not (await bob.search(after)).found:
                await asyncio.sleep(0.1)
        in_the_way = await bob.order((await bob.quote(after, "q2")).id, "o2")
        problem = await refused(alice.extend(lease.id, Extension(by_s=60), "e1"))
        assert (problem.code, problem.outcome) in {
            ("CAPACITY_CHANGED", Outcome.NONE),
            ("CAPACITY_CHANGED", Outcome.UNDONE),
        }
        assert problem.extra["failed"]
        still = await alice.get_order(lease.id)
        assert (still.state, still.window) == (State.ACTIVE, lease.window)
        await bob.release(in_the_way.id, "r2")
        assert (await bob.get_order(in_the_way.id, 20)).state is State.RELEASED
        stray = await refused(alice.extend(lease.id, Extension(by_s=60), "e1"))
        assert stray.as_dict() == problem.as_dict(), "a copy of what was refused has no effect later"
        longer = await alice.extend(lease.id, Extension(by_s=60), "e4")
        assert (await alice.get_order(longer.id, 20)).window.end > lease.window.end
        await alice.release(lease.id, "r1")
        assert (await alice.get_order(lease.id, 20)).state is State.RELEASED
