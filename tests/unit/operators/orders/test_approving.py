"""A person answers: questions wait without a hold, are granted or refused later, and survive a restart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import pytest_asyncio
from msgspec import structs

from federation.sonata.asking import BuyerProfile, quote_body
from federation.sonata.asks import quote_ask
from federation.sonata.protocols import Caller, QuoteRecord
from operators.config import Approval, Holds, Sales
from schemas.lease import State
from schemas.problem import Problem
from schemas.quote import Rfq
from schemas.segment import End, Segment, window
from tests.support.footprints import ENTITY, GBPS
from tests.support.operator_shop import ShopWorld
from tests.support.operator_world import drawn
from tests.support.seams import NOW

BROKER = "https://broker.example"
PROFILE = BuyerProfile(name="NOC", number="+49-0", email_address="noc@b.example", billing_account="BA-1")
MANUAL = Sales(approval=Approval.MANUAL, answer_within_s=600, waiting_max=2)


class Counter:
    """A manual operator, and a broker that asks it."""

    def __init__(self, sales: Sales = MANUAL) -> None:
        self.world = ShopWorld(drawn(), Holds(seconds_max=60, prolonged_s_max=100))
        self.world.sales = sales
        self.asked = 0

    async def ask(
        self, *, gbps: int = 1, instant: bool = False, by: int | None = NOW + 300, **more: Any
    ) -> QuoteRecord:
        self.asked += 1
        now = self.world.clock.now()
        segment = Segment(
            a=End("uni-a", None), z=End("enni-b--as2-x", more.pop("label", 100)), bandwidth_bps=gbps * GBPS,
            window=window(NOW, NOW + 3_600),
        )  # fmt: skip
        rfq = Rfq(
            iss=BROKER, sub="b", aud=ENTITY, iat=now, exp=now + 60, jti=f"rfq-{self.asked:018}", segment=segment,
            **({"hold_s": 30} | more),
        )  # fmt: skip
        token = self.world.gate.token(rfq)
        body = quote_body(token, rfq, PROFILE, None)
        body = structs.replace(body, instant_sync_quote=instant)
        ask = structs.replace(quote_ask(msgspec.json.encode(body), None), answer_by=by)
        return await self.world.desk.quote(Caller(BROKER), ask)

    async def found(self, quote_id: str) -> QuoteRecord:
        return await self.world.desk.find_quote(Caller(BROKER), quote_id)


@pytest_asyncio.fixture
async def counter() -> Counter:
    made = Counter()
    await made.world.start()
    return made


def states(record: QuoteRecord) -> list[str]:
    return [str(change.state) for change in record.history]


@pytest.mark.asyncio
async def test_a_question_waits_without_a_hold_until_a_person_grants_it_even_after_a_restart(counter: Counter) -> None:
    asked = await counter.ask()
    assert states(asked) == ["acknowledged", "inProgress"]
    assert (asked.expected_at, asked.document, counter.world.shop.inventory.claims()) == (NOW + 300, None, ())
    await counter.world.pass_time(200)
    await counter.world.start()
    assert [quote.id for quote in counter.world.desk.waiting()] == [asked.id]

    granted = await counter.world.desk.grant(asked.id)
    assert (granted.state, granted.exp) == (State.HELD, NOW + 230)
    found = await counter.found(asked.id)
    assert states(found) == ["acknowledged", "inProgress", "approved.orderable"]
    assert (found.valid_until, found.document is not None) == (NOW + 230, True)
    counter.world.assert_sound()
    with pytest.raises(Problem, match="does not wait"):
        await counter.world.desk.grant(asked.id)


@pytest.mark.asyncio
async def test_refused_cancelled_and_forgotten_questions_end_without_a_trace(counter: Counter) -> None:
    refused, cancelled = await counter.ask(), await counter.ask()
    await counter.world.desk.refuse(refused.id, "not to this buyer")
    assert states(await counter.found(refused.id)) == ["acknowledged", "inProgress", "unableToProvide"]
    assert (await counter.found(refused.id)).refusal == structs.replace(
        (await counter.found(refused.id)).refusal, code="OPERATOR_REFUSED", detail="not to this buyer"
    )
    for _ in range(2):
        ended = await counter.world.desk.cancel_quote(Caller(BROKER), cancelled.id)
        assert states(ended) == ["acknowledged", "inProgress", "cancelled"]
    forgotten = await counter.ask()
    with pytest.raises(Problem, match="the quote is inProgress"):
        await counter.world.desk.decline(Caller(BROKER), forgotten.id)
    await counter.world.pass_time(301)
    assert states(await counter.found(forgotten.id)) == ["acknowledged", "inProgress", "unableToProvide"]
    with pytest.raises(Problem, match="only one in progress"):
        await counter.world.desk.cancel_quote(Caller(BROKER), forgotten.id)
    assert counter.world.desk.waiting() == ()
    assert counter.world.shop.quotes == {}
    counter.world.assert_sound()


@pytest.mark.asyncio
async def test_who_wants_an_answer_at_once_is_told_so_and_a_desk_takes_only_so_many(counter: Counter) -> None:
    at_once = await counter.ask(instant=True)
    assert states(at_once) == ["unableToProvide"]
    assert at_once.refusal is not None
    assert "instantSyncQuote false" in at_once.refusal.detail
    assert (late := (await counter.ask(by=NOW)).refusal) is not None
    assert late.code == "OPERATOR_REFUSED"
    await counter.ask()
    await counter.ask()
    assert (many := (await counter.ask()).refusal) is not None
    assert many.code == "TOO_MANY_REQUESTS"
    with pytest.raises(Problem, match="speed of"):
        await counter.ask(gbps=1_000)


@pytest.mark.asyncio
async def test_what_has_gone_meanwhile_is_refused_after_all(counter: Counter) -> None:
    first, second = await counter.ask(), await counter.ask()
    await counter.world.desk.grant(first.id)
    granted = await counter.world.desk.grant(second.id)
    assert granted.state is State.DECLINED
    record = await counter.found(second.id)
    assert record.refusal is not None
    assert record.refusal.code == "LABEL_TAKEN"
    assert states(record)[-1] == "unableToProvide"
    counter.world.assert_sound()


@pytest.mark.asyncio
async def test_a_granted_hold_is_prolonged_without_the_person_but_not_for_ever(counter: Counter) -> None:
    asked = await counter.ask()
    quote = await counter.world.desk.grant(asked.id)
    for _ in range(4):
        await counter.world.pass_time(25)
        longer = await counter.ask(replaces=quote.hash)
        assert states(longer) == ["approved.orderable"]
        found = await counter.world.store.quote(longer.id)
        assert found is not None
        quote = found
        counter.world.assert_sound()
    await counter.world.pass_time(25)
    over = await counter.ask(replaces=quote.hash)
    assert over.refusal is not None
    assert over.refusal.code == "TOO_MANY_REQUESTS"
    # Another label is another question, which a person answers; until then the hold that it replaces stays.
    other = await counter.ask(replaces=quote.hash, label=101)
    assert states(other) == ["acknowledged", "inProgress"]
    granted = await counter.world.desk.grant(other.id)
    assert granted.refusal is not None
    await counter.world.pass_time(60)
    assert counter.world.shop.inventory.claims() == ()


@pytest.mark.asyncio
async def test_a_prolonged_hold_may_have_begun_long_ago() -> None:
    counter = Counter(Sales())
    await counter.world.start()
    record, quote_h = await counter.ask(hold_s=60), None
    for _ in range(4):
        held = await counter.world.store.quote(record.id)
        assert held is not None
        quote_h = held.hash
        await counter.world.pass_time(50 if counter.asked < 3 else 0)
        record = await counter.ask(hold_s=60, replaces=quote_h)
        assert states(record) == ["approved.orderable"]
    await counter.world.pass_time(100)
    with pytest.raises(Problem, match="starts more than"):
        await counter.ask()


@pytest.mark.asyncio
async def test_a_slow_network_says_so_and_asks_for_the_time_it_needs() -> None:
    counter = Counter(Sales(up_within_s=100, confirm_within_s=200))
    await counter.world.start()
    hasty = await counter.ask()
    assert hasty.refusal is not None
    assert hasty.refusal.code == "OPERATOR_REFUSED"
    assert "120 or more" in hasty.refusal.detail
    patient = await counter.ask(confirm_within_s=3_600)
    found = await counter.world.store.quote(patient.id)
    assert found is not None
    assert (found.confirm_within_s, found.up_within_s, patient.up_within_s) == (200, 100, 100)
