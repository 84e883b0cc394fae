"""Hold caps: holds cost their holder nothing, so no broker and no buyer may have too many (design section 3).

Buyers are names that their broker chooses, so whatever is capped for a buyer is capped for its broker as well: one that
invents buyers, and asks for firm quotes only to keep capacity from others, comes to an end. Counted over what is held
now; the ratio of quotes to orders over the hour of the clock. All of it is rebuilt from the held quotes after a
restart, except the ratio, which starts anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

from operators.config import Holds
from operators.orders.fsm import Quote
from schemas.price import PPM
from schemas.problem import Problem
from schemas.segment import EntityId, Id

HOUR_S: Final = 3600

Holder = tuple[EntityId, str | None]  # a buyer, or with None its broker as a whole
Owner = TypeVar("Owner")


class _Hour(NamedTuple):
    """What a holder did in one hour of the clock."""

    quotes: int = 0
    orders: int = 0
    voids: int = 0


NOTHING: Final = _Hour()


class HoldCaps:
    """Who holds how much."""

    def __init__(self, holds: Holds, speeds_bps: Mapping[Id, int]) -> None:
        self._holds, self._speeds_bps = holds, speeds_bps
        self._by_broker: dict[EntityId, dict[Id, Quote]] = {}
        self._by_buyer: dict[Holder, dict[Id, Quote]] = {}
        self._now_hour = 0
        self._hours: dict[Holder, _Hour] = {}  # of that one

    def check(self, wanted: Quote, replaced: Id | None, now: int) -> None:
        """Whether one more hold is within every cap; `TOO_MANY_REQUESTS` with the time to wait otherwise."""
        holder = (wanted.broker, wanted.buyer)
        of_broker, of_buyer = self._by_broker.get(wanted.broker, {}), self._by_buyer.get(holder, {})
        for held, most, whose in (
            (of_broker, self._holds.per_broker, "broker"),
            (of_buyer, self._holds.per_buyer, "buyer"),
        ):
            if len(held) - (replaced in held) >= most:
                raise _too_many(f"{most} holds at once for one {whose}", held.values(), now)
        broker = (wanted.broker, None)
        self._check_ratio(broker, self._holds.quotes_free_per_broker, now)
        self._check_ratio(holder, self._holds.quotes_free, now)
        self._check_voids(broker, self._holds.voids_free_per_broker, now)
        self._check_voids(holder, self._holds.voids_free, now)
        for held, share_ppm, whose in (
            (of_broker, self._holds.share_per_broker_ppm, "broker"),
            (of_buyer, self._holds.share_of_interface_ppm, "buyer"),
        ):
            if share_ppm < PPM:
                others = [quote for quote_id, quote in held.items() if quote_id != replaced]
                for interface in {wanted.segment.a.interface, wanted.segment.z.interface}:
                    most = self._speeds_bps[interface] * share_ppm // PPM
                    _check_share(wanted, interface, others, now, most=most, whose=whose)

    def add(self, quote: Quote) -> None:
        """A hold was given."""
        self._by_broker.setdefault(quote.broker, {})[quote.id] = quote
        self._by_buyer.setdefault((quote.broker, quote.buyer), {})[quote.id] = quote

    def drop(self, quote: Quote) -> None:
        """A hold is gone: ordered, declined, replaced or expired."""
        _drop(self._by_broker, quote.broker, quote.id)
        _drop(self._by_buyer, (quote.broker, quote.buyer), quote.id)

    def quoted(self, quote: Quote, now: int) -> None:
        """A hold was asked for and given, which counts against its holders until they order."""
        for holder in _holders(quote):
            hour = self._hour(holder, now)
            self._hours[holder] = hour._replace(quotes=hour.quotes + 1)

    def ordered(self, quote: Quote, now: int) -> None:
        """A quote became an order, which earns its holders more quotes."""
        for holder in _holders(quote):
            hour = self._hour(holder, now)
            self._hours[holder] = hour._replace(orders=hour.orders + 1)

    def voided(self, broker: EntityId, buyer: str, now: int) -> None:
        """What was in use is free of charge, because somebody else's confirm was said to be missing."""
        for holder in ((broker, buyer), (broker, None)):
            hour = self._hour(holder, now)
            self._hours[holder] = hour._replace(voids=hour.voids + 1)

    def _hour(self, holder: Holder, now: int) -> _Hour:
        if now // HOUR_S != self._now_hour:
            self._now_hour, self._hours = now // HOUR_S, {}
        return self._hours.get(holder, NOTHING)

    def _check_ratio(self, holder: Holder, free: int, now: int) -> None:
        hour = self._hour(holder, now)
        most = free + self._holds.quotes_per_order * hour.orders
        if hour.quotes >= most:
            whose = "broker" if holder[1] is None else "buyer"
            count = f"{hour.quotes} quotes and {hour.orders} orders of this {whose} in this hour"
            detail = f"{count}; {most} quotes are allowed"
            raise Problem("TOO_MANY_REQUESTS", detail, retry_after_s=HOUR_S - now % HOUR_S)

    def _check_voids(self, holder: Holder, free: int, now: int) -> None:
        hour = self._hour(holder, now)
        most = free + hour.orders // self._holds.orders_per_void
        if hour.voids > most:
            whose = "broker" if holder[1] is None else "buyer"
            count = f"{hour.voids} voids and {hour.orders} orders of this {whose} in this hour"
            detail = f"{count}; nothing is held after more than {most} voids"
            raise Problem("TOO_MANY_REQUESTS", detail, retry_after_s=HOUR_S - now % HOUR_S)


def _holders(quote: Quote) -> tuple[Holder, Holder]:
    return (quote.broker, quote.buyer), (quote.broker, None)


def _check_share(wanted: Quote, interface: Id, held: list[Quote], now: int, *, most: int, whose: str) -> None:
    here = [quote for quote in held if interface in _ends(quote) and _overlap(quote, wanted)]
    total = wanted.segment.bandwidth_bps + sum(quote.segment.bandwidth_bps for quote in here)
    if total > most:
        raise _too_many(f"{most} bit/s of {interface} held for one {whose}", here, now, interface=interface)


def _ends(quote: Quote) -> set[Id]:
    return {quote.segment.a.interface, quote.segment.z.interface}


def _overlap(one: Quote, other: Quote) -> bool:
    first, second = one.segment.window, other.segment.window
    return first.start_s < second.end_s and second.start_s < first.end_s


def _drop(index: dict[Owner, dict[Id, Quote]], owner: Owner, quote_id: Id) -> None:
    held = index.get(owner, {})
    held.pop(quote_id, None)
    if not held:
        index.pop(owner, None)


def _too_many(cap: str, held: Iterable[Quote], now: int, **extra: str) -> Problem:
    wait = max(1, min((quote.exp for quote in held), default=now + 1) - now)
    return Problem("TOO_MANY_REQUESTS", f"more than {cap}", retry_after_s=wait, extra=extra)
