from __future__ import annotations

import asyncio
import threading

import pytest

from federation.node.machine import aside


@pytest.mark.asyncio
async def test_what_is_done_aside_comes_back_from_another_thread() -> None:
    assert await aside("one", threading.get_ident) != threading.get_ident()


@pytest.mark.asyncio
async def test_what_fails_aside_fails_here() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await aside("one", fail)


def test_nobody_waits_for_what_is_aside_once_the_loop_has_ended() -> None:
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        let_go.wait(60)
        ended.set()

    async def main() -> None:
        waiting = asyncio.ensure_future(aside("one", work))
        await asyncio.get_running_loop().run_in_executor(None, begun.wait, 60)
        waiting.cancel()

    asyncio.run(main())
    assert not ended.is_set()
    let_go.set()
    assert ended.wait(60), "it ends quietly, though its loop is gone"
