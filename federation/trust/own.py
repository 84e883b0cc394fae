"""A node's own entity configuration: signed by the node itself, signed again before half of its life is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from federation.trust.issue import DAY_S, entity_configuration
from federation.trust.keyset import KeySet
from schemas.entity import Metadata


class OwnConfiguration:
    """What this node says of itself; keys, metadata and marks are asked for at every signature, so they may change.

    `now` gives Unix seconds; `authorities` are the superiors that enrolled this node; `marks` are carried along.
    """

    def __init__(
        self,
        entity: str,
        keys: Callable[[], KeySet],
        metadata: Callable[[], Metadata],
        *,
        authorities: Sequence[str],
        now: Callable[[], int],
        marks: Callable[[], Sequence[str]] = tuple,
        life_s: int = DAY_S,
    ) -> None:
        self._entity, self._keys, self._metadata, self._marks = entity, keys, metadata, marks
        self._authorities, self._now, self._life_s = tuple(authorities), now, life_s
        self._signed: tuple[str, int] | None = None

    async def current(self) -> str:
        """The configuration to serve now."""
        now = self._now()
        if self._signed is None or now >= self._signed[1]:
            self._signed = (self._sign(now), now + self._life_s // 2)
        return self._signed[0]

    def changed(self) -> None:
        """Sign anew at the next question: a key, an endpoint or a mark is another one now."""
        self._signed = None

    def _sign(self, now: int) -> str:
        keys = self._keys()
        return entity_configuration(
            keys.signer,
            self._entity,
            self._metadata(),
            now=now,
            life_s=self._life_s,
            authorities=self._authorities,
            also=keys.public().keys,
            marks=self._marks(),
        )
