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
from schemas.problem import Problem

T = TypeVar("T")
# Whoever still waits on what is closed sees its call cancelled, so these are longer than any call may last.
DRAIN_S: Final = 60.0
DRAIN_STREAMS_S: Final = 3_700.0


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


class Address:
    """Where a gRPC endpoint of foreign metadata is now. gRPC looks nothing up itself, so somebody has to `refresh`."""

    def __init__(self, egress: Egress, endpoint: str) -> None:
        self._egress, self._endpoint = egress, endpoint
        self._target: Target | None = None

    async def refresh(self) -> None:
        """Look it up again: before the first call, and when nobody answers. Raises what `Egress.target` raises."""
        self._target = await self._egress.target(self._endpoint)

    def __call__(self) -> Target:
        """What the last `refresh` found. Raises `UNAVAILABLE` before the first."""
        if self._target is None:
            raise Problem("UNAVAILABLE", f"{self._endpoint} was not looked up yet")
        return self._target


def channel_to(
    tls: Tls,
    entity: str,
    address: Callable[[], Target],
    *,
    options: tuple[tuple[str, Any], ...] = (),
    drain_s: float = DRAIN_STREAMS_S,
) -> Renewed[grpc.aio.Channel]:
    """A gRPC channel to `entity` where the egress judged it to be; the leaf there must hold the target's name."""

    def make() -> grpc.aio.Channel:
        target = address()
        named = (("grpc.ssl_target_name_override", target.name), ("grpc.default_authority", target.name))
        credentials = tls.channel_credentials(entity)
        return grpc.aio.secure_channel(
            f"ipv6:{target.address}" if target.address.startswith("[") else f"ipv4:{target.address}",
            credentials,
            options=(*CHANNEL_OPTIONS, *named, *options),
        )

    return Renewed(lambda: (tls.key(entity), address()), make, _close_channel, drain_s=drain_s)


class Dialled:
    """A gRPC channel to `entity` at an endpoint of its metadata: `refresh` it before the first call and after failures.

    The name is looked up there, the channel made anew where an address or a key is another one.
    """

    def __init__(self, tls: Tls, entity: str, egress: Egress, endpoint: str) -> None:
        self._address = Address(egress, endpoint)
        self._channel = channel_to(tls, entity, self._address)

    async def refresh(self) -> None:
        """Look the endpoint up. Raises what `Egress.target` raises."""
        await self._address.refresh()

    def channel(self) -> grpc.aio.Channel:
        """The one to use for the next call. Raises `UNAVAILABLE`."""
        return self._channel.get()

    async def close(self) -> None:
        """Drop the present channel and those that drain."""
        await self._channel.close()


def session_to(tls: Tls, entity: str, egress: Egress, *, drain_s: float = DRAIN_S) -> Renewed[aiohttp.ClientSession]:
    """A guarded HTTP session in which `entity` alone can answer, at whatever host its metadata names."""

    def make() -> aiohttp.ClientSession:
        return egress.session(tls.client_context(entity))

    return Renewed(lambda: tls.key(entity), make, aiohttp.ClientSession.close, drain_s=drain_s)


async def _close_channel(channel: grpc.aio.Channel) -> None:
    await channel.close(None)
