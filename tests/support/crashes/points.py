"""Inside a daemon of a test: the points at which it may be told to die, or to stop, in the very middle of its work.

    before write   a transaction of its store is about to begin        after write   it is on disk, and nobody knows
    before act     a broker is about to ask for an effect of an order  after act     it has the answer, not journaled
    before ask     the same of a hold                                  after ask
    before up      the network of an operator is about to change       after up, before down, after down
    before answer  the answer to a request that changes something is about to leave

The file `crash` beside the configuration says which point, at what passing of it since the file is there, and what then
happens: `NONCE,POINT,COUNT,SIGNAL,PROCESS`, where process 0 is the daemon itself. It is removed first. The daemon knows
nothing of all this.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

WANTED = "PEERWAY_TEST_CRASHES"
ORDER = "crash"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Trigger:
    """Counts how often the point of the present order was passed, and strikes when it is time."""

    def __init__(self, order: Path) -> None:
        self._order, self._lock = order, threading.Lock()
        self._text, self._count = "", 0

    def passed(self, point: str) -> None:
        try:
            text = self._order.read_text()
        except FileNotFoundError:
            return
        _, wanted, count, number, process = text.split(",")
        with self._lock:
            if text != self._text:
                self._text, self._count = text, 0
            self._count += wanted == point
            if wanted != point or self._count != int(count):
                return
        self._order.unlink()
        os.kill(int(process) or os.getpid(), int(number))


def install(config: Path) -> None:
    """Put every point into this process, which is to serve the node configured there."""
    trigger = Trigger(config.parent / ORDER)
    from aiohttp.web import StreamResponse

    from federation.broker.orders.acts import Acts
    from federation.broker.peers.operator import SonataOperator
    from federation.broker.store.redis.server import Server
    from federation.node.sqlite import Database
    from operators.fabric.null import NullDriver

    for kind, method, name in (
        (Database, "write", "write"),
        (Server, "write", "write"),
        (Acts, "run", "act"), (SonataOperator, "quote", "ask"), (NullDriver, "bring_up", "up"),
        (NullDriver, "take_down", "down"),
    ):  # fmt: skip
        _around(kind, method, name, trigger)
    prepare = StreamResponse.prepare

    async def prepared(response: StreamResponse, request: Any) -> Any:
        if request.method not in SAFE:
            trigger.passed("before answer")
        return await prepare(response, request)

    StreamResponse.prepare = prepared  # type: ignore[method-assign]


def _around(kind: type, method: str, name: str, trigger: Trigger) -> None:
    work: Callable[..., Any] = getattr(kind, method)

    @functools.wraps(work)
    async def wrapped(*given: Any, **named: Any) -> Any:
        trigger.passed(f"before {name}")
        result = await work(*given, **named)
        trigger.passed(f"after {name}")
        return result

    setattr(kind, method, wrapped)
