"""Keys that a disk without room does not take: refused, and as if they had never come."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from federation.broker.quotes.protocols import Claim
from federation.broker.store.sqlite import SqliteStore, open_database
from schemas.problem import Problem

CLAIM = Claim(buyer="alice", key="k", digest="d" * 43)


@pytest.mark.asyncio
async def test_a_key_that_could_not_be_taken_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_database(tmp_path / "broker.sqlite3") as database:
        store = SqliteStore(database)
        with monkeypatch.context() as full:
            full.setattr("federation.node.sqlite.SOON_MAX", 0)
            with pytest.raises(Problem, match="cannot write for now"):
                await store.claim(CLAIM, 1)
        assert await store.claim(structs.replace(CLAIM, digest="e" * 43), 1) is None
