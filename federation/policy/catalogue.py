"""The policies that a broker knows, and which of them apply to an intent (pure).

Shipped ones and those of the broker's owner are for everybody; a policy that a buyer signed is for that buyer alone.
A data class brings policies of its own: the shipped table, changed by the broker's configuration. Every policy that
applies has to permit; one that is named and not known is an error, never nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Final

from federation.policy.engine import LoadedPolicy, load
from federation.trust.jose import unverified, verify_jws
from federation.trust.keys import PublicKey
from schemas.decision import POLICY_NAME_PATTERN, Policy
from schemas.intent import Intent
from schemas.policy.texts import shipped
from schemas.problem import Problem, invalid

DATA_CLASSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"EU-health": ("eu-health",), "EU-personal": ("eu-only",), "public": ()}
)
_NAME: Final = re.compile(POLICY_NAME_PATTERN)


@dataclass(frozen=True)
class Signed:
    """A buyer's own policy, valid from `iat` until `exp` (Unix seconds)."""

    policy: LoadedPolicy
    iat: int
    exp: int


@dataclass(frozen=True)
class Catalogue:
    """Policies by name, those of buyers by entity id and name, data classes by name; why a file was left out."""

    policies: Mapping[str, LoadedPolicy]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: DATA_CLASSES)
    signed: Mapping[str, Mapping[str, Signed]] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)

    def applying(self, intent: Intent, buyer: str | None, now: int) -> tuple[LoadedPolicy, ...]:
        """The policies of an intent: that of its data class first, then the one that it names.

        `buyer` is an entity id, None where the buyer has none. Raises INVALID_ARGUMENT naming what is known.
        """
        names = () if intent.data_class is None else self._of_class(intent.data_class)
        if intent.policy is not None:
            names = (*names, intent.policy)
        return tuple(self.policy(name, buyer, now) for name in dict.fromkeys(names))

    def policy(self, name: str, buyer: str | None, now: int) -> LoadedPolicy:
        """A policy by its name, as `buyer` may name it. Raises INVALID_ARGUMENT listing the known ones."""
        if name in self.policies:
            return self.policies[name]
        own = self.signed.get(buyer or "", {})
        if name in own and own[name].iat <= now < own[name].exp:
            return own[name].policy
        raise invalid("policy", f"'{name}' is not known here; known are {', '.join(self.names(buyer, now))}")

    def names(self, buyer: str | None, now: int) -> tuple[str, ...]:
        """What `buyer` may name, sorted."""
        own = self.signed.get(buyer or "", {})
        return tuple(sorted({*self.policies, *(name for name, one in own.items() if one.iat <= now < one.exp)}))

    def _of_class(self, name: str) -> tuple[str, ...]:
        if name not in self.classes:
            known = ", ".join(sorted(self.classes))
            raise invalid("data_class", f"'{name}' is no data class here; known are {known}")
        return self.classes[name]


@cache
def shipped_policies() -> Mapping[str, LoadedPolicy]:
    """The policies that come with Peerway, loaded once."""
    return MappingProxyType({name: load(name, text) for name, text in shipped().items()})


def catalogue(
    own: Mapping[str, str] = MappingProxyType({}),
    signed: Mapping[str, str] = MappingProxyType({}),
    keys: Mapping[str, Mapping[str, PublicKey]] = MappingProxyType({}),
    classes: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    *,
    now: int,
) -> Catalogue:
    """Shipped policies, with `own` texts by name, `signed` tokens by file, and `classes` that change the shipped table.

    `keys` are those that buyers sign with, by entity id. A policy of a buyer that may not be used is left out, with the
    reason. Raises INVALID_ARGUMENT where a policy of the owner's, or a data class, is at fault.
    """
    policies = dict(shipped_policies())
    for name, text in own.items():
        _check_name(name, policies)
        policies[name] = load(name, text)
    _check_classes(classes, policies)
    accepted, rejected = _accepted(signed, keys, policies, now)
    return Catalogue(policies, {**DATA_CLASSES, **classes}, accepted, rejected)


def verify_policy(token: str, keys: Mapping[str, PublicKey], buyer: str, now: int) -> Signed:
    """A buyer's own policy, loaded. Raises DOCUMENT_INVALID, or INVALID_ARGUMENT where its text is at fault."""
    claims = verify_jws(token, Policy, keys, now=now, iss=buyer)
    return Signed(load(claims.name, claims.cedar, signed=token), claims.iat, claims.exp)


def _accepted(
    signed: Mapping[str, str], keys: Mapping[str, Mapping[str, PublicKey]], taken: Mapping[str, LoadedPolicy], now: int
) -> tuple[dict[str, dict[str, Signed]], dict[str, str]]:
    accepted, rejected = dict[str, dict[str, Signed]](), dict[str, str]()
    for file, token in signed.items():
        try:
            claims = unverified(token, Policy)
            if claims.iss not in keys:
                raise Problem("DOCUMENT_INVALID", f"{claims.iss} is no buyer of this broker with keys of its own")
            known = accepted.setdefault(claims.iss, {})
            _check_name(claims.name, {**taken, **{name: one.policy for name, one in known.items()}})
            known[claims.name] = verify_policy(token, keys[claims.iss], claims.iss, now)
        except Problem as problem:
            rejected[file] = str(problem)
    return accepted, rejected


def _check_name(name: str, taken: Mapping[str, LoadedPolicy]) -> None:
    if not _NAME.match(name) or len(name) > 60:
        raise invalid(f"policy {name}", "a name is at most 60 small letters, digits, '-' and '.', as in eu-only.v2")
    if name in taken:
        raise invalid(f"policy {name}", "is the name of another policy here; give it a name of its own")


def _check_classes(classes: Mapping[str, tuple[str, ...]], policies: Mapping[str, LoadedPolicy]) -> None:
    for data_class, names in classes.items():
        if unknown := sorted(set(names) - set(policies)):
            known = ", ".join(sorted(policies))
            raise invalid(f"data class {data_class}", f"'{unknown[0]}' is no policy here; known are {known}")
