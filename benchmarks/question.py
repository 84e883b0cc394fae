"""One question, as the path search and as the peers read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from benchmarks.caida.publish import NOW_S
from federation.broker.paths.query import Query
from federation.policy.limits import Refusals
from schemas.price import RateTable
from schemas.segment import Limits, window

HOURS: Final = 24
WINDOW: Final = window(NOW_S + 24 * 3600, NOW_S + (24 + HOURS) * 3600)
RATES: Final = RateTable(date="2027-01-01", worth_ppm={"EUR": 1_000_000})
WORK: Final = 1 << 40  # without end: every answer is to be the optimum
MTU: Final = 1500


class Family(Struct, frozen=True):
    """Questions of one kind: `global`, or `eu` (data stay in the EU); Gb/s asked for."""

    name: str
    gbps: int


# Every arc has room for 10 Gb/s, so a peer without any predicate solves the same problem; 20 Gb/s is too much for some.
GLOBAL: Final = Family("global", 10)
EU: Final = Family("eu", 20)


class Question(Struct, frozen=True, kw_only=True):
    """A pair of UNIs, the vertices they have in the `Digraph`, and limits: latency, then jitter or availability.

    `latency_us` lies a quarter of the way from the fastest path to the cheapest. One of `jitter_us` and
    `availability_ppb` is set: a quarter of the way from a path that is good at it to one that is cheap within the
    latency, so that a path exists.
    """

    family: Family
    a: tuple[str, str]
    z: tuple[str, str]
    source: int
    target: int
    latency_us: int
    jitter_us: int | None = None
    availability_ppb: int | None = None


def query(question: Question, refused: Refusals | Mapping[tuple[str, str], object], limits: int) -> Query:
    """The question with none, the first or both of its limits."""
    asked = (
        Limits(),
        Limits(latency_us=question.latency_us),
        Limits(
            latency_us=question.latency_us,
            jitter_us=question.jitter_us,
            availability_ppb=question.availability_ppb,
        ),
    )[limits]
    return Query(
        sources=(question.a,),
        targets=(question.z,),
        bandwidth_bps=question.family.gbps * 10**9,
        window=WINDOW,
        term_s=WINDOW.duration_s,
        currency="EUR",
        rates=RATES,
        mtu=MTU,
        limits=asked,
        refused=refused if question.family == EU else {},  # type: ignore[arg-type]
        work=WORK,
    )
