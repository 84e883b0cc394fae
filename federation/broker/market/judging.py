"""What policies say of a path, from what auditors attest of everybody concerned (pure).

A predicate compiled from each policy prunes a search; Cedar's own verdict on every segment of the path that was found,
on the broker, and on whoever manages either of them, is what is recorded. A decision is made of verdicts that all
permit: there is none of any other kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from federation.broker.market.asking import Terms
from federation.policy.context import Purchase
from federation.policy.engine import LoadedPolicy, decide, prefilter, prune
from federation.policy.facts import Subject, facts_h, manager, subject
from federation.policy.limits import Refusals, together
from schemas.decision import Judged, Part
from schemas.intent import Intent
from schemas.problem import Outcome, Problem
from schemas.segment import EntityId, Hash, Id

Stretch = tuple[EntityId, Id]  # an operator, and a route class of it


class Rules(NamedTuple):
    """What applies to one intent: policies, the class of its data, and the Unix second that is judged at."""

    policies: tuple[LoadedPolicy, ...]
    data_class: str | None
    at: int

    @property
    def context(self) -> Purchase:
        """As policies see it."""
        return Purchase(now=self.at, data_class=self.data_class)


class Denied(NamedTuple):
    """A subject that a policy does not permit: why, in words."""

    subject: Subject
    policy: str
    reasons: tuple[str, ...]

    def told(self, name: str, outcome: Outcome | None = None) -> Problem:
        """As a person reads it; `name` is the entity's own."""
        who = {Part.CARRY: name, Part.ARRANGE: f"the broker {name}", Part.MANAGE: f"who manages {name}"}
        why = f"policy {self.policy} does not allow {who[self.subject.part]}: {'; '.join(self.reasons)}"
        extra = {"policy": self.policy, "part": self.subject.part.value, "entity": self.subject.entity}
        return Problem("POLICY_DENIED", why, outcome=outcome, extra=extra)


def rules_of(intent: Intent, terms: Terms, buyer: str | None, at: int) -> Rules:
    """Raises INVALID_ARGUMENT on a policy or data class that is not known, listing those that are."""
    return Rules(terms.policies(intent, buyer, at), intent.data_class, at)


def policy_refusals(rules: Rules, terms: Terms, offered: Iterable[Stretch]) -> Refusals:
    """Every (operator, route class) that a policy would surely not permit, by itself or by who manages it."""
    if not rules.policies:
        return {}
    terms = terms.settled()
    segments = tuple(segment_of(terms, entity, route_class) for entity, route_class in offered)
    managers = tuple(manager_of(terms, entity) for entity in dict.fromkeys(one.entity for one in segments))
    found = [prefilter(policy, segments, rules.context) for policy in rules.policies]
    for policy in rules.policies:
        against = {managers[at].entity: why for at, why in prune(policy, managers, rules.context).items()}
        found.append(
            {(one.entity, one.route_class or ""): against[one.entity] for one in segments if one.entity in against}
        )
    return together(*found)


def check_broker(rules: Rules, terms: Terms) -> None:
    """That nobody who arranges stands in the way, whatever the path. Raises POLICY_DENIED."""
    if not rules.policies:
        return
    own = (subject_of(terms, terms.broker), manager_of(terms, terms.broker))
    for denied in _verdicts(rules, own):
        raise denied.told(terms.broker, Outcome.NONE)


def subjects(path: Sequence[Stretch], terms: Terms) -> tuple[Subject, ...]:
    """Everybody who is judged, as a decision lists them: segments, the broker, and managers, each entity's once."""
    segments = [segment_of(terms, entity, route_class) for entity, route_class in path]
    entities = dict.fromkeys([*(one.entity for one in segments), terms.broker])
    return (*segments, subject_of(terms, terms.broker), *(manager_of(terms, entity) for entity in entities))


def verdicts(rules: Rules, judged: Iterable[Subject]) -> tuple[Denied, ...]:
    """Cedar's word: every subject that a policy does not permit."""
    return tuple(_verdicts(rules, judged))


def _verdicts(rules: Rules, judged: Iterable[Subject]) -> Iterator[Denied]:
    for one in judged:
        for policy in rules.policies:
            verdict = decide(policy, one, rules.context)
            if not verdict.allowed:
                yield Denied(one, policy.name, verdict.reasons)


def rows(
    judged: Sequence[Subject], quotes: Sequence[Hash], marks: Mapping[EntityId, tuple[Hash, ...]]
) -> tuple[Judged, ...]:
    """The subjects as a decision names them; `quotes` are hashes of the segments' quotes, `marks` of marks."""
    named: list[Hash | None] = [*quotes, *([None] * (len(judged) - len(quotes)))]
    return tuple(
        Judged(
            part=one.part,
            entity=one.entity,
            route_class=one.route_class,
            quote_h=quote_h,
            marks=marks[one.entity],
            facts_h=facts_h(one),
        )
        for one, quote_h in zip(judged, named, strict=True)
    )


def crossed(judged: Iterable[Subject]) -> tuple[tuple[str, ...] | None, bool | None]:
    """The countries of all segments, sorted, and whether any may cross the sea; None where one does not tell."""
    segments = [one for one in judged if one.part is Part.CARRY]
    countries = [one.countries for one in segments]
    seas = {one.sea for one in segments}
    sea = True if True in seas else None if None in seas else False
    known = [one for one in countries if one is not None]
    return (tuple(sorted(frozenset().union(*known))) if len(known) == len(countries) else None), sea


def segment_of(terms: Terms, entity: EntityId, route_class: Id) -> Subject:
    """One operator's stretch."""
    known = terms.attested(entity)
    agree = terms.sites(entity)
    return subject(Part.CARRY, entity, route_class, known.facts, known.types, known.until, agree)


def subject_of(terms: Terms, entity: EntityId) -> Subject:
    """An entity without regard to any route class: the broker, or whom a manager works for."""
    known = terms.attested(entity)
    return subject(Part.ARRANGE, entity, None, known.facts, known.types, known.until, terms.sites(entity))


def manager_of(terms: Terms, entity: EntityId) -> Subject:
    """Who manages an operator's network, or the broker's systems."""
    return manager(subject_of(terms, entity), terms.attested(entity).facts)
