"""Hostile buyers: keys guessed at an operator's daemon, and quotes without number that hold what others want."""

from __future__ import annotations

import asyncio
from pathlib import Path

from federation.node.callers import WRONG_KEYS
from schemas.problem import Problem
from tests.hostile.control import beaten
from tests.support.operator_world import OperatorWorld
from tests.support.seams import FixedClock
from tests.support.small_market import LIMITS, small_market


async def guesses_keys_without_end(folder: Path) -> None:
    """T16: a stranger tries one bearer key after the other, as fast as the daemon answers."""
    async with OperatorWorld(folder).run() as world:
        url, statuses = f"{world.origin}/peerway/v1/documents/{'h' * 43}", []
        for number in range(2 * WRONG_KEYS.burst):
            async with world.session.get(url, headers={"Authorization": f"Bearer guess-{number}"}) as response:
                statuses.append(response.status)
    if 429 in statuses:
        beaten("after so many wrong keys none is looked at")


async def asks_for_a_hundred_quotes_at_once(folder: Path) -> None:
    """T19: one buyer's quotes under way hold capacity at every operator, whether it means to order or not."""
    async with small_market(FixedClock()) as market:
        asked = (market.quote("greedy") for _ in range(100))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        held = market.held()["Alpha"]
    refused = [one for one in answers if isinstance(one, Problem) and one.code == "TOO_MANY_REQUESTS"]
    if len(refused) >= 100 - LIMITS.at_once_max:
        beaten(f"it holds {held} at most")
