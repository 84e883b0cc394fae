"""The inventory as one ledger: a claim gets everything it needs, or nothing.

A claim is what a hold or a lease keeps: bandwidth on every internal link of its route and on both
interfaces (their speed is their capacity), and one exact label at each end. The ledger holds no state of
its own that the stored claims do not give back: `restore` them in any order after a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from msgspec import Struct, structs

from operators.inventory.calendar import Calendar, LabelCalendar, Refusal, Steps
from operators.inventory.footprint import Footprint
from schemas import labels


class Claim(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a hold or lease keeps: link ids, (interface id, label) per end, bit/s, Unix [start_s, end_s)."""

    id: str
    links: tuple[str, ...]
    ends: tuple[tuple[str, int], ...]
    bandwidth_bps: int
    start_s: int
    end_s: int

    def __post_init__(self) -> None:
        assert len(set(self.ends)) == len(self.ends), "one label of one interface serves one end"

    def bps(self) -> dict[str, int]:
        """Bandwidth by resource; an interface that is both ends carries it twice."""
        resources = (*self.links, *(interface for interface, _ in self.ends))
        return {resource: times * self.bandwidth_bps for resource, times in Counter(resources).items()}


class LabelTaken(NamedTuple):
    """A label is not free for the window of a claim; `free` is the mask of those that are."""

    interface: str
    label: int
    free: int


Refused = Refusal | LabelTaken


class Inventory:
    """Capacity of links and interfaces, and labels of interfaces, admitted in one step."""

    def __init__(self, capacity_bps: Mapping[str, int], label_masks: Mapping[str, int]) -> None:
        self._capacity = Calendar(capacity_bps)
        self._labels = LabelCalendar(label_masks)
        self._known = frozenset(capacity_bps)
        self._claims: dict[str, Claim] = {}

    @classmethod
    def of(cls, footprint: Footprint) -> Self:
        """An empty inventory of everything that a footprint lists."""
        capacity = {link.id: link.capacity_bps for link in footprint.links}
        capacity |= {interface.id: interface.speed_bps for interface in footprint.interfaces}
        return cls(capacity, {interface.id: labels.parse(interface.labels) for interface in footprint.interfaces})

    def admit(self, claim: Claim) -> Refused | None:
        """Take everything the claim names, or nothing and say what stood in the way."""
        assert claim.id not in self._claims, f"claim {claim.id} is already admitted"
        refused = self._capacity.admit(claim.id, claim.bps(), claim.start_s, claim.end_s)
        if refused is not None:
            return refused
        taken = self._take_labels(claim)
        if taken is not None:
            self._capacity.withdraw(claim.id)
            return taken
        self._claims[claim.id] = claim
        return None

    def replace(self, old_id: str, claim: Claim) -> Refused | None:
        """Swap a claim for another in one step; when the new one does not fit, the old one stays."""
        old = self._claims[old_id]
        assert claim.id == old_id or claim.id not in self._claims, f"claim {claim.id} is already admitted"
        self.withdraw(old_id)
        refused = self.admit(claim)
        if refused is not None:
            self.restore(old)
        return refused

    def extend(self, claim_id: str, end_s: int) -> Refused | None:
        """Move the end of a claim, later or earlier, or leave it as it was."""
        return self.replace(claim_id, structs.replace(self._claims[claim_id], end_s=end_s))

    def withdraw(self, claim_id: str) -> None:
        """Give back everything of a claim; a claim that is not there has nothing."""
        self._capacity.withdraw(claim_id)
        self._labels.release(claim_id)
        self._claims.pop(claim_id, None)

    def restore(self, claim: Claim) -> None:
        """Put back a claim from the store, even where the footprint has shrunk since it was admitted."""
        self._capacity.restore(claim.id, claim.bps(), claim.start_s, claim.end_s)
        for interface, label in claim.ends:
            self._labels.restore(claim.id, interface, label, claim.start_s, claim.end_s)
        self._claims[claim.id] = claim

    def fit(self, claim: Claim) -> bool:
        """Take up a hold's claim from the store, unless the footprint or another claim leaves no room for it."""
        return self._known.issuperset(claim.bps()) and self.admit(claim) is None

    def put(self, claim: Claim) -> None:
        """Make a claim what the store says of it: one that is there already, or was until now another."""
        if self._claims.get(claim.id) != claim:
            self.withdraw(claim.id)
            self.restore(claim)

    def claim(self, claim_id: str) -> Claim | None:
        """The claim as it was admitted, or None."""
        return self._claims.get(claim_id)

    def claims(self) -> tuple[Claim, ...]:
        """Every claim, in the order in which they came."""
        return tuple(self._claims.values())

    def free(self, resources: Iterable[str], start_s: int, end_s: int) -> int:
        """Bandwidth (bit/s) left in [start_s, end_s) on every one of `resources`, links or interfaces."""
        return min(self._capacity.free(resource, start_s, end_s) for resource in resources)

    def free_steps(self, resource: str, from_s: int, to_s: int, granularity_bps: int = 1) -> Steps:
        """Bandwidth left on one link or interface: (Unix second, bit/s), each until the next, rounded down."""
        return self._capacity.free_steps(resource, from_s, to_s, granularity_bps)

    def free_labels(self, interface: str, start_s: int, end_s: int) -> int:
        """Mask of the labels that are free on an interface for all of [start_s, end_s)."""
        return self._labels.free_labels(interface, start_s, end_s)

    def forget_before(self, now_s: int) -> None:
        """Drop the past of every calendar; claims stay until they are withdrawn."""
        self._capacity.forget_before(now_s)

    def _take_labels(self, claim: Claim) -> LabelTaken | None:
        for interface, label in claim.ends:
            if not self._labels.take(claim.id, interface, label, claim.start_s, claim.end_s):
                # First give back what this claim took, or its own other end would look like a stranger's.
                self._labels.release(claim.id)
                return LabelTaken(interface, label, self._labels.free_labels(interface, claim.start_s, claim.end_s))
        return None
