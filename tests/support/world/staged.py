"""A scenario for something that runs a broker's orders over a world without trouble, in jumping time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from federation.broker.orders.coordinator import Coordinator
from tests.support.loops import JumpingLoop
from tests.support.world.run import Plan, World


class Running(Protocol):
    """Whatever runs orders."""

    orders: Coordinator


S = TypeVar("S", bound=Running)


def staged(
    open_: Callable[[World, asyncio.TaskGroup], S], scenario: Callable[[S], Awaitable[None]], operators: int = 3
) -> None:
    """Run a scenario, and close the orders afterwards."""
    loop = JumpingLoop()

    async def main() -> None:
        world = World(3, Plan(operators=operators, trouble=False), loop)
        async with asyncio.TaskGroup() as tasks:
            shop = open_(world, tasks)
            await scenario(shop)
            await shop.orders.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
