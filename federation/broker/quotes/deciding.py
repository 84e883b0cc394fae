"""What a broker decides about a path before it sells it, signed: `decision+jwt` (pure but for the clock).

Made for every quote, also where no policy was asked for: then it states what auditors attest of everybody concerned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from federation.broker.market.asking import Terms
from federation.broker.market.judging import Denied, Rules, Stretch, crossed, rows, subjects, verdicts
from federation.broker.quotes.ask import Author
from federation.policy.engine import schema_h
from federation.policy.facts import Subject
from federation.trust.jose import sign_jws
from federation.trust.merkle import path_root
from schemas.answer import DecisionView, JudgedView
from schemas.decision import DECISION_LIFE_S, Decision, Part
from schemas.policy.texts import schema_text
from schemas.segment import EntityId, Hash


class Judgement(NamedTuple):
    """Everybody that was judged under some rules, whom a policy did not permit, and the hashes of everybody's marks."""

    rules: Rules
    judged: tuple[Subject, ...]
    denied: tuple[Denied, ...]
    marks: Mapping[EntityId, tuple[Hash, ...]]

    @property
    def texts(self) -> Mapping[Hash, str]:
        """The policies and their schema, by the hashes that a decision names them by."""
        return {schema_h(): schema_text()} | {policy.policy_h: policy.text for policy in self.rules.policies}

    @property
    def signed(self) -> tuple[str, ...]:
        """Those of the policies that the buyer signed."""
        return tuple(policy.signed for policy in self.rules.policies if policy.signed)


class Decided(NamedTuple):
    """A signed decision, and what the buyer is shown of it."""

    document: str
    view: DecisionView


def judgement(rules: Rules, path: Sequence[Stretch], terms: Terms) -> Judgement:
    """What policies say of a path."""
    terms = terms.settled()
    judged = subjects(path, terms)
    marks = {one.entity: terms.attested(one.entity).marks for one in judged}
    return Judgement(rules, judged, verdicts(rules, judged), marks)


def decided(found: Judgement, quotes: Sequence[Hash], author: Author) -> Decided:
    """Sign what was judged; `quotes` are the hashes of the segments' quotes in path order."""
    assert not found.denied, "a decision says that everybody was permitted"
    countries, sea = crossed(found.judged)
    claims = Decision(
        iss=author.entity,
        sub=author.entity,
        aud=author.entity,
        iat=found.rules.at,
        exp=found.rules.at + DECISION_LIFE_S,
        jti=author.entropy.token(),
        policies=tuple(policy.ref for policy in found.rules.policies),
        schema_h=schema_h(),
        data_class=found.rules.data_class,
        judged=rows(found.judged, quotes, found.marks),
        countries=countries,
        sea=sea,
        path_root=path_root(quotes),
        at=found.rules.at,
    )
    document = sign_jws(author.key, claims)
    return Decided(document, _view(claims, found.judged, document))


def _view(claims: Decision, judged: Sequence[Subject], document: str) -> DecisionView:
    return DecisionView(
        policies=tuple(policy.name for policy in claims.policies),
        data_class=claims.data_class,
        judged=tuple(_judged(one) for one in judged),
        countries=claims.countries,
        sea=claims.sea,
        document=document,
    )


def _judged(one: Subject) -> JudgedView:
    return JudgedView(
        part=one.part,
        entity=one.entity,
        route_class=one.route_class,
        countries=None if one.countries is None else tuple(sorted(one.countries)),
        sea=one.sea,
        marks=tuple(sorted(one.marks)),
    )


def whose(denied: Denied, operators: Sequence[EntityId]) -> int | None:
    """Which of the operators of a path a denial is about; None where it is about the broker."""
    if denied.subject.part is Part.ARRANGE or denied.subject.entity not in operators:
        return None
    return operators.index(denied.subject.entity)
