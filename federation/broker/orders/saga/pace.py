"""Every limit of an order, its unit last, and how long to wait before asking again."""

from __future__ import annotations

import zlib
from typing import Final

from federation.broker.orders.saga.state import Pace
from schemas.order import CONFIRM_WITHIN_S
from schemas.token import SKEW_S, TYPES

SECOND_US: Final = 1_000_000
RETRY_FIRST_US: Final = 100_000
RETRY_LONGEST_US: Final = 5 * SECOND_US
RETRIES_OFTEN_MAX: Final = 60
RETRY_SELDOM_US: Final = 60 * SECOND_US
DOUBLINGS_MAX: Final = 16

# An order or confirm that is not settled so long before confirm_by is given up: the rest needs the time.
MARGIN_S: Final = 5
ORDER_LIFE_S: Final = TYPES["order+jwt"].life_s_max
CONFIRM_LIFE_S: Final = TYPES["confirm+jwt"].life_s_max
# A release this old is signed again before it is sent again, so that it does not expire on its way.
RESIGN_AFTER_S: Final = ORDER_LIFE_S - 15
# After this no operator takes the order any more, not even one whose clock is as late as is tolerated.
FENCE_S: Final = ORDER_LIFE_S + SKEW_S
# How long the outcome of a confirm may stay unknown after confirm_by before the path is undone.
GIVE_UP_S: Final = 300
# How long operators have to release by themselves after the end of the window.
END_GRACE_S: Final = 60
# So long after its end an operator may not be heard of before its bill is not waited for any more (ADR 0038).
SILENT_S: Final = 30 * 86_400
# An extension needs this much time before the end of the window.
EXTEND_BEFORE_S: Final = 2 * MARGIN_S
assert MARGIN_S < CONFIRM_WITHIN_S


def fresh(pace: Pace) -> Pace:
    """After progress: a new turn, at once."""
    return Pace(turn=pace.turn + 1)


def in_doubt(pace: Pace) -> Pace:
    """After a restart: a new turn, at once, and not the first try. What was in vain before counts by half at most, so
    that nobody is given up who has only just been asked again."""
    return Pace(turn=pace.turn + 1, tries=max(1, min(pace.tries, RETRIES_OFTEN_MAX // 2)))


def again(pace: Pace, seed: str, at_us: int) -> Pace:
    """After no progress: a new turn, later. The wait doubles up to a limit, and half of it depends on `seed`, so that
    many orders do not ask an operator that comes back all at once."""
    longest = RETRY_LONGEST_US if pace.tries < RETRIES_OFTEN_MAX else RETRY_SELDOM_US
    wait_us = min(longest, RETRY_FIRST_US << min(pace.tries, DOUBLINGS_MAX))
    part = zlib.crc32(f"{seed}/{pace.turn}".encode()) % 1000
    wait_us = wait_us // 2 + wait_us // 2 * part // 1000
    return Pace(turn=pace.turn + 1, tries=pace.tries + 1, not_before_us=at_us + wait_us)
