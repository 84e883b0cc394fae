"""Channels and sessions that are made anew when keys change, without a call that fails.

Neither a gRPC channel nor a TLS context forgets what it was made with. So a new one is made when the next call asks,
and the old one is closed only after its last calls had time to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, TypeVar

import aiohttp
import grpc
import grpc.aio

from federation.node.mtls.tls import Tls
from federation.node.rpc import CHANNEL_OPTIONS
from federation.trust.egress import Egress, Target

T = TypeVar("T")
DRAIN_S: Final = 30.0  # longer than any call that has one answer


class Renewed(Generic[T]):
    """One of something, made again by `make` when `key` changes. Ask `get` for every call anew, and keep nothing."""

    def __init__(
        self,
        key: Callable[[], Hashable],
        make: Callable[[], T],
        close: Callable[[T], Awaitable[None]],
        *,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._key, self._make, self._close, self._drain_s = key, make, close, drain_s
        self._present: tuple[Hashable, T] | None = None
        self._old: dict[asyncio.Task[None], T] = {}

    def get(self) -> T:
        """The present one. Raises what `key` and `make` raise."""
        key = self._key()
        if self._present is None or self._present[0] != key:
            made = self._make()
            if self._present is not None:
                self._retire(self._present[1])
            self._present = (key, made)
        return self._present[1]

    async def close(self) -> None:
        """Close the present one and those that still drain."""
        old, self._old = self._old, {}
        for task in old:
            task.cancel()
        await asyncio.gather(*old, return_exceptions=True)
        everything = [*old.values(), *([self._present[1]] if self._present else [])]
        self._present = None
        for one in everything:
            await self._close(one)

    def _retire(self, old: T) -> None:
        async def later() -> None:
            await asyncio.sleep(self._drain_s)
            await self._close(old)

        task = asyncio.get_running_loop().create_task(later(), name="drain")
        self._old[task] = old
        task.add_done_callback(lambda done: self._old.pop(done, None))


def channel_to(
    tls: Tls, entity: str, target: Target, *, options: tuple[tuple[str, Any], ...] = (), drain_s: float = DRAIN_S
) -> Renewed[grpc.aio.Channel]:
    """A gRPC channel to `entity` at an address that the egress judged; the leaf there must hold the target's name."""

    def make() -> grpc.aio.Channel:
        named = (("grpc.ssl_target_name_override", target.name), ("grpc.default_authority", target.name))
        credentials = tls.channel_credentials(entity)
        return grpc.aio.secure_channel(
            f"ipv6:{target.address}" if target.address.startswith("[") else f"ipv4:{target.address}",
            credentials,
            options=(*CHANNEL_OPTIONS, *named, *options),
        )

    return Renewed(lambda: tls.key(entity), make, _close_channel, drain_s=drain_s)


def session_to(tls: Tls, entity: str, egress: Egress, *, drain_s: float = DRAIN_S) -> Renewed[aiohttp.ClientSession]:
    """A guarded HTTP session in which `entity` alone can answer, at whatever host its metadata names."""

    def make() -> aiohttp.ClientSession:
        return egress.session(tls.client_context(entity))

    return Renewed(lambda: tls.key(entity), make, aiohttp.ClientSession.close, drain_s=drain_s)


async def _close_channel(channel: grpc.aio.Channel) -> None:
    await channel.close(None)
