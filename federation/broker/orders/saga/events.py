"""What may become known about an order. Every event carries the time at which the shell learned of it."""

from __future__ import annotations

from msgspec import Struct

from federation.broker.orders.saga.effects import Act, TellOrder
from federation.broker.orders.saga.state import Extension, Fault
from schemas.order import Receipt


class Event(Struct, frozen=True):
    """Base of all events."""

    at_us: int


class Tick(Event, frozen=True):
    """Time has passed; `stalled` where this is learnt so late that nobody can have been heard meanwhile."""

    stalled: bool = False


class Restarted(Event, frozen=True):
    """The shell was started again: whatever was running is of unknown outcome."""


class ReleaseAsked(Event, frozen=True):
    """The buyer wants the order ended."""


class HolderHeard(Event, frozen=True):
    """The holder says that it is still there."""


class ExtendAsked(Event, frozen=True):
    """The buyer committed to a longer window, or to another bandwidth."""

    extension: Extension


class Rerouting(Event, frozen=True):
    """Another order is on its way in place of this one."""

    by: str


class Replaced(Event, frozen=True):
    """The other order is in force."""

    by: str


class GoesOn(Event, frozen=True):
    """The other order failed: this one goes on as before."""

    by: str


class Told(Event, frozen=True):
    """The order that this one replaces has heeded what it was told."""

    act: TellOrder


class Barred(Event, frozen=True):
    """The order to be replaced is not one that can be."""

    act: TellOrder
    fault: Fault


class Untold(Event, frozen=True):
    """Whether the order to be replaced has heeded it is not known."""

    act: TellOrder


class Hinted(Event, frozen=True):
    """An operator hinted at news of the lease of one segment: a reason to ask, never a fact."""

    leg: int


class Receipted(Event, frozen=True):
    """A verified receipt came, and its hash."""

    act: Act
    receipt: Receipt
    receipt_h: str


class Missing(Event, frozen=True):
    """The operator answered that it has no such order or lease."""

    act: Act


class Declined(Event, frozen=True):
    """The operator let the hold go, or it was gone."""

    act: Act


class Refused(Event, frozen=True):
    """The operator answered with a refusal that will not change; nothing was done."""

    act: Act
    fault: Fault


class Unanswered(Event, frozen=True):
    """No answer, or none that can be trusted: whether it was done is not known."""

    act: Act
    fault: Fault


Answer = Receipted | Missing | Declined | Refused | Unanswered
Heard = Told | Barred | Untold
