"""Makes the throwaway trust domain of the pair: an anchor's books, keys, certificates, configurations, a mandate.

Every node's folder is a volume of its own, so that no container can read another's keys; all may read `trust`: whom to
believe, and the root that vouches for public listeners. Run inside the broker's image: `python prepare.py /made`. It
does nothing where a domain was made before.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from federation.anchor.throwaway import ThrowawayAnchor, throwaway_anchor
from federation.node.seams import SystemClock
from federation.trust.certificates import Certificate, authority, leaf, pem
from federation.trust.keys import PrivateKey, dump_private, generate
from schemas.jurisdiction import Attestation, ClassFacts

HERE: Final = Path(__file__).parent
ANCHOR, AUDITOR = "https://anchor.example:8443", "https://auditor.example:8444"
BROKER, BUYER = "https://broker.example:8443", "https://buyer.example"
ROOT: Final = "https://root.example"
OPERATORS: Final = {"north": ("North", ("NL", "DE")), "south": ("South", ("DE", "CH", "IT"))}
A_DAY_S: Final = 86_400

TRUST_TOML: Final = """\
data = "data"
[keys]
private = "protocol.json"
federation = "federation.json"
tls = "tls"
[public.tls]
certificate = "public.pem"
private_key = "public.key"
[trust]
anchors = "../trust/anchors.json"
refresh_s = 5
marks = "marks"
[trust.egress]
roots = "../trust/root.pem"
ports = [8443, 8444, 8100, 8101]
networks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
"""
OPERATOR_TOML: Final = """\
entity = "{entity}"
name = "{name}"
footprint = "footprint.json"
{trust}[listen]
host = "0.0.0.0"
hosts = ["{node}.example"]
http_port = 8100
grpc_port = 8101
public_port = 8443
health_port = 8103
[contact]
name = "{name} sales desk"
number = "+00-0000-0000"
email = "sales@{node}.example"
[[route_classes]]
id = "any"
[route_classes.rates]
port_hourly_micro = {{ uni = 450_000, enni = 300_000 }}
gbps_km_hourly_micro = 400
set_up_micro = 2_000_000
"""
BROKER_TOML: Final = """\
entity = "{entity}"
name = "Pair Broker"
{trust}[listen]
host = "0.0.0.0"
http_port = 8700
mcp_port = 8701
mcp_hosts = ["broker.example:*"]
origins = ["https://broker.example:8700", "https://broker.example:8701"]
public_port = 8443
[listen.tls]
certificate = "public.pem"
private_key = "public.key"
[[buyers]]
name = "buyer"
entity = "{buyer}"
jwks = "buyer.jwks"
"""


class Root(NamedTuple):
    """What vouches for every public listener of the pair, and for nothing else."""

    key: PrivateKey
    certificate: Certificate
    now: int

    def vouch(self, folder: Path, *hosts: str) -> None:
        """A certificate for these hosts, and its key, in `folder`."""
        key = generate()
        made = leaf(
            self.key,
            self.certificate,
            key.key.public_key(),
            "https://root.example",
            hosts,
            now=self.now,
            life_s=A_DAY_S,
        )
        put(folder / "public.key", key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        put(folder / "public.pem", pem(made))


async def main(made: Path) -> None:
    """Fill the folders below `made`."""
    trust, books = made / "trust", made / "anchor"
    if (trust / "anchors.json").exists():
        return
    key, now = generate(), int(time.time())
    root = Root(key, authority(key, ROOT, now=now, life_s=7 * A_DAY_S), now)
    async with throwaway_anchor(books, AUDITOR, SystemClock(), entity=ANCHOR) as anchor:
        for node in OPERATORS:
            await operator(made / node, node, anchor, root)
        await broker(made / "broker", anchor, root)
    root.vouch(books, "anchor.example", "auditor.example")
    agent(made / "agent", made / "broker", now)
    put(trust / "root.pem", pem(root.certificate))
    shutil.move(books / "anchors.json", trust / "anchors.json")


def attested(home: str, classes: dict[str, ClassFacts]) -> Attestation:
    """Everything that an auditor can find, of somebody who does everything at home."""
    return Attestation(
        legal_domicile=(home,),
        controlling_parents=(home,),
        operations=(home,),
        key_custody=(home,),
        assessed_regimes=("US-CLOUD-ACT", "US-FISA-702"),
        subject_to=(),
        seal=3,
        certificates=("ISO 22301", "ISO/IEC 27001"),
        classes=classes,
    )


async def operator(folder: Path, node: str, anchor: ThrowawayAnchor, root: Root) -> None:
    """Enrol one operator, attest facts about it, write its folder."""
    (name, countries), entity = OPERATORS[node], f"https://{node}.example:8443"
    await anchor.enrol(entity, "connectivity_operator", keys(folder))
    facts = attested(countries[0], {"any": ClassFacts(countries=countries, sea=False)})
    put(folder / "marks" / "facts.jwt", (await anchor.attest(entity, facts)).encode())
    root.vouch(folder, f"{node}.example")
    text = OPERATOR_TOML.format(entity=entity, name=name, node=node, trust=TRUST_TOML)
    put(folder / "operator.toml", text.encode())
    drawn = (HERE / f"{node}.json").read_text()
    put(folder / "footprint.json", re.sub(r"https://(north|south|broker)\.example", r"\g<0>:8443", drawn).encode())


async def broker(folder: Path, anchor: ThrowawayAnchor, root: Root) -> None:
    """Enrol the broker, write its folder."""
    await anchor.enrol(BROKER, "connectivity_broker", keys(folder))
    put(folder / "marks" / "facts.jwt", (await anchor.attest(BROKER, attested("DE", {}))).encode())
    root.vouch(folder, "broker.example")
    put(folder / "broker.toml", BROKER_TOML.format(entity=BROKER, buyer=BUYER, trust=TRUST_TOML).encode())


def agent(folder: Path, at_broker: Path, now: int) -> None:
    """The agent's key, and a mandate for it by a buyer that the broker knows, made as a person would make them."""
    folder.mkdir(parents=True, exist_ok=True)
    buyer, own = folder / "buyer.json", folder / "agent.json"
    for path in (buyer, own):
        peerway("keys", "new", str(path))
    put(at_broker / "buyer.jwks", peerway("keys", "public", str(buyer)))
    kid = json.loads(peerway("keys", "public", str(own)))["keys"][0]["kid"]
    until = f"{datetime.fromtimestamp(now + A_DAY_S, UTC):%Y-%m-%dT%H:%MZ}"
    signed = ("--as", BUYER, "--sign-with", str(buyer), "--to", BROKER, "--agent", kid)
    put(folder / "mandate.jwt", peerway("mandate", "new", *signed, "--total", "100EUR", "--until", until))
    buyer.unlink()  # the buyer keeps it; here it has no other mandate to sign


def keys(folder: Path) -> PrivateKey:
    """A node's keys in its folder; the one that its superior vouches for."""
    federation = generate()
    for name, key in (("protocol.json", generate()), ("federation.json", federation)):
        put(folder / name, dump_private(key))
    return federation


def peerway(*words: str) -> bytes:
    """What a command prints; it must succeed."""
    command = [sys.executable, "-m", "federation.cli.main", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603 - our own, and no shell


def put(path: Path, data: bytes) -> None:
    """A file that its owner alone may read; all of them belong to the one user that every container runs as."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    path.write_bytes(data)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
    print(json.dumps({"made": sorted(p.name for p in Path(sys.argv[1]).iterdir())}))
