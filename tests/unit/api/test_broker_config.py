from __future__ import annotations

from pathlib import Path

import pytest

from federation.broker.config import SAMPLE, load_config
from schemas.price import Money
from schemas.problem import Problem


def written(folder: Path, text: str) -> Path:
    path = folder / "broker.toml"
    path.write_text(text)
    return path


def test_the_printed_sample_loads(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SAMPLE))
    assert config.entity == "https://broker.example"
    assert config.listen.http_port == 8700
    assert [buyer.name for buyer in config.buyers] == ["alice"]
    assert config.rates.table().convert(Money("CHF", 1_000_000), "EUR") == Money("EUR", 1_068_000)
    assert config.limits.hold_s == 30


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SAMPLE.replace('tls = "broker-data/tls"', "")))
    assert config.data == str(tmp_path / "broker-data")
    assert config.trust.anchors == str(tmp_path / "anchors.json")
    assert config.keys.tls == str(tmp_path / "broker-data" / "tls")
    assert config.operators[0].billing_account == "broker-17"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("http_port = 8700", "http_port = 70000", "listen.http_port"),
        ("http_port = 8700", "http_prot = 8700", "listen.http_prot"),
        ("http_port = 8700", 'http_port = "8700"', "listen.http_port"),
        ("http_port = 8700", "http_port = 8701", "listen.mcp_port"),
        ('entity = "https://broker.example"', 'entity = "broker.example"', "entity"),
        ('entity = "https://broker.example"', "", "entity"),
        ('private = "protocol.json"', "", "keys.private"),
        ('entity = "https://geant.example"', 'entity = "https://surf.example"', "operators[1].entity"),
        ('billing_account = "broker-17"', 'key = "a key of old"', "operators[0].key"),
        ("key_sha256 = ", "key_sha = ", "buyers[0].key_sha"),
        ("hold_s = 30", "hold_s = 0", "limits.hold_s"),
        ("[limits]", "[limits", "TOML"),
        ('host = "127.0.0.1"', 'host = "0.0.0.0"', "public.tls"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, before: str, after: str, says: str) -> None:
    assert before in SAMPLE
    path = written(tmp_path, SAMPLE.replace(before, after, 1))
    with pytest.raises(Problem) as caught:
        load_config(path)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert says in str(caught.value)
    assert str(tmp_path) in str(caught.value)


KEYED = f'key_sha256 = "{"0" * 64}"'
MANDATED = 'entity = "https://bob.example"\njwks = "buyer.jwks"'


@pytest.mark.parametrize(
    ("listen", "buyer", "says"),
    [
        ('host = "0.0.0.0"', MANDATED, "listen.host"),
        ('host = "2001:db8::1"', MANDATED, "listen.host"),
        ('host = "10.0.0.7"\nclosed_network = true', MANDATED, None),
        ('host = "0.0.0.0"\ntls = { certificate = "c.pem", private_key = "c.key" }', MANDATED, None),
        ('host = "0.0.0.0"\ntls = { certificate = "c.pem", private_key = "c.key" }', KEYED, "buyers[0].key_sha256"),
        ('host = "10.0.0.7"\nclosed_network = true', KEYED, None),
    ],
)
def test_agents_are_listened_to_without_tls_on_loopback_and_closed_networks_alone(
    tmp_path: Path, listen: str, buyer: str, says: str | None
) -> None:
    text = f"""\
entity = "https://broker.example"
name = "Broker"
data = "data"
keys = {{ private = "protocol.json", federation = "federation.json" }}
trust = {{ domain = "trust", anchors = "anchors.json" }}
[[buyers]]
name = "bob"
{buyer}
[listen]
{listen}
"""
    if says is None:
        assert load_config(written(tmp_path, text)).listen.sheltered == ("tls" not in listen)
        return
    with pytest.raises(Problem) as caught:
        load_config(written(tmp_path, text))
    assert says in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"absent\.toml"):
        load_config(tmp_path / "absent.toml")
