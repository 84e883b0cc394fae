"""What has to lie ready before the first process starts: the anchor's books, footprints, keys and configurations.

Everything is below one temporary folder. Nothing in it is worth keeping: the keys are made now, the anchor is
throwaway, and the buyer spends money that nobody has. Members are enrolled as `peerway anchor enrol` does it; who
they are, each of them says on a listener of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from federation.anchor.throwaway import ANCHOR, ThrowawayAnchor, throwaway_anchor
from federation.cli.demo.buyer import Delegation, delegate
from federation.cli.demo.cast import (
    AUDITOR,
    BROKER,
    BUYER,
    BUYER_ENTITY,
    DOMESTIC_SURCHARGE_PPM,
    EU_SURCHARGE_PPM,
    RATES_DATE,
    SITES_MAX,
    WORTH_PPM,
    Performer,
    attestation,
    broker_attestation,
    capabilities,
    class_countries,
)
from federation.cli.demo.ports import LOOPBACK, PortReserve
from federation.node.seams import Clock
from federation.node.settings import TLS, EgressRules
from federation.trust.keys import PrivateKey, dump_private, generate
from schemas.jurisdiction import Attestation, AttestedPlace
from schemas.problem import Problem

FOOTPRINT: Final = (sys.executable, "-m", "operators.cli.main", "footprint")
TRUST: Final = "trust"
BUYER_FOLDER: Final = "buyer"
METRO_KM: Final = 60
PPM: Final = 10**6
PROMISES: Final = """\
end = { jitter_ns = 20_000, loss_ppb = 100, unavailability_ppb = 20_000, carbon_mg_gb = 300 }
hop = { jitter_ns = 30_000, loss_ppb = 200, unavailability_ppb = 50_000, carbon_mg_gb = 250 }
km = { jitter_ns = 20, loss_ppb = 1, unavailability_ppb = 50, carbon_mg_gb = 2 }
"""


class Places(NamedTuple):
    """The bases of public listeners on loopback, by entity id."""

    every: Mapping[str, str]

    def of(self, *entities: str) -> str:
        """Some of them as a table of a configuration."""
        lines = "".join(f'"{entity}" = "{self.every[entity]}"\n' for entity in entities)
        return f"[trust.egress.places]\n{lines}"

    def port(self, entity: str) -> int:
        """Where an entity says who it is."""
        return int(self.every[entity].rpartition(":")[2])


@dataclass(frozen=True)
class Player:
    """An operator on the stage: its configuration file, its Sonata address, and that of its mesh."""

    performer: Performer
    config: Path
    sonata: str
    mesh: str
    pops: int


@dataclass(frozen=True)
class Stage:
    """Everything ready to start."""

    folder: Path
    players: tuple[Player, ...]
    broker_config: Path
    broker: str
    mcp: str
    given: Delegation
    places: Places

    @property
    def superiors(self) -> tuple[Path, ...]:
        """The folders of the anchor and of the auditor."""
        return self.folder / TRUST / "anchor", self.folder / TRUST / "auditor"

    @property
    def egress(self) -> EgressRules:
        """What the broker may call: the operators' listeners on loopback, and nothing else."""
        return egress(self.players)


async def build(folder: Path, performers: Sequence[Performer], ports: PortReserve, clock: Clock) -> Stage:
    """Write everything below `folder`.

    Who has a home is attested; nobody knows anything of the others.
    """
    footprints = write_footprints(folder, performers)
    everybody = (ANCHOR, AUDITOR, BROKER, *(one.entity for one in performers))
    places = Places({entity: f"http://{LOOPBACK}:{ports.take()}" for entity in everybody})
    players = tuple(_player(folder, one, footprints[one.entity], places, ports) for one in performers)
    broker, mcp, given = ports.take(), ports.take(), delegate(folder / BUYER_FOLDER, clock)
    config = _write(folder / "broker" / "broker.toml", _broker_toml(players, (broker, mcp), given, places))
    async with throwaway_anchor(folder / TRUST, AUDITOR, clock) as anchor:
        for player in players:
            drawn = footprints[player.performer.entity]
            facts = attestation(player.performer, _crossed(drawn), _sites(drawn))
            await _admit(anchor, player, facts if player.performer.home else None)
        await anchor.enrol(BROKER, "connectivity_broker", _keys(folder / "broker"))
        await _carry(anchor, folder / "broker", BROKER, broker_attestation())
    lines = "".join(f"{entity}={place}\n" for entity, place in places.every.items())
    _write(folder / TRUST / "places", lines)
    address = f"http://{LOOPBACK}:"
    return Stage(folder, players, config, f"{address}{broker}", f"{address}{mcp}/mcp", given, places)


async def _admit(anchor: ThrowawayAnchor, player: Player, facts: Attestation | None) -> None:
    """Enrol an operator, and give it the auditor's mark to carry."""
    own, entity = player.config.parent, player.performer.entity
    await anchor.enrol(entity, "connectivity_operator", _keys(own))
    await _carry(anchor, own, entity, facts)


async def _carry(anchor: ThrowawayAnchor, own: Path, entity: str, facts: Attestation | None) -> None:
    (own / "marks").mkdir()
    if facts is not None:
        (own / "marks" / "facts.jwt").write_text(await anchor.attest(entity, facts))


def _keys(own: Path) -> PrivateKey:
    """Make the keys of a node; its federation key."""
    federation = generate()
    for name, key in (("protocol.json", generate()), ("federation.json", federation)):
        (own / name).write_bytes(dump_private(key))
        (own / name).chmod(0o600)
    return federation


def write_footprints(folder: Path, performers: Sequence[Performer]) -> Mapping[str, Path]:
    """Footprint files by entity id, drafted by the operators' own tool for all of them at once."""
    listing, output = folder / "members.json", folder / "footprints"
    listing.write_text(json.dumps([{"source": one.source, "entity": one.entity} for one in performers]))
    command = [*FOOTPRINT, "--federation", str(listing), "-o", str(output), "--metro-km", str(METRO_KM)]
    done = subprocess.run(  # noqa: S603 - our own tool, and no shell
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3]
    )
    if done.returncode:
        raise Problem("UNAVAILABLE", f"the footprints could not be drafted: {done.stderr.strip()[-600:]}")
    written = {one.entity: output / f"{one.host}.json" for one in performers}
    for entity, path in written.items():
        _lead_somewhere(entity, path)
    return written


def _lead_somewhere(entity: str, path: Path) -> None:
    """Say in a footprint that some of its UNIs lead to a cloud, GPUs or an edge site: invented, the same every time."""
    footprint = json.loads(path.read_bytes())
    for uni in footprint["unis"]:
        uni["capabilities"] = capabilities(f"{entity} {uni['id']}")
    footprint["invented"] += " What UNIs lead to is invented by the demo."
    path.write_text(json.dumps(footprint, indent=1))


def _crossed(footprint: Path) -> list[str]:
    return [pop["country"] for pop in json.loads(footprint.read_bytes())["pops"]]


def _sites(footprint: Path) -> dict[str, AttestedPlace]:
    """Where the auditor found the first UNIs: just where the footprint says."""
    drawn = json.loads(footprint.read_bytes())
    pops = {pop["id"]: pop for pop in drawn["pops"]}
    unis = [(uni["id"], pops[uni["pop"]]) for uni in drawn["unis"][:SITES_MAX]]
    return {
        name: AttestedPlace(country=pop["country"], lat_e6=_e6(pop["lat"]), lon_e6=_e6(pop["lon"]))
        for name, pop in unis
    }


def _e6(degrees: float) -> int:
    return round(degrees * 1_000_000)


def egress(players: Sequence[Player]) -> EgressRules:
    """The listeners of some players."""
    return EgressRules(literals=tuple(at for one in players for at in (one.sonata.removeprefix("https://"), one.mesh)))


def _player(folder: Path, performer: Performer, footprint: Path, places: Places, ports: PortReserve) -> Player:
    http, grpc = ports.take(), ports.take()
    crossed = _crossed(footprint)
    text = _operator_toml(performer, footprint, crossed, (http, grpc), places)
    config = _write(folder / "operators" / performer.host / "operator.toml", text)
    return Player(performer, config, f"https://{LOOPBACK}:{http}", f"{LOOPBACK}:{grpc}", len(crossed))


def _operator_toml(
    performer: Performer, footprint: Path, crossed: Sequence[str], ports: tuple[int, int], places: Places
) -> str:
    classes = class_countries(performer, crossed)
    return f"""\
entity = "{performer.entity}"
name = "{performer.name}"
data = "data"
footprint = "{footprint}"
currency = "{performer.currency}"
zone = "{performer.zone}"
[keys]
private = "protocol.json"
federation = "federation.json"
tls = "{TLS}"
[trust]
anchors = "../../{TRUST}/anchors.json"
marks = "marks"
{places.of(*places.every)}[listen]
host = "{LOOPBACK}"
http_port = {ports[0]}
grpc_port = {ports[1]}
public_port = {places.port(performer.entity)}
[contact]
name = "{performer.name} sales desk (invented)"
number = "+00-0000000"
email = "sales@{performer.host}.example"
{"".join(_class_toml(performer, name, countries) for name, countries in classes.items())}"""


def _class_toml(performer: Performer, name: str, countries: tuple[str, ...] | None) -> str:
    factor = {"eu": EU_SURCHARGE_PPM, "domestic": DOMESTIC_SURCHARGE_PPM}.get(name, PPM)
    where = f"countries = {json.dumps(countries)}\n" if countries else ""
    return f"""\
[[route_classes]]
id = "{name}"
{where}[route_classes.rates]
port_hourly_micro = {{ uni = {performer.port}, enni = {performer.port * 2 // 3} }}
gbps_hourly_micro = {performer.gbps * factor // PPM}
gbps_km_hourly_micro = {performer.km * factor // PPM}
set_up_micro = {performer.set_up}
exit_micro = {performer.exit}
[route_classes.promises]
{PROMISES}"""


def _broker_toml(players: Sequence[Player], ports: tuple[int, int], given: Delegation, places: Places) -> str:
    worth = "".join(f"{currency} = {ppm}\n" for currency, ppm in WORTH_PPM.items())
    return f"""\
entity = "{BROKER}"
name = "Demo broker"
data = "data"
[keys]
private = "protocol.json"
federation = "federation.json"
tls = "{TLS}"
[trust]
anchors = "../{TRUST}/anchors.json"
marks = "marks"
[trust.egress]
literals = {json.dumps(egress(players).literals)}
{places.of(*places.every)}[listen]
host = "{LOOPBACK}"
http_port = {ports[0]}
mcp_port = {ports[1]}
public_port = {places.port(BROKER)}
[[buyers]]
name = "{BUYER}"
entity = "{BUYER_ENTITY}"
jwks = "{given.jwks}"
[rates]
date = "{RATES_DATE}"
[rates.worth_ppm]
{worth}"""


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
