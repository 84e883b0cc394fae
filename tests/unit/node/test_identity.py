"""Key files that are replaced under a running node, the keys that it had, and what it says of itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from federation.node.identity.former import FormerKeys
from federation.node.identity.keyfile import KeyFile
from federation.node.identity.presence import Presence
from federation.node.settings import Keys, Trust
from federation.trust.history import key_at, verify_history
from federation.trust.issue import jwks, plain_mark
from federation.trust.jose import unverified
from federation.trust.keys import generate
from federation.trust.keyset import KeySet, dump_key_set
from schemas.entity import EntityStatement, Metadata
from schemas.problem import Problem
from tests.support.seams import FixedClock

ME, OTHER, AUDITOR = "https://surf.example", "https://other.example", "https://audit.example"


class Config:
    """What a daemon's configuration says of any node."""

    def __init__(self, folder: Path) -> None:
        (folder / "marks").mkdir()
        (folder / "anchors.json").write_bytes(msgspec.json.encode({"https://anchor.example": jwks(generate())}))
        self.entity, self.name, self.data = ME, "SURF", str(folder / "data")
        self.keys = Keys(private=str(folder / "protocol.json"), federation=str(folder / "federation.json"))
        self.trust = Trust(anchors=str(folder / "anchors.json"), marks=str(folder / "marks"))


def test_a_key_file_is_followed_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    with pytest.raises(Problem, match=r"keys\.private"):
        KeyFile.open(path, "keys.private")
    file = KeyFile.open(path, "keys.private", make=True)
    assert path.stat().st_mode & 0o777 == 0o600
    signer, first, second = file.signer, file.signer.kid, generate()
    verifiers = signer.verifiers()
    assert not file.look()
    path.write_text("{")
    assert (file.look(), signer.kid) == (False, first)
    path.write_bytes(dump_key_set(file.keys.added(second).signing_with(second.kid)))
    assert file.look()
    assert file.signer is signer
    assert (signer.kid, set(verifiers)) == (second.kid, {first, second.kid})


def test_former_keys_outlast_a_restart_and_one_that_comes_back_is_none(tmp_path: Path) -> None:
    clock, old, new = FixedClock(), generate(), generate()
    begun = clock.now()
    FormerKeys(tmp_path / "data" / "former.json", clock).follow([old.jwk()])
    clock.advance(100)
    again = FormerKeys(tmp_path / "data" / "former.json", clock)
    again.follow([new.jwk()])
    assert [(row.kid, row.iat, row.exp) for row in again.rows()] == [(old.kid, begun, begun + 100)]
    again.follow([new.jwk(), old.jwk()])
    assert again.rows() == ()


def test_what_a_node_says_of_itself_follows_its_files(tmp_path: Path) -> None:
    clock, config = FixedClock(), Config(tmp_path)
    protocol = KeyFile.open(Path(config.keys.private), "keys.private", make=True)
    presence = Presence(config, protocol, lambda named: Metadata(federation_entity=named), clock)

    def said() -> EntityStatement:
        return unverified(asyncio.run(presence.configuration()), EntityStatement)

    assert (said().iss, said().authority_hints, said().trust_marks) == (ME, ("https://anchor.example",), None)
    auditor, former = generate(), said().jwks.keys[0].kid
    for about in (ME, OTHER):
        mark = plain_mark(auditor, AUDITOR, about, "https://m.example/v1", now=clock.now())
        (tmp_path / "marks" / f"{about[8:]}.jwt").write_text(mark)
    clock.advance(10)
    presence.look()
    assert [mark.trust_mark_type for mark in said().trust_marks or ()] == ["https://m.example/v1"]
    clock.advance(10)
    fresh = generate()
    Path(config.keys.federation or "").write_bytes(dump_key_set(KeySet((fresh,))))
    presence.look()
    assert [key.kid for key in said().jwks.keys] == [fresh.kid]
    history = verify_history(asyncio.run(presence.history()), ME, fresh.verifiers(), clock.now())
    assert key_at(history, former, clock.now() - 1).public_numbers()
    with pytest.raises(Problem, match="not in use"):
        key_at(history, former, clock.now())
