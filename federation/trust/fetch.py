"""What reads a URL that somebody else named, or sends something there."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Fetch(Protocol):
    """Reads documents from foreign nodes; `federation.trust.egress.Egress` is the guarded one."""

    async def get(self, url: str) -> bytes:
        """The body of a 200 answer, within the reader's size and time. Raises `Problem` for anything else."""
        ...


class Answer(NamedTuple):
    """What came back: the HTTP status and the body."""

    status: int
    body: bytes


class Post(Protocol):
    """Sends small bodies to foreign nodes; `federation.trust.egress.Egress` is the guarded one."""

    async def post(self, url: str, body: bytes, content_type: str | None = None) -> Answer:
        """The answer, whatever its status, within size and time. Raises `Problem` where there is none."""
        ...
