"""What is asked, held against the authority it is asked under (pure).

An intent that names more than the mandate allows is refused; where it names nothing, the mandate's own limits hold.
Facts about operators are judged on the path, before anybody is asked and again on what was quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import structs

from federation.tokens.reach import Stretch, beyond, check_path
from schemas.authority import HOPS_MAX, Authority
from schemas.intent import Intent
from schemas.jurisdiction import Attestation, expand
from schemas.price import MICRO_MAX, Money, RateTable
from schemas.problem import Outcome, Problem

Facts = Callable[[str], Attestation | None]
Marks = Callable[[str], frozenset[str]]


def check_intent(authority: Authority, intent: Intent, rates: RateTable) -> None:
    """An intent that asks for no more than the authority gives. Raises `POLICY_DENIED` naming the axis."""
    if intent.bandwidth_bps > authority.max_bandwidth_bps:
        raise denied("max_bandwidth_bps", f"the mandate allows {authority.max_bandwidth_bps:,} bit/s")
    if intent.hops is not None and intent.hops > authority.max_hops:
        raise denied("max_hops", f"the mandate allows {authority.max_hops} segments; ask for no more, or leave it out")
    if authority.data_class is not None and intent.data_class != authority.data_class:
        why = f"the mandate is for data of class {authority.data_class} alone; name it in the intent (data_class)"
        raise denied("data_class", why)
    if authority.jurisdictions is not None and intent.sovereignty.countries is not None:
        more = expand(intent.sovereignty.countries, "sovereignty.countries") - set(authority.jurisdictions)
        if more:
            why = f"{', '.join(sorted(more))} is not among the countries of the mandate; leave it out"
            raise denied("jurisdictions", why)
    _check_budget(authority, intent.budget, rates)


def _check_budget(authority: Authority, budget: Money | None, rates: RateTable) -> None:
    most = None if budget is None else _most(authority, budget.currency, rates)
    if budget is not None and most is not None and budget.micro > most:
        why = f"the budget is above the {Money(budget.currency, most)} that the mandate allows for one order"
        raise denied("spend", why)


def confined(authority: Authority, intent: Intent, operators: Iterable[str], facts: Facts, marks: Marks) -> Intent:
    """The intent with the limits of its authority: what is searched then lies within it, as far as offers tell.

    `operators` are all that publish. Operators that the authority does not reach are left out by name.
    """
    changes: dict[str, object] = {}
    if authority.jurisdictions is not None and intent.sovereignty.countries is None:
        changes["sovereignty"] = structs.replace(intent.sovereignty, countries=authority.jurisdictions)
    if missing := tuple(mark for mark in authority.required_marks if mark not in intent.marks_required):
        changes["marks_required"] = (*intent.marks_required, *missing)
    if authority.max_hops < HOPS_MAX and intent.hops is None:
        changes["hops"] = authority.max_hops
    spend = authority.spend
    if intent.budget is None and spend.per_order_micro < MICRO_MAX:
        changes["budget"] = Money(spend.ccy, min(spend.per_order_micro, spend.total_micro))
    if out := tuple(sorted(name for name in operators if not _reaches(authority, name, facts, marks))):
        changes["operators_denied"] = (*intent.operators_denied, *out)
    return structs.replace(intent, **changes) if changes else intent


def _reaches(authority: Authority, operator: str, facts: Facts, marks: Marks) -> bool:
    """Whether an operator may carry anything at all; what depends on its route class is judged with the path."""
    everywhere = structs.replace(authority, jurisdictions=None)
    return next(beyond(everywhere, Stretch(operator, "", facts(operator), marks(operator))), None) is None


def check_segments(
    authority: Authority,
    bandwidth_bps: int,
    segments: Sequence[tuple[str, str]],
    facts: Facts,
    marks: Marks,
    *,
    data_class: str | None,
) -> None:
    """A path of (operator, route class), for data of a class, lies within the authority.

    Raises `POLICY_DENIED` naming the axis.
    """
    path = [Stretch(operator, name, facts(operator), marks(operator)) for operator, name in segments]
    try:
        check_path(authority, bandwidth_bps, path, frozenset(() if data_class is None else (data_class,)))
    except Problem as problem:
        raise problem.with_outcome(Outcome.NONE) from problem


def check_price(authority: Authority, most: Money, rates: RateTable) -> None:
    """What an order may come to is within what one order may cost. Raises `POLICY_DENIED`."""
    spend = authority.spend
    if spend.per_order_micro >= MICRO_MAX:
        return
    micro = rates.convert(most, spend.ccy).micro
    allowed = min(spend.per_order_micro, spend.total_micro)
    if micro > allowed:
        came, most = Money(spend.ccy, micro), Money(spend.ccy, allowed)
        why = f"this may come to {came}, with the exit cost, and the mandate allows {most} for one order"
        raise denied("spend", why)


def _most(authority: Authority, currency: str, rates: RateTable) -> int | None:
    spend = authority.spend
    if spend.per_order_micro >= MICRO_MAX or currency not in rates.worth_ppm:
        return None
    return rates.ceiling(Money(spend.ccy, min(spend.per_order_micro, spend.total_micro)), currency).micro


def denied(axis: str, why: str) -> Problem:
    """A refusal that names the axis of the mandate."""
    return Problem("POLICY_DENIED", why, field=f"mandate.{axis}", outcome=Outcome.NONE)
