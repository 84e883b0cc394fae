"""What a person reads after footprints were drafted: a small table, what is known and what is made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from operators.inventory.footprint import Footprint

Row = tuple[str, ...]
NOUNS: Final = ("PoPs", "links", "UNIs", "ENNIs")


def of_one(footprint: Footprint, peers: Sequence[str]) -> str:
    """PoPs, links, UNIs, and the ENNIs per peer (by entity id, none included) of one operator."""
    met = Counter(enni.peer_entity for enni in footprint.ennis)
    lines = [f"{footprint.entity} from {footprint.source}: {_named(_counts(footprint))}"]
    lines += _table([("ENNIs", "peer"), *((str(met[peer]), peer) for peer in peers)]) if peers else []
    return "\n".join([*lines, *_origin([footprint])])


def of_all(footprints: Sequence[Footprint]) -> str:
    """A row per operator, then the totals of the federation."""
    rows: list[Row] = [("operator", "source", *NOUNS, "peers")]
    rows += [_row(footprint) for footprint in footprints]
    sums = [sum(column) for column in zip(*map(_counts, footprints), strict=True)]
    interconnects = sums.pop() // 2
    total = f"{len(footprints)} operators, {_named(sums)}, {interconnects} interconnects"
    return "\n".join([*_table(rows), total, *_origin(footprints)])


def _counts(footprint: Footprint) -> list[int]:
    return [len(footprint.pops), len(footprint.links), len(footprint.unis), len(footprint.ennis)]


def _named(counts: Sequence[int]) -> str:
    return ", ".join(f"{count} {noun}" for count, noun in zip(counts, NOUNS, strict=False))


def _row(footprint: Footprint) -> Row:
    peers = len({enni.peer_entity for enni in footprint.ennis})
    return (footprint.entity, footprint.source, *map(str, [*_counts(footprint), peers]))


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Columns wide enough for their cells, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (_cell(cell, width) for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join(cells).rstrip()


def _cell(text: str, width: int) -> str:
    return text.rjust(width) if text[:1].isdigit() else text.ljust(width)


def _origin(footprints: Sequence[Footprint]) -> Iterator[str]:
    for sentence in dict.fromkeys(footprint.measured for footprint in footprints):
        yield f"measured: {sentence}"
    for sentence in dict.fromkeys(footprint.invented for footprint in footprints):
        yield f"invented: {sentence}"
