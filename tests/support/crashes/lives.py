"""Buyers who insist: every request is sent again, under its key, until it is answered or refused for a reason."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import NamedTuple, TypeVar

from federation.client.broker import BrokerClient
from schemas.answer import OrderView, QuoteView
from schemas.intent import Intent
from schemas.lease import TERMINAL, State
from schemas.problem import Problem
from schemas.request import Extension

T = TypeVar("T")
INSISTING_S, PAUSE_S = 90, 0.1
ROUNDS = 20
WAIT_S = 2
# What a node that is away may cause, and binds no key; anything else is an answer.
PASSING = frozenset({"UNAVAILABLE", "OPERATOR_UNREACHABLE", "TOO_MANY_REQUESTS"})
# Why a lease is not extended; what a broker that was killed holds for the same extension is none.
KEEPS_ITS_END = frozenset({"OPERATOR_REFUSED", "CAPACITY_CHANGED", "NO_FEASIBLE_PATH"})
# Why a quote may come to nothing while nodes are away: a new one is taken.
LOST = frozenset({"QUOTE_EXPIRED", "INCOMPATIBLE_STATE"})
# A quote that was made while the store was away ends with its broker (docs/REPLICAS.md); an order never does.
UNWRITTEN = frozenset({"NOT_FOUND"})


class Lived(NamedTuple):
    """A purchase from beginning to end: the quotes and the order that were acknowledged, and how it was seen to end."""

    quotes: tuple[str, ...]
    key: str
    order: OrderView
    in_force: OrderView | None


async def insisted(ask: Callable[[], Awaitable[T]], passing: frozenset[str] = PASSING) -> T:
    """The answer of `ask`, whoever is away for a while. Raises the `Problem` that is not of that kind."""
    loop = asyncio.get_running_loop()
    until = loop.time() + INSISTING_S
    while True:
        try:
            return await ask()
        except Problem as problem:
            if problem.code not in passing or loop.time() > until:
                raise
            await asyncio.sleep(PAUSE_S)


async def quoted(client: BrokerClient, intent: Intent, key: str) -> QuoteView:
    """A quote. While there is no path, it is asked for under another key each time: a refusal binds its own."""
    until = asyncio.get_running_loop().time() + INSISTING_S
    for number in itertools.count():
        try:
            return await insisted(partial(client.quote, intent, f"{key}.{number}"))
        except Problem as problem:
            if problem.code != "NO_FEASIBLE_PATH" or asyncio.get_running_loop().time() > until:
                raise
        await asyncio.sleep(PAUSE_S)
    raise AssertionError("numbers do not end")


async def live(
    client: BrokerClient,
    intent: Intent,
    name: str,
    chance: Random,
    seen: Callable[[OrderView], Awaitable[None]],
    *,
    lost: frozenset[str] = LOST,
) -> Lived:
    """Quote, order, perhaps extend, release; `seen` gets every order that stands still. Raises what is no excuse;
    `lost` are the codes of quotes that may come to nothing."""
    extends, hasty = chance.random() < 0.4, chance.random() < 0.2
    quotes: tuple[str, ...] = ()
    for number in range(ROUNDS):
        key = f"{name}-{number}"
        quote = await quoted(client, intent, f"quote-{key}")
        quotes += (quote.id,)
        try:
            order = await insisted(partial(client.order, quote.id, key))
            break
        except Problem as problem:
            if problem.code not in lost:
                raise
            quotes = quotes if problem.code in LOST else quotes[:-1]
    else:
        raise AssertionError(f"no quote of {name} could be ordered")
    in_force = None
    if not hasty:
        order = await still(client, order)
        await seen(order)
        in_force = order if order.state is State.ACTIVE else None
        if extends and in_force:
            await _extended(client, order, key, lost)
            in_force = await still(client, order)
            await seen(in_force)
    order = await insisted(lambda: client.release(order.id, f"release-{key}"))
    return Lived(quotes, key, await ended(client, order), in_force)


async def _extended(client: BrokerClient, order: OrderView, key: str, lost: frozenset[str]) -> None:
    try:
        await insisted(lambda: client.extend(order.id, Extension(by_s=600), f"extend-{key}"))
    except Problem as problem:
        if problem.code not in lost | KEEPS_ITS_END:
            raise


async def still(client: BrokerClient, order: OrderView) -> OrderView:
    """The order once it stands still."""
    return await _until(client, order, TERMINAL | {State.ACTIVE})


async def ended(client: BrokerClient, order: OrderView) -> OrderView:
    """The order once it is over."""
    return await _until(client, order, TERMINAL)


async def _until(client: BrokerClient, order: OrderView, states: frozenset[State]) -> OrderView:
    for _ in range(ROUNDS):
        order = await insisted(partial(client.get_order, order.id, WAIT_S))
        if order.state in states:
            return order
    raise AssertionError(f"after long not among {sorted(states)}: {order}")
