"""One node's end of mutual TLS, put together: what it shows, whom it believes, who speaks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from federation.node.mtls.own import AUTHORITY_KEY, Own, make_authority
from federation.node.mtls.tls import Tls
from federation.node.seams import Clock
from federation.trust.certificates import der, thumbprint
from federation.trust.chain import Member, TrustDomain
from federation.trust.speakers import Speakers, authorities_of
from schemas.problem import invalid

log = logging.getLogger(__name__)


class Mutual:
    """`believe` the verified members before the first connection and whenever they change; `run` renews the leaf."""

    def __init__(self, own: Own, clock: Clock, *, strangers: bool = False) -> None:
        self.own, self._clock = own, clock
        self.speakers = Speakers()
        self.tls = Tls(own, self.speakers, strangers=strangers)

    @classmethod
    def open(cls, folder: Path, entity: str, hosts: Sequence[str], clock: Clock, *, strangers: bool = False) -> Self:
        """The files of `folder`, made when there are none. Raises `Problem`."""
        if not (folder / AUTHORITY_KEY).exists():
            make_authority(folder, entity, now=clock.now())
        return cls(Own.open(folder, entity, hosts, clock), clock, strangers=strangers)

    @property
    def x5t(self) -> str:
        """`x5t#S256` of the leaf that this node shows now."""
        assert self.own.leaf is not None, "Own.open issues a leaf"
        return thumbprint(der(self.own.leaf))

    def believe(self, domain: TrustDomain) -> None:
        """Speak with the members of `domain` and with nobody else from now on. Raises `Problem`."""
        found, rejected = authorities_of(domain, self._clock.now())
        for entity, why in rejected.items():
            log.warning("the TLS authority of %s is not believed: %s", entity, why)
        if self.speakers.believe(found):
            self.tls.refresh()

    def judge(self, leaf: bytes) -> str:
        """The member that speaks with this leaf (DER). Raises `UNAUTHENTICATED`."""
        return self.speakers.judge(leaf, self._clock.now()).entity

    def check_published(self, member: Member) -> None:
        """Others can believe this node only by what its metadata say. Raises `INVALID_ARGUMENT`."""
        if der(self.own.certificate) not in member.tls_ca:
            why = f"the trust domain does not list this TLS authority for {member.entity}"
            raise invalid(f"keys.tls: {self.own.leaf_file.parent}", why)

    async def run(self) -> None:
        """Renew the leaf, and follow an authority that was replaced, until cancelled."""
        await self.own.run(self.tls.refresh)
