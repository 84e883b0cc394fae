from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from msgspec import structs

from federation.broker.discovery.federation import Federation
from federation.broker.discovery.pace import RETRY_MOST_S, pause_s
from federation.broker.peers.protocols import SheetPages
from federation.trust.merkle import merkle_root
from schemas.problem import Problem
from tests.support.fake_operators import SHEET_LIFE_S, FakeOperator
from tests.support.loops import run
from tests.support.seams import CountingEntropy, FixedClock

A, B = "https://a.example", "https://b.example"


@asynccontextmanager
async def federation(clock: FixedClock, *operators: FakeOperator) -> AsyncIterator[Federation]:
    found = Federation({operator.entity: operator for operator in operators}, clock, CountingEntropy())
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def seller(clock: FixedClock, entity: str = A, name: str = "Alpha") -> FakeOperator:
    return FakeOperator(entity, name, clock).uni("u1", "Utrecht").uni("u2", "Delft").offer("u1", "u2")


@pytest.mark.parametrize(
    "page", [b'{"version":1,"page":0,"items":[{"x":' + b"[" * 40_000, b'{"version":1,"page":0,"items":[{"x":\xff}]}']
)
def test_a_page_that_is_made_to_hurt_hurts_nobody_else(page: bytes) -> None:
    clock = FixedClock()
    bad, good = seller(clock), seller(clock, B, "Beta")
    whole = bad.sheet

    async def poisoned() -> SheetPages:
        manifest = structs.replace((await whole()).manifest, root=merkle_root((page,)))
        return SheetPages(manifest=manifest, pages=(page,))

    async def main() -> None:
        async with federation(clock, bad, good) as found:
            await found.ready.wait()
            assert set(found.known.sheets) == {B}
            assert "malformed" in found.known.absent[A]
            bad.sheet = whole  # type: ignore[method-assign]
            await asyncio.sleep(RETRY_MOST_S)
            assert set(found.known.sheets) == {A, B}

    bad.sheet = poisoned  # type: ignore[method-assign]
    run(main(), clock.advance)


def test_ready_waits_for_every_operator_to_answer_or_fail_once() -> None:
    clock = FixedClock()

    async def main() -> None:
        down = seller(clock, B, "Beta")
        down.down = True
        async with federation(clock, seller(clock), down) as found:
            await found.ready.wait()
            assert set(found.known.sheets) == {A}
            assert found.known.absent == {B: "Beta did not answer"}
            assert found.known.roster == {A: "Alpha", B: "Beta"}
            assert found.discovery_ms == 0
            epoch = found.known.epoch
            down.down = False
            await asyncio.sleep(RETRY_MOST_S)
            assert set(found.known.sheets) == {A, B}
            assert found.known.absent == {}
            assert found.known.epoch == epoch + 1

    run(main(), clock.advance)


def test_no_operator_at_all_is_ready_at_once() -> None:
    async def main() -> None:
        async with federation(FixedClock()) as found:
            await found.ready.wait()

    run(main())


def test_deltas_arrive_and_a_gap_fetches_the_sheet_again() -> None:
    clock = FixedClock()

    async def main() -> None:
        operator = seller(clock)
        async with federation(clock, operator) as found:
            await found.ready.wait()
            before = found.known
            operator.publish(drop=(("offer", "u1--u2:any"),))
            await settle()
            assert found.known.sheets[A].offers == {}
            assert before.sheets[A].offers != {}, "a snapshot must not change"
            assert found.known.epoch == before.epoch + 1
            operator.uni("u3", "Leiden")
            operator.publish(from_version=7)
            await asyncio.sleep(1)
            assert found.known.sheets[A].version == operator.version
            assert set(found.known.sheets[A].interfaces) == {"u1", "u2", "u3"}
            assert found.known.absent == {}

    run(main(), clock.advance)


def test_deltas_without_end_are_taken_at_a_pace() -> None:
    """Each is verified and applied, so an operator that sends them as fast as it can would keep the broker busy."""
    clock = FixedClock()

    async def main() -> None:
        operator = seller(clock)
        async with federation(clock, operator) as found:
            await found.ready.wait()
            for _ in range(5_000):
                operator.publish()
            await asyncio.sleep(10)
            assert 1_000 < found.known.sheets[A].version < 2_500
            await asyncio.sleep(40)
            assert found.known.sheets[A].version == operator.version

    run(main(), clock.advance)


def test_a_broken_stream_keeps_the_sheet_until_its_manifest_expires() -> None:
    clock = FixedClock()

    async def main() -> None:
        operator = seller(clock)
        async with federation(clock, operator) as found:
            await found.ready.wait()
            operator.down = True
            operator.news.put_nowait(Problem("OPERATOR_UNREACHABLE", "gone"))
            await asyncio.sleep(SHEET_LIFE_S - 60)
            assert found.known.absent == {A: "Alpha did not answer"}
            assert A in found.known.sheets
            await asyncio.sleep(60 + RETRY_MOST_S)
            assert A not in found.known.sheets
            epoch = found.known.epoch
            await asyncio.sleep(60)
            assert found.known.epoch == epoch, "nothing moved"

    run(main(), clock.advance)


def test_a_fresh_manifest_is_fetched_long_before_the_old_one_expires() -> None:
    clock = FixedClock()

    async def main() -> None:
        operator = seller(clock)
        async with federation(clock, operator) as found:
            await found.ready.wait()
            for _ in range(5):
                await asyncio.sleep(SHEET_LIFE_S)
                assert A in found.known.sheets
                assert found.known.absent == {}

    run(main(), clock.advance)


def test_an_older_manifest_is_not_believed() -> None:
    clock = FixedClock()

    async def main() -> None:
        operator = seller(clock)
        async with federation(clock, operator) as found:
            await found.ready.wait()
            operator.clock = FixedClock(clock.now() - 100)
            operator.news.put_nowait(Problem("OPERATOR_UNREACHABLE", "gone"))
            await asyncio.sleep(1)
            assert found.known.absent == {A: "the manifest is older than the one before it"}

    run(main(), clock.advance)


def test_a_fault_of_ours_in_one_watch_is_told_and_everybody_else_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    clock = FixedClock()
    bad, good = seller(clock), seller(clock, B, "Beta")
    whole = bad.sheet

    async def broken() -> SheetPages:
        raise ZeroDivisionError("nobody thought of this")

    async def main() -> None:
        async with federation(clock, bad, good) as found:
            await found.ready.wait()
            assert set(found.known.sheets) == {B}
            assert found.known.absent == {A: "a fault of this broker (ZeroDivisionError), which its log explains"}
            await asyncio.sleep(10 * RETRY_MOST_S)
            good.publish(drop=(("offer", "u1--u2:any"),))
            await settle()
            assert found.known.sheets[B].offers == {}
            bad.sheet = whole  # type: ignore[method-assign]
            await asyncio.sleep(RETRY_MOST_S)
            assert set(found.known.sheets) == {A, B}
            assert found.known.absent == {}

    bad.sheet = broken  # type: ignore[method-assign]
    run(main(), clock.advance)
    traced = [record for record in caplog.records if record.exc_info]
    assert len(traced) == 1, "the same fault is written down once"
    assert A in traced[0].getMessage()
    assert "nobody thought of this" in caplog.text


def test_operators_join_and_leave_while_the_others_go_on() -> None:
    clock = FixedClock()

    async def main() -> None:
        async with federation(clock, seller(clock)) as found:
            await found.ready.wait()
            before = found.known
            found.changed.clear()
            found.join(seller(clock, B, "Beta"))
            assert found.known.absent == {B: "not asked yet"}
            await settle()
            assert set(found.known.sheets) == {A, B}
            assert found.known.roster == {A: "Alpha", B: "Beta"}
            assert before.roster == {A: "Alpha"}, "a snapshot must not change"
            assert found.changed.is_set()
            epoch = found.known.epoch
            found.leave(A)
            found.leave(A)
            await asyncio.sleep(10 * RETRY_MOST_S)
            assert (set(found.known.sheets), set(found.known.roster), found.known.absent) == ({B}, {B}, {})
            assert found.known.epoch == epoch + 1
            found.join(seller(clock, B, "Beta at another place"))
            assert set(found.known.sheets) == {B}, "what it offered stands until it expires"
            await settle()
            assert found.known.roster == {B: "Beta at another place"}

    run(main(), clock.advance)


def test_who_leaves_before_it_answered_keeps_nobody_waiting() -> None:
    clock = FixedClock()

    async def main() -> None:
        never = seller(clock, B, "Beta")

        async def silent() -> SheetPages:
            await asyncio.Event().wait()
            raise AssertionError

        never.sheet = silent  # type: ignore[method-assign]
        async with federation(clock, seller(clock), never) as found:
            await settle()
            assert not found.ready.is_set()
            found.leave(B)
            assert found.ready.is_set()

    run(main(), clock.advance)


def test_pauses_grow_up_to_their_cap_and_differ() -> None:
    pauses = [pause_s(attempt, "x") for attempt in range(1, 40)]
    assert pauses == sorted(pauses)
    assert 0.05 <= pauses[0] <= 0.1
    assert RETRY_MOST_S / 2 <= pauses[-1] <= RETRY_MOST_S
    assert len({pause_s(9, str(token)) for token in range(20)}) == 20
