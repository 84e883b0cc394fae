"""An intent: what a buyer asks for. Endpoints, bandwidth, time, hard limits, sovereignty, budget."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.boundary import Boundary
from schemas.decision import DataClass, PolicyName
from schemas.jurisdiction import Sovereignty
from schemas.price import Currency, Money
from schemas.quote import ConfirmWithin
from schemas.segment import WINDOW_S_MAX, Bps, Id, Limits, Mtu, Time

PLACE_PATTERN = r"^[^@\s][^@\x00-\x1f]{0,99}(@[^@\s][^@\x00-\x1f]{0,199})?\Z"
MarkType = Annotated[str, Meta(min_length=1, max_length=200)]
REQUIRED_MAX: Final = 8
ANSWER_WITHIN_S_MAX: Final = 7 * 86_400
AnswerWithin = Annotated[int, Meta(ge=1, le=ANSWER_WITHIN_S_MAX)]
WORTH_MICRO_MAX: Final = 10**12
IDLE_RELEASE_S_MIN: Final = 30
IDLE_RELEASE_S_MAX: Final = 86_400
IdleRelease = Annotated[int, Meta(ge=IDLE_RELEASE_S_MIN, le=IDLE_RELEASE_S_MAX)]
Worth = Annotated[int, Meta(ge=0, le=WORTH_MICRO_MAX)]
Place = Annotated[str, Meta(pattern=PLACE_PATTERN)]


class Objective(StrEnum):
    """What the best path is the least of."""

    PRICE = "price"
    LATENCY = "latency"
    CARBON = "carbon"
    WEIGHTED = "weighted"


class Weights(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What latency and carbon are worth to the buyer, in micro-units of the intent's currency, besides the price.

    `latency_micro_per_ms` is per millisecond one way, for the whole lease. `carbon_micro_per_kg` is per kg CO2e that
    the path emits if its bandwidth is used all the time.
    """

    latency_micro_per_ms: Worth = 0
    carbon_micro_per_kg: Worth = 0

    def __post_init__(self) -> None:
        if not self.latency_micro_per_ms and not self.carbon_micro_per_kg:
            raise ValueError("weights say what latency or carbon is worth: one of them must be above 0")


class Intent(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What the buyer asks for.

    `a` and `z` are `PLACE` or `PLACE@OPERATOR`: a city, a site name or an interface id, on an operator named by its
    name, host or entity id; or `any CAPABILITY in CC,CC@OPERATOR`, of which the best by objective is taken, or `nearest
    CAPABILITY`, the one reached with the least latency under all limits. `start` null means now. The end is given by
    `duration_s` or by `end`, never both. `route_classes` null allows every class. A path enters every one of
    `operators_required`. It uses no interface of `sites_denied` (a site's name or an interface id), not even as an end;
    it crosses between operators nowhere in `cities_denied`, but may begin and end there. `marks_required` are types of
    trust marks that every operator on it must have been given by an auditor recognised for them. `policy` names
    what must permit every segment, the broker and who manages them; a `data_class` brings the policies of its own.
    `boundary` is what the lease may carry. `hops` counts segments. With the objective `weighted` the best path is
    the one whose price together with what its latency and carbon are worth, by `weights`, is least. A lease whose
    holder sends no heartbeat for `idle_release_s` seconds is released; null means that it needs none. Operators may
    take `answer_within_s` to answer with a quote, because a person decides there; null means seconds. They may take
    `up_within_s` after the order, or the start, to bring their segments up; null means the usual minute.
    """

    a: Place
    z: Place
    bandwidth_bps: Bps
    mtu: Mtu = 1500
    start: Time | None = None
    duration_s: Annotated[int, Meta(ge=1, le=WINDOW_S_MAX)] | None = None
    end: Time | None = None
    limits: Limits = Limits()
    hops: Annotated[int, Meta(ge=1, le=16)] | None = None
    budget: Money | None = None
    currency: Currency = "EUR"
    sovereignty: Sovereignty = Sovereignty()
    route_classes: tuple[Id, ...] | None = None
    operators_allowed: tuple[str, ...] | None = None
    operators_denied: tuple[str, ...] = ()
    operators_required: Annotated[tuple[str, ...], Meta(max_length=REQUIRED_MAX)] = ()
    sites_denied: tuple[Place, ...] = ()
    cities_denied: tuple[Place, ...] = ()
    policy: PolicyName | None = None
    data_class: DataClass | None = None
    boundary: Boundary | None = None
    marks_required: tuple[MarkType, ...] = ()
    objective: Objective = Objective.PRICE
    weights: Weights | None = None
    idle_release_s: IdleRelease | None = None
    answer_within_s: AnswerWithin | None = None
    up_within_s: ConfirmWithin | None = None

    def __post_init__(self) -> None:
        if (self.duration_s is None) == (self.end is None):
            raise ValueError("give either duration_s or end, and only one of them")
        if self.start and self.end and self.end <= self.start:
            raise ValueError("end must be later than start")
        if self.a == self.z:
            raise ValueError("a and z must be two different places")
        if (self.weights is None) == (self.objective is Objective.WEIGHTED):
            raise ValueError("weights belong to the objective 'weighted', and it needs them")
