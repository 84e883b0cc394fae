"""What has to lie ready before the first process starts: a trust domain, footprints, keys and configurations.

Everything is below one temporary folder. Nothing in it is worth keeping: the keys and TLS authorities are made now, the
anchor is throwaway, and the buyer's bearer key opens loopback only.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from federation.cli.demo.cast import (
    AUDITOR,
    BROKER,
    BUYER,
    DOMESTIC_SURCHARGE_PPM,
    EU_SURCHARGE_PPM,
    RATES_DATE,
    WORTH_PPM,
    Performer,
    attestation,
    capabilities,
    class_countries,
)
from federation.cli.demo.ports import LOOPBACK, PortReserve
from federation.node.bearer import key_digest
from federation.node.mtls.own import make_authority
from federation.node.settings import TLS, EgressRules
from federation.trust.keys import PrivateKey, dump_private
from federation.trust.throwaway import ThrowawayDomain
from schemas.problem import Problem

FOOTPRINT: Final = (sys.executable, "-m", "operators.cli.main", "footprint")
METRO_KM: Final = 60
PPM: Final = 10**6
KEY_BYTES: Final = 24
PROMISES: Final = """\
end = { jitter_ns = 20_000, loss_ppb = 100, unavailability_ppb = 20_000, carbon_mg_gb = 300 }
hop = { jitter_ns = 30_000, loss_ppb = 200, unavailability_ppb = 50_000, carbon_mg_gb = 250 }
km = { jitter_ns = 20, loss_ppb = 1, unavailability_ppb = 50, carbon_mg_gb = 2 }
"""


class Members(NamedTuple):
    """What admitting operators takes: the domain, the time, and ports."""

    domain: ThrowawayDomain
    now: int
    ports: PortReserve


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
    buyer_key: str

    @property
    def egress(self) -> EgressRules:
        """What the broker may call: the operators' listeners on loopback, and nothing else."""
        return egress(self.players)


def build(folder: Path, performers: Sequence[Performer], ports: PortReserve, now: int) -> Stage:
    """Write everything below `folder`; `now` is Unix time, from which the domain is valid for a day.

    Who has a home is attested; nobody knows anything of the others.
    """
    footprints = write_footprints(folder, performers)
    domain = ThrowawayDomain(folder / "trust", now)
    domain.add_auditor(AUDITOR, "Invented auditor")
    members = Members(domain, now, ports)
    players = tuple(_player(folder, one, footprints[one.entity], members) for one in performers)
    for one in performers:
        if one.home:
            domain.attest(AUDITOR, one.entity, attestation(one, _crossed(footprints[one.entity])))
    broker, mcp, buyer_key = ports.take(), ports.take(), _secret()
    tls = make_authority(folder / "broker" / TLS, BROKER, now=now)
    key = domain.add_broker(BROKER, "Demo broker", endpoint=f"http://{LOOPBACK}:{broker}/peerway/v1", tls=tls)
    config = _write(folder / "broker" / "broker.toml", _broker_toml(players, broker, mcp, buyer_key))
    _write_key(folder / "broker" / "key.json", key)
    domain.write()
    address = f"http://{LOOPBACK}:"
    return Stage(folder, players, config, f"{address}{broker}", f"{address}{mcp}/mcp", buyer_key)


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


def egress(players: Sequence[Player]) -> EgressRules:
    """The listeners of some players."""
    return EgressRules(literals=tuple(at for one in players for at in (one.sonata.removeprefix("https://"), one.mesh)))


def _player(folder: Path, performer: Performer, footprint: Path, members: Members) -> Player:
    http, grpc = members.ports.take(), members.ports.take()
    sonata, mesh = f"https://{LOOPBACK}:{http}", f"{LOOPBACK}:{grpc}"
    own = folder / "operators" / performer.host
    key = members.domain.add_operator(
        performer.entity,
        performer.name,
        sonata=f"{sonata}/mefApi/sonata",
        mesh=mesh,
        documents=f"{sonata}/peerway/v1/documents",
        tls=make_authority(own / TLS, performer.entity, now=members.now),
    )
    crossed = _crossed(footprint)
    config = _write(own / "operator.toml", _operator_toml(performer, footprint, crossed, (http, grpc)))
    _write_key(own / "key.json", key)
    return Player(performer, config, sonata, mesh, len(crossed))


def _operator_toml(performer: Performer, footprint: Path, crossed: Sequence[str], ports: tuple[int, int]) -> str:
    classes = class_countries(performer, crossed)
    return f"""\
entity = "{performer.entity}"
name = "{performer.name}"
data = "data"
footprint = "{footprint}"
currency = "{performer.currency}"
zone = "{performer.zone}"
[keys]
private = "key.json"
tls = "{TLS}"
[trust]
domain = "../../trust"
anchors = "../../trust/anchors.json"
[listen]
host = "{LOOPBACK}"
http_port = {ports[0]}
grpc_port = {ports[1]}
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


def _broker_toml(players: Sequence[Player], http: int, mcp: int, buyer_key: str) -> str:
    worth = "".join(f"{currency} = {ppm}\n" for currency, ppm in WORTH_PPM.items())
    return f"""\
entity = "{BROKER}"
name = "Demo broker"
data = "data"
[keys]
private = "key.json"
tls = "{TLS}"
[trust]
domain = "../trust"
anchors = "../trust/anchors.json"
egress = {{ literals = {json.dumps(egress(players).literals)} }}
[listen]
host = "{LOOPBACK}"
http_port = {http}
mcp_port = {mcp}
[[buyers]]
name = "{BUYER}"
key_sha256 = "{key_digest(buyer_key)}"
[rates]
date = "{RATES_DATE}"
[rates.worth_ppm]
{worth}"""


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _write_key(path: Path, key: PrivateKey) -> None:
    path.write_bytes(dump_private(key))
    path.chmod(0o600)


def _secret() -> str:
    return secrets.token_hex(KEY_BYTES)
