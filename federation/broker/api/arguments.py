"""What an agent may say: the arguments of the MCP tools, units in every name; a problem names the argument at fault."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from federation.broker.api.backups import BackupArgs
from schemas.boundary import Boundary
from schemas.decision import DataClass, PolicyName
from schemas.intent import REQUIRED_MAX, AnswerWithin, IdleRelease, Intent, MarkType, Objective, Place, Weights, Worth
from schemas.jurisdiction import Sovereignty
from schemas.price import Currency, Micro, Money
from schemas.problem import invalid
from schemas.quote import ConfirmWithin
from schemas.request import Extension, Objectives, Resize, Way, check_front
from schemas.segment import BANDWIDTH_BPS_MAX, WINDOW_S_MAX, Id, Limits, Micros, Mtu, Ppb, Time

MBPS: Final = 10**6
Countries = tuple[str, ...] | None
PlaceArg = Annotated[Place, Meta(description="PLACE or PLACE@OPERATOR: Utrecht@SURF; any gpu in DE,FR; nearest edge")]


# What an intent calls its members, and an agent's arguments the same: a problem names the argument.
ARGUMENT_OF: Final = {
    "a": "from_place",
    "z": "to_place",
    "bandwidth_bps": "bandwidth_mbps",
    "mtu": "mtu_bytes",
    "hops": "max_segments",
    "budget": "budget_micro",
    "limits.latency_us": "max_latency_us",
    "limits.jitter_us": "max_jitter_us",
    "limits.loss_ppb": "max_loss_ppb",
    "limits.availability_ppb": "min_availability_ppb",
    "limits.carbon_mg_gb": "max_carbon_mg_per_gb",
    "sovereignty.countries": "countries_crossed",
    "sovereignty.domicile": "operator_domiciles",
    "sovereignty.parents": "operator_parents",
    "operators_allowed": "only_operators",
    "operators_denied": "without_operators",
    "operators_required": "via_operators",
    "cities_denied": "avoid_cities",
    "sites_denied": "avoid_sites",
    "marks_required": "operator_marks",
    "objective": "best",
}


class IntentArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the buyer wants. Give `duration_s` or `end`, not both. Lists of countries may name EU and EEA."""

    from_place: PlaceArg
    to_place: PlaceArg
    bandwidth_mbps: Annotated[int, Meta(ge=1, le=BANDWIDTH_BPS_MAX // MBPS, description="10 Gb/s is 10000")]
    start: Annotated[Time | None, Meta(description="RFC 3339 with zone; null means now")] = None
    duration_s: Annotated[int, Meta(ge=1, le=WINDOW_S_MAX)] | None = None
    end: Annotated[Time | None, Meta(description="RFC 3339 with zone")] = None
    max_latency_us: Annotated[Micros | None, Meta(description="one way, microseconds: 12 ms is 12000")] = None
    max_jitter_us: Micros | None = None
    max_loss_ppb: Annotated[Ppb | None, Meta(description="parts per billion")] = None
    max_carbon_mg_per_gb: Annotated[Micros | None, Meta(description="mg CO2e per GB carried")] = None
    min_availability_ppb: Annotated[Ppb | None, Meta(description="99.95 % is 999500000")] = None
    max_segments: Annotated[int, Meta(ge=1, le=16)] | None = None
    mtu_bytes: Mtu = 1500
    budget_micro: Annotated[Micro | None, Meta(description="millionths of one unit of currency")] = None
    currency: Currency = "EUR"
    countries_crossed: Annotated[Countries, Meta(description="only these may be crossed, attested")] = None
    operator_domiciles: Annotated[Countries, Meta(description="operators legally domiciled only here, attested")] = None
    operator_parents: Annotated[Countries, Meta(description="operators controlled only from here, attested")] = None
    route_classes: tuple[Id, ...] | None = None
    only_operators: tuple[str, ...] | None = None
    without_operators: tuple[str, ...] = ()
    via_operators: Annotated[tuple[str, ...], Meta(max_length=REQUIRED_MAX, description="all of them on the path")] = ()
    avoid_cities: Annotated[tuple[Place, ...], Meta(description="operators are not crossed there")] = ()
    avoid_sites: Annotated[tuple[Place, ...], Meta(description="site names or interface ids not to be used")] = ()
    operator_marks: Annotated[tuple[MarkType, ...], Meta(description="trust marks every operator must have")] = ()
    policy: Annotated[PolicyName | None, Meta(description="must permit all who carry, arrange or manage: eu-only")] = (
        None
    )
    data_class: Annotated[DataClass | None, Meta(description="of the data; brings its policies: EU-health")] = None
    boundary: Annotated[Boundary | None, Meta(description="who may talk to whom over the lease")] = None
    best: Annotated[Objective, Meta(description="what the best path is the least of")] = Objective.PRICE
    idle_release_s: Annotated[IdleRelease | None, Meta(description="release it unless heartbeat comes as often")] = None
    answer_within_s: Annotated[AnswerWithin | None, Meta(description="people at operators may take so long")] = None
    up_within_s: Annotated[ConfirmWithin | None, Meta(description="operators may take so long to bring it up")] = None
    latency_worth_micro_per_ms: Annotated[Worth, Meta(description="for best = weighted: worth of 1 ms one way")] = 0
    carbon_worth_micro_per_kg: Annotated[Worth, Meta(description="for best = weighted: worth of 1 kg CO2e")] = 0

    def intent(self) -> Intent:
        """The same as the broker's intent. Raises `ValueError` where members contradict each other."""
        return Intent(
            a=self.from_place,
            z=self.to_place,
            bandwidth_bps=self.bandwidth_mbps * MBPS,
            mtu=self.mtu_bytes,
            start=self.start,
            duration_s=self.duration_s,
            end=self.end,
            limits=self._limits(),
            hops=self.max_segments,
            budget=None if self.budget_micro is None else Money(self.currency, self.budget_micro),
            currency=self.currency,
            sovereignty=Sovereignty(
                countries=self.countries_crossed, domicile=self.operator_domiciles, parents=self.operator_parents
            ),
            route_classes=self.route_classes,
            operators_allowed=self.only_operators,
            operators_denied=self.without_operators,
            operators_required=self.via_operators,
            sites_denied=self.avoid_sites,
            cities_denied=self.avoid_cities,
            marks_required=self.operator_marks,
            policy=self.policy,
            data_class=self.data_class,
            boundary=self.boundary,
            objective=self.best,
            weights=self._weights(),
            idle_release_s=self.idle_release_s,
            answer_within_s=self.answer_within_s,
            up_within_s=self.up_within_s,
        )

    def _limits(self) -> Limits:
        return Limits(
            self.max_latency_us,
            self.max_jitter_us,
            self.max_loss_ppb,
            self.min_availability_ppb,
            self.max_carbon_mg_per_gb,
        )

    def _weights(self) -> Weights | None:
        latency, carbon = self.latency_worth_micro_per_ms, self.carbon_worth_micro_per_kg
        if not latency and not carbon:
            return None
        return Weights(latency_micro_per_ms=latency, carbon_micro_per_kg=carbon)


class SearchArgs(IntentArgs, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An intent, how many candidates to answer with, and whether to tell what else there is to choose from."""

    max_paths: Annotated[int, Meta(ge=1, le=5)] = 3
    front: Annotated[
        Objectives | None,
        Meta(description="e.g. price and latency: also paths that none beats on all of these; one path in detail then"),
    ] = None
    backup: Annotated[
        BackupArgs | None,
        Meta(description="also the best pair of paths with nothing of a kind in common; one path in detail then"),
    ] = None

    def __post_init__(self) -> None:
        if self.front is not None:
            check_front(self.front)


class QuoteArgs(IntentArgs, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An intent, grants for ends that belong to others, and a key that makes a repetition harmless."""

    grants: Annotated[
        tuple[str, ...],
        Meta(
            max_length=2, description="endpoint grants (compact JWS) of whoever owns the UNIs at the ends, if not you"
        ),
    ] = ()
    idempotency_key: Annotated[
        Annotated[str, Meta(min_length=8, max_length=100)] | None,
        Meta(description="repeat it to get the same quote when an answer was lost"),
    ] = None


class MandateArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing has to be said."""


class OrderArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which quote."""

    quote_id: Id


class QuoteWaitArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which quote, and how long to wait while operators take their time."""

    quote_id: Id
    wait_s: Annotated[int, Meta(ge=0, le=20)] = 0


class WaitArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which order, and how long to wait while it is on its way to another state."""

    order_id: Id
    wait_s: Annotated[int, Meta(ge=0, le=5)] = 0


class ReleaseArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which order."""

    order_id: Id


class HeartbeatArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which order."""

    order_id: Id


class ExtendArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which order, and its new end: naming it instead of how much longer makes a repetition harmless."""

    order_id: Id
    end: Annotated[Time, Meta(description="the new end, RFC 3339 with zone, whole seconds")]

    def extension(self) -> Extension:
        """As the broker is asked for it. Raises `INVALID_ARGUMENT`."""
        try:
            return Extension(end=self.end)
        except ValueError as error:
            raise invalid("end", str(error)) from error


class ListArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many, and where to go on."""

    limit: Annotated[int, Meta(ge=1, le=8)] = 5
    after: Annotated[Id | None, Meta(description="order_id of the last one of the page before")] = None


class ResizeArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which order, its new bandwidth, and perhaps the only way that will do and the most that it may cost."""

    order_id: Id
    bandwidth_mbps: Annotated[int, Meta(ge=1, le=BANDWIDTH_BPS_MAX // MBPS, description="10 Gb/s is 10000")]
    way: Way | None = None
    budget_micro: Annotated[
        Micro | None,
        Meta(description="millionths of one unit of currency, from now to the end, with leaving the old path"),
    ] = None
    currency: Currency = "EUR"

    def resize(self) -> Resize:
        """As the broker is asked for it."""
        budget = None if self.budget_micro is None else Money(self.currency, self.budget_micro)
        return Resize(bandwidth_bps=self.bandwidth_mbps * MBPS, way=self.way, budget=budget)
