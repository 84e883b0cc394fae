"""How an order ends: by release, at the end of its window, by an operator; what is billed then, and what is voided."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from federation.broker.orders.saga.claims import release_claims
from federation.broker.orders.saga.pace import SILENT_S
from federation.broker.orders.saga.state import OrderState
from schemas.lease import State
from schemas.order import Bill
from schemas.price import Money, Tariff
from tests.support.sagas import HOUR_S, Saga, bill, billed
from tests.support.seams import NOW

UP, ACTIVE, COMMITTED, RELEASED = State.UP, State.ACTIVE, State.COMMITTED, State.RELEASED


def ended_by_itself() -> Saga:
    """Undone for a missing confirm, and then it turns out that the other lease had come to its end and bills."""
    saga = Saga(2).all("SendOrder", UP).got("SendConfirm 0", ACTIVE).refused("SendConfirm 1")
    saga.got("SendRelease 1", RELEASED).refused("SendRelease 0").at(1).got("AskLease 0", RELEASED, billed(9))
    assert (saga.is_, saga.wants) == ("COMPENSATING", ["SendRelease 0"])
    assert release_claims(saga.state, 0).void == "https://op1.example"
    return saga


def test_a_lease_that_ended_by_itself_and_bills_is_voided_all_the_same() -> None:
    assert ended_by_itself().got("SendRelease 0", RELEASED).is_ == "FAILED"


def test_an_operator_that_will_not_void_does_not_keep_the_order_open() -> None:
    saga = ended_by_itself().refused("SendRelease 0")
    assert saga.is_ == "FAILED"
    assert saga.state.bill is not None
    assert saga.state.bill.total.micro == 0


# --- release -----------------------------------------------------------------------------------------------


def test_release_from_active_bills_the_sum_converted_and_rounded_up() -> None:
    saga = Saga(2, currencies=("EUR", "CHF")).active().release()
    assert (saga.is_, saga.wants) == ("RELEASING", ["SendRelease 0", "SendRelease 1"])
    assert release_claims(saga.state, 0).void is None
    saga.got("SendRelease 0", RELEASED, billed(7)).got("SendRelease 1", RELEASED, billed(7, "CHF"))
    assert saga.is_ == "RELEASED"
    assert saga.state.bill is not None
    assert [(line.name, line.micro) for line in saga.state.bill.lines] == [
        ("https://op0.example", 7),
        ("https://op1.example", 8),  # 7.7
    ]
    assert saga.state.bill.total.micro == 15


TARIFF = Tariff(currency="EUR", set_up_micro=10, hourly_micro=3_600, exit_micro=5)


def sold_at(tariff: Tariff) -> Saga:
    """One operator's order whose quote had this tariff, ACTIVE."""
    saga = Saga(1)
    part = saga.state.terms.parts[0]
    part = structs.replace(part, pledge=structs.replace(part.pledge, tariff=tariff))
    saga.state = structs.replace(saga.state, terms=structs.replace(saga.state.terms, parts=(part,)))
    return saga.active()


@pytest.mark.parametrize(
    ("claim", "owed"),
    [
        (bill(10 + 60 + 5), 75),  # a minute, as agreed
        (bill(70), 70),  # less is welcome
        (bill(76), 75),
        (bill(10**18), 75),
        (bill(75, "XTS"), 75),
        (bill(10 + 3_600 + 5, start=NOW - 3_000, end=NOW + 600), 10 + (60 + 30) + 5),  # never longer than it was
        (bill(10**6, start=NOW + 3_600, end=NOW), 10),
        (structs.replace(bill(10**6), start=None, end=None), 10 + (60 + 30) + 5),
    ],
)
def test_nobody_pays_more_than_the_quote_says_for_the_use_there_was(claim: Bill, owed: int) -> None:
    saga = sold_at(TARIFF).at(60).release().got("SendRelease 0", RELEASED, lambda r: structs.replace(r, bill=claim))
    assert saga.is_ == "RELEASED"
    assert saga.state.bill is not None
    assert saga.state.bill.total == Money("EUR", owed)
    assert any("bills" in entry.why for entry in saga.state.history) is (claim.total != Money("EUR", owed))
    assert msgspec.json.decode(msgspec.json.encode(saga.state), type=OrderState) == saga.state


def test_who_ends_a_lease_alone_is_due_no_exit() -> None:
    saga = sold_at(TARIFF).at(60).hint(0).got("AskLease 0", RELEASED, billed(75))
    assert saga.state.bill is not None
    assert saga.state.bill.total == Money("EUR", 70)


def test_release_before_the_confirm_undoes_and_costs_nothing() -> None:
    saga = Saga(2).got("SendOrder 0", UP).release()
    assert (saga.is_, saga.wants) == ("RELEASING", ["SendRelease 0"])
    saga.got("SendOrder 1", UP)
    assert saga.wants == ["SendRelease 0", "SendRelease 1"]
    saga.all("SendRelease", RELEASED)
    assert saga.is_ == "RELEASED"
    assert saga.state.bill == Bill(start=None, end=None, lines=(), total=Money("EUR", 0))


def test_release_while_confirms_are_out_voids() -> None:
    saga = Saga(2).all("SendOrder", UP).got("SendConfirm 0", ACTIVE).release()
    assert (saga.is_, saga.wants) == ("RELEASING", ["SendRelease 0", "SendRelease 1"])
    assert release_claims(saga.state, 0).void == "https://op1.example"


@pytest.mark.parametrize("times", [2, 5])
def test_release_again_changes_nothing(times: int) -> None:
    saga = Saga(2).active().release()
    wants = saga.wants
    for _ in range(times):
        saga.release()
    assert (saga.is_, saga.wants) == ("RELEASING", wants)
    saga.all("SendRelease", RELEASED).release()
    assert (saga.is_, saga.wants) == ("RELEASED", [])


def test_a_release_is_repeated_for_ever_and_signed_again_before_it_expires() -> None:
    saga = Saga(1).active().release()
    first = release_claims(saga.state, 0)
    saga.lost("SendRelease 0").at(20).got("AskLease 0", ACTIVE).at(21)
    assert (saga.wants, release_claims(saga.state, 0)) == (["SendRelease 0"], first)
    saga.lost("SendRelease 0").at(40).got("AskLease 0", ACTIVE).at(46)
    second = release_claims(saga.state, 0)
    assert second.iat == NOW + 46
    assert second.jti != first.jti
    for number in range(1, 300):
        saga.lost("SendRelease 0").at(46 + 140 * number)
        assert saga.wants == ["AskLease 0"]
        saga.got("AskLease 0", ACTIVE).at(116 + 140 * number)
        assert saga.wants == ["SendRelease 0"]


def test_a_release_whose_answer_was_lost_is_found_in_the_inventory() -> None:
    saga = Saga(1).active().release().lost("SendRelease 0").at(1).got("AskLease 0", RELEASED, billed(3))
    assert saga.is_ == "RELEASED"


def test_a_refused_release_is_looked_into() -> None:
    saga = Saga(1).active().release().refused("SendRelease 0").at(1)
    assert saga.wants == ["AskLease 0"]
    saga.got("AskLease 0", ACTIVE).at(2)
    assert saga.wants == ["SendRelease 0"]
    saga.refused("SendRelease 0").at(4).missing("AskLease 0")
    assert saga.is_ == "RELEASED"


def test_an_operator_that_takes_its_time_to_release_is_polled() -> None:
    saga = Saga(1).active().release().got("SendRelease 0", State.RELEASING)
    assert saga.wants == []
    saga.at(1).got("AskLease 0", State.RELEASING).at(2)
    assert saga.wants == ["AskLease 0"]
    assert saga.got("AskLease 0", RELEASED, billed(3)).is_ == "RELEASED"


def test_late_receipts_of_earlier_states_change_nothing() -> None:
    saga = Saga(2).all("SendOrder", UP)
    saga.refused("SendConfirm 1").got("SendRelease 0", RELEASED).got("SendConfirm 0", ACTIVE)
    assert saga.legs[0] == "RELEASED"


# --- the end of the window ---------------------------------------------------------------------------------


def test_at_the_end_operators_release_by_themselves_and_are_asked() -> None:
    saga = Saga(2).active().at(HOUR_S)
    assert (saga.is_, saga.wants) == ("RELEASING", ["AskLease 0", "AskLease 1"])
    saga.got("AskLease 0", ACTIVE).got("AskLease 1", RELEASED, billed(4))
    saga.at(HOUR_S + 1).got("AskLease 0", RELEASED, billed(3))
    assert saga.is_ == "RELEASED"
    assert saga.state.bill is not None
    assert saga.state.bill.total.micro == 7


def test_an_operator_that_does_not_release_at_the_end_is_told_to() -> None:
    saga = Saga(1).active().at(HOUR_S).lost("AskLease 0").at(HOUR_S + 59)
    assert saga.wants == ["AskLease 0"]
    saga.at(HOUR_S + 60)
    assert saga.wants == ["SendRelease 0"]
    assert release_claims(saga.state, 0).void is None


def test_a_lease_that_an_operator_ends_early_ends_the_path() -> None:
    saga = Saga(2).active().hint(1)
    assert saga.wants == ["AskLease 1"]
    saga.got("AskLease 1", RELEASED, billed(2))
    assert (saga.is_, saga.wants) == ("RELEASING", ["SendRelease 0"])
    assert saga.state.history[-1].why == "op1 ended its lease"


def test_a_hint_that_is_wrong_is_harmless() -> None:
    saga = Saga(2).active().hint(1).got("AskLease 1", ACTIVE)
    assert (saga.is_, saga.wants) == ("ACTIVE", [])
    assert Saga(2).hint(0).wants == ["SendOrder 0", "SendOrder 1"]


def test_an_order_that_is_over_learns_nothing_more() -> None:
    """An operator that is asked twice at once may answer twice: the statement adds up to the bill that was given."""
    saga = Saga(1).active().hint(0)
    first = saga.flying["AskLease 0"]
    saga.release().got("AskLease 0", RELEASED, billed(7))
    assert saga.is_ == "RELEASED"
    before, saga.flying["AskLease 0"] = saga.state, first
    saga.at(1).got("AskLease 0", RELEASED, billed(3))
    assert saga.state == structs.replace(before, at_us=saga.at_us)


def test_who_let_a_hold_go_and_is_never_heard_of_again_keeps_no_order_open() -> None:
    saga = (
        Saga(2).got("SendOrder 1", UP).refused("SendOrder 0").got("SendRelease 1", RELEASED).declined("DeclineHold 0")
    )
    for at in range(1, 362, 10):
        saga.at(at)
        if "AskOutcome 0" in saga.wants:
            saga.lost("AskOutcome 0")
    assert (saga.is_, saga.legs) == ("FAILED", ["EXPIRED", "RELEASED"])


def unheard_of(saga: Saga, from_s: int) -> None:
    """One operator answers nothing any more, from so long after `NOW` on, until it is not asked any more."""
    for at in range(from_s, from_s + 90 * 60, 60):
        saga.at(at)
        for act in ("SendRelease 0", "AskLease 0"):
            if act in saga.wants:
                saga.lost(act)


LATE_S = HOUR_S + SILENT_S


def test_who_is_not_heard_of_for_a_month_after_the_end_keeps_no_order_open() -> None:
    saga = Saga(2).active().release().got("SendRelease 1", RELEASED, billed(7))
    unheard_of(saga, LATE_S - 100 * 60)
    assert saga.is_ == "RELEASING"
    saga.at(LATE_S).restart().at(LATE_S + 1)
    assert (saga.is_, saga.wants) == ("RELEASING", ["AskLease 0"]), "it is asked again, whoever was away"
    saga.lost("AskLease 0")
    assert saga.is_ == "RELEASING", "one question in vain proves nothing: it may be starting, too"
    unheard_of(saga, LATE_S + 1)
    assert (saga.is_, saga.legs) == ("RELEASED", ["EXPIRED", "RELEASED"])
    assert saga.state.bill is not None
    assert [(line.name, line.micro) for line in saga.state.bill.lines] == [("https://op1.example", 7)]
    why = "op0 has not said for 30 days what it bills, and is not waited for"
    assert why in [one.why for one in saga.state.history]


def test_who_was_away_for_a_month_asks_what_is_billed() -> None:
    saga = Saga(1).active().at(LATE_S + 3).got("SendRelease 0", RELEASED, billed(7))
    assert saga.is_ == "RELEASED"
    assert saga.state.bill is not None
    assert saga.state.bill.total.micro == 7


def test_who_does_not_answer_a_void_for_a_month_keeps_no_order_open() -> None:
    saga = ended_by_itself()
    unheard_of(saga, LATE_S)
    assert saga.is_ == "FAILED"
