"""Time and ids under a test's control."""

from __future__ import annotations

NOW = 1_795_000_000  # 2026-11-18T11:06:40Z


class FixedClock:
    """Stands still until told to advance."""

    def __init__(self, now: int = NOW) -> None:
        self._now_us = now * 1_000_000

    def now(self) -> int:
        """Unix seconds."""
        return self._now_us // 1_000_000

    def now_us(self) -> int:
        """Unix microseconds."""
        return self._now_us

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_us += int(seconds * 1_000_000)


class CountingEntropy:
    """Ids that count up, 22 characters like the real ones, so that a run can be read and repeated."""

    def __init__(self, prefix: str = "id") -> None:
        self._prefix, self._count = prefix, 0

    def token(self) -> str:
        """The next id."""
        self._count += 1
        return f"{self._prefix}{self._count:0{22 - len(self._prefix)}d}"
