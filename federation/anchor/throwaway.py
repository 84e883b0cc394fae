"""A throwaway anchor with one auditor, for demos and tests: real books, written before anybody serves them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from federation.anchor.books import Enrolled, Me
from federation.anchor.hatch import open_books
from federation.anchor.registrar import MARK_LIFE_S_MAX, Registrar, anchors_file, begin
from federation.node.seams import Clock
from federation.trust.issue import jwks
from federation.trust.keys import PrivateKey
from schemas.entity import FACTS_MARK
from schemas.jurisdiction import Attestation

ANCHOR: Final = "https://anchor.example"
AUDITOR_TYPE: Final = "connectivity_auditor"


class ThrowawayAnchor:
    """Enrols members, and attests what an invented auditor says of them."""

    def __init__(self, anchor: Registrar, auditor: Registrar) -> None:
        self._anchor, self._auditor = anchor, auditor

    async def enrol(self, entity: str, entity_type: str, key: PrivateKey) -> None:
        """Vouch for a member with this federation key."""
        await self._anchor.enrol(Enrolled(entity=entity, jwks=jwks(key), types=(entity_type,)))

    async def attest(self, entity: str, facts: Attestation) -> str:
        """The auditor's mark, which the member carries along."""
        return (await self._auditor.mark(entity, FACTS_MARK, facts, MARK_LIFE_S_MAX // 3)).token


@asynccontextmanager
async def throwaway_anchor(
    folder: Path, auditor: str, clock: Clock, *, entity: str = ANCHOR
) -> AsyncIterator[ThrowawayAnchor]:
    """Begin the books `folder`/anchor and `folder`/auditor, and the file of anchors `folder`/anchors.json."""
    told = Me(entity=entity, name="Throwaway anchor")
    other = Me(entity=auditor, name="Invented auditor", superiors=(entity,), auditor=True)
    async with open_books(folder / "anchor") as books, open_books(folder / "auditor") as papers:
        await begin(books, told, clock)
        key = await begin(papers, other, clock)
        anchor = Registrar(books, told, clock)
        await anchor.enrol(Enrolled(entity=auditor, jwks=jwks(key), types=(AUDITOR_TYPE,)), [FACTS_MARK])
        believed = anchors_file(entity, await anchor.keys(), clock.now())
        (folder / "anchors.json").write_bytes(msgspec.json.encode(believed))
        yield ThrowawayAnchor(anchor, Registrar(papers, other, clock))
