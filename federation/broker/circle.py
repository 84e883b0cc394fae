"""Who a broker is, and whom it believes: what everything else of it is built on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from federation.broker.config import BrokerConfig
from federation.broker.secret import secret_of
from federation.node.identity.heed import Heed
from federation.node.identity.keyfile import KeyFile
from federation.node.identity.membership import Membership, membership
from federation.node.mtls.mutual import Mutual
from federation.node.seams import Clock, Entropy
from federation.trust.belief import Attested, Belief, Book, belief
from federation.trust.egress import Egress
from federation.trust.keys import PrivateKey
from schemas.jurisdiction import Attestation
from schemas.problem import invalid

OPERATORS: Final = "connectivity_operator"


@dataclass(frozen=True)
class Identity:
    """Who this broker is."""

    config: BrokerConfig
    protocol: KeyFile
    secret: bytes
    clock: Clock
    entropy: Entropy

    @property
    def key(self) -> PrivateKey:
        """Signs every document: at any time the first key of the file."""
        return self.protocol.signer


@dataclass(frozen=True)
class Circle:
    """Whom this broker believes now, and how it shows itself to them."""

    members: Membership
    mutual: Mutual
    clock: Clock
    heed: Heed
    book: Book = field(default_factory=Book)

    def facts(self, entity: str) -> Attestation | None:
        """What recognised auditors attest of an operator now."""
        return self.attested(entity).facts

    def marks(self, entity: str) -> frozenset[str]:
        """The types of the trust marks that recognised auditors gave an operator."""
        return self.attested(entity).types

    def attested(self, entity: str) -> Attested:
        """All that recognised auditors say of a member now."""
        return self.book.attested(self.members.domain, entity, self.clock.now())

    def believed(self, entities: Iterable[str]) -> Belief:
        """What is believed of members now, as bytes."""
        return belief(self.members.domain, entities, self.clock.now())


def identify(config: BrokerConfig, clock: Clock, entropy: Entropy) -> Identity:
    """Read keys. Raises `Problem`."""
    protocol = KeyFile.open(Path(config.keys.private), "keys.private")
    return Identity(config, protocol, secret_of(Path(config.data), entropy), clock, entropy)


async def believe(identity: Identity, egress: Egress, stack: AsyncExitStack) -> Circle:
    """The operators of the trust domain; a folder must list this broker with its keys. Raises `Problem`."""
    config, clock, data = identity.config, identity.clock, Path(identity.config.data)
    members = await stack.enter_async_context(
        membership(config.trust, config.entity, data, egress, clock, entity_types=[OPERATORS])
    )
    assert config.keys.tls is not None, "load_config says where"
    mutual = Mutual.open(Path(config.keys.tls), config.entity, (), clock)
    if config.trust.domain is not None:
        me = members.domain.member(config.entity, clock.now())
        role = me.metadata.connectivity_broker
        if role is None or identity.key.kid not in {jwk.kid for jwk in role.jwks.keys}:
            raise invalid(config.keys.private, f"is not the key of a broker {config.entity} in the trust domain")
        mutual.check_published(me)
    members.on_change(mutual.believe)
    return Circle(members, mutual, clock, Heed(members, clock))
