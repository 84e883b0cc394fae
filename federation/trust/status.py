"""Status lists: which marks an issuer has taken back (Token Status List, `statuslist+jwt`, one bit per mark)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Final

from federation.trust.jose import verify_jws
from federation.trust.keys import PublicKey, b64url, b64url_decode
from schemas.entity import StatusBits, StatusIndex, StatusList
from schemas.problem import Problem

LIST_BYTES_MAX: Final = 64 * 1024  # 524,288 marks, once decompressed
INDEX_MAX: Final = LIST_BYTES_MAX * 8 - 1


def verify_status(token: str, index: StatusIndex, issuer: str, keys: Mapping[str, PublicKey], now: int) -> StatusList:
    """The list, once it says that the mark at `index` is not revoked. Raises `DOCUMENT_INVALID` otherwise."""
    found = verify_jws(token, StatusList, keys, now=now, iss=issuer)
    if found.sub != index.uri:
        raise Problem("DOCUMENT_INVALID", "the status list is another than the mark names", field="status.uri")
    if is_set(found.status_list, index.idx):
        raise Problem("DOCUMENT_INVALID", "the mark is revoked", field="status.idx")
    return found


def is_set(bits: StatusBits, index: int) -> bool:
    """Whether entry `index` is set. Raises `DOCUMENT_INVALID` for a list that is broken, too large or too short."""
    if bits.bits != 1:
        raise Problem("DOCUMENT_INVALID", "one bit per mark is the only form spoken here", field="status_list.bits")
    data = _decompress(bits.lst)
    if index >= len(data) * 8:
        raise Problem("DOCUMENT_INVALID", "the status list is shorter than the mark's index", field="status.idx")
    return bool(data[index // 8] >> (index % 8) & 1)


def status_bits(revoked: Iterable[int], size: int) -> StatusBits:
    """The list of `size` entries in which those of `revoked` are set."""
    data = bytearray(max(1, -(-size // 8)))
    for index in revoked:
        data[index // 8] |= 1 << index % 8
    return StatusBits(bits=1, lst=b64url(zlib.compress(bytes(data), 9)))


def _decompress(text: str) -> bytes:
    try:
        stream = zlib.decompressobj()
        data = stream.decompress(b64url_decode(text), LIST_BYTES_MAX + 1)
    except (ValueError, zlib.error) as error:
        raise Problem("DOCUMENT_INVALID", "no compressed list", field="status_list.lst") from error
    if len(data) > LIST_BYTES_MAX:
        raise Problem("DOCUMENT_INVALID", f"larger than {LIST_BYTES_MAX} bytes", field="status_list.lst")
    if not stream.eof or stream.unused_data:
        raise Problem("DOCUMENT_INVALID", "the list is cut short or followed by something", field="status_list.lst")
    return data
