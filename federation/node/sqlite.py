"""SQLite with one writer thread and group commit: what `write` returned is on disk.

Work queued while a commit is under way shares the next one, so the price of an fsync is paid once per group. Each
piece of work has its own savepoint: one that fails leaves no trace and hurts no other. What nobody waits for (`soon`)
goes along with the next write. After `kill -9` the file holds
every commit that was acknowledged and nothing of any other (WAL, synchronous=FULL).
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

from schemas.problem import Problem, invalid

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
GROUP_MAX: Final = 256
MODE: Final = 0o600
BESIDE: Final = ("-wal", "-shm")
SOON_S: Final = 0.5
log = logging.getLogger(__name__)


class _Item(NamedTuple):
    """Work, who waits for it, and the work of `soon` that goes before it."""

    work: Work
    done: asyncio.Future[Any]
    before: tuple[Work, ...]


class Database:
    """One SQLite file owned by this process alone; open with `async with Database(path, migrations)`."""

    def __init__(self, path: Path, migrations: Sequence[str]) -> None:
        self._path, self._migrations = path, migrations
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._soon: list[Work] = []
        self._reader = ThreadPoolExecutor(1, thread_name_prefix=f"read-{path.name}")
        self._thread = threading.Thread(target=self._run, name=f"write-{path.name}", daemon=True)
        self._open = ExitStack()
        self._flush: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        _make_folder(self._path.parent)
        self._loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            lock_fd = _lock(self._path)
            stack.callback(os.close, lock_fd)
            _keep_private(self._path)
            self._writes = stack.enter_context(closing(_connect(self._path)))
            _migrate(self._writes, self._migrations, self._path)
            self._reads = stack.enter_context(closing(_connect(self._path)))
            self._looks = stack.enter_context(closing(_connect(self._path)))
            self._thread.start()
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Problem):
            await self._write_soon()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.shutdown()
        self._open.close()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer's transaction; returns its result once the commit is on disk.

        An exception of `work` reaches this caller alone, its changes undone. A failing commit (a full disk) is
        `UNAVAILABLE`, nothing of the group kept.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        before, self._soon = tuple(self._soon), []
        self._queue.put(_Item(work, future, before))
        return await future

    def soon(self, work: Work) -> None:
        """Have `work` done before the next `write` and in its transaction, or by itself after `SOON_S`.

        So whatever a caller writes afterwards is on disk with it or not at all. Where the disk cannot write, it waits
        for the next try.
        """
        self._soon.append(work)
        if len(self._soon) == 1:
            self._loop.call_later(SOON_S, self._begin_soon)

    def _begin_soon(self) -> None:
        if self._soon and not self._flush:
            self._flush = self._loop.create_task(self._flushed(), name="written soon")

    async def _flushed(self) -> None:
        try:
            await self._write_soon()
        except Problem:
            self._loop.call_later(SOON_S, self._begin_soon)
        finally:
            self._flush = None

    async def _write_soon(self) -> None:
        if self._soon:
            await self.write(_nothing)

    def _wait_again(self, works: list[Work]) -> None:
        self._soon[:0] = works

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the reading connection, which sees every finished `write`."""
        return await self._loop.run_in_executor(self._reader, work, self._reads)

    async def look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, at once and on this thread: for a row or a few found by an index, which takes less time than to
        wake another thread. Never for what grows with the table."""
        return work(self._looks)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first, *self._waiting()]
            stop = None in group
            self._commit([item for item in group if item is not None])
            if stop:
                return

    def _waiting(self) -> list[_Item | None]:
        found: list[_Item | None] = []
        while len(found) < GROUP_MAX - 1:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
            if found[-1] is None:
                break
        return found

    def _commit(self, group: list[_Item]) -> None:
        try:
            self._writes.execute("BEGIN IMMEDIATE")
            outcomes = [self._with_before(item) for item in group]
            self._writes.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writes.in_transaction:
                self._writes.execute("ROLLBACK")
            problem = Problem("UNAVAILABLE", f"the store cannot write ({error}); nothing was changed")
            outcomes = [(None, problem)] * len(group)
            again = [work for item in group for work in item.before]
            self._loop.call_soon_threadsafe(self._wait_again, again)
        answers = [(item.done, *outcome) for item, outcome in zip(group, outcomes, strict=True)]
        self._loop.call_soon_threadsafe(_answer, answers)

    def _with_before(self, item: _Item) -> tuple[Any, BaseException | None]:
        for work in item.before:
            _, error = self._one(work)
            if error is not None:
                log.error("what was to be written soon cannot be", exc_info=error)
        return self._one(item.work)

    def _one(self, work: Work) -> tuple[Any, BaseException | None]:
        self._writes.execute("SAVEPOINT work")
        try:
            result = work(self._writes)
        except sqlite3.OperationalError:
            raise  # the disk or the file, not the work: the whole group fails
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller of this work
            self._writes.execute("ROLLBACK TO work")
            return None, error
        finally:
            if self._writes.in_transaction:
                self._writes.execute("RELEASE work")
        return result, None


def _nothing(connection: sqlite3.Connection) -> None:
    """For a commit of what was to be written soon."""


def _answer(answers: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, result, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
    return connection


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str], path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise invalid(str(path), f"written by a newer Peerway (schema {version}, this one knows {len(migrations)})")
    for number, script in enumerate(migrations[version:], version + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version={number}; COMMIT;")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise invalid(str(folder), f"cannot be made or is no folder ({error.strerror}); name a data folder") from error


def _keep_private(path: Path) -> None:
    """Only the owner reads what buyers ordered and under which tokens. SQLite gives the files beside it the same mode;
    those of an earlier version are put right, where they are ours."""
    path.touch(mode=MODE)
    for one in (path, *(path.with_name(path.name + suffix) for suffix in BESIDE)):
        with suppress(FileNotFoundError, PermissionError):
            one.chmod(MODE)


def _lock(path: Path) -> int:
    lock = path.with_name(path.name + ".lock")
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    except OSError as error:
        raise invalid(str(lock), f"cannot be written ({error.strerror})") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise invalid(str(path), "is in use by another process; one daemon owns one data directory") from error
    return fd
