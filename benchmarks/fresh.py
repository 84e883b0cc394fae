"""What only a new process can tell: how long until the first compiled answer, and how much memory a graph takes.

Run as `python -m benchmarks.fresh FORM ENGINE` with a question as JSON on standard input; prints one JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from benchmarks.caida.forms import federation
from benchmarks.question import Question, query


def look(form: str, engine: str, question: Question) -> list[Mapping[str, Any]]:
    """What a process without and one with a filled compile cache report."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        return [_asked(form, engine, question, environment) for _ in range(2)]


def _asked(form: str, engine: str, question: Question, environment: Mapping[str, str]) -> Mapping[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fresh", form, engine],
        input=msgspec.json.encode(question),
        env=dict(environment),
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        check=True,
    )
    told: Mapping[str, Any] = json.loads(done.stdout)
    return told


def _resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tell(form: str, name: str, question: Question) -> dict[str, Any]:
    world = federation(form)
    asked = query(question, world.outside_eu, 1)
    began, before = perf_counter(), _resident()
    from benchmarks.ours import ENGINES

    imported, had = perf_counter(), _resident()
    engine = ENGINES[name](world.sheets)
    built, holds = perf_counter(), _resident()
    engine.solve(asked)
    first = perf_counter()
    engine.forget()
    again = perf_counter()
    engine.solve(asked)
    return {
        "import_s": imported - began,
        "import_bytes": had - before,
        "build_s": built - imported,
        "first_s": first - built,
        "second_s": perf_counter() - again,
        "build_bytes": holds - had,
        "search_bytes": _resident() - holds,
        "held_bytes": engine.bytes_held(),
        "compiled": engine.compiled,
    }


if __name__ == "__main__":
    print(json.dumps(_tell(sys.argv[1], sys.argv[2], msgspec.json.decode(sys.stdin.buffer.read(), type=Question))))
