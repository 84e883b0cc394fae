"""What auditors would attest of the drafted operators: invented, and consistent with their footprints."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.caida.publish import Published
from federation.policy.limits import Refusals, refusals
from schemas.jurisdiction import Attestation, ClassFacts, Sovereignty


def outside_eu(published: Mapping[str, Published]) -> Refusals:
    """What policy refuses a buyer whose data stay in the EU."""
    facts = {entity: _attested(one) for entity, one in published.items()}
    offered = [(entity, name) for entity, one in published.items() for name in one.crossed]
    return refusals(Sovereignty(countries=("EU",)), facts, offered)


def _attested(one: Published) -> Attestation:
    return Attestation(classes={name: ClassFacts(countries=where) for name, where in one.crossed.items()})
