"""What an order came to, as its broker signs it for the buyer: `billing-statement+jwt`, which adds up by itself.

The signed statement of one segment is its last receipt, with the bill of its operator; this one holds those receipts
in the clear, the tariffs they were quoted at and the rates, so that every amount in it can be computed again from it
alone, to the last micro-unit.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.document import Document
from schemas.lease import State
from schemas.order import RECEIPT_LIFE_S
from schemas.price import Line, Money, RateTable, Tariff
from schemas.segment import Bps, EntityId, Hash, Id, Time

STATEMENT_LIFE_S: Final = RECEIPT_LIFE_S
USES_MAX: Final = 4096  # of all segments together: more would not fit into what a reader takes
Seconds = Annotated[int, Meta(ge=0)]


class Use(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Use of what one quote sold, from `start` until `end`, to the second; `term_s` is the length that was sold.

    `lines` are `port` and `bandwidth` at the tariff that hashes to `tariff_h`; nothing where it was not used.
    """

    quote_h: Hash
    tariff_h: Hash
    bandwidth_bps: Bps
    term_s: Seconds
    start: Time
    end: Time
    seconds: Seconds
    lines: tuple[Line, ...]


class StatedSegment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One operator's part.

    `claimed` is what its bill says, `due` what counts of that: at most what `uses` and the other `lines` (`set_up`,
    `minimum`, `exit`) come to, and nothing for a path that never was ACTIVE. `total` is `due` at the rates, rounded up.
    A segment that its operator never took has no product and no receipt.
    """

    operator: EntityId
    product: Id | None
    state: State
    receipt_h: Hash | None
    receipt: str | None
    uses: tuple[Use, ...]
    lines: tuple[Line, ...]
    claimed: Money | None
    due: Money
    total: Money


class BillingStatement(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `billing-statement+jwt`, broker to buyer: an order that is over, segment by segment, and its total.

    `active` says whether the path ever was ACTIVE; `start` and `end` are the first and the last second billed.
    """

    order: Id
    state: State
    path_root: Hash
    active: bool
    start: Time | None
    end: Time | None
    segments: tuple[StatedSegment, ...]
    tariffs: dict[Hash, Tariff]
    rates: RateTable
    total: Money
