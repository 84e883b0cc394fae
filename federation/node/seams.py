"""Time and randomness as arguments: the real ones here, simulated ones in the tests."""

from __future__ import annotations

import secrets
import time
from typing import Protocol

TOKEN_BYTES = 16


class Clock(Protocol):
    """Wall-clock time, UTC."""

    def now(self) -> int:
        """Unix seconds."""

    def now_us(self) -> int:
        """Unix microseconds."""


class Entropy(Protocol):
    """Unpredictable ids."""

    def token(self) -> str:
        """128 bits as 22 base64url characters."""


class SystemClock:
    """The operating system's clock."""

    def now(self) -> int:
        """Unix seconds."""
        return int(time.time())

    def now_us(self) -> int:
        """Unix microseconds."""
        return time.time_ns() // 1000


class SystemEntropy:
    """The operating system's randomness."""

    def token(self) -> str:
        """128 bits as 22 base64url characters, the first never `-`: a command line would read that as an option."""
        while (token := secrets.token_urlsafe(TOKEN_BYTES)).startswith("-"):
            pass
        return token
