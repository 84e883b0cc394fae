"""Quantities and limits as a person reads them (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from federation.broker.paths.query import Limit

MICRO: Final = 1_000_000
_PREFIXES: Final = ((10**12, "Tb/s"), (10**9, "Gb/s"), (10**6, "Mb/s"), (10**3, "kb/s"))
NAMES: Final[Mapping[str, str]] = {
    Limit.LATENCY: "latency",
    Limit.JITTER: "jitter",
    Limit.LOSS: "loss",
    Limit.AVAILABILITY: "availability",
    Limit.CARBON: "carbon",
    Limit.HOPS: "operators on the path",
    Limit.BUDGET: "budget",
    Limit.BANDWIDTH: "bandwidth",
    Limit.MTU: "MTU",
    Limit.TERM: "duration",
    Limit.CLASSES: "route classes",
    Limit.ALLOWED: "operators allowed",
    Limit.DENIED: "operators denied",
    Limit.REQUIRED: "operators required",
    Limit.SITES: "sites denied",
    Limit.CITIES: "cities denied",
    "countries": "countries crossed",
    "domicile": "legal domicile",
    "parents": "controlling parents",
    "marks_required": "trust marks required",
}


def limit_name(limit: str) -> str:
    """A limit, or a rule of a policy, which is named `POLICY.ATTRIBUTE`."""
    policy, _, attribute = limit.rpartition(".")
    return f"{attribute.replace('_', ' ')}, in policy {policy}" if policy else NAMES.get(limit, limit)


def limit_names(limits: Sequence[str]) -> str:
    """Several, each policy named once, after all that it asks."""
    by_policy: dict[str, list[str]] = {}
    for limit in limits:
        by_policy.setdefault(limit.rpartition(".")[0], []).append(limit)
    own = [limit_name(limit) for limit in by_policy.pop("", [])]
    return listed(own + [_of_policy(policy, rules) for policy, rules in by_policy.items()])


def _of_policy(policy: str, rules: Sequence[str]) -> str:
    asked = [rule.rpartition(".")[2].replace("_", " ") for rule in rules]
    return f"{listed(asked)} in policy {policy}"


def money(micro: int, currency: str) -> str:
    """An amount, rounded up to the cent: `EUR 12.35`."""
    cents = -(-micro // 10_000)
    return f"{currency} {cents // 100}.{cents % 100:02d}"


def milliseconds(us: int) -> str:
    """Microseconds as milliseconds, all digits that matter: `0.4 ms`."""
    return f"{_plain(Decimal(us) / 1000)} ms"


def share(ppb: int) -> str:
    """Parts per billion as percent: `99.95 %`."""
    return f"{_plain(Decimal(ppb) / 10**7)} %"


def carbon(mg_gb: int) -> str:
    """Carbon per GB carried: `1.95 g CO2e/GB`."""
    return f"{mg_gb} mg CO2e/GB" if mg_gb < 1000 else f"{_plain(Decimal(mg_gb) / 1000)} g CO2e/GB"


def bandwidth(bps: int) -> str:
    """`10 Gb/s`, rounded down to three decimals: what is said to be possible is."""
    unit, name = next(((unit, name) for unit, name in _PREFIXES if bps >= unit), (1, "bit/s"))
    return f"{_plain(Decimal(bps * 1000 // unit) / 1000)} {name}"


def duration(seconds: int) -> str:
    """`1 d 2 h`, `90 s`; the two largest units that are not zero."""
    parts, left = list[str](), seconds
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def value(limit: str, amount: int, currency: str) -> str:
    """A numeric limit's value."""
    match limit:
        case Limit.LATENCY | Limit.JITTER:
            return milliseconds(amount)
        case Limit.LOSS | Limit.AVAILABILITY:
            return share(amount)
        case Limit.CARBON:
            return carbon(amount)
        case Limit.BUDGET:
            return money(amount, currency)
        case Limit.BANDWIDTH:
            return bandwidth(amount)
        case Limit.TERM:
            return duration(amount)
    return str(amount)


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
