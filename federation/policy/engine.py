"""Policies, loaded and decided: Cedar's own verdict, with reasons in words (pure; design section 4).

A policy is permit-only. In Cedar a `forbid` that fails while it is evaluated is skipped, so a rule of safety written as
one would open the door that it ought to shut; every rule is a condition of a permit here, and a permit that fails
permits nothing. A verdict counts as allowed only where Cedar allows and reports no error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import cedarpy

from federation.policy.clauses import SETTINGS
from federation.policy.context import Context, Purchase, Sale, told
from federation.policy.facts import BUYER, Subject, attributes, uid
from federation.policy.limits import Refusal
from federation.policy.predicate import Predicate, predicate
from federation.policy.reading import read
from federation.trust.jose import sha256_b64
from schemas.decision import Part, PolicyRef
from schemas.policy.texts import schema_text

ENTITIES_KEPT: Final = 4096
DECIDED_KEPT: Final = 4096


@dataclass(frozen=True, eq=False)
class LoadedPolicy:
    """A policy that parsed and validated; `policy_h` is the base64url SHA-256 of its text, `id` its annotation.

    `signed` is the `policy+jwt` of a buyer's own.
    """

    name: str
    text: str
    policy_h: str
    id: str | None
    cedar: cedarpy.PolicySet
    predicates: Mapping[str, Predicate]
    signed: str | None = None

    @property
    def ref(self) -> PolicyRef:
        """Its name in a decision."""
        return PolicyRef(name=self.name, policy_h=self.policy_h)


@dataclass(frozen=True)
class Verdict:
    """Whether a subject may be used; every reason why not, in words, and with what would have to be allowed."""

    allowed: bool
    refusals: tuple[Refusal, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons as clauses about the subject."""
        return tuple(refusal.detail for refusal in self.refusals)


def load(name: str, text: str, *, signed: str | None = None) -> LoadedPolicy:
    """Parse a policy, and hold it to the schema and to what a policy may be made of.

    Raises INVALID_ARGUMENT on `policy NAME`, naming the line where it can be told, and what would be right.
    """
    nodes = read(name, text, schema())
    permits = tuple(nodes.static_policies.values())
    compiled = {action: predicate(name, permits, setting) for action, setting in SETTINGS.items()}
    ids = [permit.annotations["id"] for permit in permits if "id" in permit.annotations]
    return LoadedPolicy(
        name=name,
        text=text,
        policy_h=sha256_b64(text.encode()),
        id=ids[0] if ids else None,
        cedar=cedarpy.PolicySet.from_str(text),
        predicates=compiled,
        signed=signed,
    )


def decide(policy: LoadedPolicy, subject: Subject, context: Purchase) -> Verdict:
    """Cedar's verdict on a part of a purchase."""
    return _decided(policy, subject.part.value, subject, None, context)


def decide_sale(policy: LoadedPolicy, broker: Subject, segment: Subject, context: Sale) -> Verdict:
    """Cedar's verdict of an operator on selling a segment of its own to a broker."""
    assert broker.part is Part.ARRANGE, broker.part
    assert segment.part is Part.CARRY, segment.part
    return _decided(policy, "sell", segment, broker, context)


def prefilter(
    policy: LoadedPolicy, subjects: Sequence[Subject], context: Purchase
) -> dict[tuple[str, str], tuple[Refusal, ...]]:
    """Every (operator, route class) of the segments that Cedar would surely not permit, with all reasons."""
    found = policy.predicates["carry"].against(subjects, _outer(context, None))
    refused = ((subjects[at], reasons) for at, reasons in found.items())
    return {(one.entity, one.route_class or ""): reasons for one, reasons in refused}


def prune(policy: LoadedPolicy, subjects: Sequence[Subject], context: Purchase) -> dict[int, tuple[Refusal, ...]]:
    """The same for subjects of one part, whichever it is, by their place in the list."""
    return policy.predicates[subjects[0].part.value].against(subjects, _outer(context, None)) if subjects else {}


@cache
def schema() -> cedarpy.Schema:
    """The schema of all policies, parsed."""
    return cedarpy.Schema.from_str(schema_text())


@cache
def schema_h() -> str:
    """Base64url SHA-256 of the schema's text."""
    return sha256_b64(schema_text().encode())


@lru_cache(maxsize=DECIDED_KEPT)
def _decided(
    policy: LoadedPolicy, action: str, resource: Subject, principal: Subject | None, context: Context
) -> Verdict:
    """A pure answer, asked for again within the same second by every request of a busy node."""
    against = policy.predicates[action].against([resource], _outer(context, principal)).get(0, ())
    permitted, errors = _cedar(policy, action, resource, principal, context)
    if permitted and not errors and not _doubtful(resource, context):
        # What the predicate refuses, Cedar does not permit; were it otherwise, the stricter word counts.
        return Verdict(not against, against)
    unsaid = Refusal(rule=policy.name, detail=f"policy {policy.name} does not permit it", lacking=None)
    return Verdict(False, against or (unsaid,))


def _doubtful(resource: Subject, context: Context) -> bool:
    return resource.evidence_exp <= context.now or not resource.sites_agree


def _cedar(
    policy: LoadedPolicy, action: str, resource: Subject, principal: Subject | None, context: Context
) -> tuple[bool, bool]:
    """Whether Cedar allows, and whether anything failed on the way."""
    request = {
        "principal": BUYER if principal is None else uid(principal),
        "action": {"type": "Action", "id": action},
        "resource": uid(resource),
        "context": {name: sorted(one) if isinstance(one, frozenset) else one for name, one in told(context).items()},
    }
    result = cedarpy.is_authorized(request, policy.cedar, entities(resource, principal))
    return result.allowed, bool(result.diagnostics.errors)


@lru_cache(maxsize=ENTITIES_KEPT)
def entities(*subjects: Subject | None) -> cedarpy.Entities:
    """Subjects as Cedar entities, checked against the schema."""
    told = [{"uid": uid(one), "attrs": attributes(one), "parents": []} for one in subjects if one is not None]
    return cedarpy.Entities.from_json_str(json.dumps(told), schema())


def _outer(context: Context, principal: Subject | None) -> dict[str, Any]:
    """What conditions may ask beside the resource."""
    found = {f"context.{name}": value for name, value in told(context).items()}
    if principal is not None:
        found |= {f"principal.{name}": getattr(principal, name) for name in attributes(principal)}
    return found
