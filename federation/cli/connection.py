"""One command's conversation with a broker: open, ask, print, close."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
import msgspec

from federation.client.broker import BrokerClient
from schemas.problem import invalid

T = TypeVar("T")


def ask(broker: str, key: str | None, question: Callable[[BrokerClient], Awaitable[T]]) -> T:
    """What `question` makes of an open client. Raises `Problem`."""
    if not key:
        raise invalid("--key", "say who you are: --key KEY, or set PEERWAY_KEY")
    return asyncio.run(_ask(broker, key, question))


async def _ask(broker: str, key: str, question: Callable[[BrokerClient], Awaitable[T]]) -> T:
    async with BrokerClient(broker, key) as client:
        return await question(client)


def print_json(answer: Any) -> None:
    """An answer as one indented JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
