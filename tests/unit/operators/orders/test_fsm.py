"""Every step a quote or lease may take, and what time asks for when."""

from __future__ import annotations

import pytest
from msgspec import structs

from operators.orders import fsm
from operators.orders.fsm import Amendment, Due, Entry, Lease, Quote
from operators.pricing.billing import Period
from schemas.lease import State
from schemas.order import CHANGES_MAX, VOID_WITHIN_S
from schemas.price import Money, Tariff
from schemas.problem import Problem
from schemas.segment import End, Segment, moment, window

NOW = 1_795_000_000
END = NOW + 3_600
TARIFF = Tariff(currency="EUR", hourly_micro=3_600_000, exit_micro=7)
SEGMENT = Segment(a=End("uni-a", 1), z=End("uni-z", 2), bandwidth_bps=10**9, window=window(NOW, END))


def quote(state: State = State.HELD, exp: int = NOW + 30) -> Quote:
    return Quote(
        id="q",
        broker="https://broker.example",
        buyer="b",
        created_at=NOW,
        exp=exp,
        state=state,
        history=(Entry(state, NOW),),
        segment=SEGMENT,
        tariff=TARIFF,
    )


def committed(start: int = NOW, confirm_by: int | None = NOW + 60) -> Lease:
    later = structs.replace(quote(), segment=structs.replace(SEGMENT, window=window(start, END)))
    return structs.replace(fsm.commit(fsm.accept(later, NOW), "p", "o", NOW), confirm_by=confirm_by)


def up() -> Lease:
    return fsm.stepped(committed(), State.UP, NOW)


def active() -> Lease:
    return fsm.confirm(up(), NOW)


def waiting(confirm_by: int = NOW + 90) -> Lease:
    added = Amendment(
        quote_id="q2",
        order_id="o2",
        order_h=None,
        quote_h=None,
        path_root=None,
        tariff=TARIFF,
        segment=structs.replace(SEGMENT, window=window(END, END + 600)),
        since=NOW,
        confirm_by=confirm_by,
    )
    return fsm.ask_amendment(active(), added)


def period(start: int, end: int, bps: int = 10**9, term: int | None = None) -> Period:
    return Period(tariff=TARIFF, bandwidth_bps=bps, start_s=start, end_s=end, term_s=term or end - start)


def resizing(bps: int, *, lease: Lease | None = None, at: int = NOW + 100) -> Lease:
    """A lease whose bandwidth is to be another one from now on."""
    asked = structs.replace(SEGMENT, bandwidth_bps=bps, window=window(at, END))
    change = Amendment(
        quote_id="q3", order_id="o3", order_h="h", quote_h=None, path_root=None, tariff=TARIFF, segment=asked,
        since=at, confirm_by=at + 60,
    )  # fmt: skip
    return fsm.ask_amendment(lease or active(), change)


@pytest.mark.parametrize(
    ("given", "now", "code"),
    [
        (quote(State.COMMITTED), NOW, "QUOTE_USED"),
        (quote(State.EXPIRED), NOW, "QUOTE_EXPIRED"),
        (quote(), NOW + 30, "QUOTE_EXPIRED"),
        (quote(State.QUOTED), NOW + 31, "QUOTE_EXPIRED"),
        (quote(State.DECLINED), NOW, "HOLD_LOST"),
        (quote(State.DECLINED), NOW + 99, "HOLD_LOST"),
    ],
)
def test_a_quote_that_cannot_be_ordered_says_why(given: Quote, now: int, code: str) -> None:
    with pytest.raises(Problem) as caught:
        fsm.accept(given, now)
    assert caught.value.code == code


@pytest.mark.parametrize("state", [State.HELD, State.QUOTED])
def test_a_quote_can_be_ordered_until_the_second_it_expires(state: State) -> None:
    assert fsm.accept(quote(state), NOW + 29).state is State.COMMITTED


@pytest.mark.parametrize(
    ("lease", "now", "step"),
    [
        (committed(), NOW, Due.START),
        (committed(start=NOW + 5), NOW + 4, None),
        (committed(start=NOW + 5), NOW + 5, Due.START),
        (committed(), NOW + 60, Due.LAPSE),
        (committed(confirm_by=None), END, Due.END),
        (up(), NOW + 59, None),
        (up(), NOW + 60, Due.LAPSE),
        (active(), NOW + 60, None),
        (active(), END - 1, None),
        (active(), END, Due.END),
        (waiting(), NOW + 89, None),
        (waiting(), NOW + 90, Due.LAPSE_AMENDMENT),
        (waiting(END), END, Due.END),
        (fsm.release(active(), NOW, "released"), NOW, Due.FINISH),
        (fsm.stepped(up(), State.COMPENSATING, NOW), NOW, Due.FINISH),
        (fsm.close(fsm.release(up(), NOW, ""), NOW), END, None),
    ],
)
def test_time_asks_for_one_step(lease: Lease, now: int, step: Due | None) -> None:
    assert fsm.due(lease, now) is step


@pytest.mark.parametrize(
    "lease",
    [committed(), committed(NOW + 5), up(), active(), waiting(), fsm.release(active(), NOW, "")],
)
def test_the_timer_wakes_no_later_than_the_step_is_due(lease: Lease) -> None:
    at = fsm.wake_at(lease)
    assert at is not None
    assert fsm.due(lease, at) is not None
    assert fsm.due(lease, at - 1) is None or lease.state is State.RELEASING


def test_what_is_over_is_not_woken() -> None:
    assert fsm.wake_at(fsm.close(fsm.release(active(), NOW, ""), NOW)) is None


def test_only_what_is_up_is_confirmed_and_only_in_time() -> None:
    assert active().active_at == NOW
    for lease, now in ((committed(), NOW), (active(), NOW), (up(), NOW + 60)):
        with pytest.raises(Problem) as caught:
            fsm.confirm(lease, now)
        assert caught.value.code == "INCOMPATIBLE_STATE"


def test_an_extension_moves_the_end_and_adds_a_period() -> None:
    longer = fsm.amend(waiting(), NOW + 10)
    assert longer.end_s == END + 600
    assert longer.periods == (period(NOW, END), period(END, END + 600))
    assert (longer.amendment, longer.amending) == (None, ((NOW, NOW + 10),))
    with pytest.raises(Problem):
        fsm.amend(waiting(), NOW + 90)


def test_one_extension_at_a_time_and_only_while_active() -> None:
    for lease in (waiting(), up(), committed()):
        with pytest.raises(Problem) as caught:
            fsm.check_amendable(lease)
        assert caught.value.code == "INCOMPATIBLE_STATE"


def test_a_lease_is_not_changed_without_end() -> None:
    often = structs.replace(active(), amending=((NOW, NOW + 1),) * (CHANGES_MAX - 1))
    fsm.check_amendable(often)
    with pytest.raises(Problem, match="512 changes of this lease were ordered"):
        fsm.check_amendable(structs.replace(often, amending=(*often.amending, (NOW, NOW + 1))))


def test_a_lease_is_billed_from_its_confirm_to_its_release() -> None:
    over = fsm.close(fsm.release(active(), NOW + 100, "released"), NOW + 150)
    assert over.state is State.RELEASED
    assert over.bill is not None
    # 100 s at 1,000 micro-units a second, and the exit
    assert over.bill.total == Money("EUR", 100_007)
    assert over.bill.end == moment(NOW + 100)


def test_a_release_noticed_late_is_billed_until_the_end_without_exit() -> None:
    over = fsm.close(fsm.release(active(), END + 50, "the window is over"), END + 50)
    assert over.bill is not None
    assert over.bill.total == Money("EUR", 3_600_000)


@pytest.mark.parametrize(
    "ended",
    [
        fsm.release(committed(), NOW + 5, "released"),
        fsm.release(up(), NOW + 60, "not confirmed in time"),
        fsm.release(active(), NOW + 60, "void", void="https://as2.example"),
        fsm.stepped(up(), State.COMPENSATING, NOW),
    ],
)
def test_never_active_voided_or_failed_is_free(ended: Lease) -> None:
    over = fsm.close(ended, NOW + 70)
    assert over.bill is not None
    assert (over.bill.lines, over.bill.total) == ((), Money("EUR", 0))


VOID = "https://as2.example"


def billed(lease: Lease, at: int) -> int:
    over = fsm.close(fsm.release(lease, at, "void", void=VOID), at)
    assert over.bill is not None
    return over.bill.total.micro


def test_a_void_long_after_the_confirm_was_due_frees_nothing() -> None:
    assert billed(active(), NOW + 60 + VOID_WITHIN_S) == 0
    assert billed(active(), NOW + 61 + VOID_WITHIN_S) == 961_007  # its use, and the exit


def test_a_void_also_frees_a_lease_that_had_ended_by_itself() -> None:
    over = fsm.close(fsm.release(active(), NOW + 100, "the window is over"), NOW + 100)
    assert over.bill is not None
    assert over.bill.total.micro > 0
    free = fsm.freed(over, NOW + 60 + VOID_WITHIN_S, VOID)
    assert free is not None
    assert free.bill is not None
    assert free.bill.total.micro == 0
    for too_late, void in ((1, VOID), (0, None)):
        assert fsm.freed(over, NOW + 60 + VOID_WITHIN_S + too_late, void) is None
    assert fsm.freed(free, NOW + 100, VOID) is None, "it costs nothing already"


def test_a_void_of_an_extended_lease_frees_the_added_window_alone() -> None:
    asked = waiting()
    assert asked.amendment is not None
    added = structs.replace(asked.amendment.segment, window=window(END, END + 3_600))
    hour = structs.replace(asked.amendment, segment=added)
    longer = fsm.amend(structs.replace(asked, amendment=hour), NOW + 10)
    for at in (END, END + VOID_WITHIN_S):
        assert billed(longer, at) == 3_600_000  # until the end before, without an exit
    assert billed(longer, END + VOID_WITHIN_S + 1) == 4_501_007


def test_a_release_drops_the_extension_that_waits() -> None:
    going = fsm.release(waiting(), NOW + 10, "released")
    assert going.amendment is None
    assert [entry.state for entry in going.history] == [State.COMMITTED, State.UP, State.ACTIVE, State.RELEASING]


def test_another_bandwidth_counts_from_its_confirm_and_bills_to_the_second() -> None:
    grown = fsm.amend(resizing(3 * 10**9), NOW + 130)
    assert (grown.segment.bandwidth_bps, grown.segment.window) == (3 * 10**9, SEGMENT.window)
    assert grown.periods == (
        structs.replace(period(NOW, END), end_s=NOW + 130),
        period(NOW + 130, END, 3 * 10**9, END - NOW - 100),
    )
    back = fsm.amend(resizing(10**9, lease=grown, at=NOW + 200), NOW + 230)
    rates = Tariff(currency="EUR", hourly_micro=3_600_000, gbps_hourly_micro=7_200_000)
    periods = tuple(structs.replace(one, tariff=rates) for one in back.periods)
    over = fsm.close(fsm.release(structs.replace(back, periods=periods), NOW + 1_000, "released"), NOW + 1_000)
    assert over.bill is not None
    # 1,000 s at 1,000 for the ports; 130 s and 770 s at 2,000, 100 s at 6,000 for the bandwidth
    assert over.bill.total == Money("EUR", 1_000_000 + 130 * 2_000 + 100 * 6_000 + 770 * 2_000)


def test_what_may_be_needed_again_is_kept_until_a_change_is_final() -> None:
    asked = resizing(4 * 10**8)
    assert (fsm.kept_bps(asked), fsm.carried(asked).bandwidth_bps) == (10**9, 10**9)
    less = fsm.amend(asked, NOW + 130)
    assert (fsm.kept_bps(less), fsm.carried(less).bandwidth_bps) == (10**9, 4 * 10**8)
    until = NOW + 160 + VOID_WITHIN_S
    assert (fsm.wake_at(less), fsm.due(less, until - 1), fsm.due(less, until)) == (until, None, Due.SETTLE)
    assert fsm.kept_bps(fsm.settle(less)) == 4 * 10**8
    more = resizing(2 * 10**9)
    assert (fsm.kept_bps(more), fsm.carried(more).bandwidth_bps) == (2 * 10**9, 2 * 10**9)


@pytest.mark.parametrize("bps", [4 * 10**8, 2 * 10**9])
def test_a_change_taken_back_never_was(bps: int) -> None:
    changed = fsm.amend(resizing(bps), NOW + 130)
    back = fsm.take_back(changed, NOW + 140)
    assert structs.replace(back, amending=()) == active()
    for late in (changed, fsm.settle(changed), fsm.release(changed, NOW + 140, "released")):
        with pytest.raises(Problem) as caught:
            fsm.take_back(late, NOW + 160 + VOID_WITHIN_S)
        assert caught.value.code == "INCOMPATIBLE_STATE"


def test_a_void_frees_nothing_of_a_lease_whose_bandwidth_was_changed() -> None:
    assert billed(fsm.amend(resizing(2 * 10**9), NOW + 130), NOW + 140) == 140_007
