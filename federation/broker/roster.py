"""The operators that this broker deals with, as members come and go: who joined is watched, who left no longer.

A peer stays at hand after its operator left, because orders may still run there: what it says then does not verify.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from federation.broker.config import ACCOUNT, OperatorAccess
from federation.broker.peers.operator import SonataOperator
from federation.broker.peers.protocols import OperatorPeer
from federation.trust.chain import Member, TrustDomain
from schemas.problem import Problem

log = logging.getLogger(__name__)
Make = Callable[[Member, str], SonataOperator]


class Audience(Protocol):
    """Who follows operators one by one."""

    def join(self, peer: OperatorPeer) -> None:
        """This one comes, or is another one now."""
        ...

    def leave(self, entity: str) -> None:
        """This one goes."""
        ...


class Roster(Mapping[str, SonataOperator]):
    """Peers by entity id. `follow` takes every new trust domain; who listens hears what follows."""

    def __init__(self, make: Make, access: Sequence[OperatorAccess]) -> None:
        """`make` gives the peer of a member with its billing account; `access` are the only ones, where it is given."""
        self._make = make
        self._accounts = {one.entity: one.billing_account for one in access}
        self._peers: dict[str, SonataOperator] = {}
        self._present: dict[str, object] = {}
        self._told: tuple[Audience, ...] = ()

    def __getitem__(self, entity: str) -> SonataOperator:
        return self._peers[entity]

    def __iter__(self) -> Iterator[str]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)

    @property
    def present(self) -> dict[str, SonataOperator]:
        """Those that are members now."""
        return {entity: self._peers[entity] for entity in self._present}

    def on_change(self, *told: Audience) -> None:
        """Tell these who comes and goes from now on."""
        self._told = told

    def follow(self, domain: TrustDomain) -> None:
        """The members are these now."""
        found = {one.entity: one for one in domain.operators() if not self._accounts or one.entity in self._accounts}
        for entity in [entity for entity in self._present if entity not in found]:
            log.info("%s is no member any more: %s", entity, domain.rejected.get(entity, "nobody lists it"))
            del self._present[entity]
            for one in self._told:
                one.leave(entity)
        for entity, member in found.items():
            if self._present.get(entity) != (said := _said(member)):
                try:
                    peer = self._make(member, self._accounts.get(entity, ACCOUNT))
                except Problem as problem:  # its own loss: nobody else is kept away, and it is tried again later
                    log.warning("%s is not dealt with now: %s", entity, problem)
                    continue
                self._present[entity], self._peers[entity] = said, peer
                for one in self._told:
                    one.join(peer)


def _said(member: Member) -> object:
    """What a peer is made from: with another name or endpoint it is another one."""
    role = member.metadata.connectivity_operator
    assert role, "operators() lists operators only"
    return member.name, role.sonata_endpoint, role.mesh_endpoint, role.documents_endpoint, role.token_endpoint
