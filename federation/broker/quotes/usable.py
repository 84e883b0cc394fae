"""Whether a quote may still be ordered, said once for every store (pure)."""

from __future__ import annotations

from schemas.lease import State
from schemas.problem import Outcome, Problem, not_found


def check_usable(quote_id: str, state: State | None, used: str | None) -> None:
    """Raises the problem that keeps a quote from being ordered now: it has no `state` where this buyer has none such,
    and `used` is the order that it became."""
    if state is None:
        raise not_found(f"quote {quote_id}")
    if used is not None:
        raise Problem("QUOTE_USED", f"it became order {used}", outcome=Outcome.NONE, extra={"order": used})
    if state is State.EXPIRED:
        raise Problem("QUOTE_EXPIRED", "the quote has expired; ask for a new one", outcome=Outcome.NONE)
    if state not in {State.HELD, State.QUOTED}:
        raise Problem("INCOMPATIBLE_STATE", f"the quote is {state}; ask for a new one", outcome=Outcome.NONE)
