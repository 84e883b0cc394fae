"""`make bench-orders` still says what it measures: figures against bars, spreads, and books that show what is wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from benchmarks.chain.books import read_books
from benchmarks.chain.buyer import Done, Steps
from benchmarks.chain.federation import capacity, plans
from benchmarks.chain.spread import spread
from benchmarks.chain.told import BARS, Told
from operators.inventory.ledger import Claim
from tests.support.federation import footprint


def test_every_figure_has_a_bar_and_the_worst_value_counts() -> None:
    told = Told()
    told.note("quote_p50_vs_floor", "2 operators", 1.5)
    told.note("quote_p50_vs_floor", "8 operators", 3.5)
    told.note("chain3_conc16_per_s", "mean", 90)
    told.note("oversold", "1 at once", 0)
    found = told.figures()
    assert found.keys() == BARS.keys()
    quote, active = found["quote_p50_vs_floor"], found["active_p50_vs_floor"]
    assert (quote["value"], quote["unit"], quote["bar"], quote["ok"]) == (3.5, "ratio", "<= 3", False)
    assert (active["value"], active["ok"]) == (None, False)
    assert (found["chain3_conc16_per_s"]["ok"], found["oversold"]["ok"]) == (True, True)


def test_a_job_is_told_by_step_and_by_process() -> None:
    done = Done(Steps(quote=[1.0, 3.0, 2.0]), seconds=0.5)
    row = Told().row("loaded", done, {"broker": 2.0, "op0": 1.0}, at_once=16)
    assert (row["per_s"], row["processor_ms_all"], row["steps_ms"]["quote"]["p50"]) == (6.0, 3.0, 2.0)
    found = spread(list(range(1, 201)))
    assert (found.p50, found.p95, found.p99) == (100.5, 190, 198)


def test_books_find_what_was_given_twice(tmp_path: Path) -> None:
    drawn = footprint(plans(3)[0], plans(3))
    resources = [str(one["id"]) for kind in ("links", "unis", "ennis") for one in drawn[kind]]  # type: ignore[attr-defined]
    assert set(resources) <= capacity(3).keys()
    claims = [
        Claim(id=name, links=("link-w0--e0",), ends=(("uni-w0", 7),), bandwidth_bps=60 * 10**9, start_s=0, end_s=9)
        for name in ("a", "b")
    ]
    store = tmp_path / "operator.sqlite"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.executescript("CREATE TABLE leases (body BLOB); CREATE TABLE claims (body BLOB)")
        connection.executemany("INSERT INTO claims VALUES (?)", [(msgspec.json.encode(one),) for one in claims])
    books = read_books([store], capacity(3))
    assert (books.claims, books.oversold, books.wrong_labels) == (2, 2, 0), "one label, and 120 of 100 Gb/s of a UNI"
