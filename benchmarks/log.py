"""`make bench-log`: what a log costs at a million leaves: adding documents, proofs, checking them, signing checkpoints.

The log is the real one, in SQLite on this disk. Per-call figures are processor time of the process, medians over the
rounds, beside one bare ES256 verify of the same run; adding is given in elapsed time too, commits to disk included.
Writes benchmarks/out/log.json.

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
from typing import Final, NamedTuple

from benchmarks.caida.publish import OUT
from benchmarks.run import say, table, write
from benchmarks.trust import FLOOR, subjects, timed
from federation.evidence.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint, verify_inclusion
from federation.evidence.sqlite import LEAVES_AT_ONCE, TABLES, LogRows
from federation.evidence.tree import check_consistency
from federation.node.sqlite import Database
from federation.trust.jose import sha256_b64
from tests.support.logs import log_signer, witness_keys, witness_signer
from tests.support.seams import NOW

LOG: Final = OUT / "log.json"
OWNER: Final = "https://surf.example"
OTHERS: Final = ("https://dfn.example", "https://geant.example")
DOCUMENTS: Final = "CREATE TABLE documents (hash TEXT PRIMARY KEY);"
FILED_AT_ONCE: Final = 50_000
SAMPLE: Final = 200


class Grown(NamedTuple):
    """A log of so many leaves, and what it took to add them: microseconds per leaf, elapsed and of the processor."""

    rows: LogRows
    size: int
    elapsed_us: float
    cpu_us: float
    step_ms: float
    early: tuple[int, bytes]  # size and root when a part of it was there


async def grown(database: Database, leaves: int, rng: random.Random) -> Grown:
    """Documents are filed, then taken in steps as the sequencer takes them."""
    rows, elapsed, cpu, steps, early = LogRows(database), 0.0, 0.0, [], (0, b"")
    at_once = min(FILED_AT_ONCE, leaves // 3 + 1)
    for first in range(0, leaves, at_once):
        names = [(sha256_b64(rng.randbytes(16)),) for _ in range(min(at_once, leaves - first))]
        await database.write(lambda connection, names=names: filed(connection, names))  # type: ignore[misc]
        began, began_cpu, more = perf_counter(), process_time(), 1
        while more:
            step = perf_counter()
            more = await rows.take(LEAVES_AT_ONCE)
            steps.append(perf_counter() - step)
        elapsed, cpu = elapsed + perf_counter() - began, cpu + process_time() - began_cpu
        early = early if early[0] else await rows.tree()
    return Grown(rows, leaves, elapsed / leaves * 1e6, cpu / leaves * 1e6, median(steps) * 1e3, early)


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
        "inclusion proof": await per_call(lambda: log.rows.inclusions([rng.choice(names)], log.size), rounds),
        "consistency proof": await per_call(lambda: log.rows.consistency(rng.randrange(1, log.size), log.size), rounds),
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


async def measured(leaves: int, rounds: int) -> Mapping[str, object]:
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
        "leaves": leaves,
        "append_us": {"elapsed": round(log.elapsed_us, 2), "cpu": round(log.cpu_us, 2)},
        "step_ms": {"leaves": LEAVES_AT_ONCE, "median": round(log.step_ms, 2)},
        "us": {name: round(value, 2) for name, value in us.items()},
        "bytes_per_leaf": round(size_bytes / leaves),
    }


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(prog="make bench-log ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--leaves", type=int, default=1_000_000, help="how many documents the log has")
    parser.add_argument("--rounds", type=int, default=9, help="times that every operation has its turn")
    options = parser.parse_args(arguments)
    write(LOG, dict(asyncio.run(measured(options.leaves, options.rounds))))


if __name__ == "__main__":
    main(sys.argv[1:])
