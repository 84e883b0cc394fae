"""The certificates of one member (pure): its own authority, and the leaves that the authority issues directly.

A member's authority speaks for that member alone. Every check here therefore takes the authorities of ONE entity: that
TLS accepted a certificate says only that some member's authority issued it. Of a peer's chain gRPC shows the leaf
alone, so leaves come directly from the authority; both carry what RFC 5280 asks for, which newer Pythons insist on.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from federation.trust.keys import PrivateKey, PublicKey, b64url
from schemas.problem import Problem

LEAF_LIFE_S: Final = 7 * 86_400
AUTHORITY_LIFE_S: Final = 5 * 365 * 86_400
BACKDATED_S: Final = 300  # a peer's clock may be behind
AUTHORITIES_MAX: Final = 4
CERTIFICATE_BYTES_MAX: Final = 8 * 1024
SERIAL_BYTES: Final = 16
USAGE: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
Certificate = x509.Certificate
# What the library raises over bytes of a stranger; it parses some parts only when they are asked for.
_FOREIGN: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    VerificationError,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True)
class Authority:
    """The authorities whose leaves speak for `entity`, until `exp` (Unix second); two while one replaces the other."""

    entity: str
    certificates: tuple[Certificate, ...]
    exp: int


@dataclass(frozen=True)
class Speaker:
    """Who a leaf speaks for, and until when that holds (Unix second)."""

    entity: str
    exp: int


def authority(key: PrivateKey, entity: str, *, now: int, life_s: int = AUTHORITY_LIFE_S) -> Certificate:
    """The certificate of a member's own authority, signed by itself; it may issue leaves and nothing else."""
    name = _name(entity, "authority")
    key_id = _key_id(key.key.public_key())
    builder = _builder(name, name, key.key.public_key(), now, life_s)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(entity)]), False)
    builder = builder.add_extension(key_id, critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), False)
    return _sign(builder, key)


def leaf(
    issuer_key: PrivateKey,
    issuer: Certificate,
    subject: PublicKey,
    entity: str,
    hosts: Sequence[str],
    *,
    now: int,
    life_s: int = LEAF_LIFE_S,
) -> Certificate:
    """A certificate for `entity` and the `hosts` (names or addresses) of its endpoints, for both ends of a connection.

    It never outlives its issuer.
    """
    life_s = min(life_s, int(issuer.not_valid_after_utc.timestamp()) - now)
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    names = [x509.UniformResourceIdentifier(entity), *(_host(host) for host in hosts)]
    builder = _builder(_name(entity, "node"), issuer.subject, subject, now, life_s)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(USAGE), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(_key_id(subject), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), False)
    return _sign(builder, issuer_key)


def read_authority(entity: str, chain: Sequence[bytes], *, now: int, exp: int) -> Authority:
    """The authorities that `entity` names in its verified metadata (DER), believed until `exp` at most.

    Raises `DOCUMENT_INVALID`. A certificate whose key identifier is not the hash of its own key is refused: TLS picks
    issuers by name and identifier, and another member could otherwise stand in this one's way.
    """
    if not 0 < len(chain) <= AUTHORITIES_MAX:
        _refuse(f"expected 1 to {AUTHORITIES_MAX} authorities")
    found = tuple(_checked(entity, read_certificate(der), now) for der in chain)
    return Authority(entity, found, min(exp, *(int(one.not_valid_after_utc.timestamp()) for one in found)))


def verify_leaf(certificate: Certificate, issuers: Authority, now: int) -> Speaker:
    """Who the certificate speaks for; `DOCUMENT_INVALID` unless all of this holds at `now`.

    (1) it names one entity, and that is the one whose authorities these are
    (2) the authorities are still believed
    (3) one of them issued it directly, and both are valid, for ES256 keys and the use of a client
    """
    if entity_of(certificate) != issuers.entity:
        _refuse("the certificate names another entity")
    if issuers.exp <= now:
        _refuse("the authority is no longer believed")
    # No moment of wall-clock time is read: the verifier is told which one to judge by.
    policy = PolicyBuilder().store(Store(list(issuers.certificates))).time(_at(now)).max_chain_depth(0)
    try:
        if not _is_p256(certificate.public_key()):
            _refuse("the certificate's key is not P-256")
        policy.build_client_verifier().verify(certificate, [])
        if not isinstance(certificate.signature_hash_algorithm, hashes.SHA256):
            _refuse("the certificate is not signed with ES256")
    except _FOREIGN as error:
        raise Problem("DOCUMENT_INVALID", f"the certificate does not verify: {error}") from error
    return Speaker(issuers.entity, min(issuers.exp, int(certificate.not_valid_after_utc.timestamp())))


def entity_of(certificate: Certificate) -> str:
    """The entity a certificate claims to speak for: its one and only URI. Raises `DOCUMENT_INVALID`."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except _FOREIGN:
        uris = []
    if len(uris) != 1:
        _refuse("the certificate must name exactly one entity")
    return str(uris[0])


def read_certificate(der: bytes) -> Certificate:
    """One certificate. Raises `DOCUMENT_INVALID`."""
    if len(der) > CERTIFICATE_BYTES_MAX:
        _refuse(f"a certificate is larger than {CERTIFICATE_BYTES_MAX} bytes")
    try:
        return x509.load_der_x509_certificate(der)
    except _FOREIGN as error:
        raise Problem("DOCUMENT_INVALID", "no X.509 certificate") from error


def pem(*certificates: Certificate) -> bytes:
    """Certificates as PEM, in order."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


@lru_cache(maxsize=1024)
def der(certificate: Certificate) -> bytes:
    """A certificate as DER."""
    return certificate.public_bytes(Encoding.DER)


@lru_cache(maxsize=1024)
def thumbprint(leaf: bytes) -> str:
    """What names a certificate (DER), also in a token bound to it: its base64url SHA-256 (RFC 8705 section 3.1)."""
    return b64url(hashlib.sha256(leaf).digest())


def x5c(certificate: Certificate) -> str:
    """A certificate as metadata hold it in `tls_ca`: base64 of its DER (RFC 7517 section 4.7)."""
    return base64.b64encode(der(certificate)).decode()


def _checked(entity: str, found: Certificate, now: int) -> Certificate:
    if entity_of(found) != entity:
        _refuse("the authority names another entity")
    try:
        key = found.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not _is_p256(key):
            _refuse("the authority's key is not P-256")
        key_id = found.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        rights = found.extensions.get_extension_for_class(x509.BasicConstraints).value
        found.verify_directly_issued_by(found)
    except _FOREIGN as error:
        raise Problem("DOCUMENT_INVALID", "the authority is not well formed") from error
    if key_id.digest != _key_id(key).digest or not rights.ca:
        _refuse("the authority is not identified by its own key, or is none")
    if not found.not_valid_before_utc <= _at(now) < found.not_valid_after_utc:
        _refuse("the authority is not valid now")
    return found


def _builder(subject: x509.Name, issuer: x509.Name, key: PublicKey, now: int, life_s: int) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key)
    serial = hashlib.sha256(f"{now}|{life_s}|".encode() + _key_id(key).digest).digest()[:SERIAL_BYTES]
    builder = builder.serial_number(int.from_bytes(b"\x01" + serial[1:], "big"))
    return builder.not_valid_before(_at(now - BACKDATED_S)).not_valid_after(_at(now + life_s))


def _sign(builder: x509.CertificateBuilder, key: PrivateKey) -> Certificate:
    return builder.sign(key.key, hashes.SHA256(), ecdsa_deterministic=True)


def _name(entity: str, role: str) -> x509.Name:
    """A name of its own for each member, so that no two authorities share one; ids are longer than names may be."""
    tag = b64url(hashlib.sha256(entity.encode()).digest())[:22]
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"peerway {role} {tag}")])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_id(key: PublicKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key)


def _is_p256(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def _at(now: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=now)


def _refuse(why: str) -> NoReturn:
    raise Problem("DOCUMENT_INVALID", why)
