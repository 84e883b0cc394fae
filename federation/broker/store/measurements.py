"""What buyers measured: `MeasurementStore` over SQLite."""

from __future__ import annotations

import sqlite3

import msgspec

from federation.broker.measuring import KEPT_MAX
from federation.broker.quotes.protocols import Claim
from federation.broker.store.claims import bind
from federation.node.sqlite import Database
from schemas.answer import MeasurementView
from schemas.problem import Outcome, Problem

_DECODER = msgspec.json.Decoder(MeasurementView)


class MeasurementRows:
    """Implements `MeasurementStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_measurement(self, view: MeasurementView, claim: Claim) -> None:
        """See `MeasurementStore.put_measurement`."""
        await self._database.write(lambda connection: _put(connection, view, claim))

    async def measurements(self, order_id: str) -> tuple[MeasurementView, ...]:
        """See `MeasurementStore.measurements`."""
        query = "SELECT body FROM measurements WHERE order_id = ?"

        def read(connection: sqlite3.Connection) -> tuple[MeasurementView, ...]:
            found = [_DECODER.decode(row["body"]) for row in connection.execute(query, (order_id,))]
            return tuple(sorted(found, key=lambda view: (view.at, view.id)))

        return await self._database.read(read)


def _put(connection: sqlite3.Connection, view: MeasurementView, claim: Claim) -> None:
    query = "SELECT count(*) AS kept FROM measurements WHERE order_id = ?"
    if connection.execute(query, (view.order,)).fetchone()["kept"] >= KEPT_MAX:
        why = f"{KEPT_MAX} measurements of one order are kept, and no more"
        raise Problem("TOO_MANY_REQUESTS", why, outcome=Outcome.NONE)
    connection.execute(
        "INSERT INTO measurements (id, order_id, body) VALUES (?, ?, ?)",
        (view.id, view.order, msgspec.json.encode(view)),
    )
    bind(connection, claim, view.id, int(view.at.timestamp()))
