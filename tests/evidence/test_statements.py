"""The statement in a bundle: about this purchase, adding up, there once it is over; by a key of then or of later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from federation.evidence.verify.reading import canonical
from federation.evidence.verify.verify import verify
from federation.trust.jose import sign_jws
from schemas.evidence import Bundle
from schemas.price import Money, RateTable
from schemas.statement import BillingStatement, StatedSegment, Use
from tests.support.evidence import cast
from tests.support.evidence.bundle import LOOKED, bundle_of, bundled, log_of
from tests.support.evidence.cast import BROKER, OPERATORS, anchors, chain, key_of, known, later
from tests.support.evidence.papers import Plan, papers
from tests.support.evidence.stated import ENDED

Bend = Callable[[BillingStatement], BillingStatement]
HASH = "Z" * 43


def change(**members: Any) -> Bend:
    return lambda claims: structs.replace(claims, **members)


def segment(bend: Callable[[StatedSegment], StatedSegment]) -> Bend:
    """One segment bent, with the total that follows."""

    def whole(claims: BillingStatement) -> BillingStatement:
        first, *others = claims.segments
        found = (bend(first), *others)
        total = Money(claims.total.currency, sum(one.total.micro for one in found))
        return structs.replace(claims, segments=found, total=total)

    return whole


def use(bend: Callable[[Use], Use]) -> Bend:
    return segment(lambda one: structs.replace(one, uses=(bend(one.uses[0]), *one.uses[1:])))


def dearer(one: StatedSegment) -> StatedSegment:
    due = Money(one.due.currency, one.due.micro + 1)
    return structs.replace(one, due=due, total=due)


def cheap(rates: RateTable) -> RateTable:
    return RateTable(rates.date, {name: ppm + 1 for name, ppm in rates.worth_ppm.items()})


LIES: dict[str, Bend] = {
    "the total is more than its parts": lambda claims: structs.replace(
        claims, total=Money(claims.total.currency, claims.total.micro + 1)
    ),
    "a segment is due more than is billed": segment(dearer),
    "use is longer than its seconds": use(lambda one: structs.replace(one, seconds=one.seconds + 1)),
    "use is of a quote that nobody gave": use(lambda one: structs.replace(one, quote_h=HASH)),
    "use is of another bandwidth": use(lambda one: structs.replace(one, bandwidth_bps=one.bandwidth_bps // 2)),
    "use is at another tariff": use(lambda one: structs.replace(one, tariff_h=HASH)),
    "a segment is of another operator": segment(lambda one: structs.replace(one, operator=OPERATORS[1])),
    "a receipt is left out": segment(lambda one: structs.replace(one, receipt=None, receipt_h=None)),
    "a segment is left out": lambda claims: structs.replace(
        claims,
        segments=claims.segments[1:],
        total=Money(claims.total.currency, sum(one.total.micro for one in claims.segments[1:])),
    ),
    "the path was never in force": change(active=False),
    "it is for another buyer": change(sub="somebody-else"),
    "the rates are others": lambda claims: structs.replace(claims, rates=cheap(claims.rates)),
}


def failed(data: bytes) -> tuple[str, ...]:
    return verify(data, anchors(), later(LOOKED), known()).failed()


@pytest.mark.parametrize("lie", LIES)
def test_a_statement_that_is_not_what_was_signed_elsewhere_is_refused(lie: str) -> None:
    assert "statement" in failed(bundled(Plan(bends={"statement": LIES[lie]})))


def test_of_an_extended_lease_it_names_the_order() -> None:
    assert failed(bundled(Plan(extended=True, bends={"statement": change(order="order-2")}))) == ("statement",)


def test_it_is_there_once_the_purchase_is_over_and_only_then() -> None:
    made, going = papers(Plan()), papers(Plan(released=False))
    over, statement = bundle_of(made), made.tokens["statement"]
    rest = tuple(token for token in over.documents if token != statement)
    assert "complete" in failed(canonical(structs.replace(over, documents=rest)))
    early = bundle_of(going)
    assert "complete" in failed(
        canonical(structs.replace(early, documents=tuple(sorted((*early.documents, statement)))))
    )
    elsewhere = bundled(Plan(bends={"statement": change(path_root=HASH)}))
    assert {"statement", "complete"} <= set(failed(elsewhere))


def rotated(since: int, until: int, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A bundle with a statement that was written by a key that the broker has from `since` to `until`."""
    made, new = papers(Plan()), key_of("https://broker.example anew")
    signed = sign_jws(new, made.claims["statement"])
    good = bundle_of(made)
    documents = tuple(sorted((*(one for one in good.documents if one != made.tokens["statement"]), signed)))
    monkeypatch.setattr(cast, "key_of", lambda name: new if name == BROKER else key_of(name))
    chains = good.chains | {
        BROKER: tuple(sorted((*good.chains[BROKER], chain(BROKER, since, until - since)), key=" ".join))
    }
    policies = [text.signed for text in good.policies if text.signed]
    monkeypatch.undo()
    return structs.replace(good, documents=documents, chains=chains, logs={BROKER: log_of([*documents, *policies])})


def test_it_may_be_written_by_a_later_key_of_its_broker_and_by_no_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed(canonical(rotated(later(ENDED + 50), later(LOOKED + 50), monkeypatch))) == ()
    earlier = rotated(later(-7_000), later(-5_000), monkeypatch)
    assert "signatures" in failed(canonical(earlier)), "what was given up before it was over"
