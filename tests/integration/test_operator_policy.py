"""A real operator with a policy of its own: whom it serves, what it tells the others, and what it writes down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from federation.node.audit import FILE, VEILED
from operators.access.selling import SAMPLE
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from tests.integration.test_membership import INTENT, offering, standing, until
from tests.integration.test_operator_plain import QUOTE, Plain, quote_of
from tests.support.operator_world import BROKER, HOUR, OTHER, Broker, OperatorWorld, plan
from tests.support.seams import NOW

pytestmark = pytest.mark.asyncio
AUDITOR, STRANGER = "https://auditor.example", "https://flatterer.example"
DUTCH = Attestation(legal_domicile=("NL",), controlling_parents=("NL",))
HERE = {"destinations": ("NL",)}


def guarded(folder: Path) -> OperatorWorld:
    """With the sample policy; an auditor attests the first broker, one whom nobody recognises the other."""
    world = OperatorWorld(folder)
    for auditor, broker in ((AUDITOR, BROKER), (STRANGER, OTHER)):
        world.domain.add_auditor(auditor, auditor, recognised=auditor == AUDITOR)
        world.domain.attest(auditor, broker, DUTCH)
    world.domain.write()
    (folder / "own.cedar").write_text(SAMPLE)
    path = folder / "operator.toml"
    path.write_text('policy = { file = "own.cedar" }\n' + path.read_text())
    return world


def reasons(folder: Path) -> list[str]:
    """What the operator wrote down for itself."""
    return [json.loads(line)["why"] for line in (folder / "data" / FILE).read_text().splitlines()]


async def turned_away(broker: Broker, **asked: object) -> Problem:
    with pytest.raises(Problem) as caught:
        await broker.ask(plan(), **asked)
    return caught.value


async def test_it_serves_whom_its_policy_permits_and_says_no_more_to_the_others(tmp_path: Path) -> None:
    async with guarded(tmp_path).run() as world:
        deal = await world.broker.lease(plan(), **HERE)
        assert deal.held.held
        told = [
            await turned_away(world.broker, data_class="EU-health", **HERE),
            await turned_away(world.broker, destinations=("NL", "RU")),
            await turned_away(world.broker),
            await turned_away(world.brokers[1], **HERE),
        ]
        assert {(one.code, one.detail) for one in told} == {("POLICY_DENIED", VEILED["POLICY_DENIED"])}
        written = reasons(tmp_path)
        assert len(written) == 4
        assert all(line.startswith("policy own: ") for line in written)
        assert len(world.running.desk.shop.inventory.claims()) == 1


async def test_an_extension_and_a_plain_buyer_are_asked_about_too(tmp_path: Path) -> None:
    async with guarded(tmp_path).run() as world:
        deal = await world.broker.lease(plan(), **HERE)
        longer = plan(start=NOW + HOUR)
        with pytest.raises(Problem) as caught:
            await world.broker.ask(longer, action="modify", product=deal.product, data_class="EU-health", **HERE)
        assert caught.value.code == "POLICY_DENIED"
        error = await Plain(world).post(QUOTE, quote_of(), status=403)
        assert error["reason"].startswith(VEILED["POLICY_DENIED"])


async def test_a_policy_that_cannot_be_used_keeps_it_from_starting(tmp_path: Path) -> None:
    world = guarded(tmp_path)
    (tmp_path / "own.cedar").write_text(SAMPLE.replace("principal has legal_domicile && ", ""))
    with pytest.raises(Problem) as caught:
        async with world.run():
            pass
    assert caught.value.field == f"policy.file: {tmp_path / 'own.cedar'}"
    assert "line 1" in caught.value.detail


async def test_the_policy_sees_what_is_attested_of_the_broker_over_the_network(tmp_path: Path) -> None:
    async with standing(tmp_path) as domain, domain.client() as client:
        own = domain.own("surf")
        (own / "own.cedar").write_text(SAMPLE)
        config = own / "operator.toml"
        config.write_text('policy = { file = "own.cedar" }\n' + config.read_text())
        await domain.start("surf")

        async def sold() -> bool:
            return bool(await offering(client)) and bool((await client.quote(INTENT)).id)

        await until(sold)
        with pytest.raises(Problem) as caught:
            await client.quote(structs.replace(INTENT, data_class="EU-health"))
        assert caught.value.code == "POLICY_DENIED"
        assert "own" not in caught.value.detail
        written = [json.loads(line) for line in (own / "data" / FILE).read_text().splitlines()]
        assert "policy own: policy own is not for data of this class" in {line["why"] for line in written}
