"""What the orders ask of a network, and how a driver is found."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Final, NamedTuple, Protocol

from operators.fabric.null import NullDriver
from schemas.problem import invalid
from schemas.segment import Id, Segment

GROUP: Final = "peerway.fabric"


class Wiring(NamedTuple):
    """One segment as the network must carry it: with its labels, over these internal links in order."""

    segment: Segment
    links: tuple[Id, ...]


class Driver(Protocol):
    """Both acts may be repeated after a restart: what is up already, or down already, is no error.

    Whatever a driver raises counts as "the network did not do it". `bounds` says that it holds traffic to the boundary
    of a segment: nothing but its flows, and no more than its bytes. One that does not say so is handed none. `resizes`
    says that `bring_up` of what is up with another bandwidth changes it without an interruption; otherwise that is not
    sold. A driver that can tell what its network carries has `async def carried(self)`, which returns the products: the
    sweeper then takes down what no lease has, and brings up what a lease in force has not.
    """

    @property
    def bounds(self) -> bool:
        """Whether it puts boundaries into force."""
        ...

    @property
    def resizes(self) -> bool:
        """Whether it changes the bandwidth of what is up."""
        ...

    async def bring_up(self, product: Id, wiring: Wiring) -> None:
        """Return once the segment carries traffic. May be cancelled, and is then taken down or brought up again."""
        ...

    async def take_down(self, product: Id) -> None:
        """Return once nothing of the segment is left."""
        ...


def find_driver(name: str, field: str) -> Driver:
    """The driver of this name. Raises `Problem` on `field`, listing those installed."""
    if name == NullDriver.NAME:
        return NullDriver()
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        raise invalid(
            field, f"'{name}' is no fabric driver; installed are {', '.join(sorted({NullDriver.NAME, *found}))}"
        )
    driver: Driver = found[name].load()()
    return driver
