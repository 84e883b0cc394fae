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
from benchmarks.ours import BEST, ENGINES
from benchmarks.run import Run
from benchmarks.timing import CLOCKS

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
    parser = argparse.ArgumentParser(prog="make bench-paths ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--graphs", nargs="*", choices=GRAPHS, default=list(GRAPHS))
    parser.add_argument("--questions", type=int, default=60, help="per graph and family")
    parser.add_argument("--rounds", type=int, default=3, help="times that each question is asked")
    parser.add_argument("--engine", choices=list(ENGINES), default=BEST)
    parser.add_argument("--milp", type=int, default=20, help="questions for HiGHS")
    parser.add_argument("--clock", choices=list(CLOCKS), default="cpu", help="processor time of this process, or all")
    parser.add_argument("--largest", action=argparse.BooleanOptionalAction, help="the graph of 5M arcs, about 6 GB")
    found = parser.parse_args(arguments)
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
