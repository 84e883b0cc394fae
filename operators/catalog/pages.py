"""Items cut into pages and delta batches, each within its size cap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from schemas.offer import PAGE_BYTES_MAX, Item
from schemas.token import TYP_OF, TYPES

PAGE_FRAME_BYTES: Final = 128  # {"version":…,"page":…,"items":[…]}
DELTA_FRAME_BYTES: Final = 1024  # the other claims, the header and the signature
B64_BYTES, PLAIN_BYTES = 4, 3  # base64url makes four characters of three bytes


def pages(items: Iterable[Item], version: int) -> list[bytes]:
    """The pages of a sheet as the JSON of `schemas.offer.Page`."""
    return [
        msgspec.json.encode({"version": version, "page": number, "items": [msgspec.Raw(item) for item in page]})
        for number, page in enumerate(_packed(map(msgspec.json.encode, items), PAGE_BYTES_MAX - PAGE_FRAME_BYTES))
    ]


def batches(items: Sequence[Item], token_bytes_max: int) -> Iterator[tuple[Item, ...]]:
    """Items in batches that fit into one delta JWS each."""
    room = (token_bytes_max - DELTA_FRAME_BYTES) * PLAIN_BYTES // B64_BYTES
    rest = iter(items)
    for batch in _packed(map(msgspec.json.encode, items), room):
        yield tuple(next(rest) for _ in batch)


def delta_bytes_max(delta: type[msgspec.Struct]) -> int:
    """The size cap of a document type."""
    return TYPES[TYP_OF[delta]].bytes_max


def _packed(encoded: Iterable[bytes], bytes_max: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for item in encoded:
        assert len(item) < bytes_max, "an item fits into a page"
        if batch and size + len(item) + 1 > bytes_max:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item) + 1
    if batch:
        yield batch
