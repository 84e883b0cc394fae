"""Every store that a broker may have, for the tests that all of them must pass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from federation.broker.store.redis.keys import Keyspace
from federation.broker.store.redis.store import RedisStore
from federation.broker.store.sqlite import SqliteStore, open_database
from tests.support.redis_server import redis_space
from tests.support.simulated_keys import SimulatedKeys

KINDS: Final = ("simulated", "sqlite", "redis")
BrokerStore = SqliteStore | RedisStore


@asynccontextmanager
async def broker_store(kind: str, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[BrokerStore]:
    """An empty one of a kind. A module that wants the Redis one imports the fixtures `redis_server` and `emptied`."""
    if kind == "simulated":
        yield RedisStore(Keyspace(SimulatedKeys()))
    elif kind == "sqlite":
        async with open_database(folder / "broker.sqlite") as database:
            yield SqliteStore(database)
    else:
        async with redis_space(request.getfixturevalue("emptied")) as space:
            yield RedisStore(space)
