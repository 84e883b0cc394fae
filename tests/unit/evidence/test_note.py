"""Signed notes against the example of the format's first implementation, and against what is not well formed."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.evidence.note import (
    LINES_MAX,
    NOTE_BYTES_MAX,
    NoteSigner,
    NoteVerifier,
    Type,
    read_lines,
    read_note,
    verify_note,
    write_line,
    write_note,
)
from schemas.problem import Problem

# The example of Go's golang.org/x/mod/sumdb/note: a key, a text and its signature, which Ed25519 makes the same always.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The public key of Go's checksum database, whose id is part of every installation of Go.
SUMDB = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
# The example of C2SP tlog-cosignature; it comes without keys.
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u2014 witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
AT = 1_679_315_147


def signer(name: str = "log.example", kind: Type = Type.NOTE, seed: int = 1) -> NoteSigner:
    return NoteSigner(name, kind, Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32)))


def test_the_known_example_is_read_verified_and_made() -> None:
    verifier, made = NoteVerifier.read(VKEY), NoteSigner.read(SKEY)
    assert (str(verifier), made.dump(), made.verifier) == (VKEY, SKEY, verifier)
    assert made.line(TEXT) == LINE
    (found,) = verify_note(read_note(write_note(TEXT, [LINE])), [verifier])
    assert (found.key, found.at) == (verifier, None)


def test_ids_of_keys_follow_from_name_type_and_key() -> None:
    assert str(NoteVerifier.read(SUMDB)) == SUMDB


def test_the_example_of_the_format_comes_apart() -> None:
    note = read_note(EXAMPLE)
    log, witness = note.lines
    assert note.text.splitlines()[:2] == ["example.com/behind-the-sofa", "20852163"]
    assert (log.name, log.key_id.hex(), len(log.signature)) == ("example.com/behind-the-sofa", "033de0ae", 64)
    assert (witness.name, len(witness.signature)) == ("witness.example.com/w1", 8 + 64)
    assert int.from_bytes(witness.signature[:8], "big") == AT
    assert write_note(note.text, [write_line(line) for line in note.lines]) == EXAMPLE


def test_a_witness_signs_with_its_time() -> None:
    witness = signer("witness.example", Type.COSIGNATURE)
    line = witness.line(TEXT, AT)
    (found,) = verify_note(read_note(write_note(TEXT, [line])), [witness.verifier])
    assert found.at == AT
    blob = base64.b64decode(line.split()[2])
    again = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)).sign(f"cosignature/v1\ntime {AT}\n{TEXT}".encode())
    assert blob == witness.verifier.key_id + AT.to_bytes(8, "big") + again


@pytest.mark.parametrize("bit", [0, 31, 32, 95, 96, 400])
def test_a_changed_line_of_a_known_key_spoils_the_note_or_is_nobodys(bit: int) -> None:
    witness = signer("witness.example", Type.COSIGNATURE)
    blob = bytearray(base64.b64decode(witness.line(TEXT, AT).split()[2]))
    blob[bit // 8] ^= 1 << bit % 8
    note = read_note(write_note(TEXT, [f"\u2014 witness.example {base64.b64encode(blob).decode()}\n"]))
    if bit < 32:
        assert verify_note(note, [witness.verifier]) == ()
        return
    with pytest.raises(Problem, match="does not verify"):
        verify_note(note, [witness.verifier])


def test_other_text_does_not_verify() -> None:
    with pytest.raises(Problem, match="does not verify"):
        verify_note(read_note(write_note(TEXT.replace("crypto", "krypto"), [LINE])), [NoteVerifier.read(VKEY)])


def test_keys_that_nobody_knows_do_not_matter_and_a_key_signs_once() -> None:
    lines = [signer(seed=2).line(TEXT), LINE, LINE, signer("other.example").line(TEXT)]
    found = verify_note(read_note(write_note(TEXT, lines)), [NoteVerifier.read(VKEY), signer(seed=3).verifier])
    assert [one.key.name for one in found] == ["PeterNeumann"]


@pytest.mark.parametrize("start", range(len(VKEY)))
def test_a_mangled_key_is_none(start: int) -> None:
    for text in (VKEY[:start], VKEY[start + 1 :], VKEY[:start] + chr(ord(VKEY[start]) + 1) + VKEY[start + 1 :]):
        with pytest.raises(Problem, match="verifier key"):
            NoteVerifier.read(text)


@pytest.mark.parametrize(
    "text", ["", SKEY[:-4], SKEY.replace("c74f", "c75f"), VKEY, SKEY.replace("PeterNeumann", "Peter Neumann")]
)
def test_a_mangled_private_key_is_none(text: str) -> None:
    with pytest.raises(Problem, match="private key"):
        NoteSigner.read(text)


GOOD = write_note(TEXT, [LINE])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "no signature lines"),
        (TEXT, "no signature lines"),
        (TEXT + LINE, "no signature lines"),
        (GOOD[:-1], "no signature lines"),
        (f"{TEXT}\n", "no signature lines"),
        (f"{GOOD}rest\n", "no signature line|base64"),
        (GOOD.replace("\u2014", "-"), "no signature line|base64"),
        (GOOD.replace("PeterNeumann ", " "), "no signature line|base64"),
        (GOOD.replace("PeterNeumann", "Peter+Neumann"), "no signature line"),
        (GOOD.replace("nAM=\n", "nAN=\n"), "base64"),
        (GOOD.replace("nAM=\n", "nAM\n"), "base64"),
        (GOOD.replace("x08g", "x0 8g"), "base64"),
        (f"{TEXT}\n\u2014 PeterNeumann x08gow==\n", "no signature line"),
        (GOOD.replace("then", "th\x01n"), "control"),
        (GOOD.replace("\n", "\r\n"), "control"),
        (GOOD.replace("then", "th\u2028n"), "control"),
        (GOOD.encode().replace(b"then", b"th\xffn"), "UTF-8"),
        ("x" * NOTE_BYTES_MAX + GOOD, "larger"),
        (write_note(TEXT, [LINE] * (LINES_MAX + 1)), "signature lines"),
    ],
)
def test_what_is_no_note_is_refused(data: str | bytes, why: str) -> None:
    with pytest.raises(Problem, match=why):
        read_note(data)


def test_text_may_hold_empty_lines_and_many_may_sign() -> None:
    text = f"{TEXT}\n\nmore\n"
    lines = [signer(f"log{number}.example", seed=number).line(text) for number in range(1, 33)]
    note = read_note(write_note(text, lines))
    assert note.text == text
    assert (
        len(verify_note(note, [signer(f"log{number}.example", seed=number).verifier for number in range(1, 33)])) == 32
    )


def test_lines_alone_are_what_a_witness_answers() -> None:
    assert [line.name for line in read_lines(LINE * 2)] == ["PeterNeumann"] * 2
    with pytest.raises(Problem, match="signature line"):
        read_lines("")
