"""What a belief rests on is kept as bytes, and those bytes alone show the same facts again, whoever reads them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from federation.trust.belief import NOTHING, Belief, Book, attested, belief
from federation.trust.chain import TrustDomain, member_of, verify_chain
from federation.trust.domain import load_domain, read_anchors
from federation.trust.jose import unverified
from federation.trust.marks import Grounds, verify_mark
from federation.trust.resolve import Resolver
from federation.trust.throwaway import ThrowawayDomain
from federation.trust.view import TrustView
from schemas.entity import Jwks, TrustMark
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from tests.support.loops import run
from tests.support.seams import NOW, FixedClock
from tests.support.trust_tree import ANCHOR, AUDITOR, FACTS, LEAF, MIDDLE, Tree, superior

OPERATOR, OTHER, HOUSE = "https://surf.example", "https://kpn.example", "https://audit.example"


def tree() -> Tree:
    made = Tree(FixedClock())
    made.add(ANCHOR)
    made.add(MIDDLE, ANCHOR, metadata=superior(MIDDLE))
    made.add(LEAF, MIDDLE)
    made.recognise()
    made.attest(LEAF, index=3)
    return made


def seen(world: Tree) -> TrustDomain:
    """As a broker sees it that looks for one operator alone, and for no auditor."""

    async def main() -> TrustDomain:
        resolver = Resolver(world, world.anchors(), now=world.clock.now, rng=random.Random(7))
        try:
            return await TrustView(resolver, rng=random.Random(7), known=(LEAF,), listing=False).refresh()
        finally:
            await resolver.close()

    return run(main(), world.clock.advance)


def facts_again(kept: Belief, anchors: dict[str, Jwks], entity: str, now: int) -> Attestation:
    """From the bytes, the configured anchors and a time: what the belief was."""
    chains = {name: verify_chain(tokens, anchors, now) for name, tokens in kept.chains.items()}
    member_of(chains[entity])
    roots = {chain.anchor: chain.root for chain in chains.values()}
    mark = next(mark for mark in kept.marks if unverified(mark, TrustMark).sub == entity)
    return verify_mark(mark, entity, Grounds(chains, roots, kept.status_lists, now)).attest


def test_what_was_believed_over_the_network_verifies_from_its_bytes() -> None:
    world = tree()
    domain = seen(world)
    kept = belief(domain, [LEAF], NOW)
    assert set(domain.members) == {LEAF}
    assert set(kept.chains) == {LEAF, AUDITOR}, "the auditor's chain comes along, though it is no member here"
    assert len(kept.marks) == len(kept.status_lists) == 1
    assert facts_again(kept, world.anchors(), LEAF, NOW) == FACTS == domain.facts(LEAF, NOW)


@pytest.mark.parametrize("lost", ["chains", "marks", "status_lists"])
def test_without_any_of_it_nothing_is_shown(lost: str) -> None:
    world = tree()
    kept = belief(seen(world), [LEAF], NOW)
    less = {name: getattr(kept, name) for name in kept.__struct_fields__}
    less[lost] = type(less[lost])()
    with pytest.raises((Problem, KeyError, StopIteration)):
        facts_again(Belief(**less), world.anchors(), LEAF, NOW)


def test_a_folder_gives_the_same_and_only_what_was_asked_for(tmp_path: Path) -> None:
    made = ThrowawayDomain(tmp_path, NOW)
    made.add_auditor(HOUSE, "Auditor")
    for entity in (OPERATOR, OTHER):
        made.add_operator(entity, entity, sonata="http://h:1", mesh="h:2", documents="http://h:1")
        made.attest(HOUSE, entity, Attestation(legal_domicile=("NL",)))
    made.write()
    domain = load_domain(made.folder, made.anchors_file, NOW + 1)
    kept = belief(domain, [OPERATOR], NOW + 1)
    assert set(kept.chains) == {OPERATOR, HOUSE}
    assert [unverified(mark, TrustMark).sub for mark in kept.marks] == [OPERATOR]
    anchors = read_anchors(made.anchors_file)
    assert facts_again(kept, anchors, OPERATOR, NOW + 1) == domain.facts(OPERATOR, NOW + 1)


def test_of_strangers_and_of_marks_that_ended_nothing_is_kept() -> None:
    domain = seen(tree())
    assert belief(domain, ["https://nobody.example"], NOW) == NOTHING
    later = belief(domain, [LEAF], NOW + 91 * 86_400)
    assert (set(later.chains), later.marks, later.status_lists) == ({LEAF}, (), {})


def test_of_two_marks_that_last_equally_long_everybody_takes_the_same() -> None:
    domain = seen(tree())
    one = domain.marks[LEAF][0]
    two = type(one)(one.type, one.issuer, Attestation(legal_domicile=("US",)), one.exp, "zzz", None, one.own_exp)
    both = [TrustDomain(domain.members, {LEAF: pair}) for pair in ((one, two), (two, one))]
    assert [found.facts(LEAF, NOW) for found in both] == [two.attest, two.attest]


def test_what_is_attested_follows_from_the_marks_and_not_from_when_lists_and_chains_were_read() -> None:
    world = tree()
    first = attested(seen(world), LEAF, NOW)
    world.clock.advance(600)
    later = attested(seen(world), LEAF, NOW + 600)
    assert first == later
    assert first.facts == FACTS
    assert first.until == unverified(seen(world).marks[LEAF][0].token, TrustMark).exp
    assert attested(seen(world), "https://nobody.example", NOW) == (None, frozenset(), 0, ())


def test_a_book_forgets_what_it_looked_up_with_the_second_and_with_the_domain() -> None:
    domain, book = seen(tree()), Book()
    mark = domain.marks[LEAF][0]
    last = mark.exp - 1
    assert [book.attested(domain, LEAF, at).facts for at in (last, last, mark.exp, last)] == [FACTS, FACTS, None, FACTS]
    assert book.attested(TrustDomain(domain.members), LEAF, last).facts is None
    assert book.attested(domain, LEAF, last) == attested(domain, LEAF, last)
