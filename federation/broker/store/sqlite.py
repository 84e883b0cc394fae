"""The broker's store on one SQLite file."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib import resources
from pathlib import Path

from federation.broker.store.claims import ClaimRows
from federation.broker.store.documents import DocumentRows
from federation.broker.store.measurements import MeasurementRows
from federation.broker.store.orders import OrderRows
from federation.broker.store.quotes import QuoteRows
from federation.broker.store.revocations import RevocationRows
from federation.broker.store.spends import SpendRows
from federation.broker.store.texts import TextRows
from federation.broker.store.waiting import WaitingRows
from federation.node.sqlite import Database


class SqliteStore(
    ClaimRows, QuoteRows, OrderRows, SpendRows, RevocationRows, DocumentRows, MeasurementRows, WaitingRows, TextRows
):
    """Implements `ClaimStore`, `QuoteStore`, `OrderStore`, `SpendLedger`, `Revocations`, `Filing`, `Chronicle`,
    `MeasurementStore`, `WaitingStore` and `PruneStore` over one open database."""

    def __init__(self, database: Database) -> None:
        ClaimRows.__init__(self, database)
        QuoteRows.__init__(self, database)


def open_database(path: Path) -> AbstractAsyncContextManager[Database]:
    """The broker's database, migrated forward when entered. Raises `Problem` where it is in use, or newer than this."""
    return Database(path, migrations())


@cache
def migrations() -> tuple[str, ...]:
    """Every migration in order, as shipped with the package."""
    folder = resources.files("federation.broker.store") / "migrations"
    scripts = sorted(folder.iterdir(), key=lambda script: script.name)
    return tuple(script.read_text(encoding="utf-8") for script in scripts if script.name.endswith(".sql"))
