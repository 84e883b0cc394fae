"""A policy as a predicate that is fast enough to prune a search (pure), compiled from the policy's own syntax tree.

It refuses only what Cedar would surely not permit: a condition that it does not understand passes. What depends on the
same attributes is judged together and remembered by their values, of which a market has few: a thousand segments cost
little more than looking them up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, cast

from cedarpy import pst

from federation.policy.clauses import Setting, applies, asked, conditions
from federation.policy.facts import ATTRIBUTES, Subject
from federation.policy.limits import Refusal
from federation.policy.values import ERROR, Env, Value, compiled
from federation.policy.words import EXPIRED, NO_FACTS, SITES, Teller, teller

MEMO_MAX: Final = 16_384
# Judged for every policy before its own conditions, so that no policy can forget it.
_GROUND: Final = frozenset(
    {
        pst.BinaryOp("less", pst.GetAttr(pst.Var("context"), "now"), pst.GetAttr(pst.Var("resource"), "evidence_exp")),
        pst.GetAttr(pst.Var("resource"), "sites_agree"),
    }
)


@dataclass(frozen=True)
class Group:
    """The conditions of one permit that ask for the same attributes of the resource.

    `bound` where they ask for anything else too: then what is remembered holds for one question only.
    """

    policy: str
    names: tuple[str, ...]
    conditions: tuple[pst.Expr, ...]
    bound: bool

    @cached_property
    def tests(self) -> tuple[tuple[Value, Teller], ...]:
        """The conditions, compiled, and why each does not hold where it does not."""
        return tuple((compiled(condition), teller(self.policy, condition)) for condition in self.conditions)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The attributes as conditions call them."""
        return tuple(f"resource.{name}" for name in self.names)

    @cached_property
    def column(self) -> Callable[[Subject], Any]:
        """The values that the conditions depend on, of one subject."""
        return attrgetter(*self.names) if self.names else _nothing

    def judge(self, values: Any, outer: Env) -> Refusal | None:
        """The first reason against these values, if there is one."""
        found = values if len(self.names) > 1 else (values,)
        known = {key: one for key, one in zip(self.keys, found, strict=False) if one is not None}
        env = {**known, **outer} if self.bound else known
        for test, tell in self.tests:
            value = test(env)
            if value is False or value is ERROR:
                return tell(env)
        return None


class Memo(dict[Any, Refusal | None]):
    """What a group says about values that it has seen."""

    def __init__(self, group: Group, outer: Env) -> None:
        super().__init__()
        self._group, self._outer = group, outer

    def __missing__(self, values: Any) -> Refusal | None:
        """Judge, remember; start again when it gets too much."""
        if len(self) >= MEMO_MAX:
            self.clear()
        found = self[values] = self._group.judge(values, self._outer)
        return found


@dataclass(frozen=True, eq=False)
class Permit:
    """One permit, for one action; `seen` is what it says of subjects whatever is asked, kept with them by identity."""

    lasting: tuple[tuple[Group, Memo], ...]
    bound: tuple[Group, ...]
    seen: dict[int, tuple[Subject, tuple[Refusal, ...]]] = field(default_factory=dict)

    def against(self, subjects: Sequence[Subject], outer: Env) -> dict[int, tuple[Refusal, ...]]:
        """Reasons against the subjects that it does not permit, by their place in the list."""
        found = {at: reasons for at, (_, reasons) in enumerate(self._remembered(subjects)) if reasons}
        for group in self.bound:
            _add(found, group, Memo(group, outer), subjects)
        return found

    def _remembered(self, subjects: Sequence[Subject]) -> Sequence[tuple[Subject, tuple[Refusal, ...]]]:
        """The subjects with what stands against them; whom it has not seen it judges."""
        told = list(map(self.seen.get, map(id, subjects)))
        if None not in told:
            return cast("list[tuple[Subject, tuple[Refusal, ...]]]", told)
        fresh = [at for at, one in enumerate(told) if one is None]
        if len(self.seen) + len(fresh) > MEMO_MAX:
            self.seen.clear()
        unseen = [subjects[at] for at in fresh]
        found = dict[int, tuple[Refusal, ...]]()
        for group, memo in self.lasting:
            _add(found, group, memo, unseen)
        for place, at in enumerate(fresh):
            told[at] = self.seen[id(subjects[at])] = (subjects[at], found.get(place, ()))
        return [one for one in told if one is not None]


@dataclass(frozen=True)
class Predicate:
    """A policy for one action: a subject passes where one of the permits lets it."""

    policy: str
    permits: tuple[Permit, ...]

    def against(self, subjects: Sequence[Subject], outer: Mapping[str, Any]) -> dict[int, tuple[Refusal, ...]]:
        """Reasons against the subjects that Cedar would surely not permit, by their place in the list.

        `outer` holds the context (and the principal, for a sale) as `context.NAME`; `context.now` is always in it.
        """
        found = _ungrounded(self.policy, subjects, outer["context.now"])
        if not self.permits:
            nobody = Refusal(rule=self.policy, detail=f"policy {self.policy} permits nobody here", lacking=None)
            return {at: (*found.get(at, ()), nobody) for at in range(len(subjects))}
        unpermitted = self._unpermitted(subjects, outer)
        for at, doubts in found.items():
            # Of what nobody attests anything, more need not be said.
            unpermitted[at] = doubts + unpermitted.get(at, ()) if subjects[at].evidence_exp else doubts
        return unpermitted

    def _unpermitted(self, subjects: Sequence[Subject], outer: Env) -> dict[int, tuple[Refusal, ...]]:
        first, *others = (permit.against(subjects, outer) for permit in self.permits)
        for other in others:
            # Easing what one permit asks is of use only if the name helps that permit alone: nothing is promised.
            first = {at: _eitherway(reasons + other[at]) for at, reasons in first.items() if at in other}
        return first


def predicate(policy: str, permits: Iterable[pst.Template], setting: Setting) -> Predicate:
    """Compile the permits of a policy that take in `setting`."""
    chosen = (permit for permit in permits if applies(permit, setting))
    return Predicate(policy, tuple(_permit(policy, conditions(permit, setting)) for permit in chosen))


def _permit(policy: str, wanted: Iterable[pst.Expr]) -> Permit:
    found: dict[tuple[tuple[str, ...], bool], list[pst.Expr]] = {}
    for condition in wanted:
        if condition not in _GROUND:
            bound = bool(asked(condition, "context") | asked(condition, "principal"))
            names = tuple(name for name in ATTRIBUTES if name in asked(condition, "resource"))
            found.setdefault((names, bound), []).append(condition)
    groups = [Group(policy, names, tuple(together), bound) for (names, bound), together in found.items()]
    lasting = tuple((group, Memo(group, {})) for group in groups if not group.bound)
    return Permit(lasting, tuple(group for group in groups if group.bound))


def _add(found: dict[int, tuple[Refusal, ...]], group: Group, memo: Memo, subjects: Sequence[Subject]) -> None:
    """What a group has against subjects, each reason once."""
    judged = map(memo.__getitem__, map(group.column, subjects))
    for at, reason in [(at, reason) for at, reason in enumerate(judged) if reason is not None]:
        before = found.get(at, ())
        if reason not in before:
            found[at] = (*before, reason)


def _ungrounded(policy: str, subjects: Sequence[Subject], now: int) -> dict[int, tuple[Refusal, ...]]:
    """Whatever a policy says: evidence that holds, and sites that nobody contradicts."""
    doubtful = [at for at, one in enumerate(subjects) if one.evidence_exp <= now or not one.sites_agree]
    return {at: tuple(_doubts(policy, subjects[at], now)) for at in doubtful}


def _doubts(policy: str, subject: Subject, now: int) -> Iterable[Refusal]:
    if subject.evidence_exp <= now:
        detail = EXPIRED if subject.evidence_exp else NO_FACTS
        yield Refusal(rule=f"{policy}.evidence_exp", detail=detail, lacking=None)
    if not subject.sites_agree:
        yield Refusal(rule=f"{policy}.sites_agree", detail=SITES, lacking=None)


def _eitherway(reasons: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    kept = (Refusal(rule=one.rule, detail=one.detail, lacking=None) for one in reasons)
    return tuple(dict.fromkeys(kept))


def _nothing(subject: Subject) -> None:
    return None
