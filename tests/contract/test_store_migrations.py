"""Files that a broker wrote before, or an earlier version of it: all that was in them is found again."""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from federation.broker.authority.filing import Party
from federation.broker.orders.saga.decide import begin
from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.terms import order_terms
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.store.sqlite import SqliteStore, migrations, open_database
from federation.node.sqlite import Database
from schemas.lease import State
from schemas.problem import Problem
from schemas.segment import window
from tests.support.seams import NOW
from tests.support.world.run import RATES, Plan, World


def ordered() -> tuple[StoredQuote, OrderState]:
    """A quote, and the first entry of its order `o1`."""
    world = World(1, Plan(operators=3, trouble=False), asyncio.get_running_loop())
    quote = world.path_quote(window(NOW, NOW + 60))
    return quote, begin(order_terms(quote, "o1", RATES, NOW), NOW + 60, NOW * 1_000_000)[0]


@pytest.mark.asyncio
async def test_sqlite_keeps_everything_over_a_restart(tmp_path: Path) -> None:
    path, (quote, state) = tmp_path / "broker.sqlite", ordered()
    claim = Claim(buyer=quote.buyer, key="k", digest="d")
    async with open_database(path) as database:
        store = SqliteStore(database)
        await store.put_quote(quote, None)
        await store.begin(state, quote.id, claim, [])
    async with open_database(path) as database:
        store = SqliteStore(database)
        assert await store.unfinished() == (state,)
        used = structs.replace(quote, state=State.COMMITTED, order="o1")
        assert await store.get_quote(quote.buyer, quote.id) == used
        assert await store.claim(claim, NOW) == "o1"
        with pytest.raises(Problem, match="it became order o1"):
            await store.begin(structs.replace(state, terms=structs.replace(state.terms, id="o2")), quote.id, None, [])
        assert await database.read(lambda c: c.execute("PRAGMA user_version").fetchone()[0]) == len(migrations())


@pytest.mark.asyncio
async def test_documents_filed_by_their_hashes_are_found_as_they_were_and_logged_once(tmp_path: Path) -> None:
    before = list(takewhile(lambda one: "documents_before" not in one, migrations()))
    query = "INSERT INTO documents (hash, buyer, agent, operator, document) VALUES (?, ?, ?, ?, ?)"
    rows = [("h" * 43, "alice", None, "https://op0.example", "one"), ("h" * 43, "bob", "k" * 43, None, "two")]
    async with Database(tmp_path / "old.sqlite3", before) as database:
        await database.write(lambda connection: connection.executemany(query, rows).rowcount)
    async with open_database(tmp_path / "old.sqlite3") as database:
        store = SqliteStore(database)
        assert await store.get_document("alice", "h" * 43) == "one"
        assert await store.get_document("bob", "h" * 43, "k" * 43) == "two"
        assert await store.get_document("bob", "h" * 43, "x" * 43) is None
        await store.file(Party("alice", None), None, ["three"])
        queued = "SELECT count(*) FROM log_queue"
        assert await database.read(lambda connection: connection.execute(queued).fetchone()[0]) == 3


@pytest.mark.asyncio
async def test_keys_without_a_time_are_as_young_as_the_migration(tmp_path: Path) -> None:
    before = list(takewhile(lambda one: "UPDATE claims" not in one, migrations()))
    row = "INSERT INTO claims (buyer, key, digest, answer, at_s) VALUES ('alice', 'k', 'd', 'o1', 0)"
    async with Database(tmp_path / "old.sqlite3", before) as database:
        await database.write(lambda connection: connection.execute(row).rowcount)
    async with open_database(tmp_path / "old.sqlite3") as database:
        store = SqliteStore(database)
        assert await store.prune_claims(1, 10) == 0
        assert await store.claim(Claim(buyer="alice", key="k", digest="d"), NOW) == "o1"


@pytest.mark.asyncio
async def test_quotes_and_products_kept_in_other_rows_before_are_found(tmp_path: Path) -> None:
    before = list(takewhile(lambda one: "TABLE quote_bodies" not in one, migrations()))
    quote, state = ordered()
    part, body = state.terms.parts[0], msgspec.json.encode
    async with Database(tmp_path / "old.sqlite3", before) as database:

        def work(connection: sqlite3.Connection) -> None:
            order = (state.terms.id, quote.buyer, state.state, 0, NOW, body(state))
            lease = (state.terms.id, 0, part.operator, "p1", State.UP, NOW, NOW + 60)
            values = (quote.id, quote.buyer, quote.state, quote.claims.exp, body(quote))
            connection.execute("INSERT INTO quotes VALUES (?, ?, ?, NULL, ?, ?)", values)
            connection.execute(
                "INSERT INTO orders (id, buyer, state, finished, placed_s, body) VALUES (?, ?, ?, ?, ?, ?)", order
            )
            connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)", lease)

        await database.write(work)
    async with open_database(tmp_path / "old.sqlite3") as database:
        store = SqliteStore(database)
        assert await store.get_quote(quote.buyer, quote.id) == quote
        assert await store.find_product(part.operator, "p1") == "o1"
        assert await store.unfinished() == (state,)
        await store.save(structs.replace(state, version=2, state=State.RELEASED), [], [])
        assert await store.unfinished() == ()
