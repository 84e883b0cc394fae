"""The secret behind buyers' pseudonyms and a broker's nonces, the same for all replicas: operators count holds by those
pseudonyms, and a nonce that one replica gave out is shown to another. The first replica brings it."""

from __future__ import annotations

import base64
from typing import Final

from federation.broker.store.redis.server import Server

KEY: Final = "secret"


async def shared_secret(server: Server, prefix: str, own: bytes) -> bytes:
    """The secret of all replicas; `own` where there was none. Raises `UNAVAILABLE`."""
    name, offered = f"{prefix}{KEY}", base64.b64encode(own).decode("ascii")
    _, found = await server.write([("SET", name, offered, "NX"), ("GET", name)])
    return base64.b64decode(found)
