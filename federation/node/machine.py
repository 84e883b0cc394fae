"""What the operating system lends: elapsed time, and a thread for long computations."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")


def monotonic_us() -> int:
    """Microseconds since some moment; only differences mean anything."""
    return time.perf_counter_ns() // 1000


def turn() -> AbstractContextManager[object]:
    """What one thread at a time is inside of."""
    return threading.Lock()


class Worker:
    """Runs pure functions one after the other in a thread of its own, so that they do not hold up the loop."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns, or what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


async def aside(name: str, work: Callable[[], T]) -> T:
    """What `work` returns, or what it raises, from a thread that nobody waits for once the loop has ended.

    For what is worth nothing to a process that is to stop, such as compiling; such a thread must hold nothing open.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody wants to know any more
            loop.call_soon_threadsafe(lambda: None if done.done() else tell())

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failure = error
            settle(lambda: done.set_exception(failure))
        else:
            settle(lambda: done.set_result(result))

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
