"""TLS contexts and gRPC credentials that follow the node's leaf and the members' authorities while connections go on.

A server believes every member's authority during the handshake; `callers` then judges by the one that counts. A client
knows whom it calls, so it believes that entity's authorities and no other: nobody else can answer in its name.
"""

from __future__ import annotations

import ssl
from collections.abc import Hashable
from typing import Any, Final

import grpc

from federation.node.mtls.own import Own
from federation.trust.certificates import Certificate, der, pem
from federation.trust.speakers import Speakers
from schemas.problem import Problem

# OpenSSL checks chains as RFC 5280 asks for; Python does so by itself only from 3.13 on.
STRICT: Final = ssl.VerifyFlags.VERIFY_X509_STRICT


class Tls:
    """Makes what listeners and calls need. `refresh` after the leaf was renewed or `speakers` believes others."""

    def __init__(self, own: Own, speakers: Speakers, *, strangers: bool = False) -> None:
        """With `strangers`, HTTP callers without any certificate get through as far as whoever asks them for a key."""
        self._own, self._speakers = own, speakers
        self._asking = ssl.CERT_OPTIONAL if strangers else ssl.CERT_REQUIRED
        self._clients: dict[str, tuple[Hashable, ssl.SSLContext]] = {}
        self._outer = self._server_context()
        # Its settings cannot be taken back, so a handshake begins with this one and goes on with the present one.
        self._outer.sni_callback = self._use_present
        self.refresh()

    def refresh(self) -> None:
        """New handshakes use the present leaf and authorities; connections that stand go on. Raises `Problem`."""
        try:
            self._present, self._configuration = self._server_context(), self._server_configuration()
        except (ssl.SSLError, OSError, ValueError) as error:
            raise Problem("UNAVAILABLE", f"the TLS leaf cannot be used: {error}") from error
        self._clients = {entity: made for entity, made in self._clients.items() if self._serves(entity, made[0])}

    def server_context(self) -> ssl.SSLContext:
        """For a listener: TLS 1.3, a certificate of some member required (or none). The same object at all times."""
        return self._outer

    def server_credentials(self) -> grpc.ServerCredentials:
        """For a gRPC server: the same, asked for anew with every connection."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, lambda: self._configuration, require_client_authentication=True
        )

    def key(self, entity: str) -> Hashable:
        """Changes when connections to `entity` should be made anew: with our leaf, and with its authorities."""
        leaf = self._own.leaf
        assert leaf is not None, "Own.open issues a leaf"
        return (leaf, *self._authorities(entity))

    def client_context(self, entity: str) -> ssl.SSLContext:
        """For calls to `entity` by HTTP. Raises `UNAVAILABLE` where none of its authorities is believed."""
        found = self._clients.get(entity)
        if found is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=pem(*self._authorities(entity)).decode())
            found = self._clients[entity] = (self.key(entity), self._strict(context))
        return found[1]

    def channel_credentials(self, entity: str) -> grpc.ChannelCredentials:
        """For calls to `entity` by gRPC. Raises `UNAVAILABLE` where none of its authorities is believed."""
        secret, chain = self._pair()
        return grpc.ssl_channel_credentials(pem(*self._authorities(entity)), secret, chain)

    def _serves(self, entity: str, key: Hashable) -> bool:
        """Whether what was made for `entity` under `key` may go on: an entity that is believed no more has no key."""
        return entity in self._speakers.authorities and self.key(entity) == key

    def _authorities(self, entity: str) -> tuple[Certificate, ...]:
        found = self._speakers.authorities.get(entity)
        if found is None:
            raise Problem("UNAVAILABLE", f"no TLS authority of {entity} is believed")
        return found.certificates

    def _union(self) -> bytes:
        """Every authority once, as PEM."""
        every = {der(one): one for held in self._speakers.authorities.values() for one in held.certificates}
        return pem(*(every[name] for name in sorted(every)))

    def _server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = self._asking
        context.num_tickets = 0  # a resumed session would be one whose certificate nobody asks for again
        if union := self._union():
            context.load_verify_locations(cadata=union.decode())
        return self._strict(context)

    def _strict(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_flags |= STRICT
        context.load_cert_chain(self._own.leaf_file)
        return context

    def _server_configuration(self) -> Any:
        # Without any root gRPC would ask the system's; our own authority then stands in for nobody.
        return grpc.ssl_server_certificate_configuration([self._pair()], self._union() or pem(self._own.certificate))

    def _pair(self) -> tuple[bytes, bytes]:
        secret, found, chain = self._own.leaf_file.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
        return secret, found + chain

    def _use_present(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._present
