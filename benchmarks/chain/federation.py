"""The chain: `count` operators in a row, each behind mutual TLS with tokens and a policy of its own, and a broker.

The buyer reaches the broker over TLS as an agent: a mandate, an access token, a proof for every request. Every path is
decided under a policy. Stores are on the disk of the working folder, in full sync. With `bare`, the buyer has a bearer
key and no TLS instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.chain.books import Books, read_books
from benchmarks.chain.buyer import Floor
from benchmarks.chain.floor import Face, add_floor, start_floor
from federation.cli.demo.ports import PortReserve
from federation.cli.demo.processes import Node, Processes
from federation.client.agent import Agent
from federation.node.settings import ListenTls
from operators.daemon import STORE
from schemas.intent import Intent
from tests.support.agents import Principal, wide
from tests.support.federation import GBPS, BrokerPlan, Plan, TinyFederation, written
from tests.support.local_root import LocalRoot

POLICY: Final = "no-us-control"
LABELS: Final = "2-4094"
BPS: Final = 1_000_000
LEASE_S: Final = 86_400
INTERCONNECT_GBPS: Final = 100
INSIDE_GBPS: Final = 400  # between the two PoPs of an operator, as the tests' footprints have it
LIMITS: Final = "limits = { calls_per_second = 20000, calls_at_once = 20000 }\n"
OWN_POLICY: Final = """\
@id("own-sales.v1")
permit(principal is Broker, action == Action::"sell", resource is Segment)
when { principal has legal_domicile && ["NL", "DE", "NO"].containsAll(principal.legal_domicile) }
when { context.bandwidth_gbps <= 100 };
"""


@dataclass(frozen=True)
class Shape:
    """How a chain is built: how many operators, with a floor beside it, without TLS and tokens for the buyer, how many
    quotes the buyer may have under way."""

    count: int
    floor: bool = False
    bare: bool = False
    at_once: int = 64


@dataclass(frozen=True)
class Chain:
    """A running chain, and what a buyer needs to reach its broker."""

    made: TinyFederation
    agent: Agent
    root: Path | None
    broker: str
    intent: Intent
    floor: Floor | None = None
    nodes: Mapping[str, Node] = field(default_factory=dict)

    def pids(self) -> dict[str, int]:
        """Its processes by name, without the floor."""
        return {name: node.process.pid for name, node in self.made.nodes.items()}

    def books(self) -> Books:
        """What the stores of its operators say now."""
        stores = [self.made.folder / plan.name / "data" / STORE for plan in self.made.plans]
        return read_books(stores, capacity(len(stores)))


def plans(count: int) -> tuple[Plan, ...]:
    """Operators `op0` to the last, each with two PoPs; a UNI at either end of the row."""
    return tuple(_plan(index, count) for index in range(count))


def _plan(index: int, count: int) -> Plan:
    west, east = f"w{index}", f"e{index}"
    pops = ((west, f"West {index}", 52.0, 4.0 + index, "NL"), (east, f"East {index}", 52.1, 4.8 + index, "NL"))
    meets = {f"op{index - 1}": west} if index else {}
    meets |= {f"op{index + 1}": east} if index < count - 1 else {}
    unis = (*((west,) if index == 0 else ()), *((east,) if index == count - 1 else ()))
    return Plan(f"op{index}", pops, meets, unis, labels=LABELS, enni_gbps=INTERCONNECT_GBPS)


def capacity(count: int) -> dict[str, int]:
    """Bit/s of everything that a lease takes from, by the ids in the footprints."""
    found = {"uni-w0": INTERCONNECT_GBPS * GBPS, f"uni-e{count - 1}": INTERCONNECT_GBPS * GBPS}
    for index in range(count):
        found[f"link-w{index}--e{index}"] = INSIDE_GBPS * GBPS
        found[f"enni-w{index}--op{index - 1}"] = INTERCONNECT_GBPS * GBPS
        found[f"enni-e{index}--op{index + 1}"] = INTERCONNECT_GBPS * GBPS
    return found


@asynccontextmanager
async def chain(folder: Path, shape: Shape) -> AsyncIterator[Chain]:
    """Draw a chain below `folder`, start it, and end it with everything it left running."""
    carol, drawn = Principal(), plans(shape.count)
    make_folder(folder)
    desk = BrokerPlan(buyers=("alice",) if shape.bare else (), hold_s=60, quote_s=30)
    with PortReserve() as ports:
        async with Processes(folder) as processes:
            made = written(folder, drawn, desk, ports, processes)
            agent, root = carol.agent(wide(total=10**14)), LocalRoot(folder / "root", "127.0.0.1")
            shown = root.certificate(folder / "broker")
            _configure(made, carol, None if shape.bare else shown, shape.at_once)
            beside = add_floor(folder, shape.count, made.domain, ports, Face(shown, agent.key)) if shape.floor else None
            await made.start(*(plan.name for plan in drawn))
            await made.start("broker")
            nodes = await start_floor(processes, beside[1]) if beside else {}
            address = made.broker if shape.bare else made.broker.replace("http:", "https:")
            seen, floor = None if shape.bare else root.file, beside[0] if beside else None
            yield Chain(made, agent, seen, address, intent(shape.count), floor, nodes)


def make_folder(folder: Path) -> None:
    """Once, before anything runs."""
    folder.mkdir(parents=True)


def intent(count: int, bandwidth_bps: int = BPS) -> Intent:
    """From the first UNI to the last, by the policy."""
    last = count - 1
    return Intent(
        a="West 0@op0", z=f"East {last}@op{last}", bandwidth_bps=bandwidth_bps, duration_s=LEASE_S, policy=POLICY
    )


def _configure(made: TinyFederation, carol: Principal, shown: ListenTls | None, at_once: int) -> None:
    """What the tests' federation leaves off: TLS for buyers, mandates, a policy at every operator."""
    for plan in made.plans:
        config = made.folder / plan.name / "config.toml"
        (config.parent / "own.cedar").write_text(OWN_POLICY)
        config.write_text('policy = { file = "own.cedar" }\n' + LIMITS + config.read_text())
    broker = made.folder / "broker"
    carol.introduce(broker)
    config = broker / "config.toml"
    text = config.read_text().replace("limits = {", f"limits = {{ quotes_at_once = {at_once},")
    if shown is not None:
        tls = f'tls = {{ certificate = "{shown.certificate}", private_key = "{shown.private_key}" }}'
        text = text.replace("listen = {", f"listen = {{ {tls},")
    config.write_text(text)
