"""What one replica of a broker does for all of them, round after round, and another one where that one is gone.

What is done in an office is safe to do twice, for whoever was stopped and wakes up may believe for a moment that it
still holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

Office = Callable[[], Awaitable[bool]]  # whether it is ours now; raises `UNAVAILABLE`
ASK_S: Final = 20.0  # between two questions of whoever does not hold it


async def always() -> bool:
    """The office of a broker that has no replicas."""
    return True


async def pause(held: bool, every_s: float) -> None:
    """Until the next round, or until it is time to ask again whether the one who makes them is gone."""
    await asyncio.sleep(every_s if held else min(ASK_S, every_s))
