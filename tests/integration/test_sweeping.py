"""Sweeping between real daemons: a broker whose journal lost an order finds what is left of it, and ends it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from federation.broker.api.hatch import Audit, hand_in
from federation.cli.main import run
from federation.client.lease import active
from schemas.intent import Intent
from tests.support.federation import ENDS, GBPS, tiny_federation

INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, duration_s=600)
NOTHING: dict[str, dict[str, str]] = {"north": {}, "middle": {}, "south": {}}


def forget(store: Path, order_id: str) -> None:
    """The journal of a broker that does not run loses an order."""
    with closing(sqlite3.connect(store)) as database:
        for table, column in (("uses", "order_id"), ("products", "order_id"), ("orders", "id")):
            database.execute(f"DELETE FROM {table} WHERE {column} = ?", (order_id,))
        database.commit()


@pytest.mark.asyncio
async def test_what_a_broker_lost_is_found_by_its_buyer_and_swept_by_its_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with tiny_federation(tmp_path) as federation:
        data, config = tmp_path / "broker" / "data", tmp_path / "broker" / "config.toml"
        async with federation.client() as alice:
            order = await active(alice, await alice.order((await alice.quote(INTENT)).id))
            kept = await active(alice, await alice.order((await alice.quote(INTENT)).id))
            seen = await alice.audit()
            assert (seen.clean, [one.leases for one in seen.operators]) == (True, [2, 2, 2])
            federation.kill("broker")
            forget(data / "broker.sqlite3", order.id)
            await federation.start("broker")

            seen = await alice.audit()
            assert {(one.kind, one.order, str(one.state)) for one in seen.findings} == {("lease", None, "ACTIVE")}
            assert {one.what for one in seen.findings} == {lease.product for lease in order.segments}
            assert not seen.clean
        async with federation.client("bob") as bob:
            assert (await bob.audit()).clean
        command = ["broker", "audit", "--config", str(config)]
        assert await asyncio.to_thread(run, command) == 1
        assert "3 found" in capsys.readouterr().out
        assert len((await hand_in(data, Audit(sweep=True))).findings) == 3
        assert await asyncio.to_thread(run, command) == 0
        left = {name: set(products) for name, products in (await federation.products()).items()}
        assert left == {one.operator_name.lower(): {one.product} for one in kept.segments}

        federation.kill("south")
        async with federation.client() as alice:
            seen = await alice.audit()
            assert [one.operator_name for one in seen.operators if not one.reached] == ["South"]
            assert not seen.clean
        assert await asyncio.to_thread(run, command) == 5
