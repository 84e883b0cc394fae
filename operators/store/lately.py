"""What was written last, as it was written: each step of a lease reads what the step before it wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from operators.orders.fsm import Quote
from operators.orders.keeping import Batch, OrderRow

Row = TypeVar("Row", Quote, OrderRow, bytes)
LATE_MAX: Final = 2_000  # rows, some eight of a lease


class Lately:
    """Rows that are on disk, the last written of them. True for as long as nobody else writes the file."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: dict[tuple[type, str], Quote | OrderRow | bytes] = {}

    def note(self, batch: Batch) -> None:
        """Once the batch is on disk."""
        for quote in batch.quotes:
            self._put(quote.id, quote)
            if quote.hash is not None:
                self._put(quote.hash, quote)
        for order in batch.orders:
            self._put(order.id, order)
        for row_id, body in batch.requests:
            self._put(row_id, body)

    def find(self, kind: type[Row], key: str) -> Row | None:
        """A quote by its id or hash, an order, a request; None where it has to be read."""
        found = self._rows.get((kind, key))
        assert found is None or isinstance(found, kind), "rows are kept by what they are"
        return found

    def drop(self, keys: Iterable[str]) -> None:
        """Once rows by these ids and hashes were deleted."""
        for key in keys:
            for kind in (Quote, OrderRow, bytes):
                self._rows.pop((kind, key), None)

    def clear(self) -> None:
        """Once rows were deleted."""
        self._rows.clear()

    def _put(self, key: str, row: Quote | OrderRow | bytes) -> None:
        named = (type(row), key)
        self._rows.pop(named, None)
        self._rows[named] = row
        if len(self._rows) > self._most:
            del self._rows[next(iter(self._rows))]
