"""Our optimum is everybody's optimum: against a mixed-integer program, and against cspy where that is installed.

The federation is the fifteen operators of the demo, in the long tests all 98 of CAIDA too, with abstract graphs,
drafted and published by the operators' own code. HiGHS solves the problem whole: set-up and minimum per segment and
the rule against a second entry are in its model (benchmarks/peers/milp.py). cspy adds arcs up, so it gets a federation
in which no minimum binds, and may be cheaper where it enters an operator twice, which is then shown.
"""
# ruff: noqa: E402 - what is imported below needs what is looked for first

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

import pytest

for needed in ("scipy", "topohub", "reverse_geocode"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from benchmarks import agreement
from benchmarks.caida.cards import Once
from benchmarks.caida.draft import Wish
from benchmarks.caida.forms import FIFTEEN, Federation, joined
from benchmarks.caida.publish import publish
from benchmarks.digraph import Digraph
from benchmarks.ours import ENGINES, Engine
from benchmarks.peers.milp import Highs
from benchmarks.question import EU, GLOBAL, WINDOW, Family, Question, query
from benchmarks.questions import drawn
from schemas.offer import Disclosure

LONG = "PEERWAY_TEST_LONG" in os.environ
SEED = 7
# Operators by AS number (none named: all 98), and how many questions are asked of each family under each limit.
FEDERATIONS = {"fifteen": (FIFTEEN, 100 if LONG else 8)} | ({"all": ((), 25)} if LONG else {})
# Up to 30 and 80 EUR per segment, where a usual segment of a day uses about 60 EUR.
BINDING = Once(set_up_micro=30_000_000, minimum_micro=80_000_000)
EVERY_FAMILY = pytest.mark.parametrize("family", [GLOBAL, EU], ids=lambda family: family.name)
EVERY_FEDERATION = pytest.mark.parametrize("name", FEDERATIONS)


class World(NamedTuple):
    federation: Federation
    graph: Digraph

    def refused(self, family: Family) -> dict[tuple[str, str], object]:
        return dict(self.federation.outside_eu) if family == EU else {}

    def questions(self, family: Family, count: int) -> list[Question]:
        return list(drawn(self.graph, self.federation.outside_eu, family, count=count, seed=SEED))


@cache
def world(name: str, once: Once) -> World:
    published = publish(Wish(asns=FEDERATIONS[name][0], seed=SEED), Disclosure.ABSTRACT, once)
    federation = joined(name, {one.manifest.iss: one for one in published}, 1, SEED)
    return World(federation, Digraph(federation.sheets, WINDOW))


@cache
def engines(name: str, once: Once) -> tuple[Engine, ...]:
    return tuple(make(world(name, once).federation.sheets) for make in ENGINES.values())


@EVERY_FEDERATION
@EVERY_FAMILY
@pytest.mark.parametrize("limits", [1, 2])
def test_highs_finds_the_same_price(name: str, family: Family, limits: int) -> None:
    of = world(name, BINDING)
    highs = Highs(of.graph, family, of.refused(family), limits)
    for question in of.questions(family, FEDERATIONS[name][1]):
        loose, tight = highs.solve(question), highs.solve_strictly(question)
        assert loose is not None
        for engine in engines(name, BINDING):
            ours = engine.solve(query(question, of.federation.outside_eu, limits))
            assert ours is not None, (engine.name, question)
            # Availability is rounded at every arc: the program is solved a little looser and a little tighter.
            assert loose <= ours, (engine.name, question)
            assert tight is None or ours <= tight, (engine.name, question)


def test_minimums_bind_in_that_federation() -> None:
    of = world("fifteen", BINDING)
    highs = Highs(of.graph, GLOBAL, {}, 1)
    paths = [highs.path(question) for question in of.questions(GLOBAL, 3)]
    assert any(highs.price(path) > highs.usage(path) for path in paths if path is not None)


@EVERY_FEDERATION
@EVERY_FAMILY
@pytest.mark.parametrize("limits", [1, 2])
def test_cspy_finds_the_same_price(name: str, family: Family, limits: int) -> None:
    pytest.importorskip("cspy", reason="cspy is not installed; it has wheels for Python 3.11 only")
    from benchmarks.peers.cspy_search import Search

    of, count = world(name, Once()), FEDERATIONS[name][1]
    theirs = Search(of.graph, family, of.refused(family), "both", limits)
    # Every other question limits jitter, which adds up; the others limit availability.
    questions = [q for q in of.questions(family, 2 * count) if limits == 1 or q.jitter_us is not None][:count]
    answers = []
    for question in questions:
        theirs.prepare(question)
        answers.append(theirs.solve(question))
    for engine in engines(name, Once()):
        ours = [engine.solve(query(question, of.federation.outside_eu, limits)) for question in questions]
        agreement.except_twice(ours, answers, lambda n: _twice(of.graph, theirs.paths[n]))


def _twice(graph: Digraph, vertices: list[int]) -> bool:
    return graph.enters_twice(agreement.arcs_of(graph, vertices))
