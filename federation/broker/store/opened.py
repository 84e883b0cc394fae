"""The store that a configuration asks for, opened: a SQLite file of this broker alone, or a Redis server that its
replicas share. Whatever it is made of, the rest of the broker sees the same Protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from federation.broker.authority.filing import Filing
from federation.broker.authority.revocations import Revocations
from federation.broker.config import BrokerConfig
from federation.broker.evidence.protocols import EvidenceStore
from federation.broker.housekeeping import PruneStore
from federation.broker.measuring import MeasurementStore
from federation.broker.once import Once, Turns
from federation.broker.orders.protocols import OrderStore
from federation.broker.quotes.protocols import ClaimStore, QuoteStore
from federation.broker.quotes.waiting import WaitingStore
from federation.broker.spend.protocols import SpendLedger
from federation.broker.store.meanwhile import AnyTurn, Meanwhile
from federation.broker.store.sqlite import SqliteStore, open_database
from federation.broker.sweeping.protocols import SweepStore
from federation.evidence.protocols import LogStore
from federation.evidence.sqlite import LogRows
from federation.node.seams import Clock, Entropy
from federation.tokens.replay import Replay
from federation.tokens.sqlite import ProofRows
from schemas.problem import Problem, invalid

if TYPE_CHECKING:
    from federation.broker.store.redis.keys import Keyspace
    from federation.broker.store.redis.server import Server

FILE: Final = "broker.sqlite3"


class BrokerStore(
    ClaimStore,
    QuoteStore,
    WaitingStore,
    OrderStore,
    SpendLedger,
    Revocations,
    EvidenceStore,
    MeasurementStore,
    SweepStore,
    PruneStore,
    Protocol,
):
    """All that a broker keeps."""


class Shared(NamedTuple):
    """What replicas of a broker speak to each other through: their server, and the keys of this broker in it."""

    server: Server
    space: Keyspace


class Opened(NamedTuple):
    """A store, the replay filter and the log beside it; `shared` where replicas have them in common."""

    store: BrokerStore
    replay: Replay
    log: LogStore
    shared: Shared | None = None


class Front(NamedTuple):
    """What quotes and those who ask for them meet first: the store itself, or what goes on while that is away."""

    claims: ClaimStore
    quotes: QuoteStore
    replay: Replay
    revocations: Revocations
    filing: Filing
    meanwhile: Meanwhile | None = None

    def once(self, clock: Clock, tasks: asyncio.TaskGroup, turns: Turns | None) -> Once:
        """Runs requests for quotes; while nobody can say whose turn one is, it is ours."""
        return Once(self.claims, clock, tasks, turns and AnyTurn(turns))


def in_front(opened: Opened, clock: Clock) -> Front:
    """A file is never away by itself, so there is nothing to go on without it."""
    store = opened.store
    if opened.shared is None:
        return Front(store, store, opened.replay, store, store)
    meanwhile = Meanwhile(store, opened.replay, clock)
    return Front(meanwhile, meanwhile, meanwhile, meanwhile, meanwhile, meanwhile)


def open_store(config: BrokerConfig, entropy: Entropy) -> AbstractAsyncContextManager[Opened]:
    """The store of a broker, closed when left. Raises `Problem` where it cannot be used, at the latest on entering."""
    path = Path(config.data) / FILE
    if config.store.redis is None:
        return _embedded(path)
    if path.exists():
        why = f"is Redis, and {path} keeps orders and budgets that nobody would look at; end them, then move it away"
        raise invalid("store.redis", why)
    return _shared(config, entropy)


@asynccontextmanager
async def _embedded(path: Path) -> AsyncIterator[Opened]:
    async with open_database(path) as database:
        yield Opened(SqliteStore(database), ProofRows(database), LogRows(database))


@asynccontextmanager
async def _shared(config: BrokerConfig, entropy: Entropy) -> AsyncIterator[Opened]:
    """Imported late: most brokers have no Redis, and need not have its library."""
    try:
        from federation.broker.store.redis.log import LogKeys
        from federation.broker.store.redis.replay import ReplayKeys
        from federation.broker.store.redis.store import RedisStore, open_redis
    except ModuleNotFoundError as error:
        why = f"{error.name} is not installed: pip install 'peerway[broker]', or leave store.redis out"
        raise Problem("UNAVAILABLE", why) from error
    async with open_redis(config.store, config.entity, entropy) as (server, space):
        yield Opened(RedisStore(space), ReplayKeys(space), LogKeys(space), Shared(server, space))
