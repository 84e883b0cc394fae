"""Evidence of what real daemons did: gathered by the broker, believed by somebody who has the anchor's keys alone."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from federation.cli.demo.stage import BUYER_FOLDER, TRUST
from federation.client.broker import BrokerClient
from federation.client.lease import resized
from federation.evidence.verify.report import Report
from federation.evidence.verify.verify import verify
from federation.node.seams import SystemClock
from federation.trust.domain import read_anchors
from federation.trust.jose import claimed_typ, unverified
from schemas.entity import Jwks
from schemas.evidence import Profile
from schemas.lease import State
from schemas.order import Receipt
from schemas.problem import Problem
from schemas.request import Extension, Resize, Way
from tests.evidence.mutants import mutants
from tests.integration.test_log import trading
from tests.integration.test_membership import INTENT, Domain, until

SEED, TRIED = 5, 30


def looked_at(domain: Domain, data: bytes) -> Report:
    folder = domain.stage.folder
    buyer = msgspec.json.decode((folder / BUYER_FOLDER / "buyer.jwks").read_bytes(), type=Jwks)
    anchors = read_anchors(folder / TRUST / "anchors.json")
    return verify(data, anchors, SystemClock().now(), {"https://buyer.example": buyer})


async def evidence(client: BrokerClient, order: str, profile: Profile) -> bytes:
    """Once the checkpoint is there."""
    found: list[bytes] = []

    async def there() -> bool:
        try:
            found.append((await client.evidence(order, profile)).bundle.encode())
        except Problem as problem:
            if problem.extra.get("pending") not in {"order", "checkpoint", "extension"}:
                raise
        return bool(found)

    await until(there)
    return found[0]


async def bought(client: BrokerClient) -> str:
    order = await client.order((await client.quote(INTENT)).id)
    assert (await client.get_order(order.id, wait_s=20)).state is State.ACTIVE
    return order.id


@pytest.mark.asyncio
async def test_what_was_bought_is_proved_to_a_stranger(tmp_path: Path) -> None:
    async with trading(tmp_path) as domain, domain.client() as client:
        with pytest.raises(Problem, match="order"):
            await client.evidence("nothing-of-mine")
        order = await bought(client)
        for profile in Profile:
            report = looked_at(domain, await evidence(client, order, profile))
            assert report.ok, [one for one in report.checks if not one.ok]
        await client.extend(order, Extension(by_s=600))
        await client.get_order(order, wait_s=20)
        less = await resized(client, order, Resize(bandwidth_bps=INTENT.bandwidth_bps // 2, way=Way.IN_PLACE))
        assert less.order.bandwidth_bps == INTENT.bandwidth_bps // 2
        await client.release(order)
        assert (await client.get_order(order, wait_s=20)).state is State.RELEASED
        other = await bought(client)
        for profile in Profile:
            data = await evidence(client, order, profile)
            report = looked_at(domain, data)
            assert report.ok, [one for one in report.checks if not one.ok]
            check_mutants(domain, data, await evidence(client, other, profile))
        lost = lose_a_receipt(domain, other)
        signed = as_an_operator_keeps(domain, lost, "A" * 86)
        with pytest.raises(Problem, match="signature"):
            await evidence(client, other, Profile.BUYER)
        as_an_operator_keeps(domain, lost, signed)
        assert looked_at(domain, await evidence(client, other, Profile.BUYER)).ok, "nothing wrong was filed"


def check_mutants(domain: Domain, data: bytes, other: bytes) -> None:
    """As in tests/evidence, of a bundle that daemons made; with more witnesses than are needed, one may go."""
    every = list(mutants(data, other))
    for one in random.Random(SEED).sample(every, min(TRIED, len(every))):
        failed = set(looked_at(domain, one.data).failed())
        assert failed & one.ought, f"{one.name}: {sorted(failed)} refuse it, and {sorted(one.ought)} ought to"


def lose_a_receipt(domain: Domain, order: str) -> str:
    """As if an answer of an operator had never arrived: it is asked for again. Returns its hash."""
    with closing(sqlite3.connect(domain.stage.folder / "broker" / "data" / "broker.sqlite3", timeout=30)) as store:
        rows = store.execute("SELECT hash, document FROM documents").fetchall()
        receipts = {name: unverified(token, Receipt) for name, token in rows if claimed_typ(token) == "receipt+jwt"}
        product = store.execute("SELECT product FROM products WHERE order_id = ?", (order,)).fetchone()[0]
        (lost,) = [name for name, one in receipts.items() if one.product == product and one.state is State.UP]
        assert store.execute("DELETE FROM documents WHERE hash = ?", (lost,)).rowcount == 1
        store.commit()
        return str(lost)


def as_an_operator_keeps(domain: Domain, name: str, signature: str) -> str:
    """Have the operator that keeps a document keep it with this signature; returns the one it had."""
    for path in sorted((domain.stage.folder / "operators").glob("*/data/operator.sqlite")):
        with closing(sqlite3.connect(path, timeout=30)) as store:
            row = store.execute("SELECT token FROM documents WHERE hash = ?", (name,)).fetchone()
            if row is not None:
                signing_input, _, before = str(row[0]).rpartition(".")
                kept = (f"{signing_input}.{signature}", name)
                assert store.execute("UPDATE documents SET token = ? WHERE hash = ?", kept).rowcount == 1
                store.commit()
                return before
    raise AssertionError("no operator keeps it")
