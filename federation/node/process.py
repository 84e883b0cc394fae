"""Running a daemon: signals, logging, and one clear line instead of a traceback."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from schemas.problem import Problem

EXIT_OK: Final = 0
EXIT_FAULT: Final = 1
EXIT_PROBLEM: Final = 2
STARTED_S: Final = 10.0  # by then everything is there that stays for as long as the daemon runs
CYCLES_AFTER: Final = 20_000  # objects more than at the last look


class JsonLines(logging.Formatter):
    """One JSON object a line, times in RFC 3339 UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "from": record.name, "text": record.getMessage()}
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        return json.dumps(line)


def run_daemon(name: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `main` until SIGTERM or SIGINT sets its event; returns the exit status.

    A `Problem` is told in one line on stderr (status 2); anything else is a fault of ours, in the log (status 1).
    """
    _log_to_stderr()
    try:
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            runner.run(_until_signal(main))
    except BaseException as error:  # noqa: BLE001 - the last place that can answer for the process
        return _explain(name, error)
    return EXIT_OK


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes uvloop's event loop, which needs about half the processor time; None, asyncio's own, without it."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _until_signal(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.set_threshold(CYCLES_AFTER)
    asyncio.get_running_loop().call_later(STARTED_S, _keep_what_is_there)
    await main(stop)


def _keep_what_is_there() -> None:
    """Look for cycles only among what comes later: what a daemon loaded at its start is most of its objects."""
    gc.collect()
    gc.freeze()


def _explain(name: str, error: BaseException) -> int:
    problem = find_problem(error)
    if problem is None:
        logging.getLogger(name).critical("stopped by a fault", exc_info=error)
        sys.stderr.write(f"{name}: stopped by an unexpected fault; the line before this one says which\n")
        return EXIT_FAULT
    sys.stderr.write(f"{name}: {problem}\n")
    return EXIT_PROBLEM


def find_problem(error: BaseException) -> Problem | None:
    """The `Problem` behind an error, also where a task group wrapped it."""
    if isinstance(error, Problem):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    found = [find_problem(one) for one in inner]
    return found[0] if found and all(found) else None


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
