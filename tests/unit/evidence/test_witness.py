"""What a witness signs below, and what it answers where it does not (C2SP tlog-witness)."""

from __future__ import annotations

import pytest

from federation.evidence.checkpoint import Checkpoint
from federation.evidence.tree import consistency_proof
from federation.evidence.witness import (
    PROOF_LINES_MAX,
    REQUEST_BYTES_MAX,
    AddCheckpoint,
    Refusal,
    Remembered,
    judge,
    read_request,
    write_request,
)
from federation.trust.jose import sha256_b64
from schemas.problem import Problem
from tests.support.logs import MemoryLog, log_signer

LOG = "https://surf.example"
SIGNER = log_signer(LOG)
KEY = str(SIGNER.verifier)
HASHES = [sha256_b64(bytes([number])) for number in range(12)]


def log_of(*hashes: str) -> MemoryLog:
    made = MemoryLog(SIGNER)
    made.add(*hashes)
    return made


def asked(log: MemoryLog, old: int, note: str | None = None) -> AddCheckpoint:
    return read_request(write_request(old, consistency_proof(log.read, old, log.size), note or log.note()))


def after(log: MemoryLog) -> Remembered:
    return Remembered(log.size, log.checkpoint().root)


def refused(verdict: Checkpoint | Refusal) -> tuple[int, int | None, bool]:
    assert isinstance(verdict, Refusal)
    return verdict.status, verdict.size, verdict.fork


def test_a_log_that_grows_is_signed_from_nothing_on() -> None:
    last = Remembered()
    log = MemoryLog(SIGNER)
    for count in (0, 1, 4, 0, 7):
        log.add(*HASHES[log.size : log.size + count])
        assert judge(asked(log, last.size), KEY, last) == log.checkpoint()
        last = after(log)


def test_a_fork_of_the_same_size_is_refused_and_is_proof() -> None:
    honest, forked = log_of(*HASHES[:5]), log_of(*HASHES[:4], HASHES[9])
    assert refused(judge(asked(forked, 5), KEY, after(honest))) == (409, 5, True)


def test_a_longer_fork_is_refused() -> None:
    honest, forked = log_of(*HASHES[:5]), log_of(*HASHES[:4], *HASHES[8:])
    assert refused(judge(asked(forked, 5), KEY, after(honest))) == (422, None, False)


def test_a_shorter_tree_is_refused_whatever_size_is_said_to_be_old() -> None:
    honest, shorter = log_of(*HASHES[:5]), log_of(*HASHES[:3])
    assert refused(judge(asked(shorter, 3), KEY, after(honest))) == (409, 5, False)
    late = AddCheckpoint(5, (), asked(shorter, 3).note)
    assert refused(judge(late, KEY, after(honest))) == (400, None, False)


def test_a_log_that_does_not_know_is_told_where_to_go_on_from() -> None:
    log = log_of(*HASHES[:5])
    before = after(log)
    log.add(*HASHES[5:7])
    assert refused(judge(asked(log, 0), KEY, before)) == (409, 5, False)
    assert judge(asked(log, 5), KEY, before) == log.checkpoint()


def test_strangers_and_strangers_signatures_are_refused_before_any_proof() -> None:
    log, forged = log_of(*HASHES[:3]), MemoryLog(log_signer(LOG))
    forged.add(*HASHES[:3])
    assert refused(judge(asked(log, 0), None, Remembered())) == (404, None, False)
    assert refused(judge(asked(forged, 0), KEY, Remembered())) == (403, None, False)
    assert judge(asked(log, 0, log.note() + "\u2014 surf.example AAAAAAAA\n"), KEY, Remembered()) == log.checkpoint()


def test_a_proof_that_does_not_lead_on_is_refused() -> None:
    log = log_of(*HASHES[:5])
    before = after(log)
    log.add(*HASHES[5:])
    good = asked(log, 5)
    for proof in ((), good.proof[:-1], (*good.proof, bytes(32)), good.proof[::-1]):
        assert refused(judge(AddCheckpoint(5, proof, good.note), KEY, before)) == (422, None, False)
    assert refused(judge(AddCheckpoint(0, good.proof, good.note), KEY, Remembered())) == (422, None, False)


GOOD = write_request(2, [bytes(32)], log_of(*HASHES[:3]).note())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 2",
        GOOD.replace(b"old 2", b"old 02"),
        GOOD.replace(b"old 2", b"old -2"),
        GOOD.replace(b"old 2", b"new 2"),
        GOOD.replace(b"old 2", b"old " + b"9" * 30),
        GOOD.replace(b"old 2\n", b"old 2\n\n"),
        GOOD.replace(b"AAAA=\n", b"AAAB=\n"),
        GOOD.replace(b"AAAA=\n", b"AAAA\n"),
        GOOD.replace(b"\n3\n", b"\n03\n"),
        GOOD[:-1],
        write_request(2, [bytes(32)] * (PROOF_LINES_MAX + 1), log_of(*HASHES[:3]).note()),
        b"\xff" + GOOD,
        GOOD + b"x" * REQUEST_BYTES_MAX,
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(Problem, match="body"):
        read_request(body)


def test_requests_travel_whole() -> None:
    read = read_request(GOOD)
    assert (read.old, read.proof, read.log) == (2, (bytes(32),), LOG)
    assert len(read_request(write_request(2, [bytes(32)] * PROOF_LINES_MAX, log_of(*HASHES[:3]).note())).proof) == 63
