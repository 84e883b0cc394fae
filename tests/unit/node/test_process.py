"""Running a daemon: what it loaded at its start is looked through once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from federation.node import process


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector as it was."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_what_is_there_soon_after_the_start_is_not_looked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(stop: asyncio.Event) -> None:
        gc.unfreeze()
        await asyncio.sleep(0.01)
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == process.CYCLES_AFTER

    monkeypatch.setattr(process, "STARTED_S", 0)
    asyncio.run(process._until_signal(main))
