"""How often discovery tries again: exponential, capped, spread so that brokers do not come back in step (pure)."""

from __future__ import annotations

import hashlib
from typing import Final

RETRY_FIRST_S: Final = 0.1
RETRY_MOST_S: Final = 5.0


def pause_s(attempt: int, token: str) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1): between half and all of the step's length.

    Where in that half depends on `token` alone.
    """
    step = min(RETRY_MOST_S, RETRY_FIRST_S * (1 << min(attempt - 1, 16)))
    share = int.from_bytes(hashlib.sha256(token.encode()).digest()[:4], "big") / 2**32
    return step * (1 + share) / 2
