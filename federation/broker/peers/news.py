"""News of quotes that were not answered at once: whoever waits for one is woken, and looks for itself.

Operators tell it to a callback that holds a word of their own. Whether they do or not, whoever waits looks again in
time: news only makes it faster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from federation.broker.peers.pseudonym import pseudonym
from schemas.segment import EntityId, Id
from schemas.sonata.hub import Event, EventType

BASE: Final = "/peerway/told"
WHAT: Final = "events"


class News:
    """Wakes whoever waits for a quote of an operator."""

    def __init__(self, secret: bytes) -> None:
        self._secret, self._words = secret, dict[str, EntityId]()
        self._waiting: dict[tuple[EntityId, Id], asyncio.Event] = {}

    def word(self, operator: EntityId) -> str:
        """The word in the callback of one operator, who may tell from now on."""
        word = pseudonym(self._secret, WHAT, operator)
        self._words[word] = operator
        return word

    def hear(self, word: str, event: Event) -> bool:
        """Take a hint from whoever knows a word; false where nobody has this one."""
        operator = self._words.get(word)
        if operator is not None and event.event_type is EventType.QUOTE:
            self.tell(operator, event.event.id)
        return operator is not None

    def tell(self, operator: EntityId, quote_id: Id) -> None:
        """Wake whoever waits for this quote."""
        if (waiting := self._waiting.get((operator, quote_id))) is not None:
            waiting.set()

    @contextmanager
    def watch(self, operator: EntityId, quote_id: Id) -> Iterator[asyncio.Event]:
        """An event that is set when there is news of this quote, for who clears it, looks, and waits for it."""
        event = asyncio.Event()
        self._waiting[operator, quote_id] = event
        try:
            yield event
        finally:
            del self._waiting[operator, quote_id]


async def heard(event: asyncio.Event, wait_s: float) -> None:
    """Until there is news, or so many seconds have passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await event.wait()
    event.clear()
