"""Ours against the exact: cspy, the only Python library for paths under limits, and HiGHS. Same problem, same price."""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median

from benchmarks import agreement
from benchmarks.contender import Cold
from benchmarks.peers.milp import Highs
from benchmarks.question import EU
from benchmarks.run import Run, Subject, say

TRIED = 3  # questions that show at which setting cspy is best


def cspy(run: Run, subject: Subject) -> None:
    """A question to cspy is an object made for it and a search; the search alone is told beside."""
    if find_spec("cspy") is None:
        say("  cspy is not installed (it has wheels for Python 3.11 only)")
        return
    from benchmarks.peers.cspy_search import DIRECTIONS, Search, best_direction

    questions, refused = run.questions(subject, EU), subject.refused(EU)
    tried = {direction: Search(subject.graph, EU, refused, direction) for direction in DIRECTIONS}
    best = best_direction(tried, questions[:TRIED])
    peer, ours = Search(subject.graph, EU, refused, best), Cold(subject.engine, refused, 1)
    timed = run.timed([peer, ours], questions, 1)
    twice = agreement.except_twice(
        timed.answers[ours.name],
        timed.answers[peer.name],
        lambda n: subject.graph.enters_twice(agreement.arcs_of(subject.graph, peer.paths[n])),
    )
    run.show(subject, EU, timed, ours.name)
    alone_ms, ours_ms = median(peer.run_s) * 1000, timed.median_ms(ours.name)
    say(f"  the same price on {len(questions)} questions; in {twice} cspy enters an operator twice")
    say(f"  cspy's search alone takes {alone_ms:.1f} ms, {alone_ms / ours_ms:.1f} times ours")
    run.notes["cspy_search_alone_vs_exact"] = alone_ms / ours_ms
    run.figures.note("cspy_vs_exact", subject.name, timed.median_ms(peer.name) / ours_ms)


def highs(run: Run, subject: Subject) -> None:
    """A few questions to HiGHS, whose model has everything that ours has."""
    questions = run.questions(subject, EU)[: run.options.milp]
    if questions:
        peer, ours = Highs(subject.graph, EU, subject.refused(EU)), Cold(subject.engine, subject.refused(EU), 1)
        timed = run.timed([peer, ours], questions, 1)
        agreement.same(timed, [peer.name, ours.name])
        run.show(subject, EU, timed, ours.name)
        say(f"  the same price on {len(questions)} questions, second entries ruled out on both sides")
