"""What is published on a channel of the server, for as long as it can be heard."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from federation.broker.config import Store
from federation.broker.store.redis.server import unavailable
from federation.broker.store.redis.whereabouts import Whereabouts

SILENCE_S: Final = 5.0  # after which the connection is tried; where there is silence again, it is given up


async def listen(settings: Store, channel: str) -> AsyncGenerator[str | None, None]:
    """None whenever it begins to listen, after the connection was lost too, then what is said. What was said between is
    not heard. Raises `UNAVAILABLE` where the server is gone."""
    whereabouts, pool = Whereabouts(settings), None
    try:
        kind, where = await whereabouts.now()
        pool = ConnectionPool(connection_class=kind, decode_responses=True, protocol=2, driver_info=None, **where)
        async with Redis(connection_pool=pool) as client, client.pubsub() as listening:
            await listening.subscribe(channel)
            tried = False
            while True:
                said = await listening.get_message(timeout=SILENCE_S)
                if said is None and tried:
                    raise unavailable(None)
                if said is None:
                    await listening.ping()
                elif said["type"] == "subscribe":
                    yield None
                elif said["type"] == "message":
                    yield str(said["data"])
                tried = said is None
    except (RedisError, OSError) as error:
        raise unavailable(None) from error
    finally:
        await whereabouts.close()
        if pool is not None:
            await pool.disconnect()
