"""Random lives of a lease whose bandwidth changes: operator, broker and a stranger come to one amount, exactly.

What is set aside of a budget, with the order and with each change, is never less than that.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from federation.broker.orders.saga.bill import due
from federation.evidence.verify import bills
from federation.evidence.verify.bills import Sold
from operators.orders import fsm
from operators.orders.fsm import Amendment, Lease, Quote
from schemas.lease import State
from schemas.order import Bill
from schemas.price import Money, Tariff, TermFactor, TimeBand, charge, total
from schemas.segment import Segment, window
from tests.support.sagas import Saga, at_end_z
from tests.support.seams import NOW

GBPS, LASTS_S = 10**9, 7_200
amounts = st.sampled_from([0, 1, 999, 1_000_000, 123_456_789])
tariffs = st.builds(
    Tariff,
    currency=st.just("EUR"),
    set_up_micro=amounts,
    hourly_micro=amounts,
    gbps_hourly_micro=amounts,
    minimum_micro=amounts,
    exit_micro=amounts,
    bands=st.sampled_from([(), (TimeBand(0, 720, 500_000),), (TimeBand(600, 1_440, 1_700_001),)]),
    terms=st.sampled_from([(), (TermFactor(3_600, 900_001),)]),
)
changes = st.tuples(st.integers(1, 900), tariffs, st.sampled_from([1, GBPS // 3, 2 * GBPS, 7 * GBPS + 1]))


class Life:
    """One lease, told to its operator, to its broker and to whoever verifies."""

    def __init__(self, tariff: Tariff) -> None:
        self.saga = Saga(1, tariff=tariff, lasts_s=LASTS_S).active()
        self.segment: Segment = self.saga.state.terms.parts[0].pledge.quoted
        self.lease = active(self.segment, tariff)
        self.sold = [Sold(tariff, self.segment, NOW)]
        self.aside = [price(tariff, self.segment) + tariff.exit_micro]

    def change(self, at: int, tariff: Tariff, bps: int) -> None:
        """Another bandwidth, confirmed at once."""
        plain = structs.replace(tariff, set_up_micro=0, minimum_micro=0)
        asked = structs.replace(self.segment, bandwidth_bps=bps, window=window(NOW + at, NOW + LASTS_S))
        amendment = Amendment(
            quote_id="q", order_id="o", order_h=None, quote_h=None, path_root=None, tariff=plain, segment=asked,
            since=NOW + at, confirm_by=NOW + at + 60,
        )  # fmt: skip
        self.lease = fsm.amend(fsm.ask_amendment(self.lease, amendment), NOW + at)
        self.saga.at(at).resize(bps, plain, total_micro=price(plain, asked))
        extension = self.saga.state.extension
        assert extension is not None
        assert extension.freed is not None
        self.aside.append(max(0, price(plain, asked) + plain.exit_micro - extension.freed.micro))
        self.saga.all("SendOrder", State.ACTIVE)
        shown = at_end_z(bandwidth_bps=bps)
        self.saga.all("SendConfirm", State.ACTIVE, lambda receipt: structs.replace(shown(receipt), iat=NOW + at))
        self.sold.append(Sold(plain, asked, NOW + at))

    def end(self, at: int) -> Bill:
        """What the operator bills for a release."""
        bill = fsm.close(fsm.release(self.lease, NOW + at, "released"), NOW + at).bill
        assert bill is not None
        self.saga.at(at).release()
        self.saga.all("SendRelease", State.RELEASED, lambda receipt: structs.replace(receipt, bill=bill))
        return bill


def active(segment: Segment, tariff: Tariff) -> Lease:
    """A lease in force since its confirm."""
    quote = Quote(
        id="q", broker="https://broker.example", buyer="b", created_at=NOW, exp=NOW + 30, state=State.HELD,
        history=(), segment=segment, tariff=tariff,
    )  # fmt: skip
    return fsm.confirm(fsm.stepped(fsm.commit(fsm.accept(quote, NOW), "p", "o", NOW), State.UP, NOW), NOW)


def price(tariff: Tariff, segment: Segment) -> int:
    """What is quoted for a whole window."""
    frame = segment.window
    return total(charge(tariff, segment.bandwidth_bps, frame.start_s, frame.end_s, frame.duration_s))


@settings(max_examples=150, deadline=None)
@given(tariffs, st.lists(changes, max_size=4), st.integers(0, 2_000))
def test_everybody_comes_to_the_same_amount(tariff: Tariff, made: list[tuple[int, Tariff, int]], more: int) -> None:
    life, at = Life(tariff), 0
    for gap, other, bps in made:
        if bps == life.saga.state.bandwidth_bps:
            continue
        at += gap
        life.change(at, other, bps)
    at += more
    bill = life.end(at)
    state = life.saga.state
    assert bill.total.micro == total(bill.lines)
    assert bill.total.micro == bills.due(life.sold, NOW, NOW + at)
    assert state.bill is not None
    assert state.bill.total.micro == bill.total.micro
    assert not any(" bills " in entry.why for entry in state.history)
    dearer = structs.replace(bill, total=Money("EUR", bill.total.micro + 1))
    assert due(state, 0, dearer) == bill.total, "and not a micro-unit more"
    assert bill.total.micro <= sum(life.aside)
