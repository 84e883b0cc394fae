"""What is written of a quote that takes long, where whoever writes is cancelled meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from federation.broker.quotes.journal import Journal, TakenOver
from federation.broker.quotes.protocols import Claim
from federation.broker.quotes.waiting import Waiting
from schemas.intent import Intent
from schemas.problem import Outcome, Problem

NOW = 1_795_000_000
WAITING = Waiting(
    id="q", buyer="alice", asked_at=NOW, answer_by=NOW + 60, names={},
    intent=Intent(a="a@op", z="z@op", bandwidth_bps=1, duration_s=60),
)  # fmt: skip


class Rows:
    """One row; a write takes until `free` is set, and goes on when nobody waits for it any more."""

    def __init__(self) -> None:
        self.stored: Waiting | None = None
        self.begun, self.free = asyncio.Event(), asyncio.Event()
        self.fault: Problem | None = None
        self._going: set[asyncio.Task[bool]] = set()

    async def put_waiting(self, waiting: Waiting, claim: Claim | None = None) -> bool:
        task = asyncio.ensure_future(self._put(waiting))
        self._going.add(task)
        return await asyncio.shield(task)

    async def _put(self, waiting: Waiting) -> bool:
        self.begun.set()
        await self.free.wait()
        if self.fault:
            raise self.fault
        if waiting.version != (self.stored.version if self.stored else 0) + 1:
            return False
        self.stored = waiting
        return True

    async def get_waiting(self, buyer: str, quote_id: str) -> Waiting | None:
        return self.stored

    async def open_waiting(self) -> tuple[Waiting, ...]:
        return ()

    async def prune_waiting(self, before_s: int) -> None:
        return None


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_on_its_way_to_the_disk_when_its_writer_was_cancelled_counts(fails: bool) -> None:
    """As where one operator refuses while the answer of another one is written down."""
    rows = Rows()
    journal = Journal(rows, WAITING, lambda: NOW)
    rows.fault = Problem("UNAVAILABLE", "the disk is full") if fails else None
    first = asyncio.ensure_future(journal.write(rounds=1))
    await rows.begun.wait()
    first.cancel()
    next_one = asyncio.ensure_future(journal.write(labels=(7,)))
    await asyncio.sleep(0)
    rows.free.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    rows.fault = None
    await next_one
    assert rows.stored == journal.waiting
    assert (journal.waiting.version, journal.waiting.rounds) == ((1, 0) if fails else (2, 1))


@pytest.mark.asyncio
@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_was_written_though_its_answer_was_lost_is_no_other_brokers(
    cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.broker.quotes.journal.AGAIN_S", 0)

    class Losing(Rows):
        async def _put(self, waiting: Waiting) -> bool:
            done = await super()._put(waiting)
            if done and waiting.version == 1:
                raise Problem("UNAVAILABLE", "the answer was lost", outcome=Outcome.UNKNOWN)
            return done

    rows = Losing()
    journal = Journal(rows, WAITING, lambda: NOW)
    first = asyncio.ensure_future(journal.write(rounds=1))
    await rows.begun.wait()
    if cancelled:
        first.cancel()
    rows.free.set()
    await asyncio.gather(first, return_exceptions=True)
    await journal.write(labels=(7,))
    assert rows.stored == journal.waiting
    assert (journal.waiting.rounds, journal.waiting.labels) == (1, (7,))
    rows.stored = structs.replace(journal.waiting, version=journal.waiting.version + 1, by="another")
    with pytest.raises(TakenOver):
        await journal.write(rounds=2)
