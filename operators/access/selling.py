"""Whom this operator sells to, and what for: its own Cedar policy, asked before anything is looked up or priced.

Facts about a broker come from the marks of auditors that the anchor recognises, never from the broker. What the
operator's own segment is, its auditors attest too; but of itself an operator needs no evidence that holds. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import structs

from federation.policy.context import Sale
from federation.policy.engine import LoadedPolicy, decide_sale, load
from federation.policy.facts import Subject, subject
from federation.trust.belief import Attested
from schemas.decision import Part
from schemas.interface import Country
from schemas.jurisdiction import Attestation
from schemas.price import ceil_div
from schemas.problem import Problem, invalid
from schemas.quote import Rfq
from schemas.segment import EntityId, Id, Segment

GBPS: Final = 10**9
FOREVER: Final = 2**53 - 1
SUBJECTS_KEPT: Final = 1_024


class Wanted(NamedTuple):
    """What is asked for: by which broker (or plain buyer), for whom, which segment, for which data, to which ends."""

    broker: EntityId
    buyer: str
    segment: Segment
    data_class: str | None = None
    destinations: tuple[Country, ...] | None = None

    @classmethod
    def of(cls, rfq: Rfq) -> Wanted:
        """What a verified rfq asks for."""
        return cls(rfq.iss, rfq.sub, rfq.segment, rfq.data_class, rfq.destinations)


class Selling:
    """The policy of one operator, and what is attested of everybody concerned at a time."""

    def __init__(self, policy: LoadedPolicy, me: EntityId, attested: Callable[[EntityId, int], Attested]) -> None:
        self._policy, self._me, self._attested = policy, me, attested

    def check(self, wanted: Wanted, now: int) -> None:
        """That the policy permits it. Raises `POLICY_DENIED`, with reasons that are for this operator's eyes."""
        broker, own = self._attested(wanted.broker, now), self._attested(self._me, now)
        buying = subject(Part.ARRANGE, wanted.broker, None, broker.facts, broker.types, broker.until)
        sold = _own(self._me, wanted.segment.route_class, own.facts, own.types)
        verdict = decide_sale(self._policy, buying, sold, _sale(wanted, now))
        if not verdict.allowed:
            raise Problem("POLICY_DENIED", f"policy {self._policy.name}: {'; '.join(verdict.reasons)}")


def selling(name: str, text: str, me: EntityId, attested: Callable[[EntityId, int], Attested]) -> Selling:
    """The policy in `text`. Raises INVALID_ARGUMENT, naming the line where it can be told."""
    policy = load(name, text)
    if not policy.predicates["sell"].permits:
        raise invalid(f"policy {name}", 'permits no sale at all; its permits need action == Action::"sell"')
    return Selling(policy, me, attested)


@lru_cache(maxsize=SUBJECTS_KEPT)
def _of_itself(found: Subject) -> Subject:
    return structs.replace(found, evidence_exp=FOREVER)


def _own(me: EntityId, route_class: Id, facts: Attestation | None, types: frozenset[str]) -> Subject:
    return _of_itself(subject(Part.CARRY, me, route_class, facts, types, 0))


def _sale(wanted: Wanted, now: int) -> Sale:
    """An empty list of destinations says nothing of them, and would pass any test that all of them must."""
    return Sale(
        now=now,
        buyer=wanted.buyer,
        bandwidth_gbps=ceil_div(wanted.segment.bandwidth_bps, GBPS),
        data_class=wanted.data_class,
        destinations=frozenset(wanted.destinations) if wanted.destinations else None,
    )


SAMPLE: Final = """\
// Whom this operator sells to: the broker is run and owned in the EEA or Switzerland, the data are no health data,
// and the path ends in countries that we know.
// Every fact comes from auditors' trust marks; `peerway policy show schema` prints all that may be asked.
@id("own-sales.v1")
permit(
  principal is Broker,
  action == Action::"sell",
  resource is Segment
)
when { principal has legal_domicile && [
  "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI",
  "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"
].containsAll(principal.legal_domicile) }
when { principal has controlling_parents && !principal.controlling_parents.contains("US") }
when { if context has data_class then context.data_class != "EU-health" else true }
when { context has destinations && !context.destinations.containsAny(["KP", "RU"]) }
when { context.bandwidth_gbps <= 100 };
"""
