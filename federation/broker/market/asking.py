"""From what a buyer asks to one question for the path search (pure): places, window, money and policy resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Final

from federation.broker.discovery.capabilities import Ends, ends_of
from federation.broker.discovery.endpoints import Endpoint, operator_named
from federation.broker.discovery.known import Known
from federation.broker.discovery.places import at_site, in_city
from federation.broker.paths.query import End, Limit, Query, Weighing
from federation.policy.catalogue import Catalogue
from federation.policy.engine import LoadedPolicy
from federation.policy.limits import Refusals, mark_refusals, refusals, together
from federation.trust.belief import NOTHING, Attested, Belief
from schemas.intent import Intent, Weights
from schemas.jurisdiction import Attestation
from schemas.price import Money, RateTable, ceil_div
from schemas.problem import invalid
from schemas.segment import BANDWIDTH_BPS_MAX, WINDOW_S_MAX, Promise, Window, moment

START_AHEAD_S_MAX: Final = WINDOW_S_MAX
# From bit/s times seconds times mg/GB to kg (8 bits a byte, 10^9 bytes a GB, 10^6 mg a kg), in thousandths.
CARRIED_PER_KG: Final = 8 * 10**9 * 10**6 // 1000
FOREVER: Final = 2**53 - 1
Facts = Callable[[str], Attestation | None]
Doubt = Callable[[str, str, str, Promise], str | None]


Marks = Callable[[str], frozenset[str]]


def no_marks(entity: str) -> frozenset[str]:
    """Where no auditor gives marks beside facts."""
    return frozenset()


def nothing_contradicted(entity: str) -> bool:
    """Where nobody compares sites."""
    return True


def undoubted(operator: str, a: str, z: str, promise: Promise) -> str | None:
    """Where nobody holds promises against the speed of light."""
    return None


def no_belief(entities: Iterable[str]) -> Belief:
    """Where nobody keeps what facts rest on."""
    return NOTHING


@dataclass(frozen=True)
class Terms:
    """What every question of one broker shares: its rates, what auditors attest of an operator now, and its marks.

    `believed` gives the bytes that all of this rests on, `evidence` until when it holds and by which marks. `policies`
    apply to an intent of a buyer at a Unix second; `sites` says whether nothing that an entity says of its sites
    contradicts an auditor, `doubt` why a promise between two of its interfaces cannot be kept. `broker` is who asks.
    """

    rates: RateTable
    facts: Facts
    marks: Marks = no_marks
    believed: Callable[[Iterable[str]], Belief] = no_belief
    evidence: Callable[[str], Attested] | None = None
    policies: Callable[[Intent, str | None, int], tuple[LoadedPolicy, ...]] = Catalogue({}, {}).applying
    sites: Callable[[str], bool] = nothing_contradicted
    doubt: Doubt = undoubted
    broker: str = ""

    def attested(self, entity: str) -> Attested:
        """What is attested of an entity now, all at once; without `evidence` it holds forever."""
        if self.evidence is not None:
            return self.evidence(entity)
        facts = self.facts(entity)
        return Attested(facts, self.marks(entity), 0 if facts is None else FOREVER, ())

    def settled(self) -> Terms:
        """The same for one judgement: what is attested of an entity is asked once, so that it is of one moment."""
        return replace(self, evidence=cache(self.attested))


def query_of(
    intent: Intent, known: Known, terms: Terms, now: int, paths: int, *, refused: Refusals = MappingProxyType({})
) -> Query:
    """The query for `paths` candidates, without what policies have `refused`.

    Raises INVALID_ARGUMENT naming the field of the intent at fault.
    """
    check_size(intent)
    a, z = ends(intent, known)
    during = window_of(intent, now)
    classes = offered(known)
    allowed = intent.operators_allowed
    return Query(
        sources=a.ends,
        targets=z.ends,
        nearest_source=a.nearest,
        nearest_target=z.nearest,
        bandwidth_bps=intent.bandwidth_bps,
        window=during,
        term_s=during.duration_s,
        currency=currency_of(intent, terms.rates),
        rates=terms.rates,
        mtu=intent.mtu,
        limits=intent.limits,
        hops=intent.hops,
        budget_micro=None if intent.budget is None else ceiling(intent.budget, intent.currency, terms.rates),
        route_classes=None if intent.route_classes is None else frozenset(intent.route_classes),
        operators_allowed=None if allowed is None else operators(allowed, known, "operators_allowed"),
        operators_denied=operators(intent.operators_denied, known, "operators_denied"),
        operators_required=operators(intent.operators_required, known, "operators_required"),
        closed=closed(intent, known),
        refused=together(
            refusals(intent.sovereignty, facts_of(known, terms.facts), classes),
            mark_refusals(intent.marks_required, {entity: terms.marks(entity) for entity in known.sheets}, classes),
            refused,
        ),
        objective=intent.objective,
        weighing=weighing_of(intent.weights, intent.bandwidth_bps, during.duration_s),
        k=paths,
    )


def offered(known: Known) -> tuple[tuple[str, str], ...]:
    """Every route class of every operator that published."""
    return tuple((entity, name) for entity, sheet in known.sheets.items() for name in sheet.classes)


def check_size(intent: Intent) -> None:
    """A bandwidth that somebody could mean. Transports check it too; the desk must not rely on them."""
    if not 1 <= intent.bandwidth_bps <= BANDWIDTH_BPS_MAX:
        why = f"{intent.bandwidth_bps} bit/s is not sold; ask for 1 to {BANDWIDTH_BPS_MAX}, 10 Gb/s being 10000000000"
        raise invalid("bandwidth_bps", why)


def ends(intent: Intent, known: Known) -> tuple[Ends, Ends]:
    """The UNIs that `a` and `z` may mean; one that both may mean is `a`, unless `z` names it and `a` has others."""
    a, z = ends_of(intent.a, known, "a"), ends_of(intent.z, known, "z")
    if not a.named and set(a.ends) > set(z.ends):
        return a._replace(ends=tuple(end for end in a.ends if end not in z.ends)), z
    if set(z.ends) <= set(a.ends):
        raise invalid("z", f"'{intent.z}' is the same place as '{intent.a}'; a path leads from one place to another")
    return a, z._replace(ends=tuple(end for end in z.ends if end not in a.ends))


def window_of(intent: Intent, now: int) -> Window:
    """The window in whole seconds; without a start it begins `now`."""
    start = now if intent.start is None else whole(intent.start, "start")
    if intent.start is not None and start < now:
        raise invalid(
            "start",
            f"{intent.start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} is past; name a later start, or none to begin now",
        )
    if start - now > START_AHEAD_S_MAX:
        raise invalid("start", "a lease that starts more than five years from now is not sold")
    if intent.end is None:
        end, field = start + (intent.duration_s or 0), "duration_s"
    else:
        end, field = whole(intent.end, "end"), "end"
    if end <= start:
        raise invalid(field, f"the lease must end later than it starts, which is {moment(start):%Y-%m-%dT%H:%M:%SZ}")
    if end - start > WINDOW_S_MAX:
        raise invalid(field, "a lease of more than five years is not sold")
    return Window(moment(start), moment(end))


def whole(at: datetime, field: str) -> int:
    """A Unix second."""
    if at.tzinfo is None or at.microsecond:
        raise invalid(field, "must be whole seconds with a time zone, for example 2026-11-21T08:00:00Z")
    return int(at.timestamp())


def currency_of(intent: Intent, rates: RateTable) -> str:
    """The currency to compare in."""
    if intent.currency not in rates.worth_ppm:
        known = ", ".join(sorted(rates.worth_ppm))
        raise invalid("currency", f"this broker has no rate for {intent.currency}; rates exist for {known}")
    return intent.currency


def ceiling(budget: Money, currency: str, rates: RateTable, field: str = "budget") -> int:
    """A budget in `currency`, rounded down: against the spender."""
    if budget.currency == currency:
        return budget.micro
    if budget.currency not in rates.worth_ppm:
        known = ", ".join(sorted(rates.worth_ppm))
        raise invalid(f"{field}.currency", f"no rate for {budget.currency}; rates exist for {known}")
    return budget.micro * rates.worth_ppm[budget.currency] // rates.worth_ppm[currency]


def weighing_of(weights: Weights | None, bandwidth_bps: int, duration_s: int) -> Weighing:
    """What a microsecond and a mg/GB are worth over the whole lease, in billionths; carbon rounded up."""
    if weights is None:
        return Weighing(0, 0)
    carried = bandwidth_bps * duration_s * weights.carbon_micro_per_kg
    return Weighing(weights.latency_micro_per_ms, ceil_div(carried, CARRIED_PER_KG))


def operators(names: tuple[str, ...], known: Known, field: str) -> frozenset[str]:
    """Entity ids of operators by any name they go by."""
    return frozenset(operator_named(name, known.roster, field) for name in names)


def closed(intent: Intent, known: Known) -> dict[End, frozenset[tuple[str, str]]]:
    """Per interface that the intent avoids: by which of its members, and as which name there."""
    found: dict[End, set[tuple[str, str]]] = {}
    for rule, avoided in ((Limit.SITES, intent.sites_denied), (Limit.CITIES, intent.cities_denied)):
        for name in avoided:
            for end in meant(name, known, rule):
                found.setdefault(end, set()).add((str(rule), name))
    return {end: frozenset(names) for end, names in found.items()}


def meant(name: str, known: Known, rule: Limit) -> tuple[Endpoint, ...]:
    """The interfaces that a name means to avoid."""
    return at_site(name, known, rule) if rule is Limit.SITES else in_city(name, known, rule)


def facts_of(known: Known, facts: Facts) -> Mapping[str, Attestation | None]:
    """What is attested of every operator that published."""
    return {entity: facts(entity) for entity in known.sheets}
