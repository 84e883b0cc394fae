"""A footprint with its route classes: which route a segment takes, what that costs and promises.

Offers and quotes are both made here, from the same internal route, so they agree to the last micro-unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from operators.inventory.footprint import Enni, Footprint, Uni
from operators.inventory.topology import Route, RouteClass, Topology, Usable
from operators.pricing.along import along
from operators.pricing.card import ClassCard
from operators.pricing.quote import Rates, class_terms, distance_rates, end_rates, segment_rates, tariff
from schemas.interface import InterfaceKind
from schemas.offer import ClassTerms
from schemas.price import Tariff
from schemas.problem import invalid
from schemas.quote import Action
from schemas.segment import Id, Promise

ROUTES_MAX: Final = 50_000  # kept of those searched, well over the pairs that an operator sells in a day


class Network:
    """What one operator sells: interfaces, internal links and route classes, all by id."""

    def __init__(self, footprint: Footprint, classes: Sequence[ClassCard], currency: str, zone: str) -> None:
        self.footprint = footprint
        self.topology = Topology(footprint)
        self.currency = currency
        self.pops = {pop.id: pop for pop in footprint.pops}
        self.links = {link.id: link for link in footprint.links}
        self.interfaces: dict[str, Uni | Enni] = {interface.id: interface for interface in footprint.interfaces}
        self.cards = {card.id: card for card in classes}
        self.classes = {card.id: _route_class(card) for card in classes}
        self._routes: dict[tuple[Id, Id, Id], Route | None] = {}
        self.terms: dict[str, ClassTerms] = {card.id: class_terms(card.id, card.rates, zone) for card in classes}

    def interface(self, name: Id, field: str) -> Uni | Enni:
        """The interface, or `INVALID_ARGUMENT` on `field`."""
        found = self.interfaces.get(name)
        if found is None:
            raise invalid(field, f"'{name}' is no interface of this operator")
        return found

    def route_class(self, name: Id, field: str) -> RouteClass:
        """The route class, or `INVALID_ARGUMENT` on `field`."""
        found = self.classes.get(name)
        if found is None:
            raise invalid(field, f"'{name}' is not sold here; route classes are {', '.join(sorted(self.classes))}")
        return found

    def admits(self, route_class: Id, interface: Id) -> bool:
        """Whether segments of the class may end at this interface."""
        return self.classes[route_class].admits(self.pops[self.interfaces[interface].pop].country)

    def route(self, route_class: Id, a: Id, z: Id, usable: Usable | None = None) -> Route | None:
        """The internal route between two interfaces, over `usable` links.

        The best route of all is searched once; it is the answer whenever all of its own links are usable.
        """
        start, goal = self.interfaces[a].pop, self.interfaces[z].pop
        best = self._best(route_class, start, goal)
        if best is None or usable is None or all(map(usable, best.links)):
            return best
        return self.topology.route(start, goal, self.classes[route_class], usable)

    def _best(self, route_class: Id, start: Id, goal: Id) -> Route | None:
        key = (route_class, start, goal)
        if key not in self._routes:
            if len(self._routes) >= ROUTES_MAX:
                self._routes.clear()
            self._routes[key] = self.topology.route(start, goal, self.classes[route_class])
        return self._routes[key]

    def promise(self, route_class: Id, links: Iterable[Id]) -> Promise:
        """What a segment over these links promises, its two ends included."""
        card = self.cards[route_class].promises
        return along([card.of_end(), *(self.link_promise(route_class, link) for link in links), card.of_end()])

    def link_promise(self, route_class: Id, link: Id) -> Promise:
        """What one internal link promises."""
        found = self.links[link]
        return self.cards[route_class].promises.of_link(found.km, found.latency_us)

    def end_promise(self, route_class: Id) -> Promise:
        """What one end promises."""
        return self.cards[route_class].promises.of_end()

    def rates(self, route_class: Id, a: Id, z: Id, km: int) -> Rates:
        """Rates of a segment between two interfaces over `km` kilometres."""
        return segment_rates(self.cards[route_class].rates, self.kind(a), self.kind(z), km)

    def link_rates(self, route_class: Id, link: Id) -> Rates:
        """Rates of one internal link."""
        return distance_rates(self.cards[route_class].rates, self.links[link].km)

    def end_rates(self, route_class: Id, interface: Id) -> Rates:
        """Rates of one end."""
        return end_rates(self.cards[route_class].rates, self.kind(interface))

    def tariff(self, route_class: Id, a: Id, z: Id, km: int, action: Action = Action.ADD) -> Tariff:
        """The tariff a segment over `km` kilometres is quoted at."""
        return tariff(self.terms[route_class], self.rates(route_class, a, z, km), self.currency, action)

    def kind(self, interface: Id) -> InterfaceKind:
        """UNI or ENNI."""
        return InterfaceKind.UNI if isinstance(self.interfaces[interface], Uni) else InterfaceKind.ENNI


def _route_class(card: ClassCard) -> RouteClass:
    return RouteClass(card.id, None if card.countries is None else frozenset(card.countries))
