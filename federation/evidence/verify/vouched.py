"""Whose word the text of a policy is: a broker could call anything by the name that its buyer asked for.

A name that ships with Peerway stands for the text that ships, unless whoever verifies gives another one. Besides, the
buyer's signature vouches for a text, or whoever verifies does, who gives it. Any other text is the broker's own: it may
forbid more, and counts for nothing that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from federation.evidence.verify.amounts import intent_of
from federation.evidence.verify.purchase import purchase
from federation.evidence.verify.reading import Case, Item, unsound
from federation.policy.catalogue import DATA_CLASSES
from federation.trust.jose import sha256_b64
from schemas.decision import Decision, Policy, PolicyRef
from schemas.evidence import Profile
from schemas.mandate import Mandate
from schemas.policy.texts import shipped
from schemas.segment import EntityId

SHOWN_ALONE: Final = "; asked for in an intent that the broker alone shows"


class Word(NamedTuple):
    """Whose a text is, in words, and whether anybody but the broker vouches for it."""

    whose: str
    vouched: bool


def word_of(case: Case, ref: PolicyRef) -> Word:
    """Who vouches for a policy that a decision names. Raises `DOCUMENT_INVALID` where its name stands for another."""
    given = case.texts.get(ref.name)
    if given is not None:
        return _expected(ref, given, "the one that you gave", "as you gave it")
    if ref.name in shipped():
        return _expected(ref, shipped()[ref.name], "the one that ships with Peerway", "as it ships")
    signed = case.signed_policies.get((ref.name, ref.policy_h))
    if signed is not None and (signed.claims.iss != purchase(case).broker or case.bundle.profile is Profile.BUYER):
        return _signed(case, signed)
    return Word(f"the broker's own text, {ref.policy_h}", False)


def check_asked(case: Case, decisions: Sequence[Item[Decision]]) -> None:
    """Whatever was asked for has decided, from the first decision on. Raises `DOCUMENT_INVALID`."""
    for one in decisions:
        _check_class(one.claims)
        _check_goes_on(one.claims, decisions[0].claims)
    if case.bundle.profile is Profile.BUYER:
        _check_named(case, [ref for one in decisions for ref in one.claims.policies])


def asked_by(case: Case) -> str:
    """On whose word something was asked for: an intent is not signed by its buyer, a mandate is."""
    if case.bundle.profile is not Profile.BUYER:
        return "; what was asked for is not shown"
    given = {item.claims.authorization_details[0].data_class for item in case.all(Mandate)} - {None}
    said = ", ".join(sorted(name for name in given if name is not None))
    return f"; asked for in a mandate for the class {said}" if said else SHOWN_ALONE


def unknown_classes(decisions: Iterable[Item[Decision]]) -> str:
    """What is to be said of classes of data that do not ship: nothing here tells which policies they bring."""
    names = {one.claims.data_class for one in decisions} - {None, *DATA_CLASSES}
    said = ", ".join(sorted(name for name in names if name is not None))
    return f"; which policies the class {said} brings is the broker's word" if said else ""


def _expected(ref: PolicyRef, text: str, which: str, whose: str) -> Word:
    if sha256_b64(text.encode()) != ref.policy_h:
        raise unsound(f"policy {ref.name} has another text than {which}")
    return Word(whose, True)


def _signed(case: Case, signed: Item[Policy]) -> Word:
    """A buyer is known by its mandate, or because whoever verifies hands its keys in."""
    name, issuer, buyers = signed.claims.name, signed.claims.iss, _buyers(case)
    if buyers and issuer not in buyers:
        raise unsound(f"policy {name} is signed by {issuer}, who is not the buyer")
    return Word(f"signed by {issuer}", issuer in buyers or issuer in case.known)


def _buyers(case: Case) -> frozenset[EntityId]:
    """Whoever signed a mandate of the purchase; nobody where none is shown."""
    return frozenset(item.claims.iss for item in case.all(Mandate))


def _check_class(decided: Decision) -> None:
    """A class of data that ships brings what ships for it."""
    names = {ref.name for ref in decided.policies}
    for name in DATA_CLASSES.get(decided.data_class or "", ()):
        if name not in names:
            raise unsound(f"data of the class {decided.data_class} were decided without policy {name}")


def _check_goes_on(decided: Decision, first: Decision) -> None:
    """An extension prolongs what was bought: the same segments, for the same data, under no fewer policies."""
    names = {ref.name for ref in decided.policies}
    for ref in first.policies:
        if ref.name not in names:
            raise unsound(f"an extension was decided without policy {ref.name}, by which the purchase was")
    if decided.data_class != first.data_class:
        raise unsound("an extension was decided for another class of data than the purchase")
    if [(j.part, j.entity, j.route_class) for j in decided.judged] != [
        (j.part, j.entity, j.route_class) for j in first.judged
    ]:
        raise unsound("an extension was decided about others than the purchase")


def _check_named(case: Case, refs: Sequence[PolicyRef]) -> None:
    """The policy that the intent names is one for which somebody else than the broker vouches."""
    for one in purchase(case).rounds:
        assert one.path is not None, "a buyer's bundle has path quotes"
        asked = intent_of(case, one.path.claims).policy
        if any(ref.name == asked and not word_of(case, ref).vouched for ref in refs):
            raise unsound(
                f"the broker alone says what policy {asked} is: give the text of policy {asked} that the buyer meant"
            )
