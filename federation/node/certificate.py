"""The certificate that a listener shows to anybody who calls: two files, followed while the node runs.

Whoever renews certificates replaces the files and restarts nothing. They are looked at with every handshake, which
costs a hundred times more than that; files that do not fit each other yet leave the certificate that was.
"""

from __future__ import annotations

import logging
import os
import ssl
from typing import Final, NoReturn

from federation.node.settings import ListenTls
from schemas.problem import invalid

Stamp = tuple[tuple[int, int, int] | None, ...]
log = logging.getLogger(__name__)
LEAST: Final = ssl.TLSVersion.TLSv1_3


def server_tls(tls: ListenTls | None, field: str) -> ssl.SSLContext | None:
    """The context of a listener, where it has a certificate; `field` is what errors call it.

    Raises `INVALID_ARGUMENT` naming the files at fault.
    """
    return None if tls is None else _Followed(tls, field).context


class _Followed:
    """`context` stays the same object; each handshake goes on with what the files hold now."""

    def __init__(self, tls: ListenTls, field: str) -> None:
        self._tls, self._field, self._stamp = tls, field, _stamp(tls)
        try:
            self._present, self.context = _context(tls), _context(tls)
        except (OSError, ValueError) as error:
            raise invalid(field, f"{tls.certificate} with {tls.private_key} cannot be used: {error}") from error
        self.context.sni_callback = self._use_present

    def _use_present(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        stamp = _stamp(self._tls)
        if stamp != self._stamp:
            self._stamp = stamp
            self._follow()
        connection.context = self._present

    def _follow(self) -> None:
        try:
            self._present = _context(self._tls)
        except (OSError, ValueError) as error:
            log.warning("the certificate of %s stays as it was: %s cannot be used: %s", self._field, self._tls, error)


def _context(tls: ListenTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = LEAST
    context.load_cert_chain(tls.certificate, tls.private_key, _no_password)
    return context


def _no_password() -> NoReturn:
    raise ValueError("the private key is encrypted, and nobody is there to be asked")


def _stamp(tls: ListenTls) -> Stamp:
    return tuple(map(_look, (tls.certificate, tls.private_key)))


def _look(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
