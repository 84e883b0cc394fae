"""A node's own TLS files: the authority that its metadata names, and a short-lived leaf that it renews itself.

tls-authority-key.json   a private JWK (EC, P-256), used for nothing but issuing leaves
tls-authority.pem        the authority's certificate; its DER, in base64, is what the metadata's `tls_ca` holds
tls-leaf.pem             the leaf's key and certificate in one file, so that both are replaced at once
next/                    the first two of the authority that comes next, if any: the metadata hold both meanwhile
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from federation.node.seams import Clock
from federation.node.whole import write_whole
from federation.trust.certificates import (
    AUTHORITY_LIFE_S,
    LEAF_LIFE_S,
    Certificate,
    authority,
    entity_of,
    leaf,
    pem,
)
from federation.trust.keys import PrivateKey, dump_private, generate, load_private
from schemas.problem import Problem, invalid

AUTHORITY_KEY: Final = "tls-authority-key.json"
AUTHORITY: Final = "tls-authority.pem"
LEAF: Final = "tls-leaf.pem"
NEXT: Final = "next"
RENEW_SHARE: Final = 2  # a leaf is renewed when less than one part in two of its life is left
LOOK_S: Final = 600.0  # far less than a leaf's life; one timer for the day it is due would miss a clock that is set
log = logging.getLogger(__name__)


class Own:
    """This node's authority and leaf. `leaf_file` is what TLS loads; `renewed` counts the leaves since the start."""

    def __init__(
        self,
        folder: Path,
        key: PrivateKey,
        certificate: Certificate,
        hosts: Sequence[str],
        clock: Clock,
        *,
        life_s: int,
        new_key: Callable[[], PrivateKey],
    ) -> None:
        self._key, self._clock, self._life_s, self._new_key = key, clock, life_s, new_key
        self._hosts = tuple(hosts)
        self.certificate = certificate
        self.entity = entity_of(certificate)
        self.leaf_file = folder / LEAF
        self.leaf: Certificate | None = None
        self.renewed = 0

    @classmethod
    def open(
        cls,
        folder: Path,
        entity: str,
        hosts: Sequence[str],
        clock: Clock,
        *,
        life_s: int = LEAF_LIFE_S,
        new_key: Callable[[], PrivateKey] = generate,
    ) -> Self:
        """Read the authority of `folder` and see to it that there is a leaf for `hosts`. Raises `Problem`."""
        key, certificate = _authority(folder, entity)
        own = cls(folder, key, certificate, hosts, clock, life_s=life_s, new_key=new_key)
        own.leaf = own._found()
        own.renew()
        return own

    def renew(self, *, now_at_once: bool = False) -> bool:
        """Issue a new leaf with a new key if one is due, or at once; whether that was so. Raises `Problem`."""
        now = self._clock.now()
        if not now_at_once and self.leaf is not None and self._due_in_s(self.leaf) > 0:
            return False
        if self.certificate.not_valid_after_utc.timestamp() <= now:
            raise invalid(str(self.leaf_file.with_name(AUTHORITY)), "has expired; make a new authority and publish it")
        key = self._new_key()
        issued = leaf(
            self._key, self.certificate, key.key.public_key(), self.entity, self._hosts, now=now, life_s=self._life_s
        )
        secret = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _replace(self.leaf_file, secret + pem(issued))
        self.leaf, self.renewed = issued, self.renewed + 1
        return True

    def published(self) -> tuple[Certificate, ...]:
        """What the metadata say: the authority in use, and the next one so that others know it before it is used."""
        folder = self.leaf_file.parent / NEXT
        if not (folder / AUTHORITY).exists():
            return (self.certificate,)
        try:
            return (self.certificate, _authority(folder, self.entity)[1])
        except Problem as problem:
            log.warning("the next TLS authority is not published: %s", problem)
            return (self.certificate,)

    def reload(self) -> bool:
        """Go over to the authority that lies in the folder now, with a leaf of it; whether it is another one.

        Its files come from `next` when others have read of it. Raises `Problem`.
        """
        folder = self.leaf_file.parent
        key, certificate = _authority(folder, self.entity)
        if certificate == self.certificate:
            return False
        self._key, self.certificate = key, certificate
        return self.renew(now_at_once=True)

    async def run(self, changed: Callable[[], None]) -> None:
        """Renew the leaf whenever one is due, and call `changed` then. A failure is logged and tried again."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if self.reload() or self.renew():
                    changed()
            except Problem as problem:
                log.warning("the TLS leaf is not renewed: %s", problem)

    def _due_in_s(self, found: Certificate) -> int:
        end, begin = found.not_valid_after_utc.timestamp(), found.not_valid_before_utc.timestamp()
        return int(end - (end - begin) / RENEW_SHARE) - self._clock.now()

    def _found(self) -> Certificate | None:
        """The leaf on disk, if it is one of this authority for these hosts."""
        try:
            found = _certificate(self.leaf_file)
            found.verify_directly_issued_by(self.certificate)
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is issued
            return None
        held = {str(name) for kind in (x509.DNSName, x509.IPAddress) for name in names.get_values_for_type(kind)}
        return found if held == set(self._hosts) and entity_of(found) == self.entity else None


def make_authority(
    folder: Path, entity: str, *, now: int, life_s: int = AUTHORITY_LIFE_S, key: PrivateKey | None = None
) -> Certificate:
    """Write a new authority for `entity` into `folder`; its certificate. Raises `Problem` where one is there already.

    A member that replaces its authority publishes the new one beside the old one before it uses it.
    """
    key = key or generate()
    made = authority(key, entity, now=now, life_s=life_s)
    if (folder / AUTHORITY_KEY).exists():
        raise invalid(str(folder / AUTHORITY_KEY), "is there already; move it away to make a new authority")
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / AUTHORITY, pem(made))
    _replace(folder / AUTHORITY_KEY, dump_private(key))  # last: where it is missing, both are made anew
    return made


def _authority(folder: Path, entity: str) -> tuple[PrivateKey, Certificate]:
    key = load_private(_read(folder / AUTHORITY_KEY), str(folder / AUTHORITY_KEY))
    certificate = _certificate(folder / AUTHORITY)
    if entity_of(certificate) != entity or certificate.public_key() != key.key.public_key():
        raise invalid(str(folder / AUTHORITY), f"is not the authority of {entity} with the key beside it")
    return key, certificate


def _certificate(path: Path) -> Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError as error:
        raise invalid(str(path), "holds no certificate in PEM") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise invalid(str(path), f"cannot be read ({error.strerror})") from error


def _replace(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise invalid(str(path), f"cannot be written ({error.strerror})") from error
