"""From the bytes of a bundle to its documents by hash: the check `format`. Nothing is believed yet.

A bundle has one spelling: sorted members, no spaces, every list whose order says nothing sorted and without doubles. So
what two people hold in their hands is the same bundle or another one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Generic, NoReturn, TypeVar

import msgspec

from federation.evidence.verify.standing import Standing, standing_of
from federation.trust.jose import claimed_typ, doc_hash, sha256_b64, unverified
from schemas.access import AccessToken, DelegationGrant
from schemas.decision import Decision, Policy
from schemas.entity import Jwks, StatusList, TrustMark
from schemas.evidence import BUNDLE_BYTES_MAX, Bundle, PolicyText, Profile
from schemas.grant import EndpointGrant
from schemas.mandate import Mandate
from schemas.order import Confirm, Order, Receipt
from schemas.problem import Problem
from schemas.quote import PathQuote, Rfq, SegmentQuote
from schemas.segment import Hash
from schemas.statement import BillingStatement
from schemas.token import TYPES

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
V: Final = 1
DECISIONS_MAX: Final = 256  # one for the purchase, one for each change: what Cedar is asked again
JUDGED_BY_MAX: Final = 4096  # marks of all decisions together, each verified as of its decision's time
# What a profile shows: anything else has no place in it.
SHOWN: Final[Mapping[Profile, tuple[type[Any], ...]]] = {
    Profile.COUNTRIES: (Decision,),
    Profile.REGULATOR: (Decision, Receipt, Confirm),
    Profile.BUYER: (
        Decision,
        PathQuote,
        Rfq,
        SegmentQuote,
        Order,
        Receipt,
        Confirm,
        Mandate,
        EndpointGrant,
        AccessToken,
        DelegationGrant,
        BillingStatement,
    ),
}


@dataclass(frozen=True)
class Item(Generic[T]):
    """A signed document: its bytes, its hash, and what it says."""

    token: str
    hash: Hash
    claims: T


@dataclass(frozen=True)
class Case:
    """A bundle taken apart. `known` are the keys of buyers who are no members, `now` is when it is looked at, `texts`
    are policies by name that whoever looks has from elsewhere.
    """

    bundle: Bundle
    items: Mapping[Hash, Item[Any]]
    marks: Mapping[Hash, Item[TrustMark]]
    lists: tuple[Item[StatusList], ...]
    signed_policies: Mapping[tuple[str, Hash], Item[Policy]]
    anchors: Mapping[str, Jwks]
    known: Mapping[str, Jwks]
    now: int
    texts: Mapping[str, str] = field(default_factory=dict)
    made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, key: Hashable, make: Callable[[], R]) -> R:
        """What `make` makes, kept for the other checks that ask for it."""
        if key not in self.made:
            self.made[key] = make()
        found: R = self.made[key]
        return found

    @cached_property
    def standing(self) -> Standing:
        """Who was who, and when."""
        return standing_of(self.bundle.chains, self.anchors)

    def all(self, kind: type[T]) -> tuple[Item[T], ...]:
        """Every document of a kind."""
        return tuple(item for item in self.items.values() if type(item.claims) is kind)

    def find(self, name: Hash | None, kind: type[T], what: str) -> Item[T]:
        """The document of a hash. Raises `DOCUMENT_INVALID` where it is missing; `what` is how a person calls it."""
        found = self.items.get(name or "")
        if found is None or type(found.claims) is not kind:
            raise unsound(f"{what} is missing")
        return found

    @cached_property
    def decisions(self) -> tuple[Item[Decision], ...]:
        """In the order in which they were made."""
        return tuple(sorted(self.all(Decision), key=lambda item: (item.claims.at, item.hash)))


def read(data: bytes, anchors: Mapping[str, Jwks], known: Mapping[str, Jwks], now: int) -> Case:
    """Take a bundle apart. Raises `DOCUMENT_INVALID`.

    (1) size (2) its one spelling, of the declared shape (3) documents of the profile (4) sorted, no doubles
    """
    bundle = _bundle(data)
    for name in ("documents", "marks", "status_lists"):
        check_sorted(getattr(bundle, name), name)
    for entity, chains in bundle.chains.items():
        check_sorted([" ".join(chain) for chain in chains], f"chains of {entity}")
    check_sorted([" ".join(name_of(text)) for text in bundle.policies], "policies")
    return case_of(bundle, anchors, known, now)


def case_of(bundle: Bundle, anchors: Mapping[str, Jwks], known: Mapping[str, Jwks], now: int) -> Case:
    """The documents of a bundle by hash, one for each. Raises `DOCUMENT_INVALID`."""
    documents = [_item(token, SHOWN[bundle.profile]) for token in bundle.documents]
    if sum(type(item.claims) is Decision for item in documents) > DECISIONS_MAX:
        raise unsound(f"more than {DECISIONS_MAX} decisions")
    if sum(map(_marks_named, documents)) > JUDGED_BY_MAX:
        raise unsound(f"more than {JUDGED_BY_MAX} marks are named in decisions")
    marks = [_item(token, (TrustMark,)) for token in bundle.marks]
    lists = [_item(token, (StatusList,)) for token in bundle.status_lists]
    policies = {name_of(text): _item(text.signed, (Policy,)) for text in bundle.policies if text.signed}
    for name, items in {"documents": documents, "marks": marks, "status_lists": lists}.items():
        if len({item.hash for item in items}) != len(items):
            raise unsound(f"a document stands twice among {name}")
    by_hash, by_mark = {item.hash: item for item in documents}, {item.hash: item for item in marks}
    return Case(bundle, by_hash, by_mark, tuple(lists), policies, anchors, known, now)


def _marks_named(item: Item[Any]) -> int:
    """How many marks a decision asks to be verified; those of one entity are verified once."""
    if type(item.claims) is not Decision:
        return 0
    return sum(len(names) for _, names in {(judged.entity, judged.marks) for judged in item.claims.judged})


def canonical(bundle: Bundle) -> bytes:
    """The one spelling of a bundle."""
    return msgspec.json.encode(bundle, order="sorted") + b"\n"


def name_of(text: PolicyText) -> tuple[str, Hash]:
    """What a decision calls a policy: its name, and the hash of its text."""
    return text.name, sha256_b64(text.cedar.encode())


def check_sorted(texts: Iterable[str], name: str) -> None:
    """Raises `DOCUMENT_INVALID` where a list is not in its one order."""
    listed = list(texts)
    if listed != sorted(set(listed)):
        raise unsound(f"{name} are not sorted, or one stands twice")


def unsound(why: str) -> Problem:
    """What a check raises."""
    return Problem("DOCUMENT_INVALID", why)


def _bundle(data: bytes) -> Bundle:
    if len(data) > BUNDLE_BYTES_MAX:
        _refuse(f"larger than {BUNDLE_BYTES_MAX} bytes")
    try:
        bundle = msgspec.json.decode(data, type=Bundle)
        spelled = canonical(bundle)
    except (ValueError, RecursionError) as error:
        _refuse(f"no bundle of evidence: {error}")
    if bundle.v != V:
        _refuse(f"v must be {V}, the only version spoken here")
    if spelled != data:
        _refuse("not spelled as bundles are: members sorted, no spaces, one newline at the end, nothing twice")
    return bundle


def _item(token: str, kinds: tuple[type[Any], ...]) -> Item[Any]:
    typ = claimed_typ(token)
    kind = TYPES[typ].claims if typ in TYPES else None
    if kind not in kinds:
        _refuse(f"a document of type {typ[:60]} has no place there")
    return Item(token, doc_hash(token), unverified(token, kind))


def _refuse(why: str) -> NoReturn:
    raise unsound(why)
