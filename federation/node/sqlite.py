"""SQLite with group commit: what `write` returned is on disk.

Statements run on the thread of the loop: each takes microseconds, and to hand the interpreter to another thread for it
would take longer. The commit, which waits for the disk, runs in a thread of its own. Work that comes meanwhile shares
the next one, so the price of an fsync is paid once per group. A piece of work that fails leaves no trace and hurts no
other: the group is then done once more, with a savepoint for each. What nobody waits for (`soon`) goes along with the
next write. After `kill -9` the file holds every commit that was acknowledged and nothing of any other (WAL,
synchronous=FULL).
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

from schemas.problem import Outcome, Problem, invalid

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
GROUP_MAX: Final = 256
MODE: Final = 0o600
BESIDE: Final = ("-wal", "-shm")
# At so many pages what was written goes to its place in the file: what changes with every order, once for many of them.
WAL_PAGES: Final = 4_000
CACHE_KIB: Final = 16_000  # of a connection, as far as it reads and writes so much
SOON_S: Final = 0.5
SOON_MAX: Final = 2_048  # each try does all of it anew, and a disk may be full for hours
# Only after these is it certain that a commit is not in the file: it was not written to its end. What was, and could
# not be kept safe or looked up, a start after a crash reads as one, unless the next commit has taken its place, which
# is tried until it has.
UNWRITTEN: Final = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE"})
log = logging.getLogger(__name__)


Came = tuple[Any, BaseException | None]


class _Item(NamedTuple):
    """Work, who waits for it, the work of `soon` that goes before it, and whether it takes long."""

    work: Work
    done: asyncio.Future[Any]
    before: tuple[Work, ...]
    long: bool


class _Group(NamedTuple):
    """What shares a commit, with the outcomes of what was done already."""

    items: Sequence[_Item]
    outcomes: list[Came | None]


class Database:
    """One SQLite file owned by this process alone; open with `async with Database(path, migrations)`."""

    def __init__(self, path: Path, migrations: Sequence[str]) -> None:
        self._path, self._migrations = path, migrations
        self._items: list[_Item] = []
        self._committing = False
        self._idle = asyncio.Event()
        self._queue: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._soon: list[Work] = []
        self._soon_count = 0
        self._looking = self._closed = False
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
            try:
                self._writes = stack.enter_context(closing(_connect(self._path)))
                _migrate(self._writes, self._migrations, self._path)
                self._reads = stack.enter_context(closing(_connect(self._path)))
                self._looks = stack.enter_context(closing(_connect(self._path)))
            except sqlite3.Error as error:
                why = "see whether there is room, and whether it is the file that it was"
                raise invalid(str(self._path), f"cannot be opened ({error}); {why}") from error
            self._thread.start()
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Problem):
            await self._write_soon()
        while self._items or self._committing:
            self._idle.clear()
            await self._idle.wait()
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.shutdown()
        self._open.close()

    async def write(self, work: Callable[[sqlite3.Connection], T], *, long: bool = False) -> T:
        """Run `work` in the next transaction; returns its result once the commit is on disk.

        An exception of `work` reaches this caller alone, its changes undone. A failing commit (a full disk) is
        `UNAVAILABLE`, nothing of the group kept; with the outcome `unknown` where a crash before the next commit may
        keep it. `work` may be undone and run again: it changes only what is behind the connection. `long`
        work, such as what grows with a table, runs beside the loop.
        """
        if self._closed:
            raise Problem("UNAVAILABLE", "the store is closed", outcome=Outcome.NONE)
        future: asyncio.Future[T] = self._loop.create_future()
        before, self._soon = tuple(self._soon), []
        self._items.append(_Item(work, future, before, long))
        if not self._committing:
            self._committing = True
            self._loop.call_soon(self._begin)
        return await future

    def soon(self, work: Work) -> None:
        """Have `work` done before the next `write` and in its transaction, or by itself after `SOON_S`.

        So whatever a caller writes afterwards is on disk with it or not at all. Where the disk cannot write, it waits
        for the next try; `UNAVAILABLE` once too much does.
        """
        if self._soon_count >= SOON_MAX:
            why = "the store cannot write for now, and much waits for it already"
            raise Problem("UNAVAILABLE", why, outcome=Outcome.NONE, retry_after_s=1)
        self._soon_count += 1
        self._soon.append(work)
        self._look_soon()

    def _look_soon(self) -> None:
        """Once for all that waits: a disk that is full is tried no more often because many ask."""
        if not self._looking:
            self._looking = True
            self._loop.call_later(SOON_S, self._begin_soon)

    def _begin_soon(self) -> None:
        self._looking = False
        if self._soon and not self._flush and not self._closed:
            self._flush = self._loop.create_task(self._flushed(), name="written soon")

    async def _flushed(self) -> None:
        try:
            with suppress(Problem):  # then it waits again
                await self._write_soon()
        finally:
            self._flush = None
            if self._soon:  # come meanwhile
                self._look_soon()

    async def _write_soon(self) -> None:
        if self._soon:
            await self.write(_nothing)

    def _wait_again(self, works: tuple[Work, ...]) -> None:
        """Put back what was not written: still before everything that came after it."""
        self._soon_count += len(works)
        if works and self._items:
            first = self._items[0]
            self._items[0] = first._replace(before=works + first.before)
        elif works:
            self._soon[:0] = works
            self._look_soon()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the reading connection, which sees every finished `write`. A disk that cannot read is
        `UNAVAILABLE`."""
        return await self._loop.run_in_executor(self._reader, _read, work, self._reads)

    async def look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, at once and on this thread: for a row or a few found by an index, which takes less time than to
        wake another thread. Never for what grows with the table.

        The connection that writes still has in memory what it wrote; another one reads it from the file again.
        """
        return _read(work, self._looks if self._committing else self._writes)

    def _begin(self) -> None:
        """Do what came since the last commit, and have it committed."""
        items, self._items = self._items[:GROUP_MAX], self._items[GROUP_MAX:]
        try:
            if self._writes.in_transaction:  # the last one could not even be undone
                self._writes.execute("ROLLBACK")
            self._writes.execute("BEGIN IMMEDIATE")
            group = _Group(items, self._done(items))
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and whoever comes next is not kept waiting
            self._ended(items, self._rolled_back(items, error))
        else:
            self._queue.put(group)

    def _done(self, items: Sequence[_Item]) -> list[Came | None]:
        """What came of the items. Those that take long are left, but not what goes before them: others rely on it.

        A savepoint has every page copied that is changed after it, so there are none while nothing fails. Where
        something does, all of it is done once more, with a savepoint each.
        """
        try:
            return [self._bare(one) for one in items]
        except sqlite3.OperationalError:
            raise
        except Exception:  # noqa: BLE001 - whose it is shows when each is done by itself
            self._writes.rollback()
            self._writes.execute("BEGIN IMMEDIATE")
            return [self._guarded(one) for one in items]

    def _bare(self, item: _Item) -> Came | None:
        for work in item.before:
            work(self._writes)
        return None if item.long else (item.work(self._writes), None)

    def _guarded(self, item: _Item) -> Came | None:
        for work in item.before:
            _, error = self._one(work)
            if error is not None:
                log.error("what was to be written soon cannot be", exc_info=error)
        return None if item.long else self._one(item.work)

    def _run(self) -> None:
        """The thread that commits: it alone uses the connection from the end of `_begin` until `_ended`."""
        while (group := self._queue.get()) is not None:
            try:
                pairs = zip(group.items, group.outcomes, strict=True)
                outcomes = [self._one(item.work) if known is None else known for item, known in pairs]
                self._commit()
            except Exception as error:  # noqa: BLE001 - nobody else could commit after this thread
                outcomes = self._rolled_back(group.items, error)
            self._loop.call_soon_threadsafe(self._ended, group.items, outcomes)

    def _commit(self) -> None:
        try:
            self._writes.execute("COMMIT")
        except Exception as error:
            if getattr(error, "sqlite_errorname", "") in UNWRITTEN:
                raise
            why = f"the store cannot say whether it has written ({error}); ask again with the same key"
            raise Problem("UNAVAILABLE", why, outcome=Outcome.UNKNOWN) from error

    def _rolled_back(self, items: Sequence[_Item], error: Exception) -> list[Came]:
        with suppress(sqlite3.Error, MemoryError):  # the next group cannot begin then, and tries it again
            if self._writes.in_transaction:
                self._writes.execute("ROLLBACK")
        why = f"the store cannot write ({error}); nothing was changed"
        problem = error if isinstance(error, Problem) else Problem("UNAVAILABLE", why)
        again = tuple(work for item in items for work in item.before)
        if problem.outcome is Outcome.UNKNOWN and not again:
            again = (_overwrite,)
        self._loop.call_soon_threadsafe(self._wait_again, again)
        return [(None, problem)] * len(items)

    def _ended(self, items: Sequence[_Item], outcomes: Sequence[Came]) -> None:
        for item, outcome in zip(items, outcomes, strict=True):
            self._soon_count -= len(item.before)
            _answer(item.done, *outcome)
        self._committing = bool(self._items)
        if self._committing:
            self._loop.call_soon(self._begin)
        else:
            self._idle.set()

    def _one(self, work: Work) -> Came:
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


def _read(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    try:
        return work(connection)
    except sqlite3.OperationalError as error:  # the disk or the file, not the work
        raise Problem("UNAVAILABLE", f"the store cannot read ({error})", retry_after_s=1) from error


def _nothing(connection: sqlite3.Connection) -> None:
    """For a commit of what was to be written soon."""


def _overwrite(connection: sqlite3.Connection) -> None:
    """For a commit that takes the place of one of which nobody knows whether it is in the file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")


def _answer(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
            f"PRAGMA wal_autocheckpoint={WAL_PAGES}; PRAGMA cache_size=-{CACHE_KIB};"
        )
    except sqlite3.Error:
        connection.close()
        raise
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
