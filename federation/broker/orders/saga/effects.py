"""What an order may want done. Each is safe to do twice, and all follow from the state alone.

`leg` is the position in the path; `change` is 0 for the order itself and counts its extensions from 1; `turn` makes a
second attempt a different effect. An effect that is still wanted and already running is not started again.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from federation.broker.orders.saga.state import Handing

NO_LEG: Final = -1


class Asking(Struct, frozen=True, tag=True, omit_defaults=True):
    """Something to be asked of the operator of one segment; exactly one answer event follows."""

    leg: int
    turn: int
    change: int = 0


class SendOrder(Asking, frozen=True, tag=True):
    """Send the order document, the same bytes each time."""


class AskOutcome(Asking, frozen=True, tag=True):
    """Find out what became of an order, by its `jti`."""


class DeclineHold(Asking, frozen=True, tag=True):
    """Let a quote and its hold go, so that a late order can no longer take it."""


class SendConfirm(Asking, frozen=True, tag=True):
    """Send the confirm document, the same bytes each time."""


class SendBack(Asking, frozen=True, tag=True):
    """Send the confirm that takes another bandwidth back."""


class AskLease(Asking, frozen=True, tag=True):
    """Ask the inventory for the latest receipt of the lease."""


class SendRelease(Asking, frozen=True, tag=True):
    """Send the release document."""


class TellOrder(Asking, frozen=True, tag=True):
    """Tell the order that this one replaces where this one stands. It is about no segment: `leg` is `NO_LEG`."""

    order: str = ""
    what: Handing = Handing.REROUTE


class WaitUntil(Struct, frozen=True, tag=True):
    """Nothing more to do before `at_us`; then tell the time."""

    at_us: int


Act = SendOrder | AskOutcome | DeclineHold | SendConfirm | SendBack | AskLease | SendRelease | TellOrder
Effect = Act | WaitUntil
