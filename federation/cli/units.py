"""Quantities as people write them, and as they like to read them: both ways between text and integers.

Bandwidth is bit/s, latency microseconds, durations seconds, shares parts per billion, money micro-units. Every
parser raises `ValueError` with one sentence: what was wrong and what would be right.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from schemas.intent import PLACE_PATTERN, Objective
from schemas.price import PPM, Money
from schemas.request import check_front
from schemas.segment import BANDWIDTH_BPS_MAX, PPB, WINDOW_S_MAX, EntityId

_BANDWIDTH: Final = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:([kMGT])(?:bps|bit/s|b/s)?|(?:bps|bit/s|b/s))", re.IGNORECASE | re.ASCII
)
_LATENCY: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s)", re.ASCII)
_DURATION: Final = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)
_MONEY: Final = re.compile(r"(\d+(?:\.\d{1,6})?)\s*([A-Za-z]{3})", re.ASCII)
_SCALE: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_MICROS: Final = {"us": 1, "µs": 1, "ms": 10**3, "s": 10**6}
_DURATION_S: Final = (604800, 86400, 3600, 60, 1)
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
PLACE_HELP: Final = "write for example Utrecht, or Utrecht@SURF on one operator"
BANDWIDTH_HELP: Final = "write for example 10G, 2.5G or 500M"
LATENCY_HELP: Final = "write for example 12ms, 1.5ms or 800us"
DURATION_HELP: Final = "write for example 2h, 30m, 90s or 1d12h"
SHARE_HELP: Final = "write for example 99.95%"
MONEY_HELP: Final = "write for example 250EUR or 12.50CHF"
OBJECTIVES_HELP: Final = "write for example price,latency or price,latency,carbon"
TIME_HELP: Final = "write for example 2026-12-01T08:00Z, or with an offset 2026-12-01T09:00+01:00"


def parse_place(text: str) -> str:
    """`Utrecht` or `Utrecht@SURF`, as it was written; whether it exists, the broker knows."""
    if not re.fullmatch(PLACE_PATTERN, text):
        raise ValueError(f"'{text}' is no place; {PLACE_HELP}")
    return text


def parse_entity(text: str) -> str:
    """An entity id: `https://surf.example`."""
    try:
        found: str = msgspec.convert(text.strip(), EntityId)
    except msgspec.ValidationError as error:
        why = "is no entity id; write https://surf.example, in lower case, without a slash at its end"
        raise ValueError(f"'{text}' {why}") from error
    return found


def parse_names(text: str) -> tuple[str, ...]:
    """The names in `SURF, GARR`: at least one."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise ValueError("names nothing; write one or more, with commas between, or leave the option out")
    return names


def parse_codes(text: str) -> tuple[str, ...]:
    """Country codes and groups of countries, in the case that they are known by: `EEA`, `CH`."""
    return tuple(name.upper() for name in parse_names(text))


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Two or three objectives that a front is about: `price,latency`."""
    try:
        found = tuple(Objective(name) for name in parse_names(text))
        check_front(found)
    except ValueError as error:
        raise ValueError(f"'{text}' does not say what to weigh; {OBJECTIVES_HELP}") from error
    return found


def parse_key(text: str) -> str:
    """An idempotency key, which travels in a header."""
    if not _KEY.fullmatch(text):
        raise ValueError("expected 1 to 255 printable ASCII characters")
    return text


def parse_bandwidth(text: str) -> int:
    """bit/s of `10G`, `2.5G`, `500M`; a bare number has no unit and is refused."""
    match = _BANDWIDTH.fullmatch(text.strip())
    if not match:
        raise ValueError(f"'{text}' is no bandwidth; {BANDWIDTH_HELP}")
    bps = Decimal(match[1]) * _SCALE[(match[2] or "").lower()]
    if bps != int(bps) or not 1 <= bps <= BANDWIDTH_BPS_MAX:
        raise ValueError(f"'{text}' is not between 1 bit/s and 100T; {BANDWIDTH_HELP}")
    return int(bps)


def parse_latency(text: str) -> int:
    """Microseconds of `12ms`, `1.5ms`, `800us`; a bare number has no unit and is refused."""
    match = _LATENCY.fullmatch(text.strip())
    if not match:
        raise ValueError(f"'{text}' is no latency; {LATENCY_HELP}")
    micros = Decimal(match[1]) * _MICROS[match[2]]
    if micros != int(micros) or micros > 10**10:
        raise ValueError(f"'{text}' is not whole microseconds below 10000 s; {LATENCY_HELP}")
    return int(micros)


def parse_duration(text: str) -> int:
    """Seconds of `2h`, `30m`, `1d12h`."""
    match = _DURATION.fullmatch(text.strip())
    seconds = sum(int(n or 0) * unit for n, unit in zip(match.groups(), _DURATION_S, strict=True)) if match else 0
    if not seconds:
        raise ValueError(f"'{text}' is no duration; {DURATION_HELP}")
    if seconds > WINDOW_S_MAX:
        raise ValueError(f"'{text}' is longer than {WINDOW_S_MAX // 86400}d; {DURATION_HELP}")
    return seconds


def parse_share(text: str) -> int:
    """Parts per billion of `99.95%`."""
    match = _SHARE.fullmatch(text.strip())
    share = Decimal(match[1]) * PPB / 100 if match else Decimal(-1)
    if share != int(share) or not 0 <= share <= PPB:
        raise ValueError(f"'{text}' is no share between 0% and 100%; {SHARE_HELP}")
    return int(share)


def parse_money(text: str) -> Money:
    """Micro-units of `250EUR`, `12.50 CHF`."""
    match = _MONEY.fullmatch(text.strip())
    if not match or Decimal(match[1]) > 10**12:
        raise ValueError(f"'{text}' is no amount of money; {MONEY_HELP}")
    return Money(match[2].upper(), int(Decimal(match[1]) * PPM))


def parse_time(text: str) -> datetime:
    """A moment with a zone, in whole seconds, as UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"'{text}' is no time; {TIME_HELP}") from None
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' names no time zone; {TIME_HELP}")
    return moment.astimezone(UTC).replace(microsecond=0)


def bandwidth(bps: int) -> str:
    """`10 Gb/s`."""
    for unit, scale in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if bps >= scale:
            return f"{_plain(Decimal(bps) / scale)} {unit}b/s"
    return f"{bps} b/s"


def latency(micros: int) -> str:
    """`12.35 ms`, always in milliseconds so that a column lines up."""
    return f"{Decimal(micros) / 1000:.2f} ms"


def duration(seconds: int) -> str:
    """`2 h 30 min`."""
    parts = []
    for name, unit in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= unit:
            parts.append(f"{seconds // unit} {name}")
            seconds %= unit
    return " ".join(parts) or "0 s"


def share(ppb: int) -> str:
    """`99.95 %`."""
    return f"{_plain(Decimal(ppb) * 100 / PPB)} %"


def money(amount: Money) -> str:
    """`EUR 1,234.56`: cents, rounded up, and down to the micro-unit where cents would hide the amount."""
    value = Decimal(amount.micro) / PPM
    if 0 < amount.micro < PPM:
        return f"{amount.currency} {value:.6f}".rstrip("0")
    cents = -(-amount.micro // 10_000)
    return f"{amount.currency} {Decimal(cents) / 100:,.2f}"


def exact_money(amount: Money) -> str:
    """`EUR 0.885950`: to the micro-unit, for a bill whose column lines up."""
    return f"{amount.currency} {Decimal(amount.micro) / PPM:,.6f}"


def clock(moment: datetime) -> str:
    """`2026-12-01 08:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
