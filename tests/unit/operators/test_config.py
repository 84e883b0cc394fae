"""The operator's configuration: the sample loads, and every fault names the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.config import SAMPLE, Show, load_config
from schemas.interface import InterfaceKind
from schemas.problem import Problem


def written(tmp_path: Path, text: str = SAMPLE) -> Path:
    path = tmp_path / "operator.toml"
    path.write_text(text)
    return path


def test_the_sample_loads(tmp_path: Path) -> None:
    config = load_config(written(tmp_path))
    assert config.entity == "https://surf.example"
    assert config.disclosure is Show.AUTO
    assert [c.id for c in config.route_classes] == ["any", "domestic"]
    assert config.route_classes[0].countries is None
    assert config.route_classes[1].countries == ("NL",)
    assert config.route_classes[0].rates.port_hourly_micro[InterfaceKind.ENNI] == 300_000
    assert config.route_classes[0].promises.km.jitter_ns == 20


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_config(written(tmp_path))
    assert config.footprint == str(tmp_path / "footprint.json")
    assert config.keys.private == str(tmp_path / "protocol.json")
    assert config.trust.anchors == str(tmp_path / "anchors.json")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('zone = "Europe/Amsterdam"', 'zone = "Europe/Atlantis"', "zone"),
        ("http_port = 8100", "http_port = 8101", "listen.grpc_port"),
        ("http_port = 8100", "http_port = 81000", "listen.http_port"),
        ('disclosure = "auto"', 'disclosure = "all"', "disclosure"),
        ('id = "domestic"', 'id = "any"', "route_classes[1].id"),
        ('countries = ["NL"]', "countries = []", "route_classes[1].countries"),
        ('countries = ["NL"]', 'countries = ["Netherlands"]', "route_classes[1].countries[0]"),
        ("set_up_micro = 2_000_000", "set_up_micro = -1", "route_classes[0].rates.set_up_micro"),
        ("set_up_micro = 2_000_000", "set_up = 2", "route_classes[0].rates.set_up"),
        ("to_minute = 360", "to_minute = 0", "route_classes[0].rates.bands[0].to_minute"),
        ("from_minute = 0", "from_minute = 900", "route_classes[0].rates.bands"),
        ('name = "SURF"\n', "", "name"),
        ("horizon_days = 730", "horizon_days = 0", "calendar.horizon_days"),
        ('host = "127.0.0.1"', 'host = "0.0.0.0"', "public.tls"),
    ],
)
def test_a_fault_names_file_and_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in SAMPLE
    path = written(tmp_path, SAMPLE.replace(old, new, 1))
    with pytest.raises(Problem) as caught:
        load_config(path)
    assert caught.value.field == f"{path}: {key}"


def test_beyond_loopback_a_certificate_or_an_open_word_opens_the_public_listener(tmp_path: Path) -> None:
    everywhere = SAMPLE.replace('host = "127.0.0.1"', 'host = "0.0.0.0"', 1)
    spoken = everywhere.replace("# [public]\n# plain_http", "[public]\nplain_http")
    assert load_config(written(tmp_path, spoken)).public.plain_http
    tls = '[public.tls]\ncertificate = "public.pem"\nprivate_key = "public.key"\n'
    found = load_config(written(tmp_path, everywhere + tls)).public.tls
    assert found is not None
    assert found.certificate == str(tmp_path / "public.pem")


def test_what_is_said_of_a_listener_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    text = SAMPLE.replace("public_port = 8102", "").replace('# domain = "trust"', 'domain = "trust"')
    with pytest.raises(Problem, match="is about a listener that is not there"):
        load_config(written(tmp_path, text.replace("# [public]\n# plain_http", "[public]\nplain_http")))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"nowhere\.toml: cannot be read"):
        load_config(tmp_path / "nowhere.toml")
