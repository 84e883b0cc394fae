"""What a broker answers: views of paths, quotes, orders and of the federation, the same over HTTP, MCP and the CLI."""

from __future__ import annotations

from msgspec import Struct

from schemas.authority import Authority
from schemas.backup import Apart
from schemas.decision import Part
from schemas.evidence import Profile
from schemas.intent import Objective
from schemas.lease import State
from schemas.order import Bill
from schemas.price import Money
from schemas.problem import Outcome
from schemas.quote import Action
from schemas.request import Way
from schemas.segment import Hash, Promise, Time, Window
from schemas.statement import BillingStatement


class EndView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One end of a segment: the interface, where it is, and the label held there, once there is one."""

    interface: str
    city: str
    country: str
    label: int | None = None


class SegmentView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One segment of a path; `price` in the operator's currency, `total` as the buyer pays it."""

    operator: str
    operator_name: str
    route_class: str
    a: EndView
    z: EndView
    promise: Promise
    price: Money
    total: Money


class PathView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An end-to-end path. `countries` are those its trust marks say may be crossed; null where one is unattested."""

    segments: tuple[SegmentView, ...]
    promise: Promise
    total: Money
    countries: tuple[str, ...] | None = None
    why: str = ""


class Exclusion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operator's route class (or a whole operator) that a rule of the intent kept out, and why."""

    operator: str
    operator_name: str
    rule: str
    detail: str
    route_class: str | None = None


class Binding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A limit that binds: what was asked, and the floor, the best that any path can do on it alone."""

    limit: str
    asked: str
    floor: str | None


class Relaxation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The least change that makes the intent feasible, verified by searching again, and what the path then costs."""

    limits: tuple[str, ...]
    change: str
    total: Money
    promise: Promise


class FrontView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Paths that no other path beats: none is at least as good on all `objectives` and better on one.

    One path for each combination of values, those with least of the first objective first. With `complete` these are
    all. Otherwise the work allowed for one search ran out, or there are more than one answer has room for: a path
    that is missing has at least `least` of the first objective (micro-units of the buyer's currency, or
    microseconds), and `why` says it in words. The best path on each objective is listed all the same.
    """

    objectives: tuple[Objective, ...]
    paths: tuple[PathView, ...]
    complete: bool
    least: int | None = None
    why: str = ""


class BackupView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The two paths of least sum that are `apart`, or why there are none.

    `proven` says that no pair has less of the objective in sum, or that there is none. Where the work allowed for one
    search ran out, none has less than `least` (micro-units of the buyer's currency, microseconds or mg/GB). `shared`
    is what every primary and every backup use; `relaxation` the pair there would be without the backup's own limits.
    """

    apart: Apart
    found: bool
    proven: bool
    primary: PathView | None = None
    backup: PathView | None = None
    total: Money | None = None
    least: int | None = None
    why: str = ""
    shared: tuple[str, ...] = ()
    relaxation: Relaxation | None = None


class LimitCost(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What limits of the intent cost: without them a path over `operators` would be cheaper by `saved`.

    One limit, or all of them where no one alone makes the difference; `words` say it in a sentence.
    """

    limits: tuple[str, ...]
    saved: Money
    promise: Promise
    operators: tuple[str, ...]
    words: str


class SearchAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Candidate paths, best first, or why there is none.

    `floor_us` is the least one-way latency physics allows between the places. `proven` says that the best path is
    the optimum over everything published at `epoch`. `front` and `backup`
    are there where they were asked for and a path exists. `took_us` is the time of the search alone.
    """

    found: bool
    window: Window
    paths: tuple[PathView, ...] = ()
    front: FrontView | None = None
    backup: BackupView | None = None
    proven: bool = False
    floor_us: int = 0
    excluded: tuple[Exclusion, ...] = ()
    binding: tuple[Binding, ...] = ()
    relaxations: tuple[Relaxation, ...] = ()
    costs: tuple[LimitCost, ...] = ()
    epoch: int = 0
    took_us: int = 0


class JudgedView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who was judged, as auditors attest it: what a segment may cross, and the types of the marks. Null is unknown.

    `carry` is a segment over a route class, `arrange` the broker, `manage` whoever runs the network or systems of
    `entity`.
    """

    part: Part
    entity: str
    route_class: str | None = None
    countries: tuple[str, ...] | None = None
    sea: bool | None = None
    marks: tuple[str, ...] = ()


class DecisionView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided before a quote was sold: every policy permits everybody. `document` is the `decision+jwt`.

    `countries` and `sea` are what the whole path may cross; null where an auditor leaves it open.
    """

    policies: tuple[str, ...]
    judged: tuple[JudgedView, ...]
    document: str
    data_class: str | None = None
    countries: tuple[str, ...] | None = None
    sea: bool | None = None


class QuoteView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A firm end-to-end quote: `document` is the signed `path-quote+jwt`, `rounds` how often operators were asked.

    `decision` is what the broker decided about the path.
    """

    id: str
    state: State
    action: Action
    expires_at: Time
    window: Window
    path: PathView
    total: Money
    exit_total: Money
    document: str
    rounds: int = 1
    order: str | None = None
    decision: DecisionView | None = None


class AskedOperator(Struct, frozen=True, kw_only=True):
    """An operator that was asked and has not answered yet."""

    operator: str
    operator_name: str


class QuotePending(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A quote that is not there yet: ASKED while operators take their time, until `answer_by` at the latest.

    Ask for it again under `/quotes/{id}`. DECLINED: its buyer let it go before it was answered.
    """

    id: str
    state: State
    asked_at: Time
    answer_by: Time
    outcome: Outcome
    waiting_for: tuple[AskedOperator, ...] = ()


class Change(Struct, frozen=True, kw_only=True):
    """One entry of an order's history."""

    state: State
    at: Time
    why: str = ""


class LeaseView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One operator's part of an order: its product id, state, labels in force, and its bill at the end."""

    operator: str
    operator_name: str
    product: str | None
    state: State
    a: EndView
    z: EndView
    receipt_h: str | None = None
    bill: Bill | None = None


class OrderView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order and the lease it became. `bill` is set once everything is released or failed.

    Where its intent said `idle_release_s`, it is released at `idle_release_at` unless a heartbeat comes before.
    `replaces` is the order in whose place it comes, `replaced_by` the one that comes, or came, in its own.
    """

    id: str
    state: State
    quote: str
    window: Window
    bandwidth_bps: int
    total: Money
    segments: tuple[LeaseView, ...]
    history: tuple[Change, ...]
    outcome: str | None = None
    why: str | None = None
    bill: Bill | None = None
    idle_release_s: int | None = None
    idle_release_at: Time | None = None
    replaces: str | None = None
    replaced_by: str | None = None


class ResizeView(Struct, frozen=True, kw_only=True):
    """How a lease gets another bandwidth, and the order to use from now on: the same one, changed in place, or another
    one over a new path that takes its place once it is ACTIVE.
    """

    way: Way
    order: OrderView


class MeasurementView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A latency that was measured of a lease, beside the one promised and what light needs between the ends.

    `contradicts` says in words what cannot be true then. Where it is empty nothing is shown: a latency that fits proves
    no place and no promise. `floor_us` is null where an end has no place any more.
    """

    id: str
    order: str
    at: Time
    latency_us: int
    promised_us: int
    floor_us: int | None = None
    contradicts: tuple[str, ...] = ()


class RevocationView(Struct, frozen=True, kw_only=True):
    """A mandate that its buyer took back: its hash, and since when it counts no more at this broker."""

    mandate: str
    revoked_at: Time


class EvidenceView(Struct, frozen=True, kw_only=True):
    """The evidence of an order for one profile: `bundle` is the file, to the byte, that `peerway verify` reads."""

    order: str
    profile: Profile
    bundle: str


class StatementView(Struct, frozen=True, kw_only=True):
    """What an order came to: `document` is the signed `billing-statement+jwt`, `statement` what it says."""

    order: str
    document: str
    statement: BillingStatement


class AuditedOperator(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One operator that was asked what it keeps for this broker: leases and holds of the asker, or `why` it was not
    reached.
    """

    operator: str
    operator_name: str
    reached: bool
    leases: int
    holds: int
    why: str = ""


class AuditFinding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something held or active that no live order owns (`lease`, `hold`), or a lease that its order believes in and
    its operator does not have (`missing`): what, since when, whose order where that is known, and why it is wrong.
    """

    kind: str
    operator: str
    operator_name: str
    what: str
    since: Time
    why: str
    state: State | None = None
    order: str | None = None


class AuditView(Struct, frozen=True, kw_only=True):
    """What operators keep, against what live orders own; `clean`: every operator was asked, and nothing is wrong."""

    at: Time
    clean: bool
    operators: tuple[AuditedOperator, ...]
    findings: tuple[AuditFinding, ...]


class PolicyView(Struct, frozen=True, kw_only=True):
    """A policy that an intent may name: its Cedar text and the base64url SHA-256 of that; `own` are the asker's."""

    name: str
    policy_h: str
    text: str
    own: bool


class AllowanceView(Struct, frozen=True, kw_only=True):
    """What whoever asks may do at this broker: `mandate` is the hash of its mandate, or of limits that the broker's
    configuration sets, `left` what may still be ordered in all. Of that an order takes, until it is over, what it may
    come to at most, with leaving early."""

    mandate: Hash
    agent: str
    authority: Authority
    left: Money


class PoliciesView(Struct, frozen=True, kw_only=True):
    """What a buyer may name: policies, and data classes with the policies that each brings."""

    policies: tuple[PolicyView, ...]
    data_classes: dict[str, tuple[str, ...]]


class OperatorView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One operator as the broker knows it; `why` says what is wrong while it is not connected."""

    entity: str
    name: str
    connected: bool
    disclosure: str
    version: int
    interfaces: int
    offers: int
    interconnects: int
    attested: bool
    component: int
    why: str = ""


class CapabilityView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What UNIs lead to, as operators say (`gpu`, `on-ramp:NAME`): how many of them, in which countries."""

    name: str
    unis: int
    countries: tuple[str, ...]


class FederationView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The federation as the broker knows it now. `discovery_ms` runs from start until every reachable sheet was in."""

    operators: tuple[OperatorView, ...]
    interfaces: int
    interconnects: int
    one_sided: int
    offers: int
    components: tuple[tuple[str, ...], ...]
    memory_kib: int
    discovery_ms: int
    epoch: int
    capabilities: tuple[CapabilityView, ...] = ()
