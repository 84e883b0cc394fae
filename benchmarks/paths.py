"""`make bench-paths`: ours and the peers on the same federations and questions, in turn; prints tables and figures.

make bench-paths                                     everything; the first time also makes and keeps the graphs
make bench-paths ARGS="--graphs abstract-100k --questions 20 --rounds 1"
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import Final

from benchmarks import constrained, shortest, upkeep
from benchmarks.run import Run, parser

GRAPHS: Final = ("abstract-40k", "abstract-100k", "mesh-440k", "abstract-500k")
SMALLEST, HUNDRED, LARGEST = GRAPHS[0], GRAPHS[1], "abstract-5m"


def graph(run: Run, name: str) -> None:
    """Everything that is measured on one graph of ordinary size."""
    subject = run.made(name)
    shortest.unlimited(run, subject, hundred=name == HUNDRED)
    gc.collect()
    shortest.filtered(run, subject)
    if name == SMALLEST:
        constrained.cspy(run, subject)
        constrained.highs(run, subject)
    if name == HUNDRED:
        upkeep.reprice(run, subject)
        upkeep.fresh_process(run, subject)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line asks for."""
    asks = parser("paths", __doc__, GRAPHS, rounds=3)
    asks.add_argument("--milp", type=int, default=20, help="questions for HiGHS")
    asks.add_argument("--largest", action=argparse.BooleanOptionalAction, help="the graph of 5M arcs, about 6 GB")
    found = asks.parse_args(arguments)
    if found.largest is None:
        found.largest = found.engine != "plain"
    return found


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    run = Run(options(arguments))
    for name in run.options.graphs:
        graph(run, name)
        gc.collect()
    if run.options.largest:
        shortest.largest(run, run.made(LARGEST))
    run.finish()


if __name__ == "__main__":
    main(sys.argv[1:])
