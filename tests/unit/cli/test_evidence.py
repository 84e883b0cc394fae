"""`peerway evidence`: a file, or the same bytes on standard output; what is pending is waited for if asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.problem import Problem
from tests.support.face import World
from tests.unit.cli.test_commands import ASKED, Terminal

SHOWN = '{"city":"Zürich"}\n'
PENDING = Problem("UNAVAILABLE", "pending: checkpoint", extra={"pending": "checkpoint"})


@pytest_asyncio.fixture
async def peerway(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Terminal]:
    for name in ("PEERWAY_BROKER", "PEERWAY_KEY", "PEERWAY_DEBUG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    async with World() as world:
        yield Terminal(world, capsys)


async def ordered(peerway: Terminal) -> str:
    await peerway("quote", *ASKED)
    (quote,) = peerway.world.exchanges["alice"].quotes
    await peerway("order", quote)
    (order,) = peerway.world.exchanges["alice"].all_orders
    return order


@pytest.mark.asyncio
async def test_evidence_is_written_where_it_is_asked_for(peerway: Terminal, tmp_path: Path) -> None:
    order = await ordered(peerway)
    status, out, _ = await peerway("evidence", order)
    assert status == 0
    assert (tmp_path / f"{order}.evidence").read_bytes() == SHOWN.encode()
    assert f"Wrote {order}.evidence: 19 bytes for the profile buyer." in out
    assert f"peerway verify {order}.evidence --anchor ANCHORS --key BUYER=JWKS" in out
    assert (await peerway("evidence", order, "--profile", "regulator", "-o", "-"))[1] == SHOWN
    status, out, _ = await peerway("evidence", order, "--json", "-o", "told.evidence")
    assert (status, json.loads(out)["bundle"]) == (0, SHOWN)
    assert (tmp_path / "told.evidence").read_bytes() == SHOWN.encode()
    assert json.loads((await peerway("evidence", order, "--json"))[1])["order"] == order
    assert len(list(tmp_path.iterdir())) == 2, "in JSON it goes to standard output alone, if no file is named"
    status, _, err = await peerway("evidence", order, "-o", "nowhere/at-all")
    assert status == 2
    assert "cannot be written" in err


@pytest.mark.asyncio
async def test_what_is_no_order_has_no_evidence(peerway: Terminal) -> None:
    status, _, err = await peerway("evidence", "nothing")
    assert status == 4
    assert "order nothing" in err


@pytest.mark.asyncio
async def test_a_pending_checkpoint_is_waited_for(peerway: Terminal, tmp_path: Path) -> None:
    order = await ordered(peerway)
    peerway.world.exchanges["alice"].fail = PENDING
    assert (await peerway("evidence", order, "--wait", "30"))[0] == 0
    assert (tmp_path / f"{order}.evidence").exists()
