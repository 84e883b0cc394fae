"""What a configuration may say of the store, and when none is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.broker.config import SAMPLE, BrokerConfig, Store, load_config
from federation.broker.store.opened import FILE, open_store
from federation.broker.store.redis.whereabouts import Whereabouts, address
from federation.node.seams import SystemEntropy
from schemas.problem import Problem


def configured(folder: Path, store: str) -> BrokerConfig:
    path = folder / "broker.toml"
    path.write_text(f"{SAMPLE}\n[store]\n{store}\n")
    return load_config(path)


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ('redis = "redis://:secret@host/0"', "store.redis"),
        ('redis = "redis://user:secret@host/0"', "store.redis"),
        ('redis = "redis://host/0?password=secret"', "store.redis"),
        ('redis = "http://host"', "store.redis"),
        ('redis = "unix://redis.sock"', "store.redis"),
        ('redis = "redis://"', "store.redis"),
        ('password_file = "p"', "give store.redis"),
        ('redis = "redis://host"\nroots = "r.pem"', "write rediss://"),
        ('redis = "redis://host:70000"', "store.redis: has no port"),
        ('sentinels = ["h:1"]', "give store.redis"),
        ('redis = "redis://Orders"\nsentinels = ["h"]', "store.sentinels[0]"),
        ('redis = "redis://Orders"\nsentinels = ["h:0"]', "store.sentinels[0]: has no port"),
        ('redis = "redis://Orders"\nsentinels = ["h:1", "h:1"]', "store.sentinels[1]: is named before"),
        ('redis = "redis://Orders:6379"\nsentinels = ["h:1"]', "store.redis: has a port"),
        ('redis = "unix:///run/redis.sock"\nsentinels = ["h:1"]', "store.redis: is a socket"),
        ('redis = "redis://host"\nsentinel_password_file = "p"', "store.sentinel_password_file"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_no_password_stands_in_an_address(
    tmp_path: Path, store: str, says: str
) -> None:
    with pytest.raises(Problem) as caught:
        configured(tmp_path, store)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_files_are_found_beside_the_configuration(tmp_path: Path) -> None:
    found = configured(tmp_path, 'redis = "rediss://bob@host:7000/2"\npassword_file = "p"\nroots = "r.pem"').store
    assert found.password_file == str(tmp_path / "p")
    (tmp_path / "p").write_text("word\n")
    _, where = address(found)
    told = {"host": "host", "port": 7000, "db": 2, "username": "bob", "password": "word"}
    assert where == told | {"ssl_ca_certs": str(tmp_path / "r.pem")}
    _, where = address(Store(redis="unix://bob@/run/a%20b.sock"))
    assert where == {"path": "/run/a b.sock", "username": "bob"}


def test_with_sentinels_the_host_is_the_name_of_a_service(tmp_path: Path) -> None:
    words = 'redis = "redis://bob@Orders/2"\nsentinels = ["one:26379", "two:26379"]\nsentinel_password_file = "p"'
    found = configured(tmp_path, words).store
    assert (found.sentinels, found.sentinel_password_file) == (("one:26379", "two:26379"), str(tmp_path / "p"))
    with pytest.raises(Problem, match="cannot be read"):
        Whereabouts(found)


def test_a_password_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        address(Store(redis="redis://host", password_file=str(tmp_path / "none")))


def test_orders_in_a_file_are_not_left_behind(tmp_path: Path) -> None:
    config = configured(tmp_path, 'redis = "redis://host"')
    Path(config.data).mkdir()
    (Path(config.data) / FILE).touch()
    with pytest.raises(Problem, match="keeps orders and budgets that nobody would look at"):
        open_store(config, SystemEntropy())
