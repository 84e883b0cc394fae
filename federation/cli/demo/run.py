"""The demo from an empty folder to an empty folder: build, start, play, report, end everything."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from federation.anchor.throwaway import ANCHOR as ANCHOR_ID
from federation.cli.demo.cast import AUDITOR, CAST
from federation.cli.demo.claims import DemoReport, NodeReport, Step
from federation.cli.demo.crowd import performers, search_largest, shares
from federation.cli.demo.ports import PortReserve
from federation.cli.demo.processes import ANCHOR, BROKER, OPERATOR, POLL_S, READY_S_MAX, Node, Processes
from federation.cli.demo.proof import FOLDER as EVIDENCE
from federation.cli.demo.report import INVENTED, MEASURED
from federation.cli.demo.scenario import Scenario
from federation.cli.demo.stage import TRUST, Player, Stage, build
from federation.client.broker import BrokerClient
from federation.node.seams import SystemClock

PREFIX: Final = "peerway-demo-"


class Audience(Protocol):
    """Who is told how the demo goes."""

    def say(self, what: str) -> None:
        """What is going on."""
        ...

    def tell(self, step: Step) -> None:
        """A step that is over."""
        ...


async def perform(audience: Audience, *, keep: bool, everyone: bool) -> DemoReport:
    """Run the demo. Whatever happens, nothing is left running or on disk, unless `keep` and every claim held."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    kept = False
    try:
        async with Processes(folder) as processes:
            report = await _play(audience, folder, processes, everyone=everyone, keep=keep)
            if kept := keep and report.ok:
                processes.keep()
            return report
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


async def _play(audience: Audience, folder: Path, processes: Processes, *, everyone: bool, keep: bool) -> DemoReport:
    begun = time.perf_counter()
    with PortReserve() as ports:
        cast = performers() if everyone else CAST
        audience.say(f"opening a throwaway anchor's books, and writing the footprints of {len(cast)} networks")
        stage = await build(folder, cast, ports, SystemClock())
        groups = shares(stage.players) if everyone else [(player,) for player in stage.players]
        await _start(audience, stage, groups, processes)
    start_s = time.perf_counter() - begun
    async with BrokerClient(stage.broker, stage.given.agent) as client:
        steps = await _steps(audience, client, stage, everyone=everyone)
        federation = await client.federation()
    ok = bool(steps) and all(step.held for step in steps)
    return DemoReport(
        ok=ok,
        steps=steps,
        federation=federation,
        processes=tuple(_node_report(node) for node in processes.nodes),
        measured=MEASURED,
        invented=INVENTED,
        start_s=round(start_s, 3),
        total_s=round(time.perf_counter() - begun, 3),
        addresses=_addresses(stage, processes) if keep and ok else {},
    )


async def _start(audience: Audience, stage: Stage, groups: Sequence[Sequence[Player]], processes: Processes) -> None:
    """Start the anchor, the broker and every operator at once; return when the broker knows all of them.

    Nobody waits for anybody: who does not answer yet is asked again.
    """
    audience.say(f"starting an anchor, a broker, and {len(stage.players)} operators in {len(groups)} processes")
    ports = [part for entity in (ANCHOR_ID, AUDITOR) for part in ("--port", str(stage.places.port(entity)))]
    nodes = [(processes.start("anchor", [*ANCHOR, *map(str, stage.superiors), *ports]), len(stage.superiors))]
    nodes.append((processes.start("broker", [*BROKER, "--config", str(stage.broker_config)]), 1))
    for group in groups:
        name = group[0].performer.host if len(group) == 1 else f"operators-{len(nodes) - 1}"
        configs = [part for player in group for part in ("--config", str(player.config))]
        nodes.append((processes.start(name, [*OPERATOR, *configs]), len(group)))
    await asyncio.gather(*(processes.ready(node, count) for node, count in nodes))
    audience.say("the broker lists the anchor's members, verifies each of them, and reads and verifies its offers")
    await _complete(stage, nodes[1][0])


async def _complete(stage: Stage, broker: Node) -> None:
    """Wait until the broker has the offers of every operator. Raises `Problem`."""
    there = 0
    try:
        async with asyncio.timeout(READY_S_MAX), BrokerClient(stage.broker, stage.given.agent) as client:
            while there < len(stage.players):
                await asyncio.sleep(POLL_S)
                there = sum(one.connected and one.offers > 0 for one in (await client.federation()).operators)
    except TimeoutError as error:
        raise broker.explain(f"knew {there} operators of {len(stage.players)} after {READY_S_MAX} s") from error


async def _steps(audience: Audience, client: BrokerClient, stage: Stage, *, everyone: bool) -> tuple[Step, ...]:
    if not everyone:
        return await Scenario(client, stage, audience.tell, audience.say).play()
    step = await search_largest(client, stage, audience.say)
    audience.tell(step)
    return (step,)


def _node_report(node: Node) -> NodeReport:
    carried = 0 if node.name in {"anchor", "broker"} else len(node.ready)
    return NodeReport(name=node.name, pid=node.process.pid, memory_kib=node.memory_kib, operators=carried)


def _addresses(stage: Stage, processes: Processes) -> dict[str, str]:
    """How to go on, and how to end it: a script that ends these processes and removes the folder."""
    stop = stage.folder / "stop.sh"
    pids = " ".join(str(node.process.pid) for node in processes.nodes)
    gone = 'while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done'
    stop.write_text(f"kill {pids}\nfor pid in {pids}; do {gone}; done\nrm -r {shlex.quote(str(stage.folder))}\n")
    os.chmod(stop, 0o700)
    operators = {f"OPERATOR_{p.performer.host.upper()}": p.sonata for p in stage.players}
    return {
        "PEERWAY_BROKER": stage.broker,
        "PEERWAY_MANDATE": str(stage.given.mandate),
        "PEERWAY_AGENT_KEY": str(stage.given.agent_key),
        "PEERWAY_MCP": stage.mcp,
        "PEERWAY_ANCHORS": str(stage.folder / TRUST / "anchors.json"),
        "PEERWAY_AT": str(stage.folder / TRUST / "places"),
        "BUYER_KEY": str(stage.given.key),
        "BUYER_JWKS": str(stage.given.jwks),
        "EVIDENCE": str(stage.folder / EVIDENCE),
        "STOP": f"sh {shlex.quote(str(stop))}",
    } | operators
