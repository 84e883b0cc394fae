"""`make bench-log`: what a log costs at a million leaves: adding documents, proofs, checking them, signing checkpoints.

The log is the real one, in SQLite on this disk, filled in large steps; the last documents are added as a sequencer
does. Per-call figures are processor time of the process, medians over the rounds, beside one bare ES256 verify of the
same run; adding is given in elapsed time too, commits to disk included. Writes benchmarks/out/log.json.

make bench-log
make bench-log ARGS="--leaves 100_000 --rounds 5"
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Final, NamedTuple

from benchmarks.caida.publish import OUT
from benchmarks.run import say, table, write
from benchmarks.trust import FLOOR, subjects, timed
from federation.evidence.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint, verify_inclusion
from federation.evidence.protocols import LEAVES_AT_ONCE
from federation.evidence.sqlite import TABLES, LogRows
from federation.evidence.tree import check_consistency
from federation.node.sqlite import Database
from federation.trust.jose import sha256_b64
from tests.support.logs import log_signer, witness_keys, witness_signer
from tests.support.seams import NOW

LOG: Final = OUT / "log.json"
OWNER: Final = "https://surf.example"
OTHERS: Final = ("https://dfn.example", "https://geant.example")
DOCUMENTS: Final = "CREATE TABLE documents (hash TEXT PRIMARY KEY);"
FILLED_AT_ONCE: Final = 20_000
TIMED: Final = 12_800
SAMPLE: Final = 200
INCLUSION, CONSISTENCY = "inclusion proof", "consistency proof"


class Grown(NamedTuple):
    """A log of so many leaves, and what its last steps took: microseconds per leaf, elapsed and of the processor."""

    rows: LogRows
    size: int
    elapsed_us: float
    cpu_us: float
    step_ms: float
    early: tuple[int, bytes]  # size and root when a part of it was there


async def grown(database: Database, leaves: int, rng: random.Random) -> Grown:
    """A log that was filled in large steps; its last documents are taken as the sequencer takes them, and timed."""
    rows, early, timed_last = LogRows(database), (0, b""), min(TIMED, leaves // 3)
    filled = leaves - timed_last
    for first in range(0, filled, FILLED_AT_ONCE):
        await taken(database, rows, min(FILLED_AT_ONCE, filled - first), FILLED_AT_ONCE, rng)
        early = early if early[0] else await rows.tree()
    began = process_time()
    steps = await taken(database, rows, timed_last, LEAVES_AT_ONCE, rng)
    cpu = process_time() - began
    elapsed_us, cpu_us = (seconds / timed_last * 1e6 for seconds in (sum(steps), cpu))
    return Grown(rows, leaves, elapsed_us, cpu_us, median(steps) * 1e3, early)


async def taken(database: Database, rows: LogRows, count: int, at_once: int, rng: random.Random) -> list[float]:
    """File so many documents, and take them into the tree; how long each step took, in seconds."""
    names = [(sha256_b64(rng.randbytes(16)),) for _ in range(count)]
    await database.write(lambda connection: filed(connection, names))
    steps, more = [], 1
    while more:
        began = perf_counter()
        more = await rows.take(at_once)
        steps.append(perf_counter() - began)
    return steps[:-1]  # the last one found nothing


def filed(connection: sqlite3.Connection, names: Sequence[tuple[str]]) -> None:
    """Documents by hash."""
    connection.executemany("INSERT INTO documents (hash) VALUES (?)", names)


async def per_call(ask: Callable[[], Awaitable[object]], rounds: int) -> float:
    """Microseconds of the processor per call."""
    spent = []
    for _ in range(rounds):
        began = process_time()
        for _ in range(SAMPLE):
            await ask()
        spent.append((process_time() - began) / SAMPLE)
    return median(spent) * 1e6


async def reading(database: Database, log: Grown, rounds: int, rng: random.Random) -> dict[str, float]:
    """Proofs from the store, each of another leaf or size."""
    query = "SELECT hash FROM log_leaves ORDER BY hash LIMIT 20000"
    names = [row["hash"] for row in await database.read(lambda c: c.execute(query).fetchall())]
    return {
        INCLUSION: await per_call(lambda: log.rows.inclusions([rng.choice(names)], log.size), rounds),
        CONSISTENCY: await per_call(lambda: log.rows.consistency(rng.randrange(1, log.size), log.size), rounds),
    }


async def checking(database: Database, log: Grown) -> dict[str, Callable[[], object]]:
    """What a verifier and a witness do, and signing."""
    row = await database.read(lambda c: c.execute("SELECT hash FROM log_leaves LIMIT 1").fetchone())
    size, root = await log.rows.tree()
    found = await log.rows.inclusions([row["hash"]], size)
    assert found is not None
    checkpoint, signer = Checkpoint("surf.example", size, root), log_signer(OWNER)
    witnesses = {entity: witness_signer(entity) for entity in OTHERS}
    note = sign_checkpoint(checkpoint, signer) + "".join(w.line(checkpoint.text, NOW) for w in witnesses.values())
    key, keys, one = str(signer.verifier), witness_keys(witnesses), witnesses[OTHERS[0]]
    old, before = log.early
    proof = await log.rows.consistency(old, size)
    return {
        "inclusion, checked": lambda: verify_inclusion(row["hash"], found[row["hash"]], checkpoint),
        "consistency, checked": lambda: check_consistency(old, before, size, root, proof),
        "checkpoint of a log and two witnesses, verified": lambda: verify_checkpoint(note, OWNER, key, keys),
        "checkpoint, signing": lambda: sign_checkpoint(checkpoint, signer),
        "cosignature, signing": lambda: one.line(checkpoint.text, NOW),
    }


async def measured(leaves: int, rounds: int) -> dict[str, Any]:
    """All of it, told to a person on the way."""
    rng = random.Random(9162)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.sqlite"
        async with Database(path, (DOCUMENTS, TABLES)) as database:
            log = await grown(database, leaves, rng)
            say(f"{leaves:,} leaves: {log.elapsed_us:.1f} us each, {log.cpu_us:.1f} us of the processor")
            us = await reading(database, log, rounds, rng)
            works = {FLOOR: subjects()[FLOOR]} | await checking(database, log)
            us = timed(works, rounds, 0.04, process_time) | us
            pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            (size_bytes,) = await database.read(lambda connection: connection.execute(pages).fetchone())
    rows = [("operation", "us", "/ bare verify")]
    table(f"At {leaves:,} leaves", [*rows, *((n, f"{v:.1f}", f"{v / us[FLOOR]:.3g}") for n, v in us.items())])
    return {
        "figures": figures(us, log),
        "leaves": leaves,
        "step_ms": {"leaves": LEAVES_AT_ONCE, "median": round(log.step_ms, 2)},
        "us": {name: round(value, 2) for name, value in us.items()},
        "bytes_per_leaf": round(size_bytes / leaves),
    }


def figures(us: Mapping[str, float], log: Grown) -> dict[str, dict[str, Any]]:
    """What adding a leaf and a proof from the store cost, in bare verifies; none has a bar."""
    found = {
        "log_append_vs_verify": log.cpu_us / us[FLOOR],
        "log_append_elapsed_vs_verify": log.elapsed_us / us[FLOOR],
        "log_inclusion_vs_verify": us[INCLUSION] / us[FLOOR],
        "log_consistency_vs_verify": us[CONSISTENCY] / us[FLOOR],
    }
    return {name: {"value": value, "unit": "ratio", "bar": None, "ok": True} for name, value in found.items()}


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(prog="make bench-log ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--leaves", type=int, default=1_000_000, help="how many documents the log has")
    parser.add_argument("--rounds", type=int, default=9, help="times that every operation has its turn")
    options = parser.parse_args(arguments)
    write(LOG, asyncio.run(measured(options.leaves, options.rounds)))


if __name__ == "__main__":
    main(sys.argv[1:])
