"""The operator's configuration: one TOML file, read once at start, frozen, and every default visible here.

Paths in it are relative to the file. `SAMPLE` is what `peerway-operator sample` prints; a test loads it.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct, structs

from federation.node.config import below, check_public, load_toml, nearby, nearby_tls
from federation.node.limits import Rate
from federation.node.settings import Evidence, KeyHash, Keys, Port, Public, Trust
from operators.pricing.card import ClassCard
from schemas.order import CONFIRM_WITHIN_S, RECEIPT_LIFE_S
from schemas.price import PPM, Currency, check_bands
from schemas.problem import invalid
from schemas.quote import CONFIRM_WITHIN_S_MAX
from schemas.segment import EntityId, Id

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Count = Annotated[int, Meta(ge=1, le=10**9)]
BuyerName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[a-z0-9][a-z0-9.\-]*\Z")]


UP_BEFORE_S: Final = 20  # what is left for a confirm once a segment is up
PORTS: Final = ("http_port", "grpc_port", "public_port", "health_port")
ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - where a listener may be, and nobody can dial


class Show(StrEnum):
    """How much of the inside is published; `auto` is a mesh while that is small enough."""

    AUTO = "auto"
    MESH = "mesh"
    ABSTRACT = "abstract"


class Listen(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where brokers reach the operator: Sonata and documents by HTTP, the mesh by gRPC. Port 0: the system chooses.

    `hosts` are the names and addresses that others dial: the first stands in the endpoints of its metadata, all of them
    in its TLS leaf. If left out, `host`, or in a trust domain in a folder what the metadata there say. At `public_port`
    anybody may read who this operator is; `[public]` says how it speaks. At `health_port` whatever watches over the
    process learns that it serves, in plain HTTP without a certificate, and nothing else.
    """

    host: str = "127.0.0.1"
    http_port: Port = 8100
    grpc_port: Port = 8101
    public_port: Port | None = None
    health_port: Port | None = None
    hosts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What others dial, as far as this says."""
        return self.hosts or (() if self.host in ANYWHERE else (self.host,))


class BrokerAccess(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A broker that is served; with none configured, every member that is a broker is."""

    entity: EntityId


class BuyerAccess(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A plain Sonata buyer, who is no member and shows no certificate: known by the SHA-256 of its bearer key.

    In the operator's records it is `{entity id of the operator}/buyers/{name}`, which no member is called.
    """

    name: BuyerName
    key_sha256: KeyHash


class OwnerAccess(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An owner of UNIs of this operator, and the file of its public keys, which verify its endpoint grants."""

    entity: EntityId
    jwks: str


class OwnPolicy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file of this operator's own Cedar policy (action `sell`): whom it sells to, which data, to which ends."""

    file: str


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often each caller may call, by HTTP and gRPC together: in the long run, and at once."""

    calls_per_second: Count = 500
    calls_at_once: Count = 1_000

    @property
    def rate(self) -> Rate:
        """As `federation.node.limits` takes it."""
        return Rate(self.calls_per_second, self.calls_at_once)


class Holds(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a hold may be, and how many of them.

    Holds cost their holder nothing, so they are capped: `seconds_max` each; `per_broker` and `per_buyer` at once;
    of an interface's speed at most `share_per_broker_ppm` for one broker and `share_of_interface_ppm` for one buyer;
    and within an hour at most `quotes_free_per_broker`, and `quotes_free` per buyer, plus `quotes_per_order` for each
    order placed. A broker names its buyers itself: against one of ill will only the caps per broker hold.
    Replaced by another again and again, holds last `prolonged_s_max` together: as long as slow operators may take.
    A void makes use free of charge, for up to a quarter of an hour. With more of them within an hour than
    `voids_free_per_broker`, or `voids_free` per buyer, and one for every `orders_per_void` orders beside, there are no
    holds until that hour is over.
    """

    seconds_max: Annotated[int, Meta(ge=1, le=300)] = 60
    per_broker: Count = 5_000
    per_buyer: Count = 500
    share_per_broker_ppm: Annotated[int, Meta(ge=1, le=PPM)] = PPM
    share_of_interface_ppm: Annotated[int, Meta(ge=1, le=PPM)] = PPM
    quotes_free_per_broker: Count = 100_000
    quotes_free: Count = 10_000
    quotes_per_order: Count = 100
    prolonged_s_max: Annotated[int, Meta(ge=0, le=7 * 86_400)] = 86_400
    voids_free_per_broker: Annotated[int, Meta(ge=0)] = 12
    voids_free: Annotated[int, Meta(ge=0)] = 3
    orders_per_void: Count = 10


class Approval(StrEnum):
    """Who answers when a new lease is asked for."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Sales(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How fast this operator sells.

    With `approval` manual a person answers for every new lease and for more time of one (`peerway-operator approvals`),
    within `answer_within_s` or the sooner time that the buyer names; at most `waiting_max` of one broker wait for it. A
    segment is up `up_within_s` after its order or its start at the latest. Where others on a path need longer, it is
    kept for `confirm_within_s` without a confirm, and free of charge.
    """

    approval: Approval = Approval.AUTOMATIC
    answer_within_s: Annotated[int, Meta(ge=1, le=30 * 86_400)] = 86_400
    waiting_max: Count = 100
    up_within_s: Annotated[int, Meta(ge=0, le=CONFIRM_WITHIN_S_MAX)] = 0
    confirm_within_s: Annotated[int, Meta(ge=CONFIRM_WITHIN_S, le=CONFIRM_WITHIN_S_MAX)] = 600


class CalendarConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far ahead capacity is sold, and what published free capacity is rounded down to (bit/s)."""

    horizon_days: Annotated[int, Meta(ge=1, le=1830)] = 730
    granularity_bps: Annotated[int, Meta(ge=1)] = 100_000_000


class Contact(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The seller's contact, which Sonata demands in every quote and order."""

    name: Name
    number: Name
    email: Name


class OperatorConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything an operator is told from outside.

    `fabric` names the driver of its network. Where that cannot hold a lease to its boundary, none is taken, unless
    `bounded_elsewhere` says that something else in this network does. A lease is forgotten `keep_ended_days` after its
    end, with its documents: ten years if nothing is said, for so long its receipts are valid.
    """

    entity: EntityId
    name: Name
    data: str
    footprint: str
    disclosure: Show = Show.AUTO
    currency: Currency = "EUR"
    zone: str = "UTC"
    keys: Keys
    trust: Trust
    listen: Listen = Listen()
    public: Public = Public()
    brokers: tuple[BrokerAccess, ...] = ()
    buyers: tuple[BuyerAccess, ...] = ()
    limits: Limits = Limits()
    owners: tuple[OwnerAccess, ...] = ()
    policy: OwnPolicy | None = None
    route_classes: tuple[ClassCard, ...]
    holds: Holds = Holds()
    selling: Sales = Sales()
    calendar: CalendarConfig = CalendarConfig()
    evidence: Evidence = Evidence()
    contact: Contact
    billing_account: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    fabric: Id = "null"
    bounded_elsewhere: bool = False
    keep_ended_days: Annotated[int, Meta(ge=30, le=36_600)] = RECEIPT_LIFE_S // 86_400


def load_config(path: Path) -> OperatorConfig:
    """Read a configuration. Raises `Problem` naming the file, the key and what was expected.

    Relative paths come back absolute, so that the working directory does not matter afterwards.
    """
    config = load_toml(path, OperatorConfig)
    check(config, path)
    base = path.resolve()
    keys, trust = nearby(config.keys, config.trust, config.data, base)
    data, drawn = _below(config.data, base), _below(config.footprint, base)
    return structs.replace(
        config,
        owners=tuple(OwnerAccess(entity=one.entity, jwks=_below(one.jwks, base)) for one in config.owners),
        policy=config.policy and OwnPolicy(file=_below(config.policy.file, base)),
        data=data,
        footprint=drawn,
        keys=keys,
        trust=trust,
        public=structs.replace(config.public, tls=nearby_tls(config.public.tls, base)),
    )


def _below(name: str, base: Path) -> str:
    return str(below(Path(name), base))


def check(config: OperatorConfig, path: Path) -> None:
    """What the types alone do not catch."""
    if not config.route_classes:
        raise invalid(f"{path}: route_classes", "is empty; an operator sells at least one, write [[route_classes]]")
    rows = [(f"route_classes[{i}].id", c.id) for i, c in enumerate(config.route_classes)]
    rows += [(f"brokers[{i}].entity", b.entity) for i, b in enumerate(config.brokers)]
    rows += [(f"buyers[{i}].name", b.name) for i, b in enumerate(config.buyers)]
    rows += [(f"buyers[{i}].key_sha256", b.key_sha256) for i, b in enumerate(config.buyers)]
    rows += [(f"owners[{i}].entity", one.entity) for i, one in enumerate(config.owners)]
    seen: dict[str, str] = {}
    for field, value in rows:
        if value in seen:
            raise invalid(f"{path}: {field}", f"repeats {seen[value]}; each is given once")
        seen[value] = field
    _check_ports(config.listen, path)
    _check_sales(config.selling, path)
    check_public(config.trust, config.public, config.listen.host, config.listen.public_port, path)
    if config.trust.domain is None and not config.listen.names:
        raise invalid(f"{path}: listen.hosts", "is empty; name the host that others dial, for example surf.example")
    for index, route_class in enumerate(config.route_classes):
        _check_class(route_class, config.zone, f"{path}: route_classes[{index}]", path)


def _check_sales(sales: Sales, path: Path) -> None:
    if sales.up_within_s > sales.confirm_within_s - UP_BEFORE_S:
        why = f"is not {UP_BEFORE_S} s below confirm_within_s: nobody could confirm in time what comes up that late"
        raise invalid(f"{path}: selling.up_within_s", why)


def _check_ports(listen: Listen, path: Path) -> None:
    ports = [getattr(listen, name) for name in PORTS]
    for index, name in enumerate(PORTS):
        if ports[index] and ports[index] in ports[:index]:
            other = PORTS[ports.index(ports[index])]
            raise invalid(f"{path}: listen.{name}", f"is the same as {other}; each listener needs its own port")


def _check_class(route_class: ClassCard, zone: str, place: str, path: Path) -> None:
    if route_class.countries == ():
        raise invalid(f"{place}.countries", "is empty; leave it out for a class that may run anywhere")
    try:
        check_bands(zone, route_class.rates.bands)
    except ValueError as error:
        about_zone = str(error).startswith("zone")
        raise invalid(f"{path}: zone" if about_zone else f"{place}.rates.bands", str(error)) from error


SAMPLE: Final = """\
# An operator of a Peerway federation. Paths are relative to this file.
entity = "https://surf.example"       # its entity id in the trust domain
name = "SURF"
data = "operator-data"                # its store and what it must not forget; made when missing
footprint = "footprint.json"          # its network: write one with `peerway-operator footprint`
disclosure = "auto"                   # mesh: an offer per pair of interfaces; abstract: a graph; auto: mesh while small
currency = "EUR"                      # every amount below is in millionths of it
zone = "Europe/Amsterdam"             # the IANA zone in which time bands are read
fabric = "null"                       # the driver of its network; null drives nothing, and carries no packet
# bounded_elsewhere = true            # leases are held to their boundaries, though not by the driver
keep_ended_days = 3_660               # how long leases are kept after their end, with what was signed about them
billing_account = "SURF-1"            # plain Sonata buyers must name it in their orders; leave it out to take any

[keys]                                # never one key for two ends; make the first two with `peerway keys new`
private = "protocol.json"             # signs every document of this operator; the first key of the file signs
federation = "federation.json"        # signs what this operator says of itself; its anchor enrols the public half
tls = "operator-data/tls"             # folder of its own TLS authority and leaf; made when missing
# log = "operator-data/log-key"       # signs the log; `witness` signs those of others; made when missing

[trust]
anchors = "anchors.json"              # the anchors that are believed, and their keys; nobody else is, unseen
marks = "marks"                       # folder of the trust marks that auditors gave this operator (*.jwt)
refresh_s = 300                       # how often anchors are asked for their members
# known = ["https://broker.example"]  # members to look for beside those that the anchors list
# superiors = ["https://anchor.example"]  # who enrolled this operator; all anchors if left out
# domain = "trust"                    # a folder instead: nobody is asked, see docs/FORMATS.md

# Others are called under public addresses alone, on ports 443 and 8443, unless this says more. On one machine:
# [trust.egress.places]
# "https://anchor.example" = "http://127.0.0.1:8710"

[listen]
host = "127.0.0.1"
http_port = 8100                      # Sonata and documents; 0 lets the system choose
grpc_port = 8101                      # the mesh: offer sheets, deltas, news of leases
public_port = 8102                    # who this operator is: https://surf.example/.well-known/ leads here
# health_port = 8103                  # GET /healthz in plain HTTP for what watches over the process, and nothing else
hosts = ["surf.example"]              # what others dial: in its endpoints and its TLS leaf

# [public]
# plain_http = true                   # the public listener stands behind something that speaks TLS under the entity id
# [public.tls]                        # or it speaks TLS itself; one of both is required on any address but loopback
# certificate = "public.pem"          # these files are followed: replace them, and restart nothing
# private_key = "public.key"

[contact]                             # Sonata demands it in quotes and orders
name = "SURF sales desk"
number = "+31-30-0000000"
email = "sales@surf.example"

[evidence]
every_s = 2                           # how often the log of what it signed and received is brought up to date
# witnesses = ["https://dfn.example", "https://geant.example"]  # who signs below it; by default a few other members

# The brokers that are served. Without any such table: every member that is a broker.
[[brokers]]
entity = "https://broker.example"

# One table per plain Sonata buyer, who is no member and shows no certificate. Make a key and its hash with:
#   key=$(openssl rand -hex 24); printf %s "$key" | sha256sum
[[buyers]]
name = "utrecht-university"
key_sha256 = "0a7b3e6d1c6e3fdd3f1f5c0c0f0e6c4c0a1b2c3d4e5f60718293a4b5c6d7e8f9"

[limits]
calls_per_second = 500                # of each caller, by HTTP and gRPC together ...
calls_at_once = 1_000                 # ... and so many at once

# One table per owner of UNIs that are not this operator's own (`owner` in the footprint): a segment that ends there is
# sold to the owner, and to whom it gave an endpoint grant (`peerway grant new`).
# [[owners]]
# entity = "https://hospital.example"
# jwks = "hospital.jwks"              # its public keys: peerway keys public FILE

# Without a policy every broker above is sold to. See `peerway-operator sample --policy` for one to start from.
# [policy]
# file = "own.cedar"                  # a Cedar policy: whom this operator sells to, which data, to which ends

# One block per route class. `any` may run anywhere in the footprint.
[[route_classes]]
id = "any"
[route_classes.rates]                 # micro-units per hour
port_hourly_micro = { uni = 450_000, enni = 300_000 }   # per interface, whatever the bandwidth
gbps_hourly_micro = 20_000            # per Gb/s, at each of the two ends
gbps_km_hourly_micro = 400            # per Gb/s and kilometre of the internal route
set_up_micro = 2_000_000              # once
minimum_micro = 1_000_000             # least usage charge of a lease
exit_micro = 5_000_000                # once, when a lease is released before its end
minimum_term_s = 60                   # least duration sold
terms = [{ min_s = 2_592_000, factor_ppm = 900_000 }]   # 10 % off when sold for 30 days or more
bands = [{ from_minute = 0, to_minute = 360, factor_ppm = 700_000 }]   # nights are cheaper
[route_classes.promises]              # what each end, hop and kilometre of the route adds; latency: the footprint
end = { jitter_ns = 20_000, loss_ppb = 100, unavailability_ppb = 20_000, carbon_mg_gb = 300 }
hop = { jitter_ns = 30_000, loss_ppb = 200, unavailability_ppb = 50_000, carbon_mg_gb = 250 }
km = { jitter_ns = 20, loss_ppb = 1, unavailability_ppb = 50, carbon_mg_gb = 2 }

[[route_classes]]
id = "domestic"
countries = ["NL"]                    # only PoPs in these countries; what counts is what an auditor attests
[route_classes.rates]
port_hourly_micro = { uni = 450_000, enni = 300_000 }
gbps_km_hourly_micro = 600

[holds]
seconds_max = 60
per_broker = 5_000                    # holds at once
per_buyer = 500
share_per_broker_ppm = 1_000_000      # of an interface's speed, held for one broker, whatever buyers it names
share_of_interface_ppm = 1_000_000    # of an interface's speed, held for one buyer
quotes_free_per_broker = 100_000      # quotes within an hour, per broker ...
quotes_free = 10_000                  # ... and per buyer,
quotes_per_order = 100                # and that many more for each order placed
prolonged_s_max = 86_400              # how long holds that replace each other may last together
voids_free_per_broker = 12            # voids of what was in use within an hour, per broker ...
voids_free = 3                        # ... and per buyer; with more of them there are no holds until the hour is over
orders_per_void = 10                  # one more void for so many orders

[selling]
approval = "automatic"                # manual: a person answers, see `peerway-operator approvals --help`
answer_within_s = 86_400              # ... by then at the latest, or else nobody did
waiting_max = 100                     # questions of one broker that may wait for a person
up_within_s = 0                       # how long the network may take to bring a segment up; 0: seconds
confirm_within_s = 600                # how long a segment is kept without a confirm where others on the path are slow

[calendar]
horizon_days = 730                    # how far ahead capacity is sold
granularity_bps = 100_000_000         # published free capacity is rounded down to it
"""
