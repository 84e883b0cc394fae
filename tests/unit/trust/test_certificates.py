"""Certificates of members: pure, strict, and of use for their own entity only."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from federation.trust.certificates import (
    AUTHORITIES_MAX,
    BACKDATED_S,
    LEAF_LIFE_S,
    Authority,
    Certificate,
    authority,
    der,
    entity_of,
    leaf,
    read_authority,
    read_certificate,
    verify_leaf,
)
from federation.trust.chain import Member, TrustDomain
from federation.trust.keys import PrivateKey
from federation.trust.speakers import VERDICTS_MAX, Speakers, authorities_of
from schemas.entity import Metadata
from schemas.problem import Problem
from tests.support.seams import NOW

SURF, EVIL = "https://surf.example", "https://evil.example"
YEAR_S = 365 * 86_400


def key(seed: int) -> PrivateKey:
    return PrivateKey(ec.derive_private_key(random.Random(seed).randrange(1, 2**255), ec.SECP256R1()))


CA_KEY, LEAF_KEY, EVIL_KEY = key(1), key(2), key(3)
CA = authority(CA_KEY, SURF, now=NOW)
EVIL_CA = authority(EVIL_KEY, EVIL, now=NOW)


def issued(entity: str = SURF, by: PrivateKey = CA_KEY, issuer: Certificate = CA, **more: Any) -> Certificate:
    return leaf(by, issuer, LEAF_KEY.key.public_key(), entity, ["surf.example", "127.0.0.1", "::1"], now=NOW, **more)


def believed(entity: str, *certificates: Certificate, exp: int = NOW + YEAR_S) -> Authority:
    return read_authority(entity, [der(one) for one in certificates], now=NOW, exp=exp)


def extension(certificate: Certificate, kind: type[Any]) -> Any:
    return certificate.extensions.get_extension_for_class(kind).value


def test_the_same_keys_at_the_same_time_make_the_same_bytes() -> None:
    assert der(issued()) == der(issued())
    assert der(authority(CA_KEY, SURF, now=NOW)) == der(CA)
    assert issued(life_s=9).serial_number != issued(life_s=8).serial_number


def test_a_leaf_has_what_strict_verifiers_ask_for() -> None:
    found = issued()
    names = extension(found, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [SURF]
    assert names.get_values_for_type(x509.DNSName) == ["surf.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    usage = extension(found, x509.KeyUsage)
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert not extension(found, x509.BasicConstraints).ca
    assert len(list(extension(found, x509.ExtendedKeyUsage))) == 2
    issuer_id = extension(CA, x509.SubjectKeyIdentifier).digest
    assert extension(found, x509.AuthorityKeyIdentifier).key_identifier == issuer_id
    assert extension(found, x509.SubjectKeyIdentifier).digest != issuer_id
    assert isinstance(found.signature_hash_algorithm, hashes.SHA256)
    life = found.not_valid_after_utc - found.not_valid_before_utc
    assert life.total_seconds() == LEAF_LIFE_S + BACKDATED_S


def test_an_authority_issues_leaves_alone() -> None:
    rights = extension(CA, x509.BasicConstraints)
    assert (rights.ca, rights.path_length) == (True, 0)
    assert extension(CA, x509.KeyUsage).key_cert_sign
    assert CA.subject != EVIL_CA.subject


def test_a_leaf_never_outlives_its_issuer() -> None:
    short = authority(CA_KEY, SURF, now=NOW, life_s=100)
    assert issued(issuer=short).not_valid_after_utc == short.not_valid_after_utc


def test_a_leaf_speaks_for_its_entity_until_the_first_of_both_ends() -> None:
    assert verify_leaf(issued(), believed(SURF, CA), NOW).exp == NOW + LEAF_LIFE_S
    assert verify_leaf(issued(), believed(SURF, CA, exp=NOW + 10), NOW).exp == NOW + 10


@pytest.mark.parametrize("at", [NOW - BACKDATED_S - 1, NOW + LEAF_LIFE_S + 1])
def test_a_leaf_out_of_its_time_is_refused(at: int) -> None:
    with pytest.raises(Problem, match="does not verify"):
        verify_leaf(issued(), believed(SURF, CA), at)


def test_an_authority_that_is_no_longer_believed_verifies_nothing() -> None:
    with pytest.raises(Problem, match="no longer believed"):
        verify_leaf(issued(), believed(SURF, CA, exp=NOW + 5), NOW + 5)


def test_another_members_authority_cannot_speak_for_this_one() -> None:
    forged = issued(SURF, EVIL_KEY, EVIL_CA)
    with pytest.raises(Problem, match="does not verify"):
        verify_leaf(forged, believed(SURF, CA), NOW)
    with pytest.raises(Problem, match="another entity"):
        verify_leaf(forged, believed(EVIL, EVIL_CA), NOW)


def test_the_old_authority_speaks_on_beside_the_new_one() -> None:
    new_key = key(4)
    new = authority(new_key, SURF, now=NOW)
    both = believed(SURF, CA, new)
    for certificate in (issued(), issued(by=new_key, issuer=new)):
        assert verify_leaf(certificate, both, NOW).entity == SURF
    with pytest.raises(Problem):
        verify_leaf(issued(), believed(SURF, new), NOW)


def hand_made(change: Callable[[x509.CertificateBuilder], x509.CertificateBuilder], uris: list[str]) -> Certificate:
    """A leaf by our authority with what a test puts in; the rest as it should be."""
    good = issued()
    builder = x509.CertificateBuilder(good.issuer, good.subject, good.public_key(), 7)
    builder = builder.not_valid_before(good.not_valid_before_utc).not_valid_after(good.not_valid_after_utc)
    names = [x509.UniformResourceIdentifier(uri) for uri in uris] + [x509.DNSName("surf.example")]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(extension(good, x509.AuthorityKeyIdentifier), critical=False)
    return change(builder).sign(CA_KEY.key, hashes.SHA256())


@pytest.mark.parametrize("uris", [[], [SURF, EVIL], [SURF, SURF], ["spiffe://surf.example/x"]])
def test_a_leaf_names_exactly_one_entity(uris: list[str]) -> None:
    good = hand_made(lambda builder: builder, [SURF])
    assert verify_leaf(good, believed(SURF, CA), NOW).entity == SURF
    with pytest.raises(Problem):
        verify_leaf(hand_made(lambda builder: builder, uris), believed(SURF, CA), NOW)


def test_a_leaf_that_is_an_authority_or_for_servers_alone_is_refused() -> None:
    server_only = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
    for extra, critical in ((server_only, False), (x509.BasicConstraints(ca=True, path_length=None), True)):
        bad = hand_made(lambda builder, e=extra, c=critical: builder.add_extension(e, c), [SURF])  # type: ignore[misc]
        with pytest.raises(Problem):
            verify_leaf(bad, believed(SURF, CA), NOW)


def test_what_issues_a_leaf_is_the_authority_itself_and_no_certificate_between() -> None:
    with pytest.raises(Problem):
        verify_leaf(issued(by=LEAF_KEY, issuer=issued()), believed(SURF, CA), NOW)


def test_an_authority_of_another_entity_or_none_at_all_is_refused() -> None:
    for chain in (
        [der(EVIL_CA)],
        [der(issued())],
        [b"nonsense"],
        [b"\x30" * 9000],
        [],
        [der(CA)] * (AUTHORITIES_MAX + 1),
    ):
        with pytest.raises(Problem) as refused:
            read_authority(SURF, chain, now=NOW, exp=NOW + 10)
        assert refused.value.code == "DOCUMENT_INVALID"


def test_an_authority_that_borrows_anothers_key_identifier_is_refused() -> None:
    """TLS picks issuers by name and identifier: with both borrowed, the true member's leaves would fail."""
    builder = x509.CertificateBuilder(CA.subject, CA.subject, EVIL_KEY.key.public_key(), 7)
    builder = builder.not_valid_before(CA.not_valid_before_utc).not_valid_after(CA.not_valid_after_utc)
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(EVIL)])
    for what, critical in (
        (names, False),
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (extension(CA, x509.SubjectKeyIdentifier), False),
    ):
        builder = builder.add_extension(what, critical)
    with pytest.raises(Problem, match="identified by its own key"):
        believed(EVIL, builder.sign(EVIL_KEY.key, hashes.SHA256()))


def test_an_authority_with_another_kind_of_key_is_refused() -> None:
    other = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    builder = x509.CertificateBuilder(CA.subject, CA.subject, other.public_key(), 7)
    builder = builder.not_valid_before(CA.not_valid_before_utc).not_valid_after(CA.not_valid_after_utc)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SURF)]), False)
    with pytest.raises(Problem, match="P-256"):
        believed(SURF, builder.sign(other, None))


def test_t13_a_foreign_authority_is_rejected_by_the_check_and_accepted_without_it() -> None:
    speakers = Speakers([believed(SURF, CA), believed(EVIL, EVIL_CA)])
    forged = der(issued(SURF, EVIL_KEY, EVIL_CA))
    assert speakers.judge(der(issued()), NOW).entity == SURF
    with pytest.raises(Problem) as refused:
        speakers.judge(forged, NOW)
    assert refused.value.code == "UNAUTHENTICATED"
    assert entity_of(read_certificate(forged)) == SURF  # what a node that only reads the name would believe


def test_a_verdict_lasts_until_the_leaf_expires_or_others_are_believed() -> None:
    speakers = Speakers([believed(SURF, CA)])
    token = der(issued(life_s=100))
    assert speakers.judge(token, NOW) is speakers.judge(token, NOW + 99)
    with pytest.raises(Problem):
        speakers.judge(token, NOW + 101)
    fresh = der(issued())
    assert speakers.judge(fresh, NOW).entity == SURF
    assert not speakers.believe([believed(SURF, CA)])
    assert speakers.believe([])
    with pytest.raises(Problem, match="no member"):
        speakers.judge(fresh, NOW)
    assert speakers.believe([believed(SURF, CA)])
    assert speakers.judge(fresh, NOW).entity == SURF


def test_the_authorities_of_a_domain_are_those_of_its_verified_members() -> None:
    def member(entity: str, *tls_ca: bytes, exp: int = NOW + YEAR_S) -> Member:
        return Member(entity, entity, Metadata(), {}, exp, tls_ca=tls_ca)

    members = [
        member(SURF, der(CA), der(CA), exp=NOW + 10),
        member(EVIL, der(CA)),
        member("https://old.example", der(authority(key(5), "https://old.example", now=NOW)), exp=NOW),
        member("https://plain.example"),
    ]
    found, rejected = authorities_of(TrustDomain({one.entity: one for one in members}), NOW)
    assert [(one.entity, one.exp, len(one.certificates)) for one in found] == [(SURF, NOW + 10, 1)]
    assert rejected == {EVIL: "the authority names another entity"}


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    speakers = Speakers()
    for number in range(VERDICTS_MAX + 10):
        with pytest.raises(Problem):
            speakers.judge(str(number).encode(), NOW)
    assert len(speakers._verdicts) == VERDICTS_MAX


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.integers(0, 2**32), st.booleans())
def test_a_certificate_with_a_changed_byte_is_refused_and_nothing_else_happens(seed: int, of_authority: bool) -> None:
    chance = random.Random(seed)
    good = der(CA if of_authority else issued())
    bad = bytearray(good)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(bad))
        bad[place : place + chance.randrange(2)] = chance.randbytes(chance.randrange(3))
    if bytes(bad) == good:
        return
    with pytest.raises(Problem):
        Speakers([believed(SURF, CA)]).judge(bytes(bad), NOW)
    with pytest.raises(Problem):
        read_authority(SURF, [bytes(bad)], now=NOW, exp=NOW + 9)
