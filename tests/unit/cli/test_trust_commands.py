"""A trust domain kept by hand: every command of `peerway anchor`, `keys` and `trust`, and what their errors name."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from federation.cli.main import run
from federation.node.mtls.own import Own
from federation.node.seams import SystemClock
from federation.trust.certificates import entity_of, read_certificate
from federation.trust.jose import unverified
from federation.trust.keyset import dump_key_set, load_key_set
from federation.trust.throwaway import ThrowawayDomain
from schemas.entity import FACTS_MARK, TrustMark
from schemas.problem import Problem

ANCHOR, AUDITOR, SURF = "https://anchor.example", "https://audit.example", "https://surf.example"


class Shell:
    """Runs commands in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *words: Any, status: int = 0) -> str:
        assert run([str(word) for word in words]) == status, self._capsys.readouterr()
        out, err = self._capsys.readouterr()
        return out if status == 0 else err

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


@pytest.fixture
def anchor(shell: Shell) -> Path:
    folder = shell.folder / "anchor"
    shell("anchor", "init", folder, "--entity", ANCHOR, "--name", "Example")
    return folder


def public(shell: Shell, name: str = "surf") -> Path:
    shell("keys", "new", shell.folder / f"{name}.json")
    return shell.file(f"{name}.public.json", shell("keys", "public", shell.folder / f"{name}.json"))


def test_an_anchor_is_made_once_and_prints_what_others_need(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir(mode=0o755)
    printed = json.loads(shell("anchor", "init", folder, "--entity", ANCHOR, "--name", "Example"))
    assert list(printed) == [ANCHOR]
    assert set(printed[ANCHOR]["keys"][0]) == {"kty", "crv", "x", "y", "kid"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert json.loads(shell("anchor", "show", folder, "--anchors")) == printed
    again = ("anchor", "init", folder, "--entity", ANCHOR, "--name", "Example")
    assert "already holds a superior" in shell(*again, status=4)


def test_a_member_is_enrolled_marked_and_removed(shell: Shell, anchor: Path) -> None:
    keys = public(shell)
    shell("anchor", "enrol", anchor, SURF, "--keys", keys, "--type", "connectivity_operator", "--path-length", "0")
    shell("anchor", "recognise", anchor, ANCHOR, FACTS_MARK)
    facts = shell.file("facts.json", '{"legal_domicile": ["NL"]}')
    token = shell("anchor", "mark", anchor, SURF, "--facts", facts, "--days", "7").strip()
    mark = unverified(token, TrustMark)
    assert (mark.sub, mark.attest.legal_domicile, mark.exp - mark.iat) == (SURF, ("NL",), 7 * 86400)
    shown = json.loads(shell("anchor", "show", anchor))
    assert [member["entity"] for member in shown["members"]] == [SURF]
    assert [row["index"] for row in shown["marks"]] == [1]
    assert shell("anchor", "revoke", anchor, "--mark", "1") == "mark 1 is revoked\n"
    assert "0 marks taken back" in shell("anchor", "revoke", anchor, SURF)
    assert json.loads(shell("anchor", "show", anchor))["members"] == []


def test_an_auditor_shows_its_keys_for_its_superior(shell: Shell, anchor: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    made = shell("anchor", "init", audit, "--entity", AUDITOR, "--name", "A", "--auditor", "--superior", ANCHOR)
    assert shell("anchor", "show", audit, "--keys") == made
    keys = shell.file("audit.json", made)
    shell("anchor", "enrol", anchor, AUDITOR, "--keys", keys, "--issues", FACTS_MARK)
    assert "has superiors" in shell("anchor", "show", audit, "--anchors", status=2)


def test_a_tls_authority_is_made_once_and_printed_for_the_metadata(shell: Shell) -> None:
    folder = shell.folder / "tls"
    printed = shell("keys", "authority", folder, "--entity", SURF).strip()
    certificate = read_certificate(base64.b64decode(printed))
    assert entity_of(certificate) == SURF
    assert Own.open(folder, SURF, ("surf.example",), SystemClock()).certificate == certificate
    assert "is there already" in shell("keys", "authority", folder, "--entity", SURF, status=2)


def test_keys_of_an_anchor_are_rotated_and_revoked(shell: Shell, anchor: Path) -> None:
    former = json.loads(shell("anchor", "show", anchor))["keys"][0]["kid"]
    printed = json.loads(shell("anchor", "rotate", anchor, "--overlap-hours", "2"))
    assert len(printed[ANCHOR]["keys"]) == 2
    assert "under way" in shell("anchor", "rotate", anchor, status=4)
    printed = json.loads(shell("anchor", "revoke", anchor, "--key", former, "--reason", "compromised"))
    assert former not in {key["kid"] for key in printed[ANCHOR]["keys"]}
    assert "no key has the id x" in shell("anchor", "revoke", anchor, "--key", "x", status=4)


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("init", "{new}", "--entity", "http://anchor.example", "--name", "x"), "--entity: 'http://anchor.example'"),
    (("init", "{new}", "--entity", ANCHOR, "--superior", "me", "--name", "x"), "--superior: 'me' is no entity id"),
    (("enrol", "{anchor}", "HTTPS://SURF", "--keys", "{keys}"), "ENTITY: 'HTTPS://SURF' is no entity id"),
    (("enrol", "{anchor}", SURF, "--keys", "{missing}"), "--keys"),
    (("enrol", "{anchor}", SURF, "--keys", "{facts}"), "keys"),
    (("enrol", "{anchor}", SURF, "--keys", "{keys}", "--policy", "{facts}"), "--policy"),
    (("enrol", "{anchor}", ANCHOR, "--keys", "{keys}"), "entity: a superior does not enrol itself"),
    (("mark", "{anchor}", SURF), "--type"),
    (("mark", "{anchor}", SURF, "--type", FACTS_MARK), "--type"),
    (("mark", "{anchor}", SURF, "--facts", "{keys}"), "--facts"),
    (("revoke", "{anchor}"), "exactly one of ENTITY, --mark INDEX and --key KID"),
    (("revoke", "{anchor}", SURF, "--mark", "1"), "exactly one of"),
    (("show", "{missing}"), "make one with: peerway anchor init"),
    (("serve", "{new}"), "make one with: peerway anchor init"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_mistakes_are_named(shell: Shell, anchor: Path, words: tuple[str, ...], said: str) -> None:
    places = {
        "new": shell.folder / "new",
        "anchor": anchor,
        "keys": public(shell),
        "missing": shell.folder / "missing",
        "facts": shell.file("facts.json", '{"legal_domicile": ["NL"], "x": {"y": {"z": 1}}}'),
    }
    filled = [word.format(**places) for word in words]
    assert said in shell("anchor", *filled, status=2)


def test_keys_are_made_for_their_owner_alone_and_never_overwritten(shell: Shell) -> None:
    file = shell.folder / "federation.json"
    kid = shell("keys", "new", file).strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "exists" in shell("keys", "new", file, status=2)
    other = shell("keys", "add", file).strip()
    assert shell("keys", "show", file) == f"{kid}  signs\n{other}  published\n"
    shell("keys", "use", file, other)
    assert shell("keys", "show", file) == f"{other}  signs\n{kid}  published\n"
    assert "this key signs" in shell("keys", "drop", file, other, status=2)
    shell("keys", "drop", file, kid)
    assert shell("keys", "show", file) == f"{other}  signs\n"
    assert "no key of the file" in shell("keys", "use", file, kid, status=2)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert '"d"' not in shell("keys", "public", file)
    assert list(json.loads(shell("keys", "public", file, "--entity", ANCHOR))) == [ANCHOR]
    assert "make one with" in shell("keys", "show", shell.folder / "none", status=2)


@pytest.mark.parametrize("text", ["", "[]", "7", '{"keys": []}', '{"keys": [7]}', '{"keys": {}}', '{"d": 1}', "\x00"])
def test_a_broken_key_file_is_named(text: str) -> None:
    with pytest.raises(Problem, match=r"^federation\.json: "):
        load_key_set(text.encode(), "federation.json")


def test_a_single_private_key_is_a_set_of_one(shell: Shell) -> None:
    shell("keys", "new", shell.folder / "one.json")
    found = load_key_set((shell.folder / "one.json").read_bytes(), "one.json")
    assert load_key_set(dump_key_set(found), "x").signer.kid == found.signer.kid


@pytest.fixture
def domain(tmp_path: Path) -> ThrowawayDomain:
    from federation.node.seams import SystemClock

    made = ThrowawayDomain(tmp_path / "domain", SystemClock().now() - 5)
    made.add_operator(SURF, "SURF", sonata="http://h:1", mesh="h:2", documents="http://h:1")
    made.write()
    return made


def test_trust_is_explained_in_words_and_in_json(shell: Shell, domain: ThrowawayDomain) -> None:
    source = ("--anchors", domain.anchors_file, "--domain", domain.folder)
    said = shell("trust", "show", SURF, *source)
    assert f"{SURF} is trusted until" in said
    assert f"verified the chain with the configured keys of {ANCHOR}" in said
    answer = json.loads(shell("trust", "show", SURF, "--json", *source))
    assert (answer["trusted"], answer["path"]) == (True, [SURF, ANCHOR])
    assert f"member   {SURF}  SURF  (operator)" in shell("trust", "members", *source)


def test_why_an_entity_is_not_trusted_names_the_step(shell: Shell, domain: ThrowawayDomain) -> None:
    (domain.folder / "surf.example" / "subordinate-statement.jwt").unlink()
    source = ("--anchors", domain.anchors_file, "--domain", domain.folder)
    assert run(["trust", "show", SURF, *map(str, source)]) == 4
    out = shell._capsys.readouterr().out
    assert f"{SURF} is not trusted: nobody says anything about {SURF} here." in out
    assert f"asked {ANCHOR} about {SURF}" in out
    assert f"refused  {SURF}" in shell("trust", "members", *source)
    assert "not trusted" in shell("trust", "history", SURF, *source, status=4)
    for command in ("show", "history"):
        assert "'surf' is no entity id; write https://surf.example" in shell(
            "trust", command, "surf", *source, status=2
        )


def test_where_an_entity_is_served_must_be_an_address(shell: Shell, domain: ThrowawayDomain) -> None:
    words = ("trust", "show", SURF, "--anchors", domain.anchors_file, "--at", f"{SURF}=127.0.0.1:1")
    assert "is not ENTITY=URL" in shell(*words, status=2)
    words = ("trust", "show", SURF, "--anchors", domain.anchors_file, "--at", f"{SURF}=http://10.0.0.1:80")
    assert "no loopback address" in shell(*words, status=2)


@pytest.mark.parametrize("group", ["anchor", "keys", "trust"])
def test_help_teaches(shell: Shell, group: str) -> None:
    assert "peerway " in shell(group, "--help")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--host", "0.0.0.0"), "--certificate: is missing, and 0.0.0.0 is no loopback address"),
        (("--certificate", "a.pem"), "--private-key: and --certificate belong together"),
        (("--certificate", "absent.pem", "--private-key", "absent.key"), "absent.pem"),
    ],
)
def test_an_anchor_speaks_tls_beyond_loopback(shell: Shell, anchor: Path, words: tuple[str, ...], says: str) -> None:
    assert says in shell("anchor", "serve", anchor, "--port", "0", *words, status=2)
