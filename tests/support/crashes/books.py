"""What operators have on disk, and what must be true of it beside what a broker says."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from operators.inventory.ledger import Claim
from operators.orders.fsm import Lease
from schemas.answer import OrderView
from schemas.lease import BILLABLE, TERMINAL, State

STORE = "data/operator.sqlite"


class Books(NamedTuple):
    """The leases of one operator by product, ended ones included, and what its calendar keeps."""

    leases: dict[str, Lease]
    claims: dict[str, Claim]


def read(folder: Path) -> Books:
    """The books below the folder of an operator, whether it runs or not."""
    with closing(sqlite3.connect(f"file:{folder / STORE}?mode=ro", uri=True)) as connection:
        leases = [msgspec.json.decode(body, type=Lease) for (body,) in connection.execute("SELECT body FROM leases")]
        claims = [msgspec.json.decode(body, type=Claim) for (body,) in connection.execute("SELECT body FROM claims")]
    return Books({lease.id: lease for lease in leases}, {claim.id: claim for claim in claims})


def disagreements(order: OrderView, books: dict[str, Books]) -> list[str]:
    """Where an operator's books say something else of an order than its broker; ids, states, sizes, ends and money."""
    found: list[str] = []
    for segment in order.segments:
        lease = books[segment.operator].leases.get(segment.product or "")
        here = f"{order.id} at {segment.operator_name}"
        if segment.product is not None and lease is None:
            found.append(f"{here}: {segment.product} is unknown there")
        elif lease is not None and order.state in BILLABLE:
            said = (lease.state, lease.segment.bandwidth_bps, lease.end_s)
            if said != (State.ACTIVE, order.bandwidth_bps, order.window.end_s):
                found.append(f"{here}: {order.state} until {order.window.end_s}, there {said}")
        elif lease is not None and lease.state not in TERMINAL:
            found.append(f"{here}: {order.state}, there {lease.state}")
        elif lease is not None and segment.bill != lease.bill:
            found.append(f"{here}: billed {segment.bill}, there {lease.bill}")
    return found


def orphans(orders: Sequence[OrderView], books: dict[str, Books]) -> list[str]:
    """Leases that are not over and that no order in force owns."""
    owned = {segment.product for order in orders if order.state not in TERMINAL for segment in order.segments}
    return [
        f"{lease.id} at {name}: {lease.state}"
        for name, book in books.items()
        for lease in book.leases.values()
        if lease.state not in TERMINAL and lease.id not in owned
    ]


def unpaid(orders: Sequence[OrderView], books: dict[str, Books]) -> list[str]:
    """Leases that cost something although their path was never in force."""
    used = {s.product for order in orders if any(c.state in BILLABLE for c in order.history) for s in order.segments}
    return [
        f"{lease.id} at {name} costs {lease.bill.total} of a path that never was"
        for name, book in books.items()
        for lease in book.leases.values()
        if lease.id not in used and lease.bill is not None and lease.bill.total.micro
    ]
