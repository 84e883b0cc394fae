"""What is counted of an hour: a broker names its buyers itself, so nobody pays for how many of them there were."""

from __future__ import annotations

from operators.config import Holds
from operators.orders.caps import HOUR_S, HoldCaps

NOW, BROKER = 1_795_000_000, "https://broker.example"


class Name(str):
    """A name that counts how often names are looked at."""

    __slots__ = ()
    looks = 0

    def __hash__(self) -> int:
        Name.looks += 1
        return super().__hash__()


def looks(buyers: int) -> int:
    """Looks at names when one more buyer comes after so many in an hour."""
    caps = HoldCaps(Holds(), {})
    for number in range(buyers):
        caps.voided(BROKER, Name(number), NOW)
    Name.looks = 0
    caps.voided(BROKER, Name("another"), NOW)
    return Name.looks


def test_one_more_buyer_costs_the_same_whoever_came_before() -> None:
    assert looks(300) == looks(3)


def test_an_hour_is_counted_by_itself() -> None:
    caps = HoldCaps(Holds(), {})
    for now in (NOW, NOW, NOW + HOUR_S):
        caps.voided(BROKER, "ann", now)
    assert caps._hour((BROKER, "ann"), NOW + HOUR_S).voids == 1
    assert caps._hour((BROKER, None), NOW + 2 * HOUR_S).voids == 0
