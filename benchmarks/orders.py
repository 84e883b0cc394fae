"""`make bench-orders`: an order through broker and operators with everything on, beside the floor of the same stack.

Operators, broker and buyer are processes of their own: mutual TLS, tokens and proofs, signatures, policies, full sync.
The floor is a broker and operators of the same stack that verify a document, write it down in full sync and sign one
back. Wall time, so the machine should be idle; processor time per order stands beside it. Writes
benchmarks/out/orders.json; a complete run takes about eight minutes.

make bench-orders
make bench-orders ARGS="--short"
make bench-orders ARGS="--only loaded overload"
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

from benchmarks.caida.publish import OUT
from benchmarks.chain.loaded import bare, kept, loaded
from benchmarks.chain.overload import overload
from benchmarks.chain.told import Told
from benchmarks.chain.unloaded import unloaded
from benchmarks.run import say, table, write

ORDERS: Final = OUT / "orders.json"
PACKAGES: Final = ("aiohttp", "grpcio", "uvloop", "cryptography", "cedarpy", "msgspec")


class Sizes(NamedTuple):
    """How much of everything: leases of each length of chain, at each concurrency, in each of a pair, kept; seconds of
    too much."""

    unloaded: int = 250
    loaded: int = 480
    pair: int = 96
    keep: int = 600
    seconds: float = 10


FULL: Final = Sizes()
SHORT: Final = Sizes(unloaded=50, loaded=64, pair=32, keep=100, seconds=3)
Part = Callable[[Path, Told, Sizes], Awaitable[None]]
PARTS: Final[Mapping[str, Part]] = {
    "unloaded": lambda folder, told, sizes: unloaded(folder, told, sizes.unloaded),
    "loaded": lambda folder, told, sizes: loaded(folder, told, sizes.loaded),
    "bare": lambda folder, told, sizes: bare(folder, told, sizes.loaded),
    "kept": lambda folder, told, sizes: kept(folder, told, sizes.pair, sizes.keep),
    "overload": lambda folder, told, sizes: overload(folder, told, sizes.loaded // 2, sizes.seconds),
}


async def measured(parts: Sequence[str], sizes: Sizes, folder: Path, told: Told) -> None:
    """Every part in turn, each with processes of its own."""
    for name in parts:
        began = perf_counter()
        await PARTS[name](folder, told, sizes)
        say(f"  ({name}: {perf_counter() - began:.0f} s)")


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(prog="make bench-orders ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--short", action="store_true", help="a trial: the figures mean little")
    parser.add_argument("--folder", type=Path, help="where the stores lie: on the disk that is to be measured")
    options = parser.parse_args(arguments)
    told = Told()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        asyncio.run(measured(options.only, SHORT if options.short else FULL, Path(name), told))
    table("Figures", told.lines())
    versions = {"python": sys.version} | {package: version(package) for package in PACKAGES}
    write(ORDERS, {"figures": told.figures(), "short": options.short, "versions": versions, "rows": told.rows})


if __name__ == "__main__":
    main(sys.argv[1:])
