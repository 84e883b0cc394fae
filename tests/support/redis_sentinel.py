"""A service as Redis Sentinel runs it: a primary, its replicas, and the sentinels that put one in the place of another.

Every one is a process with a port of its own. Sentinels see within seconds that a server is gone.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import pytest_asyncio
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from federation.broker.config import Store
from federation.cli.demo.ports import LOOPBACK, PortReserve
from federation.node.settings import ListenTls
from tests.support.redis_server import RedisServer

SERVICE: Final = "Orders"
DOWN_MS: Final = 2_000  # with less they believe a new primary gone before they have called it
LATEST_S: Final = 60
TIMING: Final = {"repl_diskless_sync_delay": "0", "min_replicas_to_write": "1", "min_replicas_max_lag": "3"}


class Secured(NamedTuple):
    """That all of them speak TLS alone: under which name, with which certificate, and who vouches for it."""

    host: str
    files: ListenTls
    root: Path

    def settings(self) -> dict[str, str]:
        """Of a server or a sentinel."""
        own = {"cert": self.files.certificate, "key": self.files.private_key, "ca-cert": str(self.root)}
        return {f"tls-{name}-file": path for name, path in own.items()} | {
            "tls-auth-clients": "no",
            "tls-replication": "yes",
        }


class Watched:
    """Three servers and three sentinels; `servers[0]` is the primary at first."""

    def __init__(self, servers: int = 3, sentinels: int = 3, tls: Secured | None = None) -> None:
        self._counts, self._tls, self._stack = (servers, sentinels), tls, ExitStack()
        self.host = tls.host if tls else LOOPBACK
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self._word: str | None = None
        self.servers: list[RedisServer] = []
        self.ports: list[int] = []
        self.sentinel_ports: list[int] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            reserve = stack.enter_context(PortReserve())
            servers, sentinels = self._counts
            self.ports = [reserve.take() for _ in range(servers)]
            self.sentinel_ports = [reserve.take() for _ in range(sentinels)]
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peerway-sentinel-")))
            for place, port in enumerate(self.ports):
                follows = {"replicaof": f"{self.host} {self.ports[0]}"} if place else {}
                self.servers.append(
                    stack.enter_context(RedisServer(**self._listens(port), **self._announces(), **TIMING, **follows))
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait()
        self._stack.close()

    @property
    def store(self) -> Store:
        """What a broker's configuration says of it."""
        sentinels = tuple(f"{self.host}:{port}" for port in self.sentinel_ports)
        if self._tls:
            return Store(redis=f"rediss://{SERVICE}", sentinels=sentinels, roots=str(self._tls.root))
        return Store(redis=f"redis://{SERVICE}", sentinels=sentinels)

    @property
    def primary(self) -> RedisServer:
        """The server that most sentinels name now."""
        named = [str(self._said(port, "get-master-addr-by-name", SERVICE)[1]) for port in self.sentinel_ports]
        return self.servers[self.ports.index(int(max(named, key=named.count)))]

    def client(self) -> Redis:
        """Somebody else who talks to the primary of now."""
        return self.primary.client()

    async def watch(self) -> None:
        """Have everything follow its primary, and the sentinels know each other and all of it."""
        copies = len(self.servers) - 1
        await until(lambda: _of(self.servers[0])["connected_slaves"] == copies)
        await until(lambda: all(_of(one)["master_link_status"] == "up" for one in self.servers[1:]))
        await until(lambda: _of(self.servers[0])["min_slaves_good_slaves"] == copies)
        await until(lambda: all(_on_disk(server) for server in self.servers))
        for place, port in enumerate(self.sentinel_ports):
            self._start(place, port)
        await until(lambda: all(self._knows(port, self.servers[0]) for port in self.sentinel_ports))

    async def promoted(self, before: RedisServer) -> RedisServer:
        """The server that took the place of another."""
        await until(lambda: self.primary is not before and _of(self.primary)["role"] == "master")
        return self.primary

    async def fail_over(self) -> None:
        """Have a replica take the place of the primary, which goes on as its replica."""
        await until(lambda: self._said(self.sentinel_ports[0], "FAILOVER", SERVICE) == "OK")

    async def healed(self, *again: RedisServer) -> None:
        """Start servers again, behind the primary of now, until all that run follow it and every sentinel trusts it.
        One that has not heard of a failover yet calls the primary before it dead."""
        primary = self.primary
        for server in again:
            server.set(replicaof=f"{self.host} {self.ports[self.servers.index(primary)]}")
            server.start()
        copies = sum(server.runs for server in self.servers) - 1
        await until(lambda: _of(primary).get("min_slaves_good_slaves", 0) == copies)
        await until(lambda: all(_on_disk(server) for server in self.servers if server.runs))
        await until(lambda: all(self._knows(port, primary) for port in self.sentinel_ports))

    def _listens(self, port: int) -> dict[str, str]:
        """The settings of a server or a sentinel at this port."""
        return {"port": "0", "tls-port": str(port), **self._tls.settings()} if self._tls else {"port": str(port)}

    def _announces(self) -> dict[str, str]:
        """A replica is known by its address unless it says otherwise, and the name has to stand in its certificate."""
        return {"replica-announce-ip": self.host} if self._tls else {}

    def _start(self, place: int, port: int) -> None:
        own = self.folder / str(place)
        own.mkdir()
        config = own / "sentinel.conf"
        lines = [f"{name} {value}\n" for name, value in self._listens(port).items()]
        if self._tls:  # what they tell is the name that stands in the certificate
            lines += ["sentinel resolve-hostnames yes\n", "sentinel announce-hostnames yes\n"]
            lines += [f"sentinel announce-ip {self.host}\n"]
        config.write_text(
            f"{''.join(lines)}bind {LOOPBACK}\ndir {own}\n"
            f"sentinel monitor {SERVICE} {self.host} {self.ports[0]} {len(self.sentinel_ports) // 2 + 1}\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_MS}\nsentinel failover-timeout {SERVICE} 5000\n"
        )
        command = [self.servers[0].program, str(config), "--sentinel"]
        with (own / "log").open("ab") as log:
            self._sentinels.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _knows(self, port: int, primary: RedisServer) -> bool:
        try:
            (found,) = self._said(port, "masters")
        except RedisError:
            return False
        words = dict(zip(found[::2], found[1::2], strict=True))
        known = int(words["num-other-sentinels"]), int(words["num-slaves"])
        named = int(words["port"]) == self.ports[self.servers.index(primary)] and words["flags"] == "master"
        return named and known == (len(self.sentinel_ports) - 1, len(self.servers) - 1)

    def guard(self, place: int, password: str | None) -> None:
        """Have a sentinel want a password from whoever comes next, or none."""
        word = f">{password}" if password else "nopass"
        with Redis(LOOPBACK, self.sentinel_ports[place], protocol=2, password=self._word) as client:
            client.execute_command("ACL", "SETUSER", "default", "resetpass", word)
        self._word = password

    def _said(self, port: int, *words: str) -> Any:
        """What a sentinel answers, as it was sent."""
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self._tls.root)} if self._tls else {}
        with Redis(self.host, port, decode_responses=True, protocol=2, retry=Retry(NoBackoff(), 0), **tls) as client:
            connection = client.connection_pool.get_connection()
            connection.send_command("SENTINEL", *words)
            return connection.read_response()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[Watched]:
    """One for all tests of a module."""
    with Watched() as made:
        await made.watch()
        yield made


def _of(server: RedisServer) -> dict[str, Any]:
    """What a server says of its replication."""
    with server.client() as client:
        return dict(client.info("replication"))


def _on_disk(server: RedisServer) -> bool:
    """Whether it would find again what it has: one that was just taken in has an old file, or none, until the whole
    of it is written."""
    with server.client() as client:
        said = client.info("persistence")
    return not said["aof_rewrite_in_progress"] and not said["aof_rewrite_scheduled"]


async def until(true: Callable[[], bool]) -> None:
    """Until something is so; what cannot be asked is not so."""
    async with asyncio.timeout(LATEST_S):
        while True:
            try:
                if true():
                    return
            except RedisError:
                pass
            await asyncio.sleep(0.05)
