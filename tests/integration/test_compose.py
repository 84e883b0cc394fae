"""What the pair of containers is given: without containers, but by the very script, read by the very nodes."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from federation.broker.config import load_config as load_broker
from federation.client.agent import load_agent
from federation.node.certificate import server_tls
from federation.node.outside import roots_in
from federation.trust.domain import read_anchors
from federation.trust.jose import unverified
from operators.config import load_config as load_operator
from operators.inventory import footprint
from schemas.entity import TrustMark
from schemas.mandate import Mandate

ROOT = Path(__file__).parents[2]
PREPARE = ROOT / "compose" / "pair" / "prepare.py"
ANCHOR, BROKER = "https://anchor.example:8443", "https://broker.example:8443"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for _ in range(2):  # the second time it finds a domain and leaves it
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, PREPARE, folder], check=True, capture_output=True, env=environment)
    return folder


@pytest.mark.parametrize("node", ["north", "south"])
def test_an_operator_is_below_the_anchor_and_speaks_tls(made: Path, node: str) -> None:
    config = load_operator(made / node / "operator.toml")
    assert config.trust.domain is None
    assert set(read_anchors(Path(config.trust.anchors))) == {ANCHOR}
    assert server_tls(config.public.tls, "public.tls") is not None
    drawn = footprint.load(Path(config.footprint).read_bytes(), node)
    assert drawn.entity == config.entity
    assert {uni.owner for uni in drawn.unis} <= {BROKER, config.entity}
    mark = (made / node / "marks" / "facts.jwt").read_text()
    assert unverified(mark, TrustMark).sub == config.entity


def test_the_broker_takes_mandates_over_tls_alone_and_no_key(made: Path) -> None:
    config = load_broker(made / "broker" / "broker.toml")
    assert not config.listen.closed_network
    assert server_tls(config.listen.tls, "listen.tls") is not None
    assert [(one.entity is not None, one.key_sha256) for one in config.buyers] == [(True, None)]
    agent = load_agent(made / "agent" / "mandate.jwt", made / "agent" / "agent.json")
    mandate = unverified(agent.mandate, Mandate)
    assert (mandate.aud, mandate.cnf.jkt) == (config.entity, agent.key.kid)


def test_one_root_vouches_for_everybody_and_its_key_is_gone(made: Path) -> None:
    context = roots_in(str(made / "trust" / "root.pem"), "root")
    assert any("root.example" in str(one) for one in context.get_ca_certs())
    certificates = [path for path in made.rglob("*.pem") if path.parent.name != "trust"]
    assert len(certificates) == 4
    for path in certificates:
        pem = path.read_text()
        assert ssl.PEM_cert_to_DER_cert(pem)
    assert not [path for path in (made / "trust").iterdir() if path.name not in {"root.pem", "anchors.json"}]
    assert not (made / "agent" / "buyer.json").exists()
