"""Whole nodes under a flood, and what they tell whoever is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from federation.anchor import anchor as daemon
from federation.anchor.books import Me
from federation.anchor.hatch import open_books
from federation.anchor.registrar import LIST, begin
from federation.node.limits import Rate
from federation.trust import cache
from federation.trust.jose import sign_jws
from federation.trust.keys import generate
from schemas.problem import Problem
from schemas.quote import Rfq
from tests.support.operator_world import NOW, OTHER, OperatorWorld, plan
from tests.support.seams import FixedClock

pytestmark = pytest.mark.asyncio
ANCHOR = "https://anchor.example"


async def test_an_anchor_answers_one_address_so_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "READERS", Rate(per_second=1, burst=3))
    clock = FixedClock()
    async with open_books(tmp_path) as database:
        await begin(database, Me(entity=ANCHOR, name="Anchor"), clock)
    async with daemon.anchor(tmp_path, "127.0.0.1", 0, clock) as running, aiohttp.ClientSession() as session:
        found = []
        for _ in range(5):
            async with session.get(f"http://127.0.0.1:{running.port}{LIST}") as response:
                found.append((response.status, response.headers.get("Retry-After")))
    assert found == [(200, None)] * 3 + [(429, "1")] * 2


async def test_members_without_number_make_nobody_forget_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SEEN_MAX", 100)
    seen, surf = cache.Seen(), ("https://anchor.example", "https://surf.example")
    for number in range(1000):
        seen.remember({("https://evil.example", f"https://n{number}.evil.example"): NOW})
        if number % 50 == 0:
            seen.remember({surf: NOW})  # as at every refresh
    with pytest.raises(Problem, match="rollback"):
        seen.check({surf: NOW - 1})


BENT: dict[str, dict[str, Any]] = {
    "for another": {"aud": "https://evil.example"},
    "by another": {"iss": OTHER},
    "too late": {"iat": NOW - 500, "exp": NOW - 450},
    "too early": {"iat": NOW + 100, "exp": NOW + 150},
    "too long": {"exp": NOW + 10_000},
}


async def test_an_operator_says_the_same_whichever_check_a_document_fails(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path / "operator").run() as world:
        broker, told = world.broker, []
        rfq = Rfq(**broker.party(), segment=plan())
        good = sign_jws(broker.key, rfq)
        bent = {name: sign_jws(broker.key, structs.replace(rfq, **how)) for name, how in BENT.items()}
        bent |= {"unsigned": good.rpartition(".")[0] + "." + "A" * 86, "by nobody": sign_jws(generate(), rfq)}
        bent |= {"no document": "a.b.c"}
        for token in bent.values():
            with pytest.raises(Problem) as caught:
                await broker.sonata.quote(token, rfq)
            told.append({key: value for key, value in caught.value.as_dict().items() if key != "ref"})
        assert told == [told[0]] * len(bent)
        record = (world.folder / "data" / "audit.jsonl").read_text()
    assert record.count('"why"') == len(bent)
    assert all(token.split(".")[2] not in record for token in bent.values() if len(token) > 100)
