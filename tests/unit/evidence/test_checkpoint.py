"""Checkpoints: whose they are, who signed below them, and what they show."""

from __future__ import annotations

import base64

import pytest

from federation.evidence.checkpoint import (
    Checkpoint,
    entity_of,
    origin_of,
    read_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_inclusion,
)
from federation.evidence.note import NoteSigner, Type
from federation.trust.jose import sha256_b64
from schemas.evidence import Inclusion
from schemas.problem import Problem
from tests.support.logs import MemoryLog, log_signer, witness_keys, witness_signer
from tests.support.seams import NOW

LOG = "https://surf.example"
OTHERS = ("https://dfn.example", "https://geant.example", "https://switch.example/network")
HASHES = [sha256_b64(bytes([number])) for number in range(11)]
ROOT = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog(log_signer(LOG))
    made.add(*HASHES)
    return made


@pytest.fixture
def witnesses() -> dict[str, NoteSigner]:
    return {entity: witness_signer(entity) for entity in OTHERS}


def test_a_witnessed_checkpoint_is_believed_and_shows_its_leaves(
    log: MemoryLog, witnesses: dict[str, NoteSigner]
) -> None:
    evidence = log.evidence(HASHES, witnesses.values(), NOW)
    found = verify_checkpoint(evidence.checkpoint, LOG, str(log.signer.verifier), witness_keys(witnesses))
    assert found.checkpoint == Checkpoint("surf.example", 11, log.checkpoint().root)
    assert found.witnesses == dict.fromkeys(OTHERS, NOW)
    for document_h, inclusion in evidence.inclusions.items():
        verify_inclusion(document_h, inclusion, found.checkpoint)
        with pytest.raises(Problem, match="inclusion"):
            verify_inclusion(sha256_b64(b"another"), inclusion, found.checkpoint)
        for path in (inclusion.path[:-1], (*inclusion.path, HASHES[0]), ("A" * 44, *inclusion.path[1:])):
            with pytest.raises(Problem, match="inclusion"):
                verify_inclusion(document_h, Inclusion(index=inclusion.index, path=path), found.checkpoint)


def test_two_other_members_are_needed(log: MemoryLog, witnesses: dict[str, NoteSigner]) -> None:
    one, two, _ = witnesses.values()
    key, keys = str(log.signer.verifier), witness_keys(witnesses)
    assert len(verify_checkpoint(log.note([one, two], NOW), LOG, key, keys).witnesses) == 2
    for signed in ([], [one], [one, one]):
        with pytest.raises(Problem, match="2 are needed"):
            verify_checkpoint(log.note(signed, NOW), LOG, key, keys)
    del keys[OTHERS[0]]
    with pytest.raises(Problem, match="2 are needed"):
        verify_checkpoint(log.note([one, two], NOW), LOG, key, keys)


def test_a_log_does_not_vouch_for_itself_nor_one_key_for_two(log: MemoryLog, witnesses: dict[str, NoteSigner]) -> None:
    own, one = witness_signer(LOG), witnesses[OTHERS[0]]
    keys = witness_keys(witnesses) | {LOG: str(own.verifier)}
    with pytest.raises(Problem, match="2 are needed"):
        verify_checkpoint(log.note([own, one], NOW), LOG, str(log.signer.verifier), keys)
    twin = NoteSigner(origin_of(OTHERS[1]), Type.COSIGNATURE, one._key)
    keys[OTHERS[1]] = str(twin.verifier)
    with pytest.raises(Problem, match="2 are needed"):
        verify_checkpoint(log.note([twin, one], NOW), LOG, str(log.signer.verifier), keys)


def test_a_key_counts_only_for_the_member_it_is_called_after(log: MemoryLog, witnesses: dict[str, NoteSigner]) -> None:
    one, two, three = witnesses.values()
    keys = {OTHERS[0]: str(one.verifier), OTHERS[1]: str(three.verifier), OTHERS[2]: "rubbish"}
    with pytest.raises(Problem, match="2 are needed"):
        verify_checkpoint(log.note([one, two, three], NOW), LOG, str(log.signer.verifier), keys)


def test_only_the_log_itself_signs_its_tree(log: MemoryLog, witnesses: dict[str, NoteSigner]) -> None:
    keys, note = witness_keys(witnesses), log.note(witnesses.values(), NOW)
    for key, of, why in (
        (str(log_signer(LOG).verifier), LOG, "did not sign"),
        (str(log.signer.verifier), OTHERS[0], "not of dfn.example"),
        (str(witness_signer(LOG).verifier), LOG, "not one of"),
        (str(log_signer(OTHERS[0]).verifier), LOG, "not one of"),
        ("rubbish", LOG, "verifier key"),
    ):
        with pytest.raises(Problem, match=why):
            verify_checkpoint(note, of, key, keys)


def test_a_bad_line_of_a_known_witness_spoils_everything(log: MemoryLog, witnesses: dict[str, NoteSigner]) -> None:
    one, two, three = witnesses.values()
    note = log.note([one, two], NOW) + three.line("other text\n", NOW)
    with pytest.raises(Problem, match="does not verify"):
        verify_checkpoint(note, LOG, str(log.signer.verifier), witness_keys(witnesses))


def test_names_are_entity_ids_without_their_scheme() -> None:
    for entity in (LOG, *OTHERS):
        assert entity_of(origin_of(entity)) == entity


def test_further_lines_say_nothing_here() -> None:
    assert read_checkpoint(f"surf.example\n7\n{ROOT}\nmore\n") == Checkpoint("surf.example", 7, bytes(32))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "surf.example\n7\n",
        f"surf.example\n7\n{ROOT}",
        f"\n7\n{ROOT}\n",
        f"surf.example\n07\n{ROOT}\n",
        f"surf.example\n-7\n{ROOT}\n",
        f"surf.example\n7 \n{ROOT}\n",
        f"surf.example\n\u0667\n{ROOT}\n",
        f"surf.example\n{'9' * 5000}\n{ROOT}\n",
        f"surf.example\n7\n{ROOT[:-4]}\n",
        f"surf.example\n7\n{ROOT[:-2]}B=\n",
        f"surf.example\n7\n{ROOT}\n\nmore\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="checkpoint"):
        read_checkpoint(text)


def test_a_log_signs_nothing_of_another() -> None:
    with pytest.raises(AssertionError):
        sign_checkpoint(Checkpoint("dfn.example", 0, bytes(32)), log_signer(LOG))
