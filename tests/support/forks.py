"""Daemons as forks of one process that has imported everything: real processes, without paying a second for each start.

    a test ── socket: arguments, stdout, stderr ──▶ nursery (this file as a program) ── forks twice ──▶ daemon
    a test ◀── id of the daemon, which by now is a child of the test itself

A fork stands where the interpreter would after its imports: its memory, files, sockets, threads and end are its own,
and it is killed like any other. What imports themselves do is for the tests that start daemons by their commands.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from federation.cli.demo.processes import BROKER, OPERATOR, launched
from tests.support.crashes import bent, points

HERE = Path(__file__).parents[2]
IMPORTED = (
    "operators.daemon", "operators.cli.serve", "federation.broker.broker", "federation.broker.api.mcp",
    "federation.broker.store.redis.store", "federation.broker.replicas.replica",
    "federation.cli.broker", "federation.cli.anchor", "federation.anchor.anchor", "uvloop",
)  # fmt: skip
MAINS = (OPERATOR[2], BROKER[2])
ADOPT = 36  # PR_SET_CHILD_SUBREAPER: what loses its parent becomes a child of ours, not of init
FOLLOW = 1  # PR_SET_PDEATHSIG: what is sent to this process when its parent ends
WAIT_S = 0.01
SIZE = 4  # bytes of a length or an id


class Fork:
    """One daemon; as much of `subprocess.Popen` as its owners use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status as `Popen` has it, or None while it runs."""
        return self._ended(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `TimeoutExpired`."""
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self._ended(0 if end is None else os.WNOHANG)) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(WAIT_S)
        return status

    def send_signal(self, number: int) -> None:
        """Nothing once it has ended: its id may be another's by then."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def forked(command: Sequence[str], out: IO[bytes], err: IO[bytes]) -> Any:
    """A daemon for a command of ours; on other systems than Linux a process as any other."""
    if sys.platform != "linux":
        return launched(command, out, err)
    python, module, main, *arguments = command
    assert (python, module) == (sys.executable, "-m"), command
    assert main in MAINS, command
    request = json.dumps([main, arguments, dict(os.environ), str(Path.cwd())]).encode()
    nursery = _nursery()
    with _adopting():
        socket.send_fds(nursery, [len(request).to_bytes(SIZE)], [out.fileno(), err.fileno()])
        nursery.sendall(request)
        return Fork(int.from_bytes(_exactly(nursery, SIZE)))


@lru_cache(maxsize=1)
def _nursery() -> socket.socket:
    """Started once per process of the suite; ends when its socket does."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "tests.support.forks"]
        process = subprocess.Popen(command, cwd=HERE, stdin=theirs, stdout=subprocess.DEVNULL, start_new_session=True)
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


@contextmanager
def _adopting() -> Iterator[None]:
    """What loses its parent within the block becomes a child of this process; at any other time of init, as ever."""
    _adopt(True)
    try:
        yield
    finally:
        _adopt(False)


def _adopt(on: bool) -> None:
    _prctl(ADOPT, int(on))


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(option, value, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        assert more, "the nursery is gone: what it said stands above"
        data += more
    return data


def serve(peer: socket.socket) -> tuple[str, list[str]] | None:
    """Fork for every request. In a daemon returns what it is to run, in the nursery None when nobody asks any more."""
    gc.freeze()
    while True:
        head, files, _, _ = socket.recv_fds(peer, SIZE, 2)
        if not head:
            return None
        main, arguments, environment, folder = json.loads(_exactly(peer, int.from_bytes(head)))
        pid = _grandchild()
        if pid == 0:
            peer.close()
            _become(files, environment, folder)
            return main, arguments
        for file in files:
            os.close(file)
        peer.sendall(pid.to_bytes(SIZE))


def _grandchild() -> int:
    """The id of a fork whose parent has ended already, so that another one adopts it; 0 in that fork."""
    assert len(os.listdir("/proc/self/task")) == 1, "what was imported started threads, which a fork would not have"
    told, tell = os.pipe()
    between = os.fork()
    if between == 0:
        born_of = os.getpid()
        pid = os.fork()
        if pid:
            os.write(tell, pid.to_bytes(SIZE))
            os._exit(0)
        _follow_from(born_of)
    os.close(tell)
    if between == 0:
        os.close(told)
        return 0
    os.waitpid(between, 0)
    with open(told, "rb") as pipe:
        return int.from_bytes(pipe.read(SIZE))


def _follow_from(born_of: int) -> None:
    """Once adopted, end with whoever adopted: a suite that is killed leaves no daemons behind."""
    while os.getppid() == born_of:
        time.sleep(WAIT_S / 10)
    _prctl(FOLLOW, signal.SIGKILL)


def _become(files: Sequence[int], environment: dict[str, str], folder: str) -> None:
    """Take on what a process of its own would begin with."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for place, file in enumerate((os.open(os.devnull, os.O_RDONLY), *files)):
        os.dup2(file, place)
        os.close(file)


def main() -> None:
    """Import everything once, then be a nursery, and in each fork the daemon."""
    for name in IMPORTED:
        import_module(name)
    wanted = serve(socket.socket(fileno=os.dup(0)))
    if wanted is not None:
        module, sys.argv[1:] = wanted
        if points.WANTED in os.environ:
            points.install(Path(sys.argv[-1]))
        if bent.WANTED in os.environ:
            bent.BENT[os.environ[bent.WANTED]]()
        import_module(module).main()


if __name__ == "__main__":
    main()
