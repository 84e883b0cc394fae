"""The broker's configuration: one TOML file, read once at start, frozen, and every default visible here.

Paths in it are relative to the file. `SAMPLE` is what `peerway broker sample` prints; a test loads it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct, structs

from federation.broker.authority.access import BuyerAccess, BuyerLimits, Name
from federation.node.config import below, check_public, load_toml, nearby, nearby_tls
from federation.node.settings import LOOPBACK_HOSTS, Evidence, Keys, ListenTls, Port, Public, Trust
from schemas.decision import DataClass, PolicyName
from schemas.price import Currency, Ppm, RateTable
from schemas.problem import invalid
from schemas.segment import EntityId

Text = Annotated[str, Meta(min_length=1, max_length=100)]
Origin = Annotated[str, Meta(pattern=r"^https?://[a-z0-9.\-\[\]:]+\Z")]
# redis or rediss, perhaps a user, host, port and the number of a database; or the path of a socket. Never a password.
RedisAddress = Annotated[
    str,
    Meta(
        pattern=r"^(rediss?://([^\s/:@?#]+@)?[^\s/:@?#\[\]]+(:[0-9]{1,5})?(/[0-9]{1,3})?|unix://([^\s/:@?#]+@)?/[^\s?#]+)\Z"
    ),
]
SentinelAddress = Annotated[str, Meta(pattern=r"^[^\s/:@?#\[\]]+:[0-9]{1,5}\Z")]
ACCOUNT: Final = "peerway"


class Listen(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where buyers reach the broker; port 0 lets the system choose, `mcp = false` leaves MCP off.

    `mcp_hosts` are `Host` headers (`name` or `name:port`, `*` for any port) accepted beside the loopback ones;
    `origins` are scheme, host and port by which agents call either face from outside, for which they make their proofs.
    At `public_port` anybody may read who this broker is; `[public]` says how it speaks. Other than loopback addresses
    are bound with `tls` only, or in a `closed_network` that nobody else is on: bearer keys are believed on these and on
    loopback alone.
    """

    host: str = "127.0.0.1"
    http_port: Port = 8700
    mcp: bool = True
    mcp_port: Port = 8701
    public_port: Port | None = None
    mcp_hosts: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    tls: ListenTls | None = None
    closed_network: bool = False

    @property
    def sheltered(self) -> bool:
        """Whether nobody else can listen on the way, even without TLS."""
        return self.closed_network or self.host in LOOPBACK_HOSTS


class OperatorAccess(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An operator that is dealt with; with none configured, every member that is an operator is.

    `billing_account` is the account that Sonata demands in every order.
    """

    entity: EntityId
    billing_account: Name = ACCOUNT


class Contact(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The desk that operators may call; Sonata demands it in every quote and order."""

    name: Text = "Broker desk"
    number: Text = "+00-0000000"
    email: Text = "desk@broker.example"


class Rates(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The exchange rates of one day: what one unit of each currency is worth, in millionths of one common unit."""

    date: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")] = "2026-11-02"
    worth_ppm: Mapping[Currency, Ppm] = MappingProxyType({"EUR": 1_000_000})

    def table(self) -> RateTable:
        """The table that quotes name by its hash."""
        return RateTable(date=self.date, worth_ppm=dict(sorted(self.worth_ppm.items())))


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one broker does at most, units last."""

    hold_s: Annotated[int, Meta(ge=1, le=300)] = 30
    rounds: Annotated[int, Meta(ge=1, le=16)] = 4
    quote_s: Annotated[int, Meta(ge=1, le=120)] = 5
    operator_timeout_s: Annotated[int, Meta(ge=1, le=120)] = 10
    wait_s: Annotated[int, Meta(ge=1, le=60)] = 30
    paths: Annotated[int, Meta(ge=1, le=16)] = 8
    body_bytes: Annotated[int, Meta(ge=1024, le=1 << 20)] = 65_536
    quotes_at_once: Annotated[int, Meta(ge=1, le=1000)] = 16


class Search(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How paths are searched: compiled where numba is installed, and the folder that keeps it for the next start."""

    compiled: bool = True
    cache: str | None = None


class Policies(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Policies beside the shipped ones: a folder of `NAME.cedar` for everybody and of `*.jwt` that buyers signed for
    themselves; and which policies a data class brings, instead of the shipped ones."""

    folder: str | None = None
    data_classes: Mapping[DataClass, tuple[PolicyName, ...]] = MappingProxyType({})


class Store(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the broker keeps what it acknowledged: a SQLite file in `data`, or with `redis` a Redis server that several
    replicas of this broker may share. `redis` is an address without a password, which stands in a file of its own;
    with `sentinels` its host is the name of the service whose primary they know, and they may want a password, too.
    `roots` vouches for servers that are called by TLS (`rediss`), beside the system's authorities. The orders of a
    replica that was silent for `takeover_s` are carried on by the others."""

    redis: RedisAddress | None = None
    password_file: str | None = None
    sentinels: tuple[SentinelAddress, ...] = ()
    sentinel_password_file: str | None = None
    roots: str | None = None
    takeover_s: Annotated[int, Meta(ge=1, le=600)] = 10


class BrokerConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a broker is told from outside."""

    entity: EntityId
    name: Text
    data: str
    keys: Keys
    trust: Trust
    listen: Listen = Listen()
    public: Public = Public()
    contact: Contact = Contact()
    operators: tuple[OperatorAccess, ...] = ()
    buyers: tuple[BuyerAccess, ...] = ()
    rates: Rates = Rates()
    limits: Limits = Limits()
    search: Search = Search()
    policies: Policies = Policies()
    evidence: Evidence = Evidence()
    store: Store = Store()


def load_config(path: Path) -> BrokerConfig:
    """Read a configuration. Raises `Problem` naming the file, the key and what was expected.

    Relative paths come back absolute, so that the working directory does not matter afterwards.
    """
    config = load_toml(path, BrokerConfig)
    check(config, path)
    base = path.resolve()
    keys, trust = nearby(config.keys, config.trust, config.data, base)
    return structs.replace(
        config,
        data=_below(config.data, base),
        keys=keys,
        trust=trust,
        search=structs.replace(config.search, cache=_below(config.search.cache or user_cache(os.environ), base)),
        buyers=tuple(structs.replace(b, jwks=b.jwks and _below(b.jwks, base)) for b in config.buyers),
        policies=structs.replace(
            config.policies, folder=config.policies.folder and _below(config.policies.folder, base)
        ),
        store=structs.replace(
            config.store,
            password_file=config.store.password_file and _below(config.store.password_file, base),
            sentinel_password_file=config.store.sentinel_password_file
            and _below(config.store.sentinel_password_file, base),
            roots=config.store.roots and _below(config.store.roots, base),
        ),
        listen=structs.replace(config.listen, tls=nearby_tls(config.listen.tls, base)),
        public=structs.replace(config.public, tls=nearby_tls(config.public.tls, base)),
    )


def user_cache(environment: Mapping[str, str]) -> str:
    """Where what can be made again is kept, by the XDG base directory rules; the same for all brokers of a user."""
    root = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".cache")
    return f"{root}/peerway/kernel"


def _below(name: str, base: Path) -> str:
    return str(below(Path(name), base))


def check(config: BrokerConfig, path: Path) -> None:
    """What the types alone do not catch."""
    seen: dict[str, str] = {}
    rows = [(f"operators[{i}].entity", a.entity) for i, a in enumerate(config.operators)]
    rows += [(f"buyers[{i}].name", b.name) for i, b in enumerate(config.buyers)]
    rows += [(f"buyers[{i}].key_sha256", b.key_sha256) for i, b in enumerate(config.buyers) if b.key_sha256]
    rows += [(f"buyers[{i}].entity", b.entity) for i, b in enumerate(config.buyers) if b.entity]
    for field, value in rows:
        if value in seen:
            raise invalid(f"{path}: {field}", f"repeats {seen[value]}; each is named once")
        seen[value] = field
    if config.listen.mcp and config.listen.http_port == config.listen.mcp_port != 0:
        raise invalid(f"{path}: listen.mcp_port", "is the same as http_port; each listener needs its own port")
    if config.listen.public_port and config.listen.public_port in {config.listen.http_port, config.listen.mcp_port}:
        raise invalid(f"{path}: listen.public_port", "is another listener's; each listener needs its own port")
    check_public(config.trust, config.public, config.listen.host, config.listen.public_port, path)
    _check_shelter(config.listen, path)
    _check_store(config.store, path)
    for index, buyer in enumerate(config.buyers):
        _check_buyer(buyer, config.listen, f"{path}: buyers[{index}]")


def _check_shelter(listen: Listen, path: Path) -> None:
    if listen.tls is None and not listen.sheltered:
        why = "is no loopback address; give [listen.tls] a certificate, or say closed_network = true if it is one"
        raise invalid(f"{path}: listen.host", why)


def _check_store(store: Store, path: Path) -> None:
    if store.redis is None and store != Store():
        raise invalid(f"{path}: store", "is about a Redis server that is not named; give store.redis")
    if store.roots is not None and not (store.redis or "").startswith("rediss://"):
        raise invalid(f"{path}: store.roots", "vouches for servers called by TLS; write rediss:// in store.redis")
    if store.sentinel_password_file is not None and not store.sentinels:
        raise invalid(f"{path}: store.sentinel_password_file", "is for sentinels; name them in store.sentinels")
    if store.sentinels:
        _check_sentinels(store, path)
    elif store.redis is not None and not store.redis.startswith("unix"):
        _check_port(urlsplit(store.redis).netloc, f"{path}: store.redis")


def _check_sentinels(store: Store, path: Path) -> None:
    url = urlsplit(store.redis or "")
    if url.scheme == "unix":
        why = "is a socket, and sentinels know hosts; write redis://SERVICE, the name that they have for it"
        raise invalid(f"{path}: store.redis", why)
    if ":" in url.netloc:
        why = "has a port; with store.sentinels its host is the name of a service, and they know where that is"
        raise invalid(f"{path}: store.redis", why)
    for place, one in enumerate(store.sentinels):
        if one in store.sentinels[:place]:
            raise invalid(f"{path}: store.sentinels[{place}]", "is named before; each is named once")
        _check_port(one, f"{path}: store.sentinels[{place}]")


def _check_port(address: str, field: str) -> None:
    _, named, port = address.rpartition(":")
    if named and not 0 < int(port) < 1 << 16:
        raise invalid(field, "has no port from 1 to 65535")


def _check_buyer(buyer: BuyerAccess, listen: Listen, place: str) -> None:
    if buyer.entity is None and buyer.key_sha256 is None:
        raise invalid(place, "nobody could prove to be this buyer; give entity and jwks, or key_sha256")
    if (buyer.entity is None) != (buyer.jwks is None):
        raise invalid(f"{place}.jwks", "entity and jwks belong together: whose mandates, and the keys that sign them")
    if buyer.key_sha256 is not None and not listen.sheltered:
        raise invalid(f"{place}.key_sha256", "bearer keys are for loopback and closed networks; use entity and jwks")
    if buyer.key_sha256 is None and buyer.limits != BuyerLimits():
        raise invalid(f"{place}.limits", "are those of a bearer key; a mandate brings its own")


SAMPLE: Final = """\
# A broker of a Peerway federation. Paths are relative to this file.
entity = "https://broker.example"     # its entity id in the trust domain
name = "Example Broker"
data = "broker-data"                  # its store and what it must not forget; made when missing

[keys]                                # never one key for two ends; make the first two with `peerway keys new`
private = "protocol.json"             # signs every document of this broker; the first key of the file signs
federation = "federation.json"        # signs what this broker says of itself; its anchor enrols the public half
tls = "broker-data/tls"               # folder of its own TLS authority and leaf; made when missing
# log = "broker-data/log-key"         # signs the log; `witness` signs those of others; made when missing

[trust]
anchors = "anchors.json"              # the anchors that are believed, and their keys; nobody else is, unseen
refresh_s = 300                       # how often anchors are asked for their members: operators come and go by this
# known = ["https://surf.example"]    # members to look for beside those that the anchors list
# superiors = ["https://anchor.example"]  # who enrolled this broker; all anchors if left out
# domain = "trust"                    # a folder instead: nobody is asked, see docs/FORMATS.md

# Others are called under public addresses alone, on ports 443 and 8443, unless this says more. On one machine:
# [trust.egress]
# literals = ["127.0.0.1:8100", "127.0.0.1:8101"]   # endpoints of members
# [trust.egress.places]                             # and where members say who they are, without TLS
# "https://anchor.example" = "http://127.0.0.1:8710"
# roots = "roots.pem" under [trust.egress] vouches for public listeners of members, beside the system's authorities

[listen]
host = "127.0.0.1"
http_port = 8700                      # buyers: HTTP and JSON under /peerway/v1, /openapi.json
mcp = true                            # false leaves the agents' face off
mcp_port = 8701                       # agents: MCP under /mcp
public_port = 8702                    # who this broker is: https://broker.example/.well-known/ leads here
# mcp_hosts = ["broker.example"]      # Host headers accepted there beside those of loopback

# origins = ["https://broker.example"] # how agents call it from outside: what their proofs are made for
# closed_network = true               # plain HTTP beyond loopback: only where nobody else is on the network
# [listen.tls]                        # required to listen on any other address
# certificate = "agents.pem"          # these files are followed: replace them, and restart nothing
# private_key = "agents.key"

# [public]
# plain_http = true                   # the public listener stands behind something that speaks TLS under the entity id
# [public.tls]                        # or it speaks TLS itself; one of both is required on any address but loopback
# certificate = "public.pem"
# private_key = "public.key"

[contact]                             # Sonata demands it in quotes and orders
name = "Example Broker desk"
number = "+31-30-0000000"
email = "desk@broker.example"

# The operators that are dealt with. Without any such table: every member that is an operator.
[[operators]]
entity = "https://surf.example"
billing_account = "broker-17"         # what SURF bills; "peerway" if left out

[[operators]]
entity = "https://geant.example"

# One table per buyer. One that signs mandates for its agents (`peerway mandate new`) is known by its entity id and its
# public keys: peerway keys new buyer.json; peerway keys public buyer.json > buyer.jwks
# [[buyers]]
# name = "bob"
# entity = "https://bob.example"
# jwks = "buyer.jwks"

# On loopback and closed networks a bearer key will do. Make a key and its hash with:
#   key=$(openssl rand -hex 24); printf %s "$key" | sha256sum
[[buyers]]
name = "alice"
key_sha256 = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"   # the key is: alice
[buyers.limits]                       # what it may do, as a mandate would say it; all of them may be left out
max_bandwidth_bps = 100_000_000_000
per_order_micro = 5_000_000_000       # of currency, by default EUR
total_micro = 50_000_000_000
# jurisdictions = ["AT", "DE", "NL"]  # countries that may be crossed
# until = 2027-01-01T00:00:00Z        # nothing is ordered from then on

[rates]                               # for comparing prices; quotes name this table by its hash
date = "2026-11-02"
[rates.worth_ppm]                     # millionths of one common unit, here the euro
EUR = 1_000_000
CHF = 1_068_000
GBP = 1_149_000

# Policies beside those that come with it (`peerway policy list`): NAME.cedar for everybody, *.jwt for who signed them.
# [policies]
# folder = "policies"
# [policies.data_classes]             # which policies a class of data brings, where that is to be another than shipped
# "EU-health" = ["eu-health", "certified-carrier"]

[evidence]
every_s = 2                           # how often the log of what it signed and received is brought up to date
# witnesses = ["https://surf.example", "https://dfn.example"]  # who signs below it; by default a few other members

# Several replicas of this broker share one Redis server, in which case it keeps everything; see docs/REPLICAS.md.
# [store]                             # without it: a SQLite file below `data`, and this broker alone
# redis = "redis://127.0.0.1:6379/0"  # or rediss:// for TLS, or unix:///run/redis.sock; user@ in front where it has one
# password_file = "redis-password"    # never in the address
# sentinels = ["10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"]  # then redis = "redis://NAME", their name for it
# roots = "redis-roots.pem"           # who vouches for a rediss:// server, beside the system's authorities
# takeover_s = 10                     # after so much silence of a replica the others carry its orders on

[search]
compiled = true                       # false: the same answers, slower, and no compiler at start
# cache = "kernel"                    # a writable folder for what was compiled; by default in the user's cache

[limits]
hold_s = 30                           # how long operators are asked to hold what they quote
rounds = 4                            # how often a path is searched again when an operator refuses
quote_s = 5                           # how long is tried for one quote, all rounds together
operator_timeout_s = 10
wait_s = 30                           # the longest a caller may wait on an order in one request
paths = 8                             # the most candidate paths in one answer
body_bytes = 65_536
quotes_at_once = 16                   # no new quote or change for a buyer with as many writes under way, orders too
"""
