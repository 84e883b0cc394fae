"""What the operators' own stores say after the fact: whether both sides of every interconnect carry one label, whether
any label or capacity was given twice."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from operators.inventory.ledger import Claim
from operators.orders.fsm import Lease

T = TypeVar("T")


class Books(NamedTuple):
    """Leases looked at, interconnects where the labels differ, labels and capacity given twice, claims that are there
    now."""

    leases: int
    wrong_labels: int
    oversold: int
    claims: int


def read_books(stores: Sequence[Path], capacity_bps: Mapping[str, int]) -> Books:
    """The books of operators in path order; `capacity_bps` of every interface and stretch inside."""
    leases, claims = [], []
    for store in stores:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            leases.append(_all(connection, "leases", Lease))
            claims.append(_all(connection, "claims", Claim))
    return Books(
        leases=sum(map(len, leases)),
        wrong_labels=sum(1 for _ in _differing(leases)),
        oversold=sum(_oversold(one, capacity_bps) for one in claims),
        claims=sum(map(len, claims)),
    )


def _all(connection: sqlite3.Connection, table: str, kind: type[T]) -> list[T]:
    rows = connection.execute(f"SELECT body FROM {table}")
    return [msgspec.json.decode(row[0], type=kind) for row in rows]


def _differing(leases: Sequence[Sequence[Lease]]) -> Iterator[tuple[Lease, Lease]]:
    """Neighbours on one path that carry different labels where they meet, leases that are over included."""
    by_path: list[dict[str | None, Lease]] = [{one.path_root: one for one in every} for every in leases]
    for left, right in pairwise(by_path):
        for root, lease in left.items():
            other = right.get(root)
            if other is not None and lease.segment.z.label != other.segment.a.label:
                yield lease, other


def _oversold(claims: Sequence[Claim], capacity_bps: Mapping[str, int]) -> int:
    """Labels of an interface that several claims hold in one second, and resources that more is claimed of than is."""
    labels, used = Counter[tuple[str, int]](), defaultdict[str, int](int)
    for claim in claims:
        labels.update(claim.ends)
        for resource, bps in claim.bps().items():
            used[resource] += bps
    twice = sum(1 for count in labels.values() if count > 1)
    return twice + sum(1 for resource, bps in used.items() if bps > capacity_bps.get(resource, bps))
