"""A whole federation in a temporary folder: three small operators and a broker, each a process of its own.

    North (Oslo) --- Middle (Cologne) --- South (Rome), and a longer way round: North --- Side --- South when asked.

Footprints are drawn here by hand. Ports stay taken for as long as the federation lives, so that a node that was killed
comes back where it was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from federation.broker.peers.reach import Reach
from federation.cli.demo.ports import LOOPBACK, PortReserve
from federation.cli.demo.processes import BROKER, OPERATOR, Node, Processes
from federation.client.broker import BrokerClient
from federation.node.bearer import key_digest
from federation.node.mtls.mutual import Mutual
from federation.node.mtls.own import make_authority
from federation.node.outside import outside
from federation.node.seams import SystemClock
from federation.node.settings import EgressRules
from federation.sonata.asking import BuyerProfile
from federation.sonata.buyer import SonataBuyer
from federation.trust.domain import load_domain
from federation.trust.keys import dump_private
from federation.trust.throwaway import ThrowawayDomain
from schemas.jurisdiction import Attestation, ClassFacts
from schemas.problem import Problem
from schemas.sonata.states import ProductStatus
from tests.support.forks import forked

BROKER_ENTITY = "https://broker.example"
AUDITOR_ENTITY = "https://auditor.example"
T = TypeVar("T")
CLIENT_S = 600  # what a test waits for is never cut off by a busy machine
GBPS = 10**9
ENDED = frozenset({ProductStatus.TERMINATED, ProductStatus.CANCELLED})
PROFILE = BuyerProfile(name="Test", number="+00-0000000", email_address="test@broker.example", billing_account="test")


@dataclass(frozen=True)
class Plan:
    """One operator: its two PoPs as (id, city, latitude, longitude, country), and whom it meets at which PoP."""

    name: str
    pops: tuple[tuple[str, str, float, float, str], ...]
    meets: Mapping[str, str]
    unis: tuple[str, ...] = ()
    currency: str = "EUR"
    gbps_hourly_micro: int = 100_000
    parent: str = "NL"
    enni_gbps: int = 10
    uni_gbps: int = 100
    labels: str = "100-163"

    @property
    def entity(self) -> str:
        return f"https://{self.name}.example"

    @property
    def country(self) -> str:
        return self.pops[0][4]


@dataclass(frozen=True)
class BrokerPlan:
    """The broker: who buys, whether agents may (MCP costs a second at start), how long it asks operators to hold.

    With `redis` its store is that server. `patient` is for many at once: no hold ends and no operator is given up
    because a busy machine takes its time.
    """

    buyers: Sequence[str] = ("alice", "bob")
    agents: bool = False
    hold_s: int = 30
    quote_s: int = 5
    operator_timeout_s: int = 10
    redis: str | None = None

    def patient(self) -> BrokerPlan:
        """The same broker, with as much time for everything as it can have."""
        return replace(self, hold_s=300, quote_s=120, operator_timeout_s=120)


NORTH = Plan(
    "north", (("oslo", "Oslo", 59.9, 10.7, "NO"), ("kiel", "Kiel", 54.3, 10.1, "DE")), {"middle": "kiel"}, ("oslo",)
)
MIDDLE = Plan(
    "middle",
    (("hamburg", "Hamburg", 53.6, 10.0, "DE"), ("munich", "Munich", 48.1, 11.6, "DE")),
    {"north": "hamburg", "south": "munich"},
    currency="CHF",
)
SOUTH = Plan(
    "south",
    (("bolzano", "Bolzano", 46.5, 11.4, "IT"), ("rome", "Rome", 41.9, 12.5, "IT")),
    {"middle": "bolzano"},
    ("rome",),
)
LINE = (NORTH, MIDDLE, SOUTH)
ENDS = ("Oslo@north", "Rome@south")


@dataclass
class TinyFederation:
    """The running federation. Nodes are called by their names, the broker `broker`."""

    folder: Path
    plans: Sequence[Plan]
    processes: Processes
    broker: str
    mcp: str
    sonata: Mapping[str, str]
    egress: EgressRules
    domain: ThrowawayDomain
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [plan.name for plan in self.plans] + ["broker"]

    def client(self, buyer: str = "alice") -> BrokerClient:
        return BrokerClient(self.broker, f"{buyer}-key", timeout_s=CLIENT_S)

    async def start(self, *names: str) -> None:
        """Start nodes and wait until they serve."""
        for name in names:
            self.nodes[name] = self.processes.start(name, self._command(name))
        await asyncio.gather(*(self.processes.ready(self.nodes[name]) for name in names))

    def kill(self, *names: str) -> None:
        """End nodes as a power cut would."""
        for name in names:
            node = self.nodes.pop(name)
            node.process.kill()
            node.process.wait()
            self.processes.nodes.remove(node)

    async def products(self) -> dict[str, dict[str, str]]:
        """Products that are not ended, with their status, by operator."""
        async with outside(self.egress) as egress, Reach(self.broker_tls().tls, egress) as reach:
            buyers = {
                name: SonataBuyer(reach.session(f"https://{name}.example"), f"{base}/mefApi/sonata", PROFILE)
                for name, base in self.sonata.items()
            }
            found = await asyncio.gather(*(buyer.products() for buyer in buyers.values()))
        return {
            name: {product.id: str(product.status) for product in products if product.status not in ENDED}
            for name, products in zip(buyers, found, strict=True)
        }

    def broker_tls(self) -> Mutual:
        """The broker's own TLS files, to ask as the broker does."""
        clock, trust = SystemClock(), self.folder / "trust"
        mutual = Mutual.open(self.folder / "broker" / "tls", BROKER_ENTITY, (), clock)
        mutual.believe(load_domain(trust, trust / "anchors.json", clock.now()))
        return mutual

    def _command(self, name: str) -> list[str]:
        command = BROKER if name == "broker" else OPERATOR
        return [*command, "--config", str(self.folder / name / "config.toml")]


async def retried(ask: Callable[[], Awaitable[T]], tries: int = 1000, pause_s: float = 0.25) -> T:
    """The answer of `ask`, which may be refused while news of a restart or of freed capacity is on its way."""
    for _ in range(tries - 1):
        try:
            return await ask()
        except Problem:
            await asyncio.sleep(pause_s)
    return await ask()


@asynccontextmanager
async def tiny_federation(
    folder: Path,
    plans: Sequence[Plan] = LINE,
    *,
    desk: BrokerPlan = BrokerPlan(),
    start: bool = True,
) -> AsyncIterator[TinyFederation]:
    """Build a federation below `folder`, start it, and end it with everything it left running."""
    with PortReserve() as ports:
        async with Processes(folder, forked) as processes:
            made = written(folder, plans, desk, ports, processes)
            if start:
                await made.start(*(plan.name for plan in plans))
                await made.start("broker")
            yield made


def written(
    folder: Path,
    plans: Sequence[Plan],
    desk: BrokerPlan,
    ports: PortReserve,
    processes: Processes,
) -> TinyFederation:
    """Everything but the processes."""
    now = int(time.time())
    domain = ThrowawayDomain(folder / "trust", now)
    domain.add_auditor(AUDITOR_ENTITY, "Test auditor")
    sonata, authorities = {}, []
    for plan in plans:
        http, grpc = ports.take(), ports.take()
        sonata[plan.name] = f"https://{LOOPBACK}:{http}"
        authorities += [f"{LOOPBACK}:{http}", f"{LOOPBACK}:{grpc}"]
        own = folder / plan.name
        key = domain.add_operator(
            plan.entity,
            plan.name.title(),
            sonata=f"{sonata[plan.name]}/mefApi/sonata",
            mesh=f"{LOOPBACK}:{grpc}",
            documents=f"{sonata[plan.name]}/peerway/v1/documents",
            tls=make_authority(own / "tls", plan.entity, now=now),
        )
        domain.attest(AUDITOR_ENTITY, plan.entity, _facts(plan))
        (own / "key.json").write_bytes(dump_private(key))
        (own / "footprint.json").write_text(json.dumps(footprint(plan, plans)))
        (own / "config.toml").write_text(_operator(plan, http, grpc))
    broker, mcp = ports.take(), ports.take()
    key = domain.add_broker(
        BROKER_ENTITY,
        "Test broker",
        endpoint=f"http://{LOOPBACK}:{broker}/peerway/v1",
        tls=make_authority(folder / "broker" / "tls", BROKER_ENTITY, now=now),
    )
    domain.attest(AUDITOR_ENTITY, BROKER_ENTITY, Attestation(**house("NL", "NL")))
    (folder / "broker" / "key.json").write_bytes(dump_private(key))
    (folder / "broker" / "config.toml").write_text(_broker(authorities, (broker, mcp), desk))
    domain.write()
    addresses = (f"http://{LOOPBACK}:{broker}", f"http://{LOOPBACK}:{mcp}/mcp")
    rules = EgressRules(literals=tuple(authorities))
    return TinyFederation(folder, plans, processes, *addresses, sonata, rules, domain)


def footprint(plan: Plan, plans: Sequence[Plan]) -> dict[str, object]:
    """A line of PoPs, a UNI where one is named, an ENNI towards everyone met who is there."""
    there = {other.name: other for other in plans}
    ids = [pop[0] for pop in plan.pops]
    met = {peer: pop for peer, pop in plan.meets.items() if peer in there}
    return {
        "v": 1,
        "source": "drawn for a test",
        "entity": plan.entity,
        "measured": "Nothing.",
        "invented": "Everything.",
        "pops": [dict(zip(("id", "name", "lat", "lon", "country"), pop, strict=True)) for pop in plan.pops],
        "links": [
            {"id": f"link-{a}--{z}", "a": a, "z": z, "capacity_bps": 400 * GBPS}
            for a, z in pairwise(ids)
        ],
        "unis": [
            {"id": f"uni-{pop}", "pop": pop, "name": pop.title(), "owner": plan.entity,
             "speed_bps": plan.uni_gbps * GBPS, "mtu": 9000, "labels": "2-4094"}
            for pop in plan.unis
        ],
        "ennis": [
            {"id": f"enni-{pop}--{peer}", "pop": pop, "peer_entity": there[peer].entity,
             "peer_interface": f"enni-{there[peer].meets[plan.name]}--{plan.name}",
             "speed_bps": plan.enni_gbps * GBPS, "mtu": 9000, "labels": plan.labels, "latency_us": 50}
            for peer, pop in met.items()
        ],
    }  # fmt: skip


def _facts(plan: Plan) -> Attestation:
    countries = tuple(sorted({pop[4] for pop in plan.pops}))
    return Attestation(**house(plan.country, plan.parent), classes={"any": ClassFacts(countries=countries, sea=False)})


def house(home: str, parent: str) -> dict[str, Any]:
    """What a recognised auditor found of everybody, as good as it gets but for `parent`."""
    return {
        "legal_domicile": (home,),
        "controlling_parents": (parent,),
        "operations": (home,),
        "key_custody": (home,),
        "assessed_regimes": ("US-CLOUD-ACT", "US-FISA-702"),
        "subject_to": (),
        "seal": 3,
        "certificates": ("ISO 22301", "ISO/IEC 27001"),
    }


def _operator(plan: Plan, http: int, grpc: int) -> str:
    return f"""\
entity = "{plan.entity}"
name = "{plan.name.title()}"
data = "data"
footprint = "footprint.json"
currency = "{plan.currency}"
keys = {{ private = "key.json", tls = "tls" }}
trust = {{ domain = "../trust", anchors = "../trust/anchors.json" }}
listen = {{ http_port = {http}, grpc_port = {grpc} }}
contact = {{ name = "Desk", number = "+00-0000000", email = "desk@{plan.name}.example" }}
[[route_classes]]
id = "any"
rates = {{ gbps_hourly_micro = {plan.gbps_hourly_micro}, set_up_micro = 250_000, exit_micro = 750_000 }}
"""


def _broker(authorities: Sequence[str], ports: tuple[int, int], desk: BrokerPlan) -> str:
    http, mcp = ports
    known = "".join(
        f'[[buyers]]\nname = "{buyer}"\nkey_sha256 = "{key_digest(buyer + "-key")}"\n' for buyer in desk.buyers
    )
    egress = f"{{ literals = {json.dumps(authorities)} }}"
    store = f"store = {{ redis = {json.dumps(desk.redis)} }}" if desk.redis else ""
    return f"""\
entity = "{BROKER_ENTITY}"
name = "Test broker"
data = "data"
keys = {{ private = "key.json", tls = "tls" }}
trust = {{ domain = "../trust", anchors = "../trust/anchors.json", egress = {egress} }}
listen = {{ http_port = {http}, mcp_port = {mcp}, mcp = {str(desk.agents).lower()} }}
limits = {{ hold_s = {desk.hold_s}, quote_s = {desk.quote_s}, operator_timeout_s = {desk.operator_timeout_s} }}
rates = {{ date = "2026-11-02", worth_ppm = {{ EUR = 1_000_000, CHF = 1_068_000 }} }}
search = {{ compiled = false }} # the demo searches compiled; every broker here would pay seconds for it
{store}
{known}"""
