"""Check `path`: the segments that were decided, quoted and brought up are one path, in order, and whole.

`path_root` is signed by the broker in the decision, the path quote, every order and every confirm: an operator's
receipt names its quote, whose hash is a leaf below that root.
"""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

from msgspec import structs

from federation.evidence.verify.amounts import intent_of
from federation.evidence.verify.documents import same
from federation.evidence.verify.purchase import Purchase, Round, purchase
from federation.evidence.verify.reading import Case, unsound
from federation.trust.merkle import path_root
from schemas.boundary import Boundary
from schemas.quote import PathQuote
from schemas.segment import Hash, Promise


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID`."""
    found = purchase(case)
    for one in found.rounds:
        _check_root(one)
        if one.path is not None:
            _check_quoted(one, one.path.claims)
            _check_boundary(one, intent_of(case, one.path.claims).boundary)
    _check_leases(found)
    return f"{len(found.leases)} segments end to end, root {found.first.decision.claims.path_root[:8]}"


def _check_root(one: Round) -> None:
    hashes: list[Hash] = [judged.quote_h or "" for judged in one.carried]
    if path_root(hashes) != one.decision.claims.path_root:
        raise unsound("path_root is not that of the quotes that were decided")
    if len({judged.entity for judged in one.carried}) != len(one.carried):
        raise unsound("the path enters an operator twice")


def _check_quoted(one: Round, quoted: PathQuote) -> None:
    pairs: dict[str, tuple[object, object]] = {
        "path_root": (quoted.path_root, one.decision.claims.path_root),
        "path": ([(leg.operator, leg.quote_h) for leg in one.legs], [(j.entity, j.quote_h) for j in one.carried]),
        "route classes": (
            [leg.quote.claims.segment.route_class for leg in one.legs],
            [j.route_class for j in one.carried],
        ),
    }
    for leg in one.legs:
        segment = leg.quote.claims.segment
        pairs |= {
            f"window at {leg.operator}": (segment.window, quoted.window),
            f"bandwidth at {leg.operator}": (segment.bandwidth_bps, quoted.bandwidth_bps),
            f"expiry at {leg.operator}": (quoted.exp <= leg.quote.claims.exp, True),
        }
    same("path quote", pairs)
    if not _promises(quoted.promise, [leg.quote.claims.promise for leg in one.legs]):
        raise unsound("the path quote promises more than its segments do")


def _check_boundary(one: Round, boundary: Boundary | None) -> None:
    """What the lease may carry is kept at both ends, and is nobody else's business."""
    for place, leg in enumerate(one.legs):
        wanted = boundary if place in {0, len(one.legs) - 1} else None
        same(f"quote of {leg.operator}", {"boundary": (leg.quote.claims.segment.boundary, wanted)})


def _promises(whole: Promise, parts: list[Promise]) -> bool:
    """What the segments promise in a row, and nothing better; interconnects only add latency."""
    row = reduce(Promise.then, parts)
    return whole.latency_us >= row.latency_us and structs.replace(row, latency_us=whole.latency_us) == whole


def _check_leases(found: Purchase) -> None:
    """Receipts are for the segments decided, by their operators, and agree where two of them meet."""
    segments = []
    for lease, judged in zip(found.leases, found.first.carried, strict=True):
        receipt = lease.receipts[0].claims
        pairs = {
            "operator": (lease.operator, judged.entity),
            "quote_h": (receipt.quote_h, judged.quote_h),
            "route class": (receipt.segment.route_class, judged.route_class),
        }
        same(f"receipt of {lease.operator}", pairs)
        segments.append(receipt.segment)
    for left, right in pairwise(segments):
        if (left.z.label, left.bandwidth_bps) != (right.a.label, right.bandwidth_bps) or left.z.label is None:
            raise unsound(f"where {left.z.interface} meets {right.a.interface} the receipts do not agree")
