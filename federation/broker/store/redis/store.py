"""The broker's store on one Redis server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from federation.broker.config import Store
from federation.broker.store.redis.claims import ClaimKeys
from federation.broker.store.redis.documents import DocumentKeys
from federation.broker.store.redis.keys import Keyspace, RedisKeys, commit_script, prefix
from federation.broker.store.redis.measurements import MeasurementKeys
from federation.broker.store.redis.orders import OrderKeys
from federation.broker.store.redis.quotes import QuoteKeys
from federation.broker.store.redis.revocations import RevocationKeys
from federation.broker.store.redis.server import Server
from federation.broker.store.redis.spends import SpendKeys
from federation.broker.store.redis.waiting import WaitingKeys
from federation.node.seams import Entropy
from schemas.segment import EntityId


class RedisStore(
    ClaimKeys, QuoteKeys, OrderKeys, SpendKeys, RevocationKeys, DocumentKeys, MeasurementKeys, WaitingKeys
):
    """Implements `ClaimStore`, `QuoteStore`, `OrderStore`, `SpendLedger`, `Revocations`, `Filing`, `Chronicle`,
    `MeasurementStore` and `WaitingStore` over one space of keys."""

    def __init__(self, space: Keyspace) -> None:
        self._space = space


@asynccontextmanager
async def open_redis(settings: Store, entity: EntityId, entropy: Entropy) -> AsyncIterator[tuple[Server, Keyspace]]:
    """The server of a configuration, looked at, and the keys of a broker in it. Raises `UNAVAILABLE` where there is no
    server, or one that may not be trusted with orders."""
    async with Server(settings, prefix(entity), (commit_script(),)) as server:
        yield server, Keyspace(RedisKeys(server, entity, entropy))
