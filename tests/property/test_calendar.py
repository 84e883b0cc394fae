"""The inventory against a model that counts every second: nothing is ever oversold, no label ever shared."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import structs

from operators.inventory.calendar import Refusal, Steps
from operators.inventory.ledger import Claim, Inventory, Refused
from schemas.labels import LABEL_MIN

HORIZON_S = 24  # claims start before it
END_S = HORIZON_S + 60  # and are over by then, however often they are extended
CAPACITY = {"link-1": 6, "link-2": 4, "uni": 8, "enni": 7}
LABELS = {"uni": 0b111111110, "enni": 0b1111111100}
ENDS = ("uni", "enni")

labels = st.integers(LABEL_MIN, 9)
wishes = st.builds(
    lambda links, ends, bps, start_s, length_s: Claim(
        id="wish",
        links=links,
        ends=tuple(zip(ENDS, ends, strict=True)),
        bandwidth_bps=bps,
        start_s=start_s,
        end_s=start_s + length_s,
    ),
    links=st.sampled_from([(), ("link-1",), ("link-2",), ("link-1", "link-2")]),
    ends=st.tuples(labels, labels),
    bps=st.integers(1, 4),
    start_s=st.integers(0, HORIZON_S - 1),
    length_s=st.integers(1, HORIZON_S),
)


class Model:
    """What is in use at every single second, counted one by one."""

    def __init__(self) -> None:
        self.claims: dict[str, Claim] = {}
        self.used = {resource: [0] * END_S for resource in CAPACITY}
        self.holders: dict[str, list[list[int]]] = {end: [[] for _ in range(END_S)] for end in ENDS}

    def put(self, claim: Claim) -> None:
        self.claims[claim.id] = claim
        for at in range(claim.start_s, claim.end_s):
            for resource, bps in claim.bps().items():
                self.used[resource][at] += bps
            for end, label in claim.ends:
                self.holders[end][at].append(label)

    def drop(self, claim_id: str) -> Claim:
        claim = self.claims.pop(claim_id)
        for at in range(claim.start_s, claim.end_s):
            for resource, bps in claim.bps().items():
                self.used[resource][at] -= bps
            for end, label in claim.ends:
                self.holders[end][at].remove(label)
        return claim

    def free_labels(self, interface: str, window: range) -> int:
        taken = {label for at in window for label in self.holders[interface][at]}
        return LABELS[interface] & ~sum(1 << label for label in taken)

    def fits(self, claim: Claim, now_s: int) -> bool:
        """Bandwidth from now on (the past is sold and gone), labels over the whole window."""
        return all(
            max(self.used[resource][max(now_s, claim.start_s) : claim.end_s]) + bps <= CAPACITY[resource]
            for resource, bps in claim.bps().items()
        ) and all(self.free_labels(end, range(claim.start_s, claim.end_s)) >> label & 1 for end, label in claim.ends)


class InventoryMachine(RuleBasedStateMachine):
    """Random claims on a small operator while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.stock = Inventory(CAPACITY, LABELS)
        self.model = Model()
        self.now_s = 0
        self.count = 0

    @rule(wish=wishes)
    def admit(self, wish: Claim) -> None:
        claim = self.new(wish)
        fits = self.model.fits(claim, self.now_s)
        refused = self.stock.admit(claim)
        assert (refused is None) == fits
        if refused is None:
            self.model.put(claim)
        else:
            self.check_reason(claim, refused)

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data(), wish=wishes)
    def replace(self, data: st.DataObject, wish: Claim) -> None:
        old = data.draw(st.sampled_from(sorted(self.model.claims)))
        claim = self.new(wish)
        if data.draw(st.booleans()):
            claim = structs.replace(claim, id=old)
        kept = self.model.drop(old)
        fits = self.model.fits(claim, self.now_s)
        assert (self.stock.replace(old, claim) is None) == fits
        self.model.put(claim if fits else kept)

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data(), by_s=st.integers(-6, 6))
    def extend(self, data: st.DataObject, by_s: int) -> None:
        old = self.model.drop(data.draw(st.sampled_from(sorted(self.model.claims))))
        longer = structs.replace(old, end_s=min(END_S, max(old.end_s + by_s, old.start_s + 1, self.now_s + 1)))
        fits = self.model.fits(longer, self.now_s)
        assert (self.stock.extend(old.id, longer.end_s) is None) == fits
        self.model.put(longer if fits else old)

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(sorted(self.model.claims)))
        self.stock.withdraw(gone)
        self.model.drop(gone)

    @rule(by_s=st.integers(1, 3))
    def forget(self, by_s: int) -> None:
        self.now_s = min(self.now_s + by_s, HORIZON_S - 1)
        self.stock.forget_before(self.now_s)

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        """A new process puts the stored claims back in whatever order the store gives them."""
        self.stock = Inventory(CAPACITY, LABELS)
        for claim in data.draw(st.permutations(list(self.model.claims.values()))):
            self.stock.restore(claim)
        self.stock.forget_before(self.now_s)

    @invariant()
    def nothing_is_oversold(self) -> None:
        for resource, capacity in CAPACITY.items():
            for at in range(self.now_s, HORIZON_S):
                used = self.model.used[resource][at]
                assert used <= capacity
                assert self.stock.free([resource], at, at + 1) == capacity - used

    @invariant()
    def what_is_left_is_told_step_by_step(self) -> None:
        for resource, capacity in CAPACITY.items():
            told = every_second(self.stock.free_steps(resource, self.now_s, END_S))
            assert list(told) == [capacity - used for used in self.model.used[resource][self.now_s :]]

    @invariant()
    def no_label_is_shared(self) -> None:
        for interface in ENDS:
            for at in range(HORIZON_S):
                holders = self.model.holders[interface][at]
                assert len(set(holders)) == len(holders)
                free = self.model.free_labels(interface, range(at, at + 1))
                assert self.stock.free_labels(interface, at, at + 1) == free

    def new(self, wish: Claim) -> Claim:
        """A claim with a name of its own that has not ended yet."""
        self.count += 1
        return structs.replace(wish, id=f"claim-{self.count}", end_s=max(wish.end_s, self.now_s + 1))

    def check_reason(self, claim: Claim, refused: Refused) -> None:
        """What a refusal says is free is what is free, and too little."""
        if isinstance(refused, Refusal):
            used = self.model.used[refused.resource][max(self.now_s, claim.start_s) : claim.end_s]
            assert refused.free == CAPACITY[refused.resource] - max(used) < claim.bps()[refused.resource]
        else:
            free = self.model.free_labels(refused.interface, range(claim.start_s, claim.end_s))
            assert refused.free == free
            assert not free >> refused.label & 1


def every_second(steps: Steps) -> Iterator[int]:
    ends = [at for at, _ in steps[1:]] + [END_S]
    for (at, level), end in zip(steps, ends, strict=True):
        yield from (level for _ in range(at, end))


TestInventory = InventoryMachine.TestCase
TestInventory.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
