"""`peerway-operator footprint` as a person runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from operators.cli.main import main
from operators.inventory.footprint import load

for package in ("topohub", "reverse_geocode"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install 'peerway[demo]'")

SURF, KPN, GEANT = "caida/2024-08/1103", "caida/2024-08/1136", "caida/2024-08/20965"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["footprint", *map(str, arguments)])


def refused(result: Result) -> str:
    """The one sentence of an error: exit status 2, nothing on stdout, no traceback."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    return result.stderr


def test_a_footprint_is_written_and_summed_up(tmp_path: Path) -> None:
    target = tmp_path / "footprint.json"
    result = run(SURF, "--peer", KPN, "--peer", f"{GEANT}=https://geant.example", "-o", target)
    assert result.exit_code == 0
    drafted = load(target.read_bytes(), target.name)
    assert {one.peer_entity for one in drafted.ennis} == {"https://as1136.example", "https://geant.example"}
    assert "9 PoPs, 10 links, 9 UNIs, 6 ENNIs" in result.stderr
    assert "     5  https://as1136.example\n" in result.stderr
    assert "measured: " in result.stderr
    assert "invented: " in result.stderr


def test_without_a_file_it_goes_to_stdout() -> None:
    result = run(SURF, "--entity", "https://surf.example", "--uni-owner", "https://museum.example")
    drafted = load(result.stdout.encode(), "stdout")
    assert drafted.entity == "https://surf.example"
    assert {one.owner for one in drafted.unis} == {"https://museum.example"}


def test_speeds_and_the_metro_are_as_asked() -> None:
    given = ("--capacity-gbps", "10", "--enni-gbps", "5", "--uni-gbps", "2", "--metro-km", "30")
    drafted = load(run(SURF, "--peer", KPN, *given).stdout.encode(), "stdout")
    assert {one.capacity_bps for one in drafted.links} == {10 * 10**9}
    assert {one.speed_bps for one in drafted.ennis} == {5 * 10**9}
    assert {one.speed_bps for one in drafted.unis} == {2 * 10**9}
    assert len(drafted.ennis) == 4


def test_a_peer_that_is_nowhere_near_is_told() -> None:
    assert "     0  https://as9829.example\n" in run(SURF, "--peer", "caida/2024-08/9829").stderr


def test_a_federation_is_written_at_once(tmp_path: Path) -> None:
    listing = tmp_path / "members.json"
    members = [{"source": SURF}, {"source": KPN, "entity": "https://kpn.example", "uni_owner": "https://buyer.example"}]
    listing.write_text(json.dumps(members))
    result = run("--federation", listing, "-o", tmp_path / "new" / "folder")
    assert result.exit_code == 0
    files = {path.name: load(path.read_bytes(), path.name) for path in (tmp_path / "new" / "folder").iterdir()}
    assert set(files) == {"as1103.json", "kpn.json"}
    named = {(one.id, one.peer_interface) for one in files["as1103.json"].ennis}
    assert named == {(one.peer_interface, one.id) for one in files["kpn.json"].ennis}
    assert {one.owner for one in files["kpn.json"].unis} == {"https://buyer.example"}
    assert {one.owner for one in files["as1103.json"].unis} == {"https://as1103.example"}
    assert f"2 operators, 18 PoPs, 18 links, 18 UNIs, {len(named)} interconnects" in result.stderr


def test_a_corrected_file_is_not_written_over(tmp_path: Path) -> None:
    target = tmp_path / "footprint.json"
    target.write_text("corrected by hand")
    assert "--force writes over it" in refused(run(SURF, "-o", target))
    assert target.read_text() == "corrected by hand"
    assert run(SURF, "-o", target, "--force").exit_code == 0
    assert load(target.read_bytes(), target.name)


def test_a_federation_writes_nothing_when_one_file_exists(tmp_path: Path) -> None:
    listing, folder = tmp_path / "members.json", tmp_path / "out"
    listing.write_text(json.dumps([{"source": SURF}, {"source": KPN}]))
    folder.mkdir()
    (folder / "as1136.json").write_text("corrected by hand")
    assert "as1136.json exists" in refused(run("--federation", listing, "-o", folder))
    assert [path.name for path in folder.iterdir()] == ["as1136.json"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "name a SOURCE"),
        (("caida/1103",), "did you mean caida/2024-08/1103"),
        (("sndlib/france",), "no places on Earth"),
        ((SURF, "--peer", "nonsense"), "'nonsense' is not known"),
        ((SURF, "--peer", SURF), "more than once"),
        ((SURF, "--entity", "surf"), "--entity: 'surf' is no entity id"),
        ((SURF, "--peer", f"{KPN}=http://kpn"), "--peer: 'http://kpn' is no entity id"),
        ((SURF, "--uni-owner", ""), "--uni-owner: '' is no entity id"),
        ((SURF, "--metro-km", "-1"), "not in the range"),
        ((SURF, "--capacity-gbps", "0"), "not in the range"),
        ((SURF, "-o", "/nowhere/at/all/footprint.json"), "/nowhere/at/all/footprint.json: No such file"),
        (("--federation", "/nowhere/members.json", "-o", "out"), "does not exist"),
    ],
)
def test_a_mistake_gets_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused(run(*arguments))


@pytest.mark.parametrize(
    ("listing", "sentence"),
    [
        ("[]", "members.json: lists nobody"),
        ('[{"source": 1}]', "members.json: [0].source"),
        ('[{"source": "caida/2024-08/1103", "owner": "x"}]', "members.json: [0].owner"),
        ('[{"source": "caida/2024-08/1103"', "members.json: is not JSON"),
        ('[{"source": "caida/2024-08/1103"}, {"source": "caida/2024-08/1103"}]', "more than once"),
    ],
)
def test_a_bad_listing_is_named(tmp_path: Path, listing: str, sentence: str) -> None:
    path = tmp_path / "members.json"
    path.write_text(listing)
    assert sentence in refused(run("--federation", path, "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_federation_is_not_mixed_with_a_source(tmp_path: Path) -> None:
    path = tmp_path / "members.json"
    path.write_text("[]")
    assert "neither SOURCE" in refused(run(SURF, "--federation", path, "-o", tmp_path))
    assert "takes -o FOLDER" in refused(run("--federation", path))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "topohub", None)
    assert "pip install 'peerway[demo]'" in refused(run(SURF))


def test_help_has_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "peerway-operator footprint caida/2024-08/1103 --peer" in result.stdout
