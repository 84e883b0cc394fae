"""Words that several commands share: how to reach the broker, and what an intent is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from federation.cli import units
from federation.cli.connection import remember
from federation.node.config import read_text
from schemas.boundary import Boundary
from schemas.intent import ANSWER_WITHIN_S_MAX, IDLE_RELEASE_S_MAX, IDLE_RELEASE_S_MIN, Intent, Objective, Weights
from schemas.jurisdiction import Sovereignty
from schemas.order import CONFIRM_WITHIN_S
from schemas.price import Money
from schemas.problem import invalid
from schemas.quote import CONFIRM_WITHIN_S_MAX
from schemas.segment import Limits

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
BOUNDARY_HELP: Final = '{"flows": [{"a": ["10.1.0.0/16"], "z": ["10.2.0.0/16"], "protocol": "tcp", "ports": ["443"]}]}'
BROKER_DEFAULT: Final = "http://127.0.0.1:8700"


def _quantity(name: str, parse: Callable[[str], T]) -> Callable[[str], T]:
    """A type for click that reads text with a parser of `units`; its mistakes name the option."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    read.__name__ = name
    return read


def _boundary(name: str) -> Boundary:
    """The boundary in a file. Raises `Problem` where it cannot be read."""
    try:
        return msgspec.json.decode(read_text(Path(name)), type=Boundary)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{name} holds no boundary: {error}; write for example {BOUNDARY_HELP}") from error


BANDWIDTH: Final = _quantity("bandwidth", units.parse_bandwidth)
LATENCY: Final = _quantity("latency", units.parse_latency)
DURATION: Final = _quantity("duration", units.parse_duration)
SHARE: Final = _quantity("share", units.parse_share)
MONEY: Final = _quantity("money", units.parse_money)
TIME: Final = _quantity("time", units.parse_time)
NAMES: Final = _quantity("names", units.parse_names)
CODES: Final = _quantity("codes", units.parse_codes)
ENTITY: Final = _quantity("entity", units.parse_entity)
PLACE: Final = _quantity("place", units.parse_place)
KEY: Final = _quantity("key", units.parse_key)
OBJECTIVES: Final = _quantity("objectives", units.parse_objectives)
BOUNDARY: Final = _quantity("boundary", _boundary)


def _applied(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _kept(name: str, variable: str, about: str) -> Callable[[F], F]:
    """An option that `connection` finds by itself."""
    return click.option(
        name, envvar=variable, metavar="FILE", help=about, expose_value=False, callback=remember, is_eager=True
    )


reach_options: Final = _applied(
    [
        click.option(
            "--broker", envvar="PEERWAY_BROKER", default=BROKER_DEFAULT, metavar="URL", help="Where the broker is."
        ),
        _kept("--mandate", "PEERWAY_MANDATE", "The mandate you act under; or PEERWAY_MANDATE."),
        _kept("--agent-key", "PEERWAY_AGENT_KEY", "The key that the mandate names; or PEERWAY_AGENT_KEY."),
        click.option(
            "--key", envvar="PEERWAY_KEY", metavar="KEY", help="Or a bearer key, on loopback; better in PEERWAY_KEY."
        ),
        _kept("--ca", "PEERWAY_CA", "Certificates to believe beside the system's; or PEERWAY_CA."),
    ]
)
broker_options: Final = _applied(
    [
        reach_options,
        click.option(
            "--json", "as_json", is_flag=True, help="Answer in JSON, for a program; a problem too, on standard error."
        ),
    ]
)

key_option: Final = click.option(
    "--idempotency-key",
    type=KEY,
    metavar="KEY",
    help="Choose one, and a request repeated with it has no second effect.",
)

_INTENT_OPTIONS: Final = (
    click.argument("a", metavar="FROM", type=PLACE),
    click.argument("z", metavar="TO", type=PLACE),
    click.option("--bandwidth", type=BANDWIDTH, required=True, help="10G, 2.5G, 500M; the same both ways."),
    click.option("--for", "duration_s", type=DURATION, help="How long: 2h, 30m, 1d12h."),
    click.option("--until", "end", type=TIME, help="Or until when: 2026-12-01T18:00Z."),
    click.option("--start", type=TIME, help="From when; now if not given."),
    click.option("--latency", type=LATENCY, help="At most, one way: 12ms."),
    click.option("--jitter", type=LATENCY, help="At most: 1ms."),
    click.option("--loss", type=SHARE, help="At most: 0.01%."),
    click.option("--availability", type=SHARE, help="At least: 99.95%."),
    click.option("--carbon", type=click.IntRange(0, 10**10), metavar="MG", help="At most, mg CO2e per GB carried."),
    click.option("--mtu", type=click.IntRange(64, 65535), default=1500, show_default=True, help="Bytes."),
    click.option("--hops", type=click.IntRange(1, 16), help="At most so many segments."),
    click.option("--budget", type=MONEY, help="At most, for the whole time: 250EUR."),
    click.option("--currency", default=None, metavar="CODE", help="Pay in: EUR if not given."),
    click.option("--countries", type=CODES, help="Cross only these: EEA,CH."),
    click.option("--domicile", type=CODES, help="Only operators domiciled in: EEA,CH."),
    click.option("--parents", type=CODES, help="Only operators controlled from: EEA,CH."),
    click.option("--class", "route_classes", type=NAMES, help="Only these route classes: eu."),
    click.option("--only", "operators_allowed", type=NAMES, help="Only over these operators."),
    click.option("--without", "operators_denied", type=NAMES, help="Never over these operators."),
    click.option("--via", "operators_required", type=NAMES, help="Only over all of these operators: SURF,GEANT."),
    click.option("--avoid-city", "cities_denied", type=NAMES, help="Cross between operators nowhere in: Frankfurt."),
    click.option("--avoid-site", "sites_denied", type=NAMES, help="Use no interface at these sites, or of these ids."),
    click.option("--mark", "marks_required", type=NAMES, help="Only operators with all these types of trust marks."),
    click.option("--policy", metavar="NAME", help="Who carries, arranges and manages is permitted by it: eu-only."),
    click.option(
        "--data-class", metavar="NAME", help="What the data are, which brings policies of its own: EU-health."
    ),
    click.option(
        "--boundary",
        type=BOUNDARY,
        metavar="FILE",
        help=f"Who may talk to whom over the lease, in JSON: {BOUNDARY_HELP}",
    ),
    click.option(
        "--best",
        type=click.Choice([o.value for o in Objective]),
        default=Objective.PRICE.value,
        show_default=True,
        help="What the best path is the least of.",
    ),
    click.option("--latency-worth", type=MONEY, help="With --best weighted: what a ms one way is worth, 2EUR."),
    click.option("--idle-release", type=DURATION, help="Release it when no `peerway heartbeat` came for so long: 5m."),
    click.option("--answer-within", type=DURATION, help="Operators may take so long to answer, up to 7d: 30m."),
    click.option("--up-within", type=DURATION, help="They may take so long to bring it up, up to 1h: 10m."),
    click.option("--carbon-worth", type=MONEY, help="With --best weighted: what a kg CO2e is worth, 0.1EUR."),
)
intent_options: Final = _applied(_INTENT_OPTIONS)
INTENT_NAMES: Final = frozenset(
    "a z bandwidth duration_s end start latency jitter loss availability mtu hops budget currency countries domicile "
    "parents route_classes operators_allowed operators_denied operators_required cities_denied sites_denied "
    "marks_required policy data_class boundary best carbon idle_release answer_within up_within latency_worth "
    "carbon_worth".split()
)


def intent_from(given: dict[str, Any]) -> Intent:
    """The intent that the options make. Raises `Problem` where they contradict each other."""
    if (given["duration_s"] is None) == (given["end"] is None):
        raise invalid("--for", "give either --for (2h) or --until (2026-12-01T18:00Z), and only one of them")
    try:
        return _intent(given)
    except ValueError as error:
        raise invalid("intent", str(error)) from error


def _intent(given: dict[str, Any]) -> Intent:
    budget: Money | None = given["budget"]
    currency = (given["currency"] or (budget.currency if budget else "EUR")).upper()
    return Intent(
        a=given["a"],
        z=given["z"],
        bandwidth_bps=given["bandwidth"],
        mtu=given["mtu"],
        start=given["start"],
        duration_s=given["duration_s"],
        end=given["end"],
        limits=Limits(given["latency"], given["jitter"], given["loss"], given["availability"], given["carbon"]),
        hops=given["hops"],
        budget=budget,
        currency=currency,
        sovereignty=Sovereignty(countries=given["countries"], domicile=given["domicile"], parents=given["parents"]),
        route_classes=given["route_classes"],
        operators_allowed=given["operators_allowed"],
        operators_denied=given["operators_denied"] or (),
        operators_required=given["operators_required"] or (),
        sites_denied=given["sites_denied"] or (),
        cities_denied=given["cities_denied"] or (),
        marks_required=given["marks_required"] or (),
        policy=given["policy"],
        data_class=given["data_class"],
        boundary=given["boundary"],
        objective=Objective(given["best"]),
        weights=_weights(given, currency),
        idle_release_s=_between(given, "idle_release", IDLE_RELEASE_S_MIN, IDLE_RELEASE_S_MAX, "30s to 1d"),
        answer_within_s=_between(given, "answer_within", 1, ANSWER_WITHIN_S_MAX, "1s to 7d"),
        up_within_s=_between(given, "up_within", CONFIRM_WITHIN_S, CONFIRM_WITHIN_S_MAX, "1m to 1h"),
    )


def _between(given: dict[str, Any], name: str, least_s: int, most_s: int, words: str) -> int | None:
    wanted_s: int | None = given[name]
    if wanted_s is not None and not least_s <= wanted_s <= most_s:
        raise invalid(f"--{name.replace('_', '-')}", f"write from {words}")
    return wanted_s


def _weights(given: dict[str, Any], currency: str) -> Weights | None:
    worth = {name: given[f"{name}_worth"] for name in ("latency", "carbon")}
    weighted = given["best"] == Objective.WEIGHTED
    if not any(worth.values()) and not weighted:
        return None
    if not any(worth.values()):
        raise invalid("--best", "weighted by what? say --latency-worth (2EUR) or --carbon-worth (0.1EUR), or both")
    if not weighted:
        raise invalid("--best", "what latency or carbon is worth counts with --best weighted only")
    for name, amount in worth.items():
        if amount is not None and amount.currency != currency:
            raise invalid(f"--{name}-worth", f"must be in {currency}, in which paths are compared")
    return Weights(
        latency_micro_per_ms=worth["latency"].micro if worth["latency"] else 0,
        carbon_micro_per_kg=worth["carbon"].micro if worth["carbon"] else 0,
    )
