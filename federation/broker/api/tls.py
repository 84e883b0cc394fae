"""The listeners that agents call: their TLS, and by which names."""

from __future__ import annotations

import ssl

from federation.broker.authority.door import LOOPBACK, Origins
from federation.broker.config import Listen
from federation.node.certificate import server_tls
from federation.node.settings import ListenTls


def agents_tls(tls: ListenTls | None) -> ssl.SSLContext | None:
    """The context of a listener, where it has a certificate. Raises `INVALID_ARGUMENT` naming the file at fault."""
    return server_tls(tls, "listen.tls")


def origins_of(listen: Listen) -> Origins:
    """How agents call a configured listener."""
    return Origins("https" if listen.tls else "http", listen.origins, loopback=listen.host in LOOPBACK)
