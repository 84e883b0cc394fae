"""What is known of an order: the whole of it is the journal, written before anything is done about it.

Times ending in `_us` are Unix microseconds, those ending in `_s` or named after a document's member Unix seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from schemas.answer import Change, EndView
from schemas.lease import State
from schemas.order import CONFIRM_WITHIN_S, Bill
from schemas.price import Money, RateTable, Tariff
from schemas.segment import EntityId, Hash, Id, Segment, moment


class Fault(Struct, frozen=True):
    """What went wrong: a code of the error catalogue and one sentence."""

    code: str
    detail: str


class Pace(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When to ask next. `turn` counts every answer and lack of one, so that no two effects of a segment are equal;
    `tries` counts those without progress; nothing is asked before `not_before_us`."""

    turn: int = 0
    tries: int = 0
    not_before_us: int = 0


class Sent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a signed document holds beyond the terms of the order. Signing is deterministic, so this is the document:
    after a crash the same bytes are signed again. `n` counts documents of one purpose."""

    iat: int
    n: int = 0
    order_h: Hash | None = None
    prev_h: Hash | None = None
    void: EntityId | None = None


class Pledge(Struct, frozen=True, kw_only=True):
    """A held segment quote: its Sonata id, its hash, what it sells for how much, and until when it is held. Its bill is
    judged by the `tariff`; orders placed before that was kept have none. Mandate and grants are those of its rfq, the
    decision is that of its path. `from_s` is since when another bandwidth counts, sold for less than its window."""

    quote_id: str
    quote_h: Hash
    quoted: Segment
    amount: Money
    held_until: int
    tariff: Tariff | None = None
    mandate_h: Hash | None = None
    grant_h: Hash | None = None
    decision_h: Hash | None = None
    from_s: int | None = None


class Part(Struct, frozen=True, kw_only=True):
    """One segment as agreed: whose it is, who the buyer is there (`sub`), its ends, and its quote."""

    operator: EntityId
    name: str
    sub: str
    a: EndView
    z: EndView
    pledge: Pledge


class Terms(Struct, frozen=True, kw_only=True):
    """What was agreed when the order was placed; never changes. `rates` convert bills to the currency of `total`;
    `agent` is the key of the agent that ordered, none for the buyer itself. Its holder may be silent for no longer than
    `idle_release_s` while the path is in force (`idle.py`); null means for as long as it likes. `replaces` is the
    order in whose place this one comes: that ends once this one is in force, and goes on if this one fails.
    `confirm_within_s` is how long after the order, or its start, every operator waits for the confirm."""

    id: Id
    buyer: str
    issuer: EntityId
    quote: Id
    path_root: Hash
    start_s: int
    bandwidth_bps: int
    placed_s: int
    parts: tuple[Part, ...]
    total: Money
    rates: RateTable
    agent: Hash | None = None
    idle_release_s: int | None = None
    replaces: Id | None = None
    confirm_within_s: int = CONFIRM_WITHIN_S

    def of_agent(self, key: Hash | None) -> bool:
        """Whether an agent with this key may know of the order; the buyer itself, without one, always may."""
        return key is None or key == self.agent


class Leg(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one segment.

    While `state` is HELD the outcome of the order is not known. `missing`: the operator said last that it never took
    the order. `let_go`: it declined the quote for us, and `fenced`: order and hold have expired on every clock; after
    either it will not take the order any more. `fault`: why the path cannot become ACTIVE with this segment. `check`:
    the inventory is to be asked before anything else. `over`: the lease was extended beyond the path's end, because
    the operator named here did not confirm the extension. `voided`: the operator has answered a void, so its bill is
    final. `longer` are the extensions that it confirmed.
    """

    order: Sent
    state: State = State.HELD
    pace: Pace = Pace()
    product: str | None = None
    in_force: Segment | None = None
    order_h: Hash | None = None
    receipt_h: Hash | None = None
    confirm: Sent | None = None
    release: Sent | None = None
    bill: Bill | None = None
    fault: Fault | None = None
    missing: bool = False
    let_go: bool = False
    fenced: bool = False
    check: bool = False
    voided: bool = False
    over: EntityId | None = None
    longer: tuple[Pledge, ...] = ()


class Standing(StrEnum):
    """Where one segment stands within an extension. Of another bandwidth that is taken back, a segment has RETURNED to
    the one before, or is KEPT at the other one by its operator."""

    ASKED = "ASKED"
    PENDING = "PENDING"
    EXTENDED = "EXTENDED"
    LAPSED = "LAPSED"
    REFUSED = "REFUSED"
    RETURNED = "RETURNED"
    KEPT = "KEPT"


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one segment's part in an extension; the members mean what they mean in `Leg`. `back` is the
    confirm that takes it back, `at_s` the Unix second since when it counts."""

    order: Sent
    standing: Standing = Standing.ASKED
    pace: Pace = Pace()
    in_force: Segment | None = None
    order_h: Hash | None = None
    receipt_h: Hash | None = None
    confirm: Sent | None = None
    back: Sent | None = None
    fault: Fault | None = None
    missing: bool = False
    let_go: bool = False
    check: bool = False
    fenced: bool = False
    at_s: int = 0


class Phase(StrEnum):
    """Where an extension stands: orders out, all pending and confirms out, another bandwidth taken back where it was
    confirmed because it was not everywhere, or given up and holds let go."""

    ORDERING = "ORDERING"
    CONFIRMING = "CONFIRMING"
    RETURNING = "RETURNING"
    DROPPED = "DROPPED"


class Extension(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change under way, confirmed on every segment or on none: more time, from the order's end until `until_s`, or
    another bandwidth, `bandwidth_bps` from now until that end, for which `freed` of what was sold is not used.
    """

    number: int
    quote: Id
    path_root: Hash
    until_s: int
    confirm_by: int
    total: Money
    pledges: tuple[Pledge, ...]
    steps: tuple[Step, ...]
    phase: Phase = Phase.ORDERING
    bandwidth_bps: int | None = None
    freed: Money | None = None


class Handing(StrEnum):
    """What an order tells the one that it replaces: I am on my way, you are not needed any more, or go on as before."""

    REROUTE = "REROUTE"
    RELEASE = "RELEASE"
    RETURN = "RETURN"


class OrderState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order: its terms, where it stands at `at_us` (the latest time heard of), and what is known of each segment.

    `void` is the operator whose order or confirm is missing, once the path is undone. `ended`: the window is over and
    operators release by themselves. `extensions` counts the extensions begun. `heard_s` is when the holder was last
    heard of, Unix seconds, where silence ends the order. `resized_bps` is the bandwidth that the latest change gave it.
    `replaced_by` is the order on its way, or in force, in place of this one; `handed` is what the order that this one
    replaces has last heeded, `handing` the pace of telling it, and `barred` why it will not be replaced. `failed_by`
    are orders that were to replace this one and failed. `version` is the shell's, no rule looks at it: how often the
    order was journaled, this entry included. So is `taken`: how often another replica took the order over.
    """

    terms: Terms
    state: State
    at_us: int
    end_s: int
    total: Money
    confirm_by: int
    legs: tuple[Leg, ...]
    history: tuple[Change, ...]
    was_active: bool = False
    ended: bool = False
    release_asked: bool = False
    void: EntityId | None = None
    fault: Fault | None = None
    extension: Extension | None = None
    extensions: int = 0
    heard_s: int = 0
    bill: Bill | None = None
    resized_bps: int | None = None
    replaced_by: Id | None = None
    failed_by: tuple[Id, ...] = ()
    handed: Handing | None = None
    handing: Pace = Pace()
    barred: Fault | None = None
    version: int = 1
    taken: int = 0

    @property
    def bandwidth_bps(self) -> int:
        """What the path has now, in bit/s."""
        return self.resized_bps or self.terms.bandwidth_bps

    @property
    def now_s(self) -> int:
        """The latest time heard of, in whole Unix seconds."""
        return self.at_us // 1_000_000


HISTORY_MAX: Final = 64


def owing(state: OrderState, leg: Leg) -> bool:
    """Whether a lease that ended by itself bills for a path that never was ACTIVE, and has not been told so yet."""
    billed = leg.bill is not None and leg.bill.total.micro > 0
    return billed and state.void is not None and not state.was_active and not leg.voided


def came_to_nothing(state: OrderState) -> bool:
    """Whether an extension was given up before any confirm of it was out: whoever got one may bill it."""
    extension = state.extension
    if extension is None or extension.phase is not Phase.DROPPED:
        return False
    return all(step.confirm is None for step in extension.steps)


def noted(state: OrderState, why: str) -> OrderState:
    """The state with an entry in its history; the oldest go first."""
    entry = Change(state=state.state, at=moment(state.now_s), why=why)
    return structs.replace(state, history=(*state.history, entry)[-HISTORY_MAX:])
