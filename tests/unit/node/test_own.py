"""A node's TLS files: made once, renewed in time, never half written."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from federation.node.mtls.own import AUTHORITY, AUTHORITY_KEY, LEAF, LOOK_S, NEXT, Own, make_authority
from federation.trust.certificates import LEAF_LIFE_S, der
from schemas.problem import Problem
from tests.support import loops
from tests.support.seams import NOW, FixedClock
from tests.support.speaking import SURF, keys

HOSTS = ["surf.example", "127.0.0.1"]


def opened(folder: Path, clock: FixedClock, *, hosts: list[str] = HOSTS, seed: int = 2) -> Own:
    return Own.open(folder, SURF, hosts, clock, new_key=keys(seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_authority(tmp_path, SURF, now=NOW, key=keys(1)())
    return tmp_path


def test_a_leaf_is_issued_at_the_start_and_kept_over_a_restart(folder: Path) -> None:
    first, again = opened(folder, FixedClock()), opened(folder, FixedClock(), seed=3)
    assert (first.renewed, again.renewed) == (1, 0)
    assert first.leaf == again.leaf
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / LEAF)


def test_only_the_owner_may_read_keys(folder: Path) -> None:
    opened(folder, FixedClock())
    assert {path.name for path in folder.iterdir()} == {AUTHORITY, AUTHORITY_KEY, LEAF}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_leaf_is_renewed_at_half_of_its_life_with_a_new_key(folder: Path) -> None:
    clock = FixedClock()
    own = opened(folder, clock)
    first = own.leaf
    clock.advance(LEAF_LIFE_S // 2 - 400)
    assert not own.renew()
    clock.advance(400)
    assert own.renew()
    assert first is not None
    assert own.leaf is not None
    assert own.leaf.public_key() != first.public_key()
    assert der(own.leaf) == der(x509.load_pem_x509_certificate((folder / LEAF).read_bytes()))


@pytest.mark.parametrize("change", ["hosts", "expired", "garbage", "foreign", "missing"])
def test_a_leaf_that_does_not_serve_is_replaced_at_the_start(folder: Path, tmp_path: Path, change: str) -> None:
    clock = FixedClock()
    opened(folder, clock)
    hosts = [*HOSTS, "other.example"] if change == "hosts" else HOSTS
    if change == "expired":
        clock.advance(2 * LEAF_LIFE_S)
    if change == "garbage":
        (folder / LEAF).write_bytes(b"\x00garbage")
    if change == "foreign":
        make_authority(tmp_path / "other", SURF, now=NOW, key=keys(9)())
        opened(tmp_path / "other", clock)
        (folder / LEAF).write_bytes((tmp_path / "other" / LEAF).read_bytes())
    if change == "missing":
        (folder / LEAF).unlink()
    assert opened(folder, clock, hosts=hosts, seed=3).renewed == 1


def test_a_month_of_running_never_shows_an_expired_leaf(folder: Path) -> None:
    clock, seen = FixedClock(), []
    own = opened(folder, clock)

    def changed() -> None:
        assert own.leaf is not None
        seen.append(own.leaf)

    async def month() -> None:
        task = asyncio.ensure_future(own.run(changed))
        for _ in range(30 * 86_400 // int(LOOK_S)):
            await asyncio.sleep(LOOK_S)
            assert own.leaf is not None
            assert own.leaf.not_valid_after_utc.timestamp() > clock.now() + LEAF_LIFE_S // 3
        task.cancel()

    loops.run(month(), clock.advance)
    assert len(seen) == 8
    assert len({der(leaf) for leaf in seen}) == 8


def test_a_folder_that_cannot_be_written_stops_nothing_and_is_tried_again(folder: Path) -> None:
    clock = FixedClock()
    own = opened(folder, clock)
    first = own.leaf
    blocked = folder / f".{LEAF}.new"
    blocked.mkdir()
    clock.advance(LEAF_LIFE_S // 2)
    with pytest.raises(Problem, match="cannot be written"):
        own.renew()
    assert own.leaf == first
    blocked.rmdir()
    assert own.renew()


def test_an_authority_is_made_once(folder: Path) -> None:
    with pytest.raises(Problem, match="is there already"):
        make_authority(folder, SURF, now=NOW)


def test_an_authority_of_another_entity_or_key_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="is not the authority of"):
        Own.open(folder, "https://other.example", HOSTS, FixedClock())
    make_authority(tmp_path / "other", SURF, now=NOW, key=keys(9)())
    (folder / AUTHORITY_KEY).write_bytes((tmp_path / "other" / AUTHORITY_KEY).read_bytes())
    with pytest.raises(Problem, match="is not the authority of"):
        opened(folder, FixedClock())


@pytest.mark.parametrize("name", [AUTHORITY, AUTHORITY_KEY])
def test_a_missing_or_broken_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"nonsense")
    with pytest.raises(Problem, match=name):
        opened(folder, FixedClock())
    (folder / name).unlink()
    with pytest.raises(Problem, match="cannot be read"):
        opened(folder, FixedClock())


def test_an_authority_at_its_end_is_said_in_words(folder: Path) -> None:
    clock = FixedClock()
    clock.advance(6 * 365 * 86_400)
    with pytest.raises(Problem, match="has expired"):
        opened(folder, clock)


def test_the_next_authority_is_published_before_it_is_used(folder: Path) -> None:
    own = opened(folder, FixedClock())
    first = own.certificate
    assert own.published() == (first,)
    second = make_authority(folder / NEXT, SURF, now=NOW, key=keys(7)())
    assert own.published() == (first, second)
    assert not own.reload()
    for name in (AUTHORITY_KEY, AUTHORITY):
        (folder / NEXT / name).replace(folder / name)
    assert own.reload()
    assert own.published() == (second,)
    assert own.leaf is not None
    own.leaf.verify_directly_issued_by(second)


def test_half_of_a_next_authority_is_not_published_and_not_used(folder: Path) -> None:
    own = opened(folder, FixedClock())
    make_authority(folder / NEXT, SURF, now=NOW, key=keys(7)())
    (folder / NEXT / AUTHORITY_KEY).replace(folder / AUTHORITY_KEY)
    assert own.published() == (own.certificate,)
    with pytest.raises(Problem, match="with the key beside it"):
        own.reload()
