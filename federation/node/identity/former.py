"""The public keys that this node had, from when to when: what they signed can be verified long after they are gone."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, structs

from federation.node.seams import Clock
from federation.node.whole import write_whole
from federation.trust.history import KEYS_MAX
from schemas.entity import HistoricalKey, Jwk

log = logging.getLogger(__name__)
EVER: Final = 2**53 - 1


class _Row(Struct, frozen=True, kw_only=True):
    key: Jwk
    since: int
    until: int | None = None


class FormerKeys:
    """Kept in a file. A key becomes a former one when it is `follow`ed no more; the newest are remembered."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._rows: dict[str, _Row] = {}
        try:
            rows = msgspec.json.decode(path.read_bytes(), type=list[_Row])
            self._rows = {row.key.kid: row for row in rows}
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the former keys in %s are forgotten: %s", path, error)

    def follow(self, present: Iterable[Jwk]) -> None:
        """These are the keys that this node has now, whatever they are for."""
        now, rows = self._clock.now(), dict(self._rows)
        listed = {jwk.kid: jwk for jwk in present}
        for kid, jwk in listed.items():
            rows[kid] = _Row(key=jwk, since=rows[kid].since if kid in rows else now)
        for kid, row in self._rows.items():
            if kid not in listed and row.until is None:
                rows[kid] = structs.replace(row, until=now)
        if rows != self._rows:
            newest = sorted(rows.values(), key=lambda row: row.until or EVER)[-2 * KEYS_MAX :]
            self._rows = {row.key.kid: row for row in newest}
            self._keep()

    def rows(self) -> tuple[HistoricalKey, ...]:
        """Those that this node has no more (OpenID Federation 1.1, section 8.7)."""
        gone = sorted((row for row in self._rows.values() if row.until is not None), key=lambda row: row.until or 0)
        return tuple(
            HistoricalKey(kty=r.key.kty, crv=r.key.crv, x=r.key.x, y=r.key.y, kid=r.key.kid, iat=r.since, exp=r.until)
            for r in gone[-KEYS_MAX:]
            if r.until is not None
        )

    def _keep(self) -> None:
        try:
            write_whole(self._path, msgspec.json.encode(list(self._rows.values())))
        except OSError as error:
            log.warning("the former keys cannot be kept in %s: %s", self._path, error)
