"""Names to addresses: lookups that hang are those of whoever named them, and hold up nobody else's."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from federation.node.dns import LOOKUPS_MAX, Dns

GOOD = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]


class Resolver:
    """A system resolver that never answers for names below `tarpit.example` before it is `over`."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *, type: int) -> list[tuple[object, ...]]:  # noqa: A002 - as it is called
        self.asked.append(host)
        if host.endswith("tarpit.example"):
            self.over.wait()
        return [*GOOD]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield found
    found.over.set()


@pytest.mark.asyncio
async def test_names_that_hang_hold_up_no_other_name(resolver: Resolver) -> None:
    lookup = Dns()
    hanging = [asyncio.ensure_future(lookup(f"n{n}.tarpit.example", 443)) for n in range(LOOKUPS_MAX - 1)]
    assert await asyncio.wait_for(lookup("surf.example", 443), 10) == [(socket.AF_INET, "192.0.2.1")]
    resolver.over.set()
    await asyncio.gather(*hanging)
    lookup.close()
    assert LOOKUPS_MAX >= 64, "more than strangers may name in the time that a resolver takes to give up"


@pytest.mark.asyncio
async def test_one_name_is_looked_up_once_at_a_time_however_many_ask_and_give_up(resolver: Resolver) -> None:
    lookup = Dns()
    impatient = [asyncio.ensure_future(lookup("a.tarpit.example", 443)) for _ in range(2 * LOOKUPS_MAX)]
    await asyncio.sleep(0)
    for one in impatient[1:]:
        one.cancel()
    assert await asyncio.wait_for(lookup("surf.example", 443), 10) == [(socket.AF_INET, "192.0.2.1")]
    resolver.over.set()
    assert await impatient[0] == [(socket.AF_INET, "192.0.2.1")]
    assert resolver.asked == ["a.tarpit.example", "surf.example"]
    await lookup("a.tarpit.example", 443)
    assert resolver.asked[2:] == ["a.tarpit.example"], "nothing is kept: it is judged and dialled as it is now"
    lookup.close()


@pytest.mark.asyncio
async def test_a_name_without_an_address_is_an_error_for_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(host: str, port: int, *, type: int) -> list[object]:  # noqa: A002 - as it is called
        raise socket.gaierror(-2, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    lookup = Dns()
    found = await asyncio.gather(lookup("a.example", 443), lookup("a.example", 443), return_exceptions=True)
    assert all(isinstance(one, OSError) for one in found)
    lookup.close()
