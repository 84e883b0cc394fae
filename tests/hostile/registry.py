"""A hostile registry: whoever answers for anchors, superiors and members, or keeps what they once said."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

from federation.trust.issue import entity_configuration, jwks, subordinate_statement
from federation.trust.keys import b64url, generate
from federation.trust.resolve import FETCHES_MAX, Resolution, Resolver
from federation.trust.status import is_set
from schemas.entity import StatusBits
from tests.hostile.control import beaten
from tests.support.seams import FixedClock
from tests.support.trust_tree import ANCHOR, LEAF, Node, Tree, operator, superior

STRANGER = "https://stranger.example"
DAY_S = 86_400


class Registry:
    """An honest tree under an anchor, a node that resolves against it, and answers that the attacker bends."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.tree = Tree(self.clock)
        self.tree.add(ANCHOR)
        self.tree.add(LEAF, ANCHOR)
        self.resolver = Resolver(self.tree, self.tree.anchors(), now=self.clock.now, rng=random.Random(7))
        self.key = generate()

    async def resolve(self, entity: str = LEAF) -> Resolution:
        """What the node believes now."""
        self.resolver.forget(entity)
        return await self.resolver.resolve(entity)

    def mine(self, entity: str = LEAF, *authorities: str, name: str = "evil", life_s: int = DAY_S) -> str:
        """A configuration of the attacker's making, under its own key."""
        now = self.clock.now()
        above = authorities or (ANCHOR,)
        return entity_configuration(self.key, entity, operator(name), now=now, life_s=life_s, authorities=above)


async def won(found: Resolution) -> None:
    """The node believes in the attacker's metadata."""
    if found.member is None:
        beaten(found.why_not)
    if found.member.name != "evil":
        beaten("the genuine member is believed, and nothing else")


async def injects_a_stranger_below_an_anchor_of_its_own(folder: Path) -> None:
    """T9: every signature is valid; only the anchor's key is not the one of this node's configuration."""
    made = Registry()
    now = made.clock.now()
    root = entity_configuration(made.key, ANCHOR, superior(ANCHOR), now=now, life_s=DAY_S)
    above = subordinate_statement(made.key, ANCHOR, STRANGER, jwks(made.key), now=now, life_s=DAY_S)
    made.tree.nodes[STRANGER] = Node(STRANGER, made.key, (ANCHOR,), operator("evil"))
    made.tree.replaced = {
        ("configuration", ANCHOR): root,
        ("configuration", STRANGER): made.mine(STRANGER),
        ("statement", ANCHOR, STRANGER): above,
    }
    await won(await made.resolve(STRANGER))


async def alters_an_endpoint(folder: Path) -> None:
    """T9: a member's configuration with other endpoints and keys, signed by whoever keeps the cache."""
    made = Registry()
    made.tree.replaced["configuration", LEAF] = made.mine()
    await won(await made.resolve())


async def speaks_with_a_key_that_was_taken_back(folder: Path) -> None:
    """T15: the thief of a member's former federation key, after the superior has listed a new one."""
    made = Registry()
    made.key = made.tree.nodes[LEAF].key
    assert (await made.resolve()).member is not None
    made.tree.nodes[LEAF].key = generate()
    made.clock.advance(60)
    made.tree.replaced["configuration", LEAF] = made.mine()
    await won(await made.resolve())


async def lives_on_after_its_superior_fell_silent(folder: Path) -> None:
    """T14: nobody answers any more; what was believed has expired by the wall clock."""
    made = Registry()
    assert (await made.resolve()).member is not None
    made.clock.advance(2 * DAY_S)
    made.tree.silent = {LEAF, ANCHOR}
    if (await made.resolve()).member is None:
        beaten("nobody is believed past the end of a statement")


async def serves_an_older_configuration(folder: Path) -> None:
    """T18: genuine, not expired, and older than what this node has seen: endpoints that were given up."""
    made = Registry()
    made.tree.nodes[LEAF].metadata = operator("evil")
    old = made.tree.chain(LEAF, ANCHOR)[0]
    made.clock.advance(600)
    made.tree.nodes[LEAF].metadata = operator("repaired")
    assert (await made.resolve()).member is not None
    made.tree.replaced["configuration", LEAF] = old
    await won(await made.resolve())


async def names_superiors_without_end(folder: Path) -> None:
    """T16: four superiors, each of which names four more: a question that fans out."""
    made = Registry()
    names = [f"https://n{number}.example" for number in range(24)]
    for number, name in enumerate(names):
        above = [names[(4 * number + step + 1) % len(names)] for step in range(4)]
        made.tree.add(name, *dict.fromkeys(above), metadata=superior(name))
    made.tree.add(LEAF, *names[:4])
    await made.resolve()
    if sum(made.tree.asked.values()) <= FETCHES_MAX:
        beaten(f"{sum(made.tree.asked.values())} documents were read")


async def sends_a_list_that_unpacks_to_32_megabytes(folder: Path) -> None:
    """T16: 32 kB of compressed zeros: a list in which nobody is revoked."""
    squeezed = b64url(zlib.compress(bytes(32 * 1024 * 1024), 9))
    assert len(squeezed) < 64 * 1024
    assert is_set(StatusBits(bits=1, lst=squeezed), 7) is False
