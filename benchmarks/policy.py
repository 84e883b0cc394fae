"""`make bench-policy`: what policies cost, beside the bare primitive of the same run.

1,000 segments of 1,000 operators, each with facts of its own, are filtered by every shipped policy; Cedar decides one
segment, by our call and by cedarpy's own; evidence of a purchase over five operators is verified. Every operation is
timed in turn with one bare ES256 verify of an order's bytes, in one process, by processor time; medians over rounds.
Then what a log of a million leaves costs, as `make bench-log` measures it. Writes benchmarks/out/policy.json.

make bench-policy
make bench-policy ARGS="--rounds 5 --batch-ms 20 --leaves 10_000"
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from random import Random
from time import perf_counter, process_time
from typing import Any, Final

import cedarpy

from benchmarks.caida.publish import OUT
from benchmarks.figures import Bar
from benchmarks.log import measured
from benchmarks.run import table, write
from benchmarks.trust import FLOOR, Work, bare, purchase, timed
from federation.evidence.verify.verify import verify
from federation.policy.context import told
from federation.policy.engine import LoadedPolicy, decide, entities, load, prefilter
from federation.policy.facts import BUYER, Subject, subject, uid
from schemas.decision import Part
from schemas.jurisdiction import COUNTRIES, GROUPS, Attestation, ClassFacts, Landing
from schemas.policy.texts import NAMES, shipped
from tests.support.admission import Gatehouse
from tests.support.evidence.bundle import LOOKED, bundled
from tests.support.evidence.cast import anchors, known, later
from tests.support.evidence.papers import Plan
from tests.support.policies import ATTESTED, CONTEXT, MARK, segment
from tests.support.seams import NOW

POLICY: Final = OUT / "policy.json"
SEGMENTS: Final = 1000
SEED: Final = 20
AGAIN, FIRST = "1,000 segments, {}", "the same, facts seen for the first time, {}"
PROVED: Final = "evidence of a purchase over five operators: verify()"
OURS, BARE = "Cedar decides one segment: decide()", "Cedar decides one segment: cedarpy's own call"
Figure = tuple[float, Bar | None, str]


def subjects() -> dict[str, Work]:
    """Every operation by name; the floor first."""
    house = Gatehouse()
    order = purchase(house)[2]
    policies = {name: load(name, text) for name, text in shipped().items()}
    drawn = attestations(SEGMENTS)
    works: dict[str, Work] = {FLOOR: bare(house.cast, order)}
    works["1,000 subjects, of facts believed before"] = lambda: segments(drawn)
    for name in NAMES:
        works[AGAIN.format(name)] = again(policies[name], segments(drawn))
    for name in NAMES:
        works[FIRST.format(name)] = first(policies[name], segments(drawn))
    works |= deciding(policies["eu-health"], segment()) | {"eu-health, loaded": loading(shipped()["eu-health"])}
    return works | {PROVED: proving()}


def attestations(count: int) -> list[Attestation]:
    """What auditors say of as many operators: most are European, some are not, no two are alike."""
    rng = Random(SEED)
    everywhere, europe = sorted(COUNTRIES), sorted(GROUPS["EU"])
    return [attestation(rng, everywhere if rng.random() < 0.3 else europe, everywhere) for _ in range(count)]


def attestation(rng: Random, near: Sequence[str], everywhere: Sequence[str]) -> Attestation:
    """One of them."""
    landing = Landing(name="somewhere", country=rng.choice(near))
    crossed = ClassFacts(countries=tuple(rng.sample(near, rng.randint(1, 12))), sea=True, landings=(landing,))
    return Attestation(
        legal_domicile=(rng.choice(near),),
        controlling_parents=(rng.choice(near), rng.choice(everywhere)),
        operations=tuple(rng.sample(near, 2)),
        key_custody=(rng.choice(near),),
        assessed_regimes=ATTESTED.assessed_regimes,
        subject_to=("US-CLOUD-ACT",) if rng.random() < 0.1 else (),
        seal=rng.randint(1, 4),
        certificates=ATTESTED.certificates if rng.random() < 0.9 else ("ISO 22301",),
        classes={"eu": crossed},
    )


def segments(drawn: Sequence[Attestation]) -> list[Subject]:
    """A segment of each operator."""
    return [
        subject(Part.CARRY, f"https://n{number}.example", "eu", one, MARK, NOW + 1000 + number)
        for number, one in enumerate(drawn)
    ]


def again(policy: LoadedPolicy, carried: Sequence[Subject]) -> Work:
    """As every search after the first."""
    return lambda: prefilter(policy, carried, CONTEXT)


def first(policy: LoadedPolicy, carried: Sequence[Subject]) -> Work:
    """As the first search after every single fact has changed."""
    permits = policy.predicates["carry"].permits

    def forget_and_filter() -> object:
        for permit in permits:
            permit.seen.clear()
            for _, memo in permit.lasting:
                memo.clear()
        return prefilter(policy, carried, CONTEXT)

    return forget_and_filter


def deciding(policy: LoadedPolicy, one: Subject) -> dict[str, Work]:
    """Our verdict and what is below it; everything is parsed before."""
    request = {
        "principal": BUYER,
        "action": {"type": "Action", "id": "carry"},
        "resource": uid(one),
        "context": told(CONTEXT),
    }
    parsed, known = cedarpy.PolicySet.from_str(policy.text), entities(one)
    assert decide(policy, one, CONTEXT).allowed
    return {
        OURS: lambda: decide(policy, one, CONTEXT),
        BARE: lambda: cedarpy.is_authorized(request, parsed, known),
    }


def loading(text: str) -> Work:
    """Parsed, validated and compiled."""
    return lambda: load("eu-health", text)


def proving() -> Work:
    """A buyer's bundle: a mandate, two policies, a bill of every operator; all of its checks."""
    data = bundled(Plan(operators=5))
    assert verify(data, anchors(), later(LOOKED), known()).ok
    return lambda: verify(data, anchors(), later(LOOKED), known())


def figures(us: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """The figures; of the policies the one that is dearest counts."""
    found: dict[str, Figure] = {
        "prefilter_1000_vs_verify": (
            max(us[AGAIN.format(name)] for name in NAMES) / us[FLOOR],
            Bar(True, 14, "1,000 segments filtered by the dearest shipped policy / one bare ES256 verify"),
            "ratio",
        ),
        "prefilter_1000_new_vs_verify": (
            max(us[FIRST.format(name)] for name in NAMES) / us[FLOOR],
            None,
            "ratio",
        ),
        "decision_vs_bare_cedar": (us[OURS] / us[BARE], None, "ratio"),
        "evidence_five_operators_vs_verify": (us[PROVED] / us[FLOOR], None, "ratio"),
    }
    return {name: {"value": value, "unit": unit} | _held(value, bar) for name, (value, bar, unit) in found.items()}


def _held(value: float, bar: Bar | None) -> dict[str, Any]:
    if bar is None:
        return {"bar": None, "ok": True}
    return {"bar": str(bar), "ok": bar.kept(value), "compares": bar.said}


def tell(us: Mapping[str, float], clock: str, log: Mapping[str, Any]) -> None:
    """Tables for a person, and the file."""
    rows = [("operation", "us", "/ bare verify")]
    table("Per operation", [*rows, *((name, f"{value:.1f}", f"{value / us[FLOOR]:.3g}") for name, value in us.items())])
    reached = figures(us) | log["figures"]
    lines = [
        (name, f"{one['value']:.3g}", one["bar"] or "-", "" if one["bar"] is None else "ok" if one["ok"] else "MISSED")
        for name, one in reached.items()
    ]
    table("Figures", [("figure", "value", "bar", ""), *lines])
    versions = {name: version(name) for name in ("cedarpy", "cryptography", "msgspec")}
    rounded = {name: round(value, 2) for name, value in us.items()}
    write(POLICY, {"figures": reached, "us": rounded, "clock": clock, "versions": versions, "log": log})


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(prog="make bench-policy ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="times that every operation has its turn")
    parser.add_argument("--batch-ms", type=float, default=40, help="how long one turn lasts")
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu", help="processor time, or all of it")
    parser.add_argument("--leaves", type=int, default=1_000_000, help="how many documents the log has")
    options = parser.parse_args(arguments)
    clock: Callable[[], float] = process_time if options.clock == "cpu" else perf_counter
    us = timed(subjects(), options.rounds, options.batch_ms / 1000, clock)
    tell(us, options.clock, asyncio.run(measured(options.leaves, options.rounds)))


if __name__ == "__main__":
    main(sys.argv[1:])
