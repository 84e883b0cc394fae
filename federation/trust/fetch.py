"""What reads a URL that somebody else named."""

from __future__ import annotations

from typing import Protocol


class Fetch(Protocol):
    """Reads documents from foreign nodes; `federation.trust.egress.Egress` is the guarded one."""

    async def get(self, url: str) -> bytes:
        """The body of a 200 answer, within the reader's size and time. Raises `Problem` for anything else."""
        ...
