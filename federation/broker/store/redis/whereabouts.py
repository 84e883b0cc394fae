"""Where the server is that takes writes: where the configuration says, or where its sentinels say that it is now.

Sentinels are asked whenever a connection is made, in turn until one answers; what they name is looked at like any other
server (`fitness.py`), so one that names a server of before costs a refusal, and no order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as Late

from federation.broker.config import Store
from federation.broker.store.redis.fitness import FIELD
from federation.node.config import read_text
from schemas.problem import Problem

SENTINELS: Final = "store.sentinels"
SENTINEL_S_MAX: Final = 1.0  # for a connection to one, and for its answer
PORT: Final = 6379


class Unfound(RedisError):
    """Nobody can say where the server is."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Place(NamedTuple):
    """A kind of connection, and its arguments."""

    kind: type[AbstractConnection]
    where: dict[str, Any]


class Whereabouts:
    """The server of a configuration."""

    def __init__(self, settings: Store) -> None:
        """Raises `Problem` where a password cannot be read."""
        self._place = address(settings)
        # As it is written: the name of a service has small and large letters.
        self._service = urlsplit(settings.redis or "").netloc.rpartition("@")[2]
        self._sentinel = _sentinel(settings) if settings.sentinels else None
        self._turn = asyncio.Lock()

    async def now(self) -> Place:
        """Where it is now. Raises `Unfound`."""
        if self._sentinel is None:
            return self._place
        async with self._turn:  # asking changes the order in which they are asked
            try:
                host, port = await self._sentinel.discover_master(self._service)
            except (MasterNotFoundError, ResponseError) as error:
                raise Unfound(await self._why(self._sentinel)) from error
        return Place(self._place.kind, self._place.where | {"host": host, "port": port})

    async def close(self) -> None:
        """Ask nobody any more."""
        if self._sentinel is not None:
            await self._sentinel.aclose()

    async def _why(self, sentinel: Sentinel) -> Problem:
        """What is wrong, and with which key: nobody answers, or none of them watches this service, or it is down."""
        silent: list[str] = []
        for one in sentinel.sentinels:
            try:
                watched = await one.sentinel_masters()
            except (Unreachable, Late, OSError) as error:
                silent.append(str(error))
            except ResponseError as error:
                return _unavailable(SENTINELS, f"one of them is no sentinel, or does not let us ask it: {error}")
            else:
                return self._unnamed([*watched])
        return _unavailable(SENTINELS, f"none of them can be asked: {'; '.join(silent)}")

    def _unnamed(self, watched: Sequence[str]) -> Problem:
        if self._service in watched:
            return _unavailable(FIELD, f"the primary of {self._service} is down, and no other has its place yet")
        known = ", ".join(sorted(watched)[:10]) or "nothing"
        return _unavailable(FIELD, f"its sentinels watch no service {self._service}; they watch: {known}")


def address(settings: Store) -> Place:
    """What a configuration says of the server; where it has sentinels, only they know host and port. Raises
    `Problem`."""
    assert settings.redis is not None, "asked for where there is a server"
    url = urlsplit(settings.redis)
    who: dict[str, Any] = {"username": unquote(url.username) if url.username else None}
    if (password := _secret(settings.password_file)) is not None:
        who["password"] = password
    if url.scheme == "unix":
        return Place(UnixDomainSocketConnection, {"path": unquote(url.path), **who})
    who |= {"host": url.hostname, "port": url.port or PORT, "db": int(url.path.strip("/") or 0)}
    if url.scheme == "rediss":
        return Place(SSLConnection, {**who, "ssl_ca_certs": settings.roots})
    return Place(Connection, who)


def _sentinel(settings: Store) -> Sentinel:
    """They speak TLS where the server does."""
    tls = {"ssl": (settings.redis or "").startswith("rediss:"), "ssl_ca_certs": settings.roots}
    known: dict[str, Any] = {
        "socket_timeout": SENTINEL_S_MAX, "socket_connect_timeout": SENTINEL_S_MAX, "retry": Retry(NoBackoff(), 0),
        "password": _secret(settings.sentinel_password_file), "protocol": 2, "driver_info": None,
        "decode_responses": True, **tls,
    }  # fmt: skip
    parted = (one.rpartition(":") for one in settings.sentinels)
    return Sentinel([(host, int(port)) for host, _, port in parted], sentinel_kwargs=known)  # type: ignore[no-untyped-call]


def _secret(file: str | None) -> str | None:
    return None if file is None else read_text(Path(file)).strip()


def _unavailable(field: str, why: str) -> Problem:
    return Problem("UNAVAILABLE", why, field=field)
