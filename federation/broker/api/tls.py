"""The listeners that agents call: their TLS, and by which names."""

from __future__ import annotations

import ssl

from federation.broker.authority.door import LOOPBACK, Origins
from federation.broker.config import Listen, ListenTls
from schemas.problem import invalid


def agents_tls(tls: ListenTls | None) -> ssl.SSLContext | None:
    """The context of a listener, where it has a certificate. Raises `INVALID_ARGUMENT` naming the file at fault."""
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(tls.certificate, tls.private_key)
    except (OSError, ValueError) as error:
        raise invalid("listen.tls", f"{tls.certificate} with {tls.private_key} cannot be used: {error}") from error
    return context


def origins_of(listen: Listen) -> Origins:
    """How agents call a configured listener."""
    return Origins("https" if listen.tls else "http", listen.origins, loopback=listen.host in LOOPBACK)
