"""Waiting for a quote that operators take their time with."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from schemas.answer import QuotePending, QuoteView
from schemas.lease import State
from schemas.problem import Outcome, Problem

POLL_S: Final = 20  # the longest that one request waits; the broker answers as soon as the quote is there
SPARE_POLLS: Final = 3  # for the broker's own answer once the time of operators is up


class Waiting(Protocol):
    """What this needs of a client."""

    async def get_quote(self, quote_id: str, wait_s: int = 0) -> QuoteView | QuotePending:
        """A quote as it stands."""
        ...


async def quoted(broker: Waiting, found: QuotePending, within_s: int, wait_s: int | None) -> QuoteView | QuotePending:
    """The quote once it is there: within `wait_s` seconds, otherwise what is waited for; or, without them, within the
    time that operators have. Raises why there will be none, and `UNAVAILABLE` where nobody says so in time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (within_s + SPARE_POLLS * POLL_S if wait_s is None else wait_s)
    while (left_s := until - loop.time()) > 0:
        made = await broker.get_quote(found.id, max(1, min(POLL_S, int(left_s))))
        if isinstance(made, QuoteView):
            return made
        if made.state is not State.ASKED:
            why = f"quote {made.id} was let go before it was answered"
            raise Problem("INCOMPATIBLE_STATE", why, outcome=made.outcome, extra={"quote": made.id})
        found = made
    if wait_s is not None:
        return found
    waited = ", ".join(one.operator_name for one in found.waiting_for)
    raise Problem(
        "UNAVAILABLE", f"{waited or 'the broker'} has not answered yet; ask again for quote {found.id}",
        outcome=Outcome.PENDING, extra={"quote": found.id},
    )  # fmt: skip
