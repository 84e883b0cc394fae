from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from federation.anchor.findings import unknown
from federation.anchor.hatch import Show, order_at
from federation.anchor.throwaway import ANCHOR
from federation.broker.authority.buyers import Buyers
from federation.broker.config import load_config as load_broker
from federation.cli.demo.cast import (
    AUDITOR,
    BROKER,
    CAPABILITIES,
    CAST,
    Performer,
    attestation,
    broker_attestation,
    capabilities,
    class_countries,
    crowd_member,
)
from federation.cli.demo.ports import PortReserve
from federation.cli.demo.processes import Processes
from federation.cli.demo.stage import build
from federation.tokens.mandate import verify_mandate
from federation.trust.jose import unverified
from operators.config import load_config as load_operator
from operators.inventory.footprint import load as load_footprint
from schemas.entity import TrustMark
from schemas.jurisdiction import GROUPS
from schemas.problem import Problem
from tests.support.seams import FixedClock

THREE = tuple(one for one in CAST if one.host in {"surf", "vodafone", "switch"})


@pytest.mark.asyncio
async def test_the_stage_is_set_so_that_both_daemons_read_their_configuration(tmp_path: Path) -> None:
    clock = FixedClock()
    with PortReserve() as ports:
        stage = await build(tmp_path, (*THREE, crowd_member(1136)), ports, clock)
    assert [player.performer.host for player in stage.players] == ["surf", "vodafone", "switch", "as1136"]
    for player in stage.players:
        config = load_operator(player.config)
        footprint = load_footprint(Path(config.footprint).read_bytes(), "footprint.json")
        assert (config.entity, footprint.entity) == (player.performer.entity,) * 2
        assert footprint.ennis
        assert config.route_classes[0].id == "any"
    broker = load_broker(stage.broker_config)
    assert broker.operators == (), "every member that is an operator is dealt with"
    assert len(broker.trust.egress.literals) == 2 * len(stage.players)
    assert stage.broker == f"http://127.0.0.1:{broker.listen.http_port}"
    (buyer,) = broker.buyers
    assert buyer.key_sha256 is None, "nobody has a bearer key"
    assert verify_mandate(stage.given.agent.mandate, Buyers([buyer], broker.rates.table()).keys_of, broker=BROKER,
                          now=clock.now()).claims.cnf.jkt == stage.given.agent.key.kid  # fmt: skip
    assert broker.trust.domain is None, "nothing is read but what members and the anchor serve"
    enrolled = (await order_at(stage.superiors[0], Show(), clock))["members"]
    marked = (await order_at(stage.superiors[1], Show(), clock))["marks"]
    players = {player.performer.entity for player in stage.players}
    assert {member["entity"] for member in enrolled} == players | {BROKER, AUDITOR}
    assert {mark["subject"] for mark in marked} == {BROKER, *(one.entity for one in THREE)}
    (arranges,) = (unverified(path.read_text(), TrustMark) for path in Path(broker.trust.marks or "").glob("*.jwt"))
    assert arranges.attest == broker_attestation()
    assert unknown(arranges.attest) == ("classes",), "of whoever arranges, everything else is told"
    for player in stage.players:
        own = load_operator(player.config)
        carried = [unverified(path.read_text(), TrustMark) for path in Path(own.trust.marks or "").glob("*.jwt")]
        assert [mark.attest.controlling_parents for mark in carried] == [
            (p.parent,) for p in THREE if p == player.performer
        ]
        assert all(unknown(mark.attest) == () and mark.attest.sites for mark in carried)
        assert own.trust.egress.places.keys() == players | {ANCHOR, AUDITOR, BROKER}, "to ask for their signatures"
        assert own.keys.federation != own.keys.private
    ports_used = [load_operator(p.config).listen.http_port for p in stage.players]
    assert len({*ports_used, broker.listen.http_port, broker.listen.mcp_port}) == 6


def test_a_held_port_can_be_taken_over_and_is_given_to_nobody_else() -> None:
    with PortReserve() as ports:
        taken = {ports.take() for _ in range(50)}
        assert len(taken) == 50
        with socket.create_server(("127.0.0.1", min(taken))) as server:
            assert server.getsockname()[1] == min(taken)


def test_the_cast_is_fifteen_networks_of_which_two_are_controlled_from_outside() -> None:
    inside = GROUPS["EEA"] | {"CH"}
    assert len({one.asn for one in CAST}) == len({one.entity for one in CAST}) == 15
    cheap = sorted(CAST, key=lambda one: one.km)[:2]
    assert {one.name for one in cheap} == {"Vodafone DE", "Liberty"}
    assert all(one.parent not in inside for one in cheap), "the cheapest path must fail the policy of step 2"


def test_route_classes_and_attestations_follow_the_footprint() -> None:
    geant = next(one for one in CAST if one.host == "geant")
    crossed = ["NL", "DE", "GB", "CH", "UA"]
    assert class_countries(geant, crossed) == {"any": None, "eu": ("DE", "NL"), "domestic": ("NL",)}
    facts = attestation(geant, crossed)
    assert facts.classes["any"].countries == ("CH", "DE", "GB", "NL", "UA")
    assert facts.classes["eu"].countries == ("DE", "NL")
    assert (facts.classes["any"].sea, facts.classes["eu"].sea) == (True, False), "an island is reached through the sea"
    assert [one.country for one in facts.classes["any"].landings or ()] == ["GB"]
    switch = next(one for one in CAST if one.host == "switch")
    assert set(class_countries(switch, ["CH"])) == {"any", "domestic"}
    assert set(class_countries(crowd_member(701), ["US"])) == {"any"}


@pytest.mark.asyncio
async def test_a_process_that_ends_early_is_explained_and_all_are_ended(tmp_path: Path) -> None:
    async with Processes(tmp_path) as processes:
        patient = processes.start("patient", [sys.executable, "-c", "import time; time.sleep(600)"])
        hasty = processes.start("hasty", [sys.executable, "-c", "import sys; sys.exit('no such file: footprint.json')"])
        with pytest.raises(Problem, match=r"hasty ended before it was ready.*footprint\.json"):
            await processes.ready(hasty)
        waiting = patient.process
        assert waiting.poll() is None
    assert waiting.poll() is not None


@pytest.mark.asyncio
async def test_ready_lines_are_read_from_a_process(tmp_path: Path) -> None:
    lines = [json.dumps({"ready": f"https://as{n}.example", "offers": n}) for n in (1, 2)]
    code = f"import time; print({lines[0]!r}, flush=True); print({lines[1]!r}, flush=True); time.sleep(600)"
    async with Processes(tmp_path) as processes:
        node = processes.start("two", [sys.executable, "-c", code])
        await processes.ready(node, 2)
        assert [line["offers"] for line in node.ready] == [1, 2]
        assert node.memory_kib > 0


def test_nobody_of_the_crowd_is_priced_below_nothing() -> None:
    members: list[Performer] = [crowd_member(asn) for asn in (1, 701, 3356, 64512, 4_200_000_000)]
    assert all(one.km > 0 and one.gbps > 0 for one in members)


def test_some_unis_lead_somewhere_and_to_no_cloud_that_exists() -> None:
    drawn = [capabilities(f"https://surf.example uni-{number}") for number in range(400)]
    assert {name for names in drawn for name in names} == set(CAPABILITIES)
    assert 100 < sum(not names for names in drawn) < 350
    assert drawn == [capabilities(f"https://surf.example uni-{number}") for number in range(400)]
