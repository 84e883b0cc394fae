"""Ours under limits against shortest paths without any: the peers solve an easier problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks import agreement
from benchmarks.contender import Cold, Warm
from benchmarks.peers import csgraph, nx, rx
from benchmarks.peers.peer import Peer
from benchmarks.question import EU, GLOBAL, Family, Question
from benchmarks.run import Run, Subject, say
from benchmarks.timing import Timed
from benchmarks.ways import Ways

FEW: Final = 12  # questions on the largest graph
CHECKED: Final = 10  # questions whose answers without limits are compared, untimed


class Ours:
    """Our contenders for a family."""

    def __init__(self, subject: Subject, family: Family) -> None:
        refused = subject.refused(family)
        self.none, self.one, self.two = (Cold(subject.engine, refused, limits) for limits in range(3))
        self.warm = Warm(subject.engine, refused, 1)

    def agree(self, timed: Timed, easier: str) -> None:
        """More limits make nothing cheaper, and warmth changes nothing."""
        agreement.no_dearer(timed, easier, self.one.name)
        agreement.no_dearer(timed, self.one.name, self.two.name)
        agreement.same(timed, [self.one.name, self.warm.name])


def unlimited(run: Run, subject: Subject, *, hundred: bool) -> None:
    """Global questions: the peers have no predicate to test and no limit to keep."""
    made = nx.digraph(subject.graph, GLOBAL)
    plain, one_sided = rx.Dijkstra(subject.graph, GLOBAL), nx.Dijkstra(made)
    peers: list[Peer] = [one_sided, nx.Bidirectional(made), plain, csgraph.OneToAll(subject.graph, GLOBAL)]
    timed, ours = _measured(run, subject, GLOBAL, peers)
    exact, base = timed.median_ms(ours.one.name), timed.median_ms(plain.name)
    run.figures.note("exact_one_limit_vs_rustworkx_unlimited", subject.name, exact / base)
    run.figures.note("networkx_unlimited_vs_exact", subject.name, timed.median_ms(one_sided.name) / exact)
    run.figures.note("warm_vs_cold", subject.name, timed.median_ms(ours.warm.name) / exact)
    if hundred:
        run.figures.note("two_limits_p95_vs_rustworkx_100k", subject.name, timed.p95_ms(ours.two.name) / base)


def filtered(run: Run, subject: Subject) -> None:
    """EU questions: the peers test a predicate, or search what was filtered before."""
    refused, graph = subject.refused(EU), subject.graph
    kept = Ways(graph, EU, subject.world.outside_eu).kept.tolist()
    callback = rx.Callback(graph, EU, refused)
    hidden = nx.Hidden(nx.digraph(graph, EU), graph, EU, refused)
    peers: list[Peer] = [hidden, callback, rx.Dijkstra(graph, EU, kept), csgraph.OneToAll(graph, EU, kept)]
    timed, ours = _measured(run, subject, EU, peers)
    ratio = timed.median_ms(ours.one.name) / timed.median_ms(callback.name)
    run.figures.note("exact_eu_vs_rustworkx_callback", subject.name, ratio)


def largest(run: Run, subject: Subject) -> None:
    """Against scipy alone, on a graph that the others take very long to build."""
    peer, ours = csgraph.OneToAll(subject.graph, GLOBAL), Cold(subject.engine, {}, 1)
    timed = run.timed([peer, ours], run.questions(subject, GLOBAL, FEW))
    agreement.no_dearer(timed, peer.name, ours.name)
    run.show(subject, GLOBAL, timed, ours.name)
    ratio = timed.median_ms(ours.name) / timed.median_ms(peer.name)
    run.figures.note("exact_5m_vs_scipy", subject.name, ratio)


def _measured(run: Run, subject: Subject, family: Family, peers: Sequence[Peer]) -> tuple[Timed, Ours]:
    questions, ours = run.questions(subject, family), Ours(subject, family)
    timed = run.timed([*peers, ours.one, ours.two, ours.warm], questions)
    agreement.same(timed, [peer.name for peer in peers])
    ours.agree(timed, peers[0].name)
    run.show(subject, family, timed, ours.one.name)
    _check(subject, family, questions[:CHECKED], timed.answers[peers[0].name][:CHECKED], ours.none)
    return timed, ours


def _check(
    subject: Subject, family: Family, questions: Sequence[Question], theirs: Sequence[int | None], ours: Cold
) -> None:
    """Without limits, ours and the peers solve the same problem, except for a second entry into an operator."""
    ways, answers = Ways(subject.graph, family, subject.world.outside_eu), list[int | None]()
    for question in questions:
        ours.prepare(question)
        answers.append(ours.solve(question))
    twice = agreement.except_twice(
        answers,
        theirs,
        lambda n: agreement.cheapest_enters_twice(ways, questions[n].source, questions[n].target),
    )
    say(f"  without limits the same price on {len(questions)} questions; in {twice} the peers enter an operator twice")
