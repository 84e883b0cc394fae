"""Authority only shrinks: `narrows` is an order on authorities, and every single widening is seen."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from federation.tokens.narrows import check_narrows, narrows, passed_on, slice_for, widened
from schemas.authority import AUTHORITY_TYPE, DEPTH_MAX, HOPS_MAX, Authority, Deed, Spend
from schemas.price import MICRO_MAX, Money
from schemas.problem import Problem
from schemas.segment import BANDWIDTH_BPS_MAX
from tests.support.authority import AUTHORITY, OPERATOR, RATES

OPERATORS = ("https://surf.example", "https://kpn.example", "https://dfn.example")
COUNTRIES, REGIMES = ("NL", "DE", "AT"), ("US-CLOUD-ACT", "CN-NIL")


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True).map(tuple)


SPENDS = st.builds(
    Spend,
    ccy=st.sampled_from(("EUR", "CHF")),
    per_order_micro=st.integers(0, 5),
    total_micro=st.integers(0, 5),
    until=st.integers(0, 3),
)
AUTHORITIES = st.builds(
    Authority,
    type=st.just(AUTHORITY_TYPE),
    actions=st.lists(st.sampled_from(tuple(Deed)), unique=True).map(tuple),
    locations=st.none() | some(OPERATORS),
    max_bandwidth_bps=st.integers(1, 4),
    jurisdictions=st.none() | some(COUNTRIES),
    data_class=st.sampled_from((None, "EU-health", "EU-finance")),
    excluded_regimes=some(REGIMES),
    required_marks=some(("mark:a", "mark:b")),
    spend=SPENDS,
    max_hops=st.integers(1, 4),
    depth=st.integers(0, DEPTH_MAX),
)


def shrink(parent: Authority, by: Authority) -> Authority:
    """The largest authority within both: a child that must narrow its parent, whatever `by` says."""
    spend, other = parent.spend, by.spend
    least = {n: min(getattr(spend, n), getattr(other, n)) for n in ("per_order_micro", "total_micro", "until")}
    return Authority(
        type=AUTHORITY_TYPE,
        actions=tuple(set(parent.actions) & set(by.actions)),
        locations=meet(parent.locations, by.locations),
        max_bandwidth_bps=min(parent.max_bandwidth_bps, by.max_bandwidth_bps),
        jurisdictions=meet(parent.jurisdictions, by.jurisdictions),
        data_class=parent.data_class or by.data_class,
        excluded_regimes=tuple({*parent.excluded_regimes, *by.excluded_regimes}),
        required_marks=tuple({*parent.required_marks, *by.required_marks}),
        spend=Spend(ccy=spend.ccy, **least),
        max_hops=min(parent.max_hops, by.max_hops),
        depth=min(parent.depth - 1, by.depth),
    )


def meet(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if one is None or other is None:
        return other if one is None else one
    return tuple(set(one) & set(other))


def more(parent: tuple[str, ...] | None, values: tuple[str, ...]) -> tuple[str, ...] | None:
    """A list that allows what the parent's does not; nothing is more than no limit."""
    return None if parent is None else (*parent, *(v for v in values if v not in parent), "XX")[: len(parent) + 1]


# Each makes a child wider than its parent on one axis, where that is possible.
WIDENINGS: dict[str, Callable[[Authority, Authority], Authority | None]] = {
    "depth": lambda c, p: structs.replace(c, depth=p.depth),
    "actions": lambda c, p: structs.replace(c, actions=new) if (new := tuple(set(Deed) - set(p.actions))) else None,
    "locations": lambda c, p: (
        structs.replace(c, locations=more(p.locations, OPERATORS)) if p.locations is not None else None
    ),
    "locations null": lambda c, p: structs.replace(c, locations=None) if p.locations is not None else None,
    "max_bandwidth_bps": lambda c, p: structs.replace(c, max_bandwidth_bps=p.max_bandwidth_bps + 1),
    "jurisdictions": lambda c, p: (
        structs.replace(c, jurisdictions=more(p.jurisdictions, COUNTRIES)) if p.jurisdictions is not None else None
    ),
    "jurisdictions null": lambda c, p: structs.replace(c, jurisdictions=None) if p.jurisdictions is not None else None,
    "data_class": lambda c, p: structs.replace(c, data_class="public") if p.data_class else None,
    "data_class null": lambda c, p: structs.replace(c, data_class=None) if p.data_class else None,
    "excluded_regimes": lambda c, p: (
        structs.replace(c, excluded_regimes=p.excluded_regimes[1:]) if p.excluded_regimes else None
    ),
    "required_marks": lambda c, p: (
        structs.replace(c, required_marks=p.required_marks[1:]) if p.required_marks else None
    ),
    "spend.ccy": lambda c, _: structs.replace(c, spend=structs.replace(c.spend, ccy="GBP")),
    "spend.per_order_micro": lambda c, p: dearer(c, p, "per_order_micro"),
    "spend.total_micro": lambda c, p: dearer(c, p, "total_micro"),
    "spend.until": lambda c, p: dearer(c, p, "until"),
    "max_hops": lambda c, p: structs.replace(c, max_hops=p.max_hops + 1),
}


def dearer(child: Authority, parent: Authority, name: str) -> Authority:
    return structs.replace(child, spend=structs.replace(child.spend, **{name: getattr(parent.spend, name) + 1}))


@given(AUTHORITIES)
def test_it_narrows_itself_except_in_depth(one: Authority) -> None:
    assert not narrows(one, one)
    assert list(widened(one, one)) == ["depth"]
    if one.depth:
        assert narrows(structs.replace(one, depth=one.depth - 1), one)


@given(AUTHORITIES, AUTHORITIES, AUTHORITIES)
def test_it_is_transitive(one: Authority, two: Authority, three: Authority) -> None:
    assume(one.depth >= 2)
    second = shrink(one, two)
    assume(second.depth >= 1)
    third = shrink(second, three)
    assert narrows(second, one)
    assert narrows(third, second)
    assert narrows(third, one)


@given(AUTHORITIES, AUTHORITIES, AUTHORITIES)
def test_it_is_transitive_on_whatever_comes(one: Authority, two: Authority, three: Authority) -> None:
    if narrows(two, one) and narrows(three, two):
        assert narrows(three, one)


@given(AUTHORITIES, AUTHORITIES)
def test_it_goes_one_way_only(one: Authority, two: Authority) -> None:
    assert not (narrows(one, two) and narrows(two, one))


@given(AUTHORITIES, AUTHORITIES, AUTHORITIES)
def test_it_is_antitone_in_the_parent(one: Authority, two: Authority, child: Authority) -> None:
    """Who was given less can pass on no more: whatever narrows the smaller parent narrows the larger one."""
    assume(one.depth >= 1)
    smaller = shrink(one, two)
    if narrows(child, smaller):
        assert narrows(child, one)
    if not narrows(child, one):
        assert not narrows(child, smaller)


@pytest.mark.parametrize("axis", WIDENINGS)
@given(parent=AUTHORITIES, by=AUTHORITIES)
def test_a_child_widened_on_one_axis_is_refused(axis: str, parent: Authority, by: Authority) -> None:
    assume(parent.depth >= 1)
    child = shrink(parent, by)
    assert narrows(child, parent)
    wider = WIDENINGS[axis](child, parent)
    assume(wider is not None)
    assert wider is not None
    assert list(widened(wider, parent)) == [axis.removesuffix(" null")]
    with pytest.raises(Problem, match=axis.removesuffix(" null")) as found:
        check_narrows(wider, parent)
    assert found.value.code == "POLICY_DENIED"


def test_every_axis_has_a_widening() -> None:
    spend = {f"spend.{name}" for name in Spend.__struct_fields__}
    axes = {*Authority.__struct_fields__} - {"type", "spend"} | spend
    assert {axis.removesuffix(" null") for axis in WIDENINGS} == axes


@given(AUTHORITIES)
def test_what_may_not_be_passed_on_is_not(parent: Authority) -> None:
    if parent.depth == 0:
        with pytest.raises(Problem, match="may not be passed on"):
            passed_on(parent)
    else:
        assert narrows(passed_on(parent), parent)


@given(st.integers(0, MICRO_MAX), st.integers(0, MICRO_MAX), st.sampled_from(("EUR", "CHF", "GBP")))
def test_a_ceiling_in_another_currency_is_never_worth_more(per_order: int, total: int, currency: str) -> None:
    spend = structs.replace(AUTHORITY.spend, per_order_micro=per_order, total_micro=total)
    try:
        slice_ = slice_for(structs.replace(AUTHORITY, spend=spend), OPERATOR, currency, RATES)
    except msgspec.ValidationError:
        return
    local = slice_.spend
    assert local.ccy == currency
    assert local.total_micro == local.per_order_micro
    assert RATES.convert(Money(currency, local.per_order_micro), "EUR").micro <= min(per_order, total)
    assert slice_.locations == (OPERATOR,)


def test_a_slice_is_only_for_an_operator_that_the_parent_allows() -> None:
    with pytest.raises(Problem, match="locations"):
        slice_for(structs.replace(AUTHORITY, locations=("https://kpn.example",)), OPERATOR, "EUR", RATES)


@pytest.mark.parametrize(
    "change",
    [
        {"max_latency_us": 5},
        {"type": "urn:peerway:rar:connectivity:v2"},
        {"max_bandwidth_bps": 1e9},
        {"max_bandwidth_bps": BANDWIDTH_BPS_MAX + 1},
        {"max_hops": "6"},
        {"max_hops": HOPS_MAX + 1},
        {"actions": ["quote", "resell"]},
        {"spend": {"ccy": "EUR", "per_order_micro": 1.5, "total_micro": 2, "until": 3}},
        {"spend": {"ccy": "EUR", "per_order_micro": 1, "total_micro": 2, "until": 3, "weekly": 4}},
        {"depth": -1},
        {"locations": ["not an entity"]},
    ],
    ids=str,
)
def test_what_is_not_known_here_is_not_read(change: dict[str, object]) -> None:
    text = msgspec.json.encode(msgspec.to_builtins(AUTHORITY) | change)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Authority)
