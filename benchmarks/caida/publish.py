"""From footprints to offer sheets by the operators' own code, and a cache of the pages on disk.

Footprint, network, catalog, pages: the steps of a daemon, without a daemon. What comes back is read from the pages
and their Merkle root as a broker reads them. The cache is keyed by the wish and by the code that it went through.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.caida.cards import Once, cards
from benchmarks.caida.draft import Wish, countries, footprints
from federation.broker.discovery.sheet import OperatorSheet, sheet_from_pages
from federation.trust.merkle import merkle_root
from operators.catalog.items import Renderer, everything, span
from operators.catalog.layout import lay_out
from operators.catalog.pages import pages
from operators.inventory.footprint import Footprint
from operators.inventory.ledger import Inventory
from operators.pricing.network import Network
from schemas.offer import Disclosure, Manifest

ROOT: Final = Path(__file__).resolve().parents[2]
OUT: Final = ROOT / "benchmarks" / "out"
THROUGH: Final = ("benchmarks/caida", "operators/catalog", "operators/inventory", "operators/pricing", "schemas")
NOW_S: Final = 1_798_761_600  # 2027-01-01T00:00:00Z
HORIZON_DAYS: Final = 90
GRANULARITY_BPS: Final = 10**9


class Published(Struct, frozen=True):
    """One operator's manifest claims and pages, and the countries that each of its route classes crosses."""

    manifest: Manifest
    pages: tuple[bytes, ...]
    crossed: dict[str, tuple[str, ...]]

    def sheet(self) -> OperatorSheet:
        """The sheet as a broker reads it."""
        return sheet_from_pages(self.manifest, self.pages, self.manifest.iss.removeprefix("https://"))


def published(wish: Wish, disclosure: Disclosure) -> dict[str, Published]:
    """What every operator of a wish publishes, by entity id; from the cache where it is there."""
    path = OUT / "caida" / f"{_key(wish, disclosure)}.msgpack"
    if path.exists():
        kept = msgspec.msgpack.decode(path.read_bytes(), type=list[Published])
    else:
        kept = publish(wish, disclosure)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.msgpack.encode(kept))
    return {one.manifest.iss: one for one in kept}


def publish(wish: Wish, disclosure: Disclosure, once: Once | None = None) -> list[Published]:
    """What every operator of a wish publishes, made anew."""
    return [_published(drawn, disclosure, wish.seed, once or Once()) for drawn in footprints(wish)]


def _published(drawn: Footprint, disclosure: Disclosure, seed: int, once: Once) -> Published:
    network = Network(drawn, cards(drawn, seed, once), "EUR", "UTC")
    renderer = Renderer(network, Inventory.of(drawn), span(NOW_S, HORIZON_DAYS), GRANULARITY_BPS)
    items = everything(network, lay_out(network, disclosure), renderer)
    paged = tuple(pages(items.values(), 1))
    manifest = Manifest(
        iss=drawn.entity,
        iat=NOW_S,
        exp=NOW_S + 3600,
        jti="benchmark",
        version=1,
        currency=network.currency,
        disclosure=disclosure,
        pages=len(paged),
        root=merkle_root(paged),
    )
    return Published(manifest, paged, _crossed(drawn, network))


def _crossed(drawn: Footprint, network: Network) -> dict[str, tuple[str, ...]]:
    present = set(countries(drawn).values())
    return {name: tuple(sorted(filter(rule.admits, present))) for name, rule in network.classes.items()}


def _key(wish: Wish, disclosure: Disclosure) -> str:
    digest = blake2b(msgspec.json.encode((wish, disclosure)), digest_size=8)
    for path in _sources():
        digest.update(path.read_bytes())
    return f"{disclosure}-{digest.hexdigest()}"


def _sources() -> Iterable[Path]:
    return sorted(path for folder in THROUGH for path in (ROOT / folder).rglob("*.py"))
