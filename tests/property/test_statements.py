"""Bills add up: whatever is sold, used and claimed, for released, failed and expired alike, to the last micro-unit."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec import structs

from federation.broker.orders.saga.events import Receipted
from federation.broker.orders.saga.state import Pledge
from federation.broker.orders.saga.statement import statement_claims
from federation.evidence.verify.stated import check_statement
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import generate
from operators.pricing.billing import Period, before
from operators.pricing.billing import bill as billed_by
from schemas.lease import TERMINAL, State
from schemas.order import Bill, Receipt
from schemas.price import Line, Money, Tariff, TimeBand, charge, total
from schemas.problem import Problem
from schemas.segment import moment
from schemas.statement import BillingStatement
from tests.support.sagas import HOUR_S, Saga, until
from tests.support.seams import NOW
from tests.unit.federation.broker.orders.test_resize import wide

KEY = generate()
UP, ACTIVE, RELEASED = State.UP, State.ACTIVE, State.RELEASED
micro = st.integers(0, 10**9)
bands = st.sampled_from(((), (TimeBand(480, 1080, 1_250_000, (1, 2, 3, 4, 5, 6, 7)),)))


@st.composite
def tariffs(draw: st.DrawFn, currency: str) -> Tariff:
    return Tariff(
        currency=currency, set_up_micro=draw(micro), hourly_micro=draw(micro), gbps_hourly_micro=draw(micro),
        minimum_micro=draw(micro), exit_micro=draw(micro), zone="Europe/Amsterdam", bands=draw(bands),
    )  # fmt: skip


class Lives:
    """An order at tariffs of its own, whose operators sign receipts; told until it is over."""

    def __init__(self, of: list[Tariff]) -> None:
        self.saga = Saga(len(of), currencies=tuple(tariff.currency for tariff in of))
        parts = tuple(
            structs.replace(part, pledge=structs.replace(part.pledge, tariff=tariff))
            for part, tariff in zip(self.saga.state.terms.parts, of, strict=True)
        )
        self.saga.state = structs.replace(self.saga.state, terms=structs.replace(self.saga.state.terms, parts=parts))
        self.receipts: dict[str, str] = {}

    def bill(self, leg: int, from_s: int, until_s: int, more: int = 0) -> Bill:
        """What an honest operator bills, and more."""
        pledge: Pledge = self.saga.state.terms.parts[leg].pledge
        assert pledge.tariff is not None
        frame, bps = pledge.quoted.window, pledge.quoted.bandwidth_bps
        end_s = self.saga.state.end_s
        lines = charge(pledge.tariff, bps, from_s, until_s, frame.duration_s, early=until_s < end_s)
        lines = (*lines, Line("fee", more)) if more else lines
        owed = Money(pledge.tariff.currency, total(lines))
        return Bill(start=moment(from_s), end=moment(until_s), lines=lines, total=owed)

    def over(self, leg: int, bill: Bill | None) -> Receipt:
        receipt = structs.replace(self.saga.receipt(leg, RELEASED), bill=bill)
        token = sign_jws(KEY, receipt)
        self.receipts[doc_hash(token)] = token
        return receipt

    def released(self, name: str, leg: int, bill: Bill | None) -> None:
        """Answer a release with a signed receipt."""
        receipt = self.over(leg, bill)
        token = sign_jws(KEY, receipt)
        self.saga.tell(Receipted(self.saga.at_us, self.saga.flying.pop(name), receipt, doc_hash(token)))

    def stated(self) -> BillingStatement:
        state = self.saga.state
        assert state.state in TERMINAL
        assert state.bill is not None
        stated = statement_claims(state, self.receipts)
        check_statement(stated)
        assert stated.total == state.bill.total
        assert stated.total.micro == sum(segment.total.micro for segment in stated.segments)
        assert [line.micro for line in state.bill.lines] in ([], [one.total.micro for one in stated.segments])
        return stated


some = st.lists(st.sampled_from(("EUR", "CHF")).flatmap(tariffs), min_size=1, max_size=4)


@given(some, st.integers(1, HOUR_S + 50), st.lists(st.sampled_from((0, 0, 1, 10**7)), min_size=4, max_size=4))
def test_a_released_or_ended_order_is_due_what_its_tariffs_come_to(
    of: list[Tariff], used_s: int, more: list[int]
) -> None:
    lives = Lives(of)
    lives.saga.active()
    if used_s < HOUR_S:
        lives.saga.at(used_s).release()
        for leg in range(len(of)):
            lives.released(f"SendRelease {leg}", leg, lives.bill(leg, NOW, NOW + used_s, more[leg]))
    else:
        lives.saga.at(HOUR_S)
        for leg in range(len(of)):
            lives.released(f"AskLease {leg}", leg, lives.bill(leg, NOW, NOW + HOUR_S, more[leg]))
    stated = lives.stated()
    for leg, segment in enumerate(stated.segments):
        honest = lives.bill(leg, NOW, NOW + min(used_s, HOUR_S)).total
        assert segment.due == honest, "what is claimed above the tariffs is not due"
        assert segment.total == stated.rates.convert(honest, "EUR")
        assert sum(use.seconds for use in segment.uses) == min(used_s, HOUR_S)
    assert stated.active


@given(some, st.integers(0, 3), micro)
def test_a_path_that_never_was_active_costs_nothing_whoever_bills(of: list[Tariff], culprit: int, claim: int) -> None:
    lives = Lives(of)
    culprit = min(culprit, len(of) - 1)
    lives.saga.all("SendOrder", UP).refused(f"SendConfirm {culprit}")
    for name in list(lives.saga.wants):
        leg = int(name.split()[1])
        bill = structs.replace(lives.bill(leg, NOW, NOW + 5), total=Money(of[leg].currency, claim))
        bill = structs.replace(bill, lines=(Line("bandwidth", claim),))
        lives.released(name, leg, bill if leg != culprit else None)
    for name in list(lives.saga.wants):  # whoever bills is told once more that the path is void
        lives.saga.refused(name)
    assert lives.saga.is_ == "FAILED"
    stated = lives.stated()
    assert not stated.active
    assert [segment.due.micro for segment in stated.segments] == [0] * len(of)
    assert (stated.total, stated.tariffs) == (Money("EUR", 0), {})


def test_a_segment_whose_order_was_never_taken_is_stated_with_nothing() -> None:
    lives = Lives([Tariff(currency="EUR", set_up_micro=5), Tariff(currency="CHF", set_up_micro=7)])
    lives.saga.got("SendOrder 0", UP).refused("SendOrder 1")
    lives.released("SendRelease 0", 0, Bill(start=None, end=None, lines=(), total=Money("EUR", 0)))
    lives.saga.declined("DeclineHold 1").missing("AskOutcome 1")
    stated = lives.stated()
    assert [(one.state, one.product, one.receipt_h) for one in stated.segments][1] == (State.DECLINED, None, None)
    assert (stated.state, stated.total.micro, stated.start) == (State.FAILED, 0, None)


def test_the_same_order_has_the_same_statement_to_the_byte() -> None:
    lives = Lives([Tariff(currency="EUR", hourly_micro=3_600_000)])
    lives.saga.active().at(60).release()
    lives.released("SendRelease 0", 0, lives.bill(0, NOW, NOW + 60))
    first, later = lives.stated(), lives.stated()
    assert sign_jws(KEY, first) == sign_jws(KEY, later)
    assert (first.iat, first.segments[0].uses[0].seconds) == (NOW + 60, 60)


def wrong(stated: BillingStatement) -> dict[str, BillingStatement]:
    """One lie each."""
    first, *others = stated.segments
    use = first.uses[0]

    def told(**members: object) -> BillingStatement:
        return structs.replace(stated, segments=(structs.replace(first, **members), *others))

    def used(**members: object) -> BillingStatement:
        return told(uses=(structs.replace(use, **members), *first.uses[1:]))

    eur = stated.total.currency
    return {
        "the sum": structs.replace(stated, total=Money(eur, stated.total.micro + 1)),
        "a segment's total": told(total=Money(eur, first.total.micro + 1)),
        "more than claimed": told(due=Money(first.due.currency, first.due.micro + 1)),
        "another claim": told(claimed=Money(first.due.currency, first.due.micro + 1)),
        "seconds": used(seconds=use.seconds + 1),
        "a longer use": used(end=moment(int(use.end.timestamp()) + 1), seconds=use.seconds + 1),
        "another bandwidth": used(bandwidth_bps=use.bandwidth_bps * 2),
        "another line": used(lines=(structs.replace(use.lines[0], micro=use.lines[0].micro + 1), *use.lines[1:])),
        "a set-up": told(lines=(Line("set_up", first.lines[0].micro + 1), *first.lines[1:])),
        "an exit": told(lines=(*first.lines[:2], Line("exit", first.lines[2].micro + 1))),
        "no tariff": structs.replace(stated, tariffs={}),
        "another tariff": structs.replace(
            stated, tariffs={name: structs.replace(one, exit_micro=one.exit_micro + 1)
                             for name, one in stated.tariffs.items()},
        ),
        "no receipt": told(receipt=None),
        "never active": structs.replace(stated, active=False),
        "other rates": structs.replace(stated, rates=structs.replace(stated.rates, worth_ppm={"EUR": 1_000_000})),
    }  # fmt: skip


def test_every_lie_in_a_statement_is_found() -> None:
    tariff = Tariff(currency="CHF", set_up_micro=11, hourly_micro=3_600_000, gbps_hourly_micro=77, exit_micro=13)
    lives = Lives([tariff, structs.replace(tariff, currency="EUR", minimum_micro=10**6)])
    lives.saga.active().at(600).release()
    for leg in range(2):
        lives.released(f"SendRelease {leg}", leg, lives.bill(leg, NOW, NOW + 600))
    lies = wrong(lives.stated())
    for name, lie in lies.items():
        with pytest.raises(Problem) as caught:
            check_statement(lie)
        assert caught.value.code == "DOCUMENT_INVALID", name


@given(
    st.sampled_from(("EUR", "CHF")).flatmap(tariffs), st.sampled_from(("longer", "wider", "narrower")),
    st.integers(20, 2 * HOUR_S - 1),
)  # fmt: skip
def test_a_lease_that_was_changed_is_due_what_its_operator_bills(tariff: Tariff, how: str, ends_s: int) -> None:
    lives = Lives([tariff])
    first = lives.saga.state.terms.parts[0].pledge
    assert first.tariff is not None
    lives.saga.active().at(5)
    frame = first.quoted.window
    periods = [Period(tariff=tariff, bandwidth_bps=10**9, start_s=NOW, end_s=frame.end_s, term_s=HOUR_S)]
    if how == "longer":
        lives.saga.extend().all("SendOrder", ACTIVE).all("SendConfirm", ACTIVE, until(NOW + 2 * HOUR_S))
        more = {"start_s": frame.end_s, "end_s": NOW + 2 * HOUR_S}
        periods.append(structs.replace(periods[0], **more))
    else:
        bps = 3 * 10**9 if how == "wider" else 10**8
        lives.saga.resize(bps, tariff).all("SendOrder", ACTIVE).at(10).got("SendConfirm 0+", ACTIVE, wide(bps))
        other = structs.replace(periods[0], bandwidth_bps=bps, start_s=NOW + 10, term_s=HOUR_S - 5)
        periods = [*before(periods, NOW + 10), other]
    ends_s = min(ends_s, lives.saga.state.end_s - NOW - 1)
    lives.saga.at(ends_s).release()
    honest = billed_by(periods, NOW, NOW + ends_s)
    lives.released("SendRelease 0", 0, honest)
    (segment,) = lives.stated().segments
    assert segment.due == honest.total
    assert sum(use.seconds for use in segment.uses) == ends_s
