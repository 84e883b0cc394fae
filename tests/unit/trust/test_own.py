"""A node's own configuration: signed before it expires, signed anew when told."""

from __future__ import annotations

import asyncio

from federation.trust.chain import verify_chain
from federation.trust.keys import generate
from federation.trust.keyset import KeySet
from federation.trust.own import OwnConfiguration
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import ANCHOR, LEAF, Tree, operator


def test_a_configuration_is_kept_for_half_of_its_life_and_carries_every_key() -> None:
    clock, tree = FixedClock(), Tree(FixedClock())
    tree.add(ANCHOR)
    leaf, metadata = tree.add(LEAF, ANCHOR), operator()
    keys = [KeySet((leaf.key, generate()))]
    own = OwnConfiguration(LEAF, lambda: keys[0], lambda: metadata, authorities=(ANCHOR,), now=clock.now)

    def current() -> str:
        return asyncio.run(own.current())

    first = current()
    chain = verify_chain([first, *tree.chain(LEAF, ANCHOR)[1:]], tree.anchors(), NOW)
    assert {key.kid for key in chain.own.jwks.keys} == {key.kid for key in keys[0].keys}
    clock.advance(43_199)
    assert current() == first
    clock.advance(1)
    second = current()
    assert second != first
    keys[0] = KeySet((leaf.key,))
    assert current() == second
    own.changed()
    assert current() != second
