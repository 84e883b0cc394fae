"""Mandates and the agents that have them, as files: what is refused before any broker is asked, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.cli.main import run
from federation.client.agent import load_agent
from federation.node.seams import SystemClock
from federation.trust.jose import unverified
from federation.trust.keyset import load_key_set
from schemas.mandate import Mandate
from schemas.problem import Problem
from schemas.segment import moment
from tests.support.agents import BROKER, CAROL, Principal

pytestmark = pytest.mark.filterwarnings("error")


class Desk:
    """A folder with the keys of a buyer and an agent, and a terminal there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        for name in ("buyer.json", "agent.json"):
            assert self("keys", "new", str(folder / name))[0] == 0
        self.kid = load_key_set((folder / "agent.json").read_bytes(), "agent.json").signer.kid

    def __call__(self, *words: str) -> tuple[int, str]:
        status = run(words)
        told = self._capsys.readouterr()
        assert "Traceback" not in told.err
        return int(status), told.out + told.err

    def mandate(self, **changes: str) -> tuple[int, str]:
        """`peerway mandate new` for the agent, at most EUR 60."""
        given = {
            "as": CAROL, "sign-with": str(self.folder / "buyer.json"), "to": BROKER, "agent": self.kid,
            "total": "60EUR", "until": f"{moment(SystemClock().now() + 86_400):%Y-%m-%dT%H:%MZ}",
        } | {name.replace("_", "-"): value for name, value in changes.items()}  # fmt: skip
        return self("mandate", "new", *(word for name, value in given.items() for word in (f"--{name}", value)))


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("PEERWAY_KEY", "PEERWAY_MANDATE", "PEERWAY_AGENT_KEY", "PEERWAY_BROKER"):
        monkeypatch.delenv(name, raising=False)
    return Desk(tmp_path, capsys)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"agent": "agent.json"}, "--agent: is no key id"),
        ({"as": "carol.example"}, "https://surf.example"),
        ({"to": "https://Broker.example"}, "https://surf.example"),
        ({"per_order": "70EUR"}, "--per-order: is more than the total of EUR 60.00"),
        ({"per_order": "10CHF"}, "--per-order: must be in EUR"),
        ({"until": "2020-01-01T00:00Z"}, "--until: must lie between now and a year from now"),
        ({"actions": "quote,buy"}, "--actions: 'buy' is none of"),
        ({"sign_with": "absent.json"}, "make one with: peerway keys new"),
    ],
)
def test_what_cannot_be_signed_names_its_option(desk: Desk, changes: dict[str, str], says: str) -> None:
    status, said = desk.mandate(**changes)
    assert (status, says in said) == (2, True), said


def test_an_agent_is_told_by_its_files_what_is_wrong_with_them(tmp_path: Path, desk: Desk) -> None:
    folder, mandate = desk.folder, desk.folder / "mandate.jwt"
    ended = Principal().agent(iat=1_700_000_000, exp=1_700_000_100)
    mandate.write_text(ended.mandate)
    with pytest.raises(Problem, match="the mandate ended at 2023-11-14"):
        load_agent(mandate, folder / "agent.json")
    mandate.write_text(Principal().agent().mandate)
    with pytest.raises(Problem, match="is not the key that the mandate is for"):
        load_agent(mandate, folder / "agent.json")
    with pytest.raises(Problem, match="holds no mandate"):
        load_agent(folder / "agent.json", folder / "agent.json")
    status, said = desk("orders", "--mandate", str(mandate))
    assert (status, "belong together" in said) == (2, True)


def test_what_is_signed_is_read_back(desk: Desk) -> None:
    status, said = desk.mandate(per_order="20EUR", countries="EU")
    assert status == 0
    (desk.folder / "mandate.jwt").write_text(said)
    status, said = desk("mandate", "show", str(desk.folder / "mandate.jwt"))
    assert (status, '"per_order_micro": 20000000' in said, desk.kid in said) == (0, True, True)
    assert load_agent(desk.folder / "mandate.jwt", desk.folder / "agent.json").key.kid == desk.kid


def test_the_mandate_one_acts_under_is_shown_unless_another_is_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.folder / "mandate.jwt").write_text(desk.mandate(per_order="20EUR")[1])
    monkeypatch.setenv("PEERWAY_MANDATE", str(desk.folder / "mandate.jwt"))
    status, said = desk("mandate", "show")
    assert (status, '"per_order_micro": 20000000' in said) == (0, True)
    status, said = desk("mandate", "show", str(desk.folder / "absent.jwt"))
    assert (status, "absent.jwt: cannot be read (No such file or directory)" in said) == (2, True)


def test_what_is_neither_file_nor_hash_cannot_be_revoked(desk: Desk) -> None:
    status, said = desk("mandate", "revoke", "nonsense", "--sign-with", str(desk.folder / "buyer.json"))
    assert (status, "FILE_OR_HASH: 'nonsense' is neither a file nor the hash of a mandate" in said) == (2, True)


def test_of_several_keys_in_a_file_the_one_that_the_mandate_names_is_used(desk: Desk) -> None:
    folder, mandate = desk.folder, desk.folder / "mandate.jwt"
    Path(mandate).write_text(Principal().agent(key=load_key_set(
        (folder / "agent.json").read_bytes(), "agent.json").signer).mandate)  # fmt: skip
    assert desk("keys", "add", str(folder / "agent.json"))[0] == 0
    newest = load_key_set((folder / "agent.json").read_bytes(), "agent.json").keys[-1].kid
    assert desk("keys", "use", str(folder / "agent.json"), newest)[0] == 0
    agent = load_agent(mandate, folder / "agent.json")
    assert agent.key.kid == unverified(agent.mandate, Mandate).cnf.jkt != newest
