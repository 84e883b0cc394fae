"""Makes the throwaway trust domain of the pair: keys, statements, configurations, one folder per node.

Every node's folder is a volume of its own, so that no container can read another's keys; all may read `trust`.
Run inside the broker's image: `python prepare.py /made`. It does nothing where a domain was made before.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from federation.node.bearer import key_digest
from federation.node.mtls.own import make_authority
from federation.trust.keys import PrivateKey, dump_private
from federation.trust.throwaway import ThrowawayDomain
from schemas.jurisdiction import Attestation, ClassFacts

HERE: Final = Path(__file__).parent
BROKER, AUDITOR = "https://broker.example", "https://auditor.example"
OPERATORS: Final = {"north": ("North", ("NL", "DE")), "south": ("South", ("DE", "CH", "IT"))}

OPERATOR_TOML: Final = """\
entity = "https://{node}.example"
name = "{name}"
data = "data"
footprint = "footprint.json"
[keys]
private = "key.json"
tls = "tls"
[trust]
domain = "../trust"
anchors = "../trust/anchors.json"
[listen]
host = "0.0.0.0"
http_port = 8443
grpc_port = 8444
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
entity = "{broker}"
name = "Pair Broker"
data = "data"
[keys]
private = "key.json"
tls = "tls"
[trust]
domain = "../trust"
anchors = "../trust/anchors.json"
[trust.egress]
ports = [8443, 8444]
networks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
[listen]
host = "0.0.0.0"
closed_network = true
http_port = 8700
mcp_port = 8701
mcp_hosts = ["broker:*"]
[[buyers]]
name = "agent"
key_sha256 = "{digest}"
"""


def main(made: Path) -> None:
    """Fill the folders below `made`."""
    if (made / "trust" / "members").exists():
        return
    now = int(time.time())
    domain = ThrowawayDomain(made / "trust", now)
    domain.add_auditor(AUDITOR, "Pair Auditor")
    for node in OPERATORS:
        operator(made, domain, node, now)
    tls = make_authority(made / "broker" / "tls", BROKER, now=now)
    key = domain.add_broker(BROKER, "Pair Broker", endpoint="http://broker:8700", tls=tls)
    agent_key = secrets.token_urlsafe(24)
    text = BROKER_TOML.format(broker=BROKER, digest=key_digest(agent_key))
    put_node(made / "broker", key, "broker.toml", text)
    (made / "agent").mkdir(parents=True, exist_ok=True)
    (made / "agent" / "key").write_text(agent_key)
    domain.write()


def operator(made: Path, domain: ThrowawayDomain, node: str, now: int) -> None:
    """Admit one operator and write its folder."""
    name, countries = OPERATORS[node]
    entity, at = f"https://{node}.example", f"https://{node}.example:8443"
    key = domain.add_operator(
        entity,
        name,
        sonata=f"{at}/mefApi/sonata",
        mesh=f"{node}.example:8444",
        documents=f"{at}/peerway/v1/documents",
        tls=make_authority(made / node / "tls", entity, now=now),
    )
    facts = ClassFacts(countries=countries)
    domain.attest(
        AUDITOR,
        entity,
        Attestation(legal_domicile=countries[:1], controlling_parents=countries[:1], classes={"any": facts}),
    )
    text = OPERATOR_TOML.format(node=node, name=name)
    put_node(made / node, key, "operator.toml", text)
    shutil.copy(HERE / f"{node}.json", made / node / "footprint.json")


def put_node(folder: Path, key: PrivateKey, name: str, text: str) -> None:
    """A node's folder: its key, readable by its owner alone, and its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    secret = folder / "key.json"
    os.close(os.open(secret, os.O_CREAT | os.O_WRONLY, 0o600))
    secret.write_bytes(dump_private(key))
    (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    print(json.dumps({"made": sorted(p.name for p in Path(sys.argv[1]).iterdir())}))
