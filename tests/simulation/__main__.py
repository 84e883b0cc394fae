"""`make simulate SEEDS=10000`: so many runs of a whole federation; `SEED=123` plays that one again, with its story."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.simulation.world.plans import PLANS, planned
from tests.simulation.world.run import play

BATCH = 20
SHOWN_MAX = 20


class Batch(NamedTuple):
    """What came of some seeds: how many ran, what happened, which failed and how, processor seconds."""

    runs: int
    told: Counter[str]
    failed: list[tuple[int, str, str]]
    cpu_s: float


def main() -> int:
    """Play the seeds asked for; the exit status is 1 where a promise broke."""
    given = _arguments()
    logging.disable(logging.CRITICAL)  # the operators' and brokers' own words are of no use from a thousand runs
    chosen = [(given.seed, given.plan)] if given.seed is not None else list(planned(range(given.first, given.seeds)))
    todo = [chosen[at : at + BATCH] for at in range(0, len(chosen), BATCH)]
    begun, runs, told, failed, cpu_s = time.monotonic(), 0, Counter[str](), list[tuple[int, str, str]](), 0.0
    with ProcessPoolExecutor(given.processes) as pool:
        for done in pool.map(played, todo):
            runs, cpu_s = runs + done.runs, cpu_s + done.cpu_s
            told += done.told
            failed += done.failed
            for seed, plan, what in done.failed[: max(0, SHOWN_MAX - len(failed) + len(done.failed))]:
                print(f"make simulate SEED={seed} PLAN='{plan}': {what}", flush=True)
    print(f"{runs} runs in {time.monotonic() - begun:.0f} s, {1000 * cpu_s / max(1, runs):.0f} processor-ms each")
    print("\n".join(f"{count:>9}  {what}" for what, count in told.most_common()))
    print(f"{len(failed)} seeds failed" + "".join(f"\n  SEED={seed} PLAN='{plan}'" for seed, plan, _ in failed))
    return 1 if failed else 0


def played(seeds: Iterable[tuple[int, str]]) -> Batch:
    """Play some seeds, one after the other."""
    begun, runs, told, failed = time.process_time(), 0, Counter[str](), list[tuple[int, str, str]]()
    for seed, plan in seeds:
        runs += 1
        try:
            outcome = play(seed, PLANS[plan])
        except Exception as error:  # noqa: BLE001 - a run that ends so is a find like any other, and has to name its seed
            failed.append((seed, plan, f"ended by {error!r}"))
            continue
        told += outcome.told
        if outcome.broken:
            failed.append((seed, plan, "; ".join(outcome.broken)))
    return Batch(runs, told, failed, time.process_time() - begun)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="play all seeds below this one")
    parser.add_argument("--first", type=int, default=0, help="begin with this seed")
    parser.add_argument("--seed", type=int, help="play this seed alone")
    plan = functools.partial(parser.add_argument, choices=list(PLANS))
    plan("--plan", default="drawn", help="the kind of run of --seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
