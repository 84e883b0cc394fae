"""One command's conversation with a broker: open, ask, print, close."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from federation.client.agent import Agent, load_agent
from federation.client.broker import BrokerClient
from schemas.problem import invalid

T = TypeVar("T")
MANDATE: Final = "mandate"
AGENT_KEY: Final = "agent-key"
CA: Final = "ca"


def ask(broker: str, key: str | None, question: Callable[[BrokerClient], Awaitable[T]]) -> T:
    """What `question` makes of an open client. Raises `Problem`."""
    return ask_as(broker, caller(key), question)


def ask_as(broker: str, who: str | Agent, question: Callable[[BrokerClient], Awaitable[T]]) -> T:
    """The same for whoever it is. Raises `Problem`."""
    return asyncio.run(_ask(broker, who, question))


async def _ask(broker: str, who: str | Agent, question: Callable[[BrokerClient], Awaitable[T]]) -> T:
    async with client(broker, who) as opened:
        return await question(opened)


def client(broker: str, who: str | Agent) -> BrokerClient:
    """A client that also believes the certificates of `--ca`."""
    return BrokerClient(broker, who, tls=_tls(_given(CA)))


def caller(key: str | None) -> str | Agent:
    """Who asks: the agent of --mandate and --agent-key, otherwise the owner of a bearer key. Raises `Problem`."""
    mandate, own = _given(MANDATE), _given(AGENT_KEY)
    if mandate and own:
        return load_agent(Path(mandate), Path(own))
    if mandate or own:
        missing = AGENT_KEY if mandate else MANDATE
        raise invalid(f"--{missing}", "a mandate and the agent's key belong together: --mandate FILE --agent-key FILE")
    if not key:
        why = "say who you are: --mandate FILE --agent-key FILE (PEERWAY_MANDATE, PEERWAY_AGENT_KEY), or --key KEY"
        raise invalid("--key", f"{why} (PEERWAY_KEY)")
    return key


def under_mandate() -> bool:
    """Whether this command acts under a mandate, whose limits then count beside those of the command."""
    return _given(MANDATE) is not None


def remember(context: click.Context, option: click.Parameter, value: str | None) -> None:
    """Keep what every command that asks a broker takes, and none has to hand on."""
    context.meta[f"peerway.{(option.name or '').replace('_', '-')}"] = value


def _given(option: str) -> str | None:
    context = click.get_current_context(silent=True)
    found: str | None = None if context is None else context.meta.get(f"peerway.{option}")
    return found


def _tls(ca: str | None) -> ssl.SSLContext | None:
    if ca is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise invalid("--ca", f"{ca} holds no certificates that can be read: {error}") from error
    return context


def print_json(answer: Any) -> None:
    """An answer as one indented JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
