"""A tree of anchors, intermediates and members in memory, as `Statements`: each test bends the branch it is about."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from federation.trust.issue import (
    DAY_S,
    entity_configuration,
    facts_mark,
    jwks,
    status_list,
    subordinate_statement,
)
from federation.trust.jose import sign_jws, unverified
from federation.trust.keys import PrivateKey, generate
from federation.trust.resolve import Resolution, Resolver
from schemas.entity import (
    FACTS_MARK,
    AuditorMetadata,
    EntityStatement,
    FederationEntity,
    Jwk,
    Jwks,
    Metadata,
    OperatorMetadata,
    StatusIndex,
)
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from tests.support.loops import run
from tests.support.seams import FixedClock

ANCHOR, MIDDLE, LEAF = "https://anchor.example", "https://middle.example", "https://surf.leaf.example"
AUDITOR, STATUS = "https://audit.example", "https://audit.example/status"
FACTS = Attestation(legal_domicile=("NL",), controlling_parents=("NL",))


@dataclass
class Node:
    """One entity: what it says of itself, and what its superiors say of it."""

    entity: str
    key: PrivateKey
    superiors: tuple[str, ...]
    metadata: Metadata
    also: tuple[Jwk, ...] = ()
    listed_keys: Jwks | None = None  # what superiors list, when it is not just its key
    marks: list[str] = field(default_factory=list)
    said: dict[str, dict[str, Any]] = field(default_factory=dict)  # by superior: metadata, policy, constraints
    life_s: int = DAY_S


def operator(name: str = "SURF") -> Metadata:
    key = generate()
    role = OperatorMetadata(
        sonata_endpoint="https://surf.example/mefApi/sonata",
        mesh_endpoint="surf.example:8443",
        documents_endpoint="https://surf.example/peerway/v1/documents",
        jwks=jwks(key),
    )
    return Metadata(federation_entity=FederationEntity(organization_name=name), connectivity_operator=role)


def superior(entity: str) -> Metadata:
    endpoints = FederationEntity(
        organization_name=entity.removeprefix("https://"),
        federation_fetch_endpoint=f"{entity}/fetch",
        federation_list_endpoint=f"{entity}/list",
    )
    return Metadata(federation_entity=endpoints)


class Tree:
    """`Statements` over nodes; `asked` counts questions, `silent` entities do not answer, `replaced` answers lie."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.nodes = clock, dict[str, Node]()
        self.asked: Counter[str] = Counter()
        self.silent: set[str] = set()
        self.replaced: dict[tuple[str, ...], str] = {}
        self.issuers: dict[str, dict[str, tuple[str, ...]]] = {}
        self.revoked: set[int] = set()

    def add(self, entity: str, *superiors: str, metadata: Metadata | None = None, **said: Any) -> Node:
        """An entity below its superiors; `said` is what each of them says beside its keys."""
        made = metadata or (operator() if superiors else superior(entity))
        node = Node(entity, generate(), superiors, made, said=dict.fromkeys(superiors, said))
        self.nodes[entity] = node
        return node

    def anchors(self, *entities: str) -> dict[str, Jwks]:
        """What a node's own configuration says of these anchors."""
        return {entity: jwks(self.nodes[entity].key) for entity in entities or (ANCHOR,)}

    def recognise(self, auditor: str = AUDITOR, *, anchor: str = ANCHOR) -> Node:
        """An auditor below the anchor, which may issue facts marks."""
        self.issuers[anchor] = {FACTS_MARK: (auditor,)}
        role = Metadata(
            federation_entity=FederationEntity(organization_name="Audit"), connectivity_auditor=AuditorMetadata()
        )
        return self.add(auditor, anchor, metadata=role)

    def attest(self, entity: str, auditor: str = AUDITOR, *, index: int | None = None) -> str:
        """A facts mark, carried by its subject."""
        status = None if index is None else StatusIndex(idx=index, uri=STATUS)
        key = self.nodes[auditor].key
        mark = facts_mark(key, auditor, entity, FACTS, now=self.clock.now(), status=status)
        self.nodes[entity].marks.append(mark)
        return mark

    def chain(self, *path: str) -> list[str]:
        """The statements of a path, the entity first, the anchor last."""
        pairs = zip(path[1:], path[:-1], strict=True)
        return [self._own(path[0]), *(self._about(upper, lower) for upper, lower in pairs), self._own(path[-1])]

    # --- Statements -----------------------------------------------------------------------------------------------

    async def configuration(self, entity: str) -> str:
        """Of a node."""
        self._ask("configuration", entity, entity)
        return self.replaced.get(("configuration", entity)) or self._own(entity)

    async def statement(self, superior: EntityStatement, entity: str) -> str:
        """Of a node's superior."""
        self._ask("statement", superior.iss, entity)
        if (key := ("statement", superior.iss, entity)) in self.replaced:
            return self.replaced[key]
        if superior.iss not in self.nodes[entity].superiors:
            raise Problem("NOT_FOUND", f"{superior.iss} knows no {entity}")
        return self._about(superior.iss, entity)

    async def subordinates(self, superior: EntityStatement, entity_types: Sequence[str] = ()) -> tuple[str, ...]:
        """Everybody below."""
        self._ask("list", superior.iss, superior.iss)
        return tuple(entity for entity, node in self.nodes.items() if superior.iss in node.superiors)

    async def marks(self, entity: str) -> tuple[str, ...]:
        """None beside those carried."""
        return ()

    async def status(self, uri: str) -> str:
        """The auditor's list."""
        self._ask("status", AUDITOR, AUDITOR)
        if ("status", uri) in self.replaced:
            return self.replaced["status", uri]
        return status_list(self.nodes[AUDITOR].key, AUDITOR, uri, self.revoked, 1024, now=self.clock.now())

    async def history(self, entity: EntityStatement) -> str:
        """Not kept here."""
        raise Problem("NOT_FOUND", "none")

    def _ask(self, kind: str, whom: str, about: str) -> None:
        self.asked[kind] += 1
        if whom in self.silent:
            raise Problem("UNAVAILABLE", f"{whom} does not answer")
        if about not in self.nodes:
            raise Problem("NOT_FOUND", f"no {about}")

    def _own(self, entity: str) -> str:
        node = self.nodes[entity]
        return entity_configuration(
            node.key,
            entity,
            node.metadata,
            now=self.clock.now(),
            life_s=node.life_s,
            authorities=node.superiors,
            also=node.also,
            marks=node.marks,
            trust_mark_issuers=self.issuers.get(entity),
        )

    def _about(self, upper: str, lower: str) -> str:
        node = self.nodes[lower]
        return subordinate_statement(
            self.nodes[upper].key,
            upper,
            lower,
            node.listed_keys or jwks(node.key),
            now=self.clock.now(),
            life_s=node.life_s,
            **node.said.get(upper, {}),
        )


def resign(key: PrivateKey, token: str, **claims: Any) -> str:
    """A statement with some claims replaced, signed again."""
    return sign_jws(key, msgspec.structs.replace(unverified(token, EntityStatement), **claims))


def resolved(tree: Tree, entity: str = LEAF) -> Resolution:
    """What a resolver finds of an entity, on the tree's own time."""

    async def main() -> Resolution:
        made = Resolver(tree, tree.anchors(), now=tree.clock.now, rng=random.Random(7))
        try:
            return await made.resolve(entity)
        finally:
            await made.close()

    return run(main(), tree.clock.advance)
