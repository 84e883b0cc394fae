"""What may be quoted: the rules a segment must meet, the route it takes, and the claim that holds it.

No I/O and nothing awaited: whoever calls this and then admits the claim has decided in one turn of the loop. A request
that could never be met is `INVALID_ARGUMENT`; one that cannot be met now is one of `REFUSALS`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import structs

from operators.fabric.driver import Driver
from operators.inventory.calendar import Refusal
from operators.inventory.footprint import Enni, Uni
from operators.inventory.ledger import Claim, Inventory, LabelTaken, Refused
from operators.inventory.topology import Route
from operators.orders.fsm import Lease
from operators.pricing.network import Network
from schemas import labels
from schemas.price import Tariff, TermFactor, term_ppm
from schemas.problem import Problem, invalid
from schemas.quote import Action
from schemas.segment import End, Id, Limits, Promise, Segment, window

REFUSALS: Final = frozenset(
    {"CAPACITY_CHANGED", "LABEL_TAKEN", "NO_FEASIBLE_PATH", "TOO_MANY_REQUESTS", "OPERATOR_REFUSED"}
)
LATE_S: Final = 120  # a window may begin this long ago: "now" was the broker's, and a request takes its time


class Plan(NamedTuple):
    """A segment with its labels, the ids it runs over inside, what it promises and costs."""

    segment: Segment
    route: tuple[Id, ...]
    promise: Promise
    tariff: Tariff


def plan_segment(
    network: Network,
    inventory: Inventory,
    asked: Segment,
    limits: Limits,
    *,
    now: int,
    horizon_s: int,
    asked_before: bool = False,
) -> Plan:
    """A new segment, as it would be sold now; what was `asked_before` may have begun meanwhile. Raises `Problem`."""
    _check_window(asked, now, horizon_s, asked_before=asked_before)
    a, z = _ends(network, asked)
    _check_ends(asked, a, z)
    network.route_class(asked.route_class, "segment.route_class")
    tariff_floor_s = network.terms[asked.route_class].minimum_term_s
    if asked.window.duration_s < tariff_floor_s:
        raise invalid("segment.window", f"shorter than the minimum term of {tariff_floor_s} s")
    way = _route(network, inventory, asked)
    promise = network.promise(asked.route_class, way.links)
    _check_limits(limits, promise)
    tariff = network.tariff(asked.route_class, a.id, z.id, way.km)
    return Plan(_labelled(inventory, asked, a, z), way.links, promise, tariff)


def plan_amendment(network: Network, lease: Lease, asked: Segment, limits: Limits, *, horizon_s: int) -> Plan:
    """A change of a lease over its own route: longer, or with another bandwidth for what is left. Raises `Problem`."""
    check_amends(lease, asked)
    if asked.window.end_s > horizon_s:
        raise invalid("segment.window", f"ends after {horizon_s}, the last second that is sold now")
    promise = network.promise(asked.route_class, lease.route)
    _check_limits(limits, promise)
    km = sum(network.links[name].km for name in lease.route)
    a, z = lease.segment.a, lease.segment.z
    tariff = network.tariff(asked.route_class, a.interface, z.interface, km, Action.MODIFY)
    if asked.window.start_s != lease.end_s:
        tariff = _at_term(tariff, lease.end_s - lease.start_s)
    return Plan(structs.replace(asked, a=a, z=z), lease.route, promise, tariff)


def check_amends(lease: Lease, asked: Segment) -> None:
    """What may be changed, and only one thing at a time: the end, or the bandwidth until the present end. Raises
    `INVALID_ARGUMENT`."""
    held = lease.segment
    same = {
        "a.interface": held.a.interface == asked.a.interface,
        "z.interface": held.z.interface == asked.z.interface,
        "a.label": asked.a.label in {None, held.a.label},
        "z.label": asked.z.label in {None, held.z.label},
        "mtu": held.mtu == asked.mtu,
        "route_class": held.route_class == asked.route_class,
        "boundary": held.boundary == asked.boundary,
    }
    for name, agrees in same.items():
        if not agrees:
            raise invalid(f"segment.{name}", "differs from the lease; a change is of its end or its bandwidth only")
    _check_one_thing(lease, asked)


def _check_one_thing(lease: Lease, asked: Segment) -> None:
    held = lease.segment
    if asked.window.start_s == lease.end_s:
        if asked.bandwidth_bps != held.bandwidth_bps:
            raise invalid("segment.bandwidth_bps", "of added time is that of the lease until its end")
        return
    if asked.window.end_s != lease.end_s:
        end = f"{held.window.end:%Y-%m-%dT%H:%M:%SZ}"
        raise invalid("segment.window", f"the lease ends at {end}: more time starts, another bandwidth ends there")
    if asked.bandwidth_bps == held.bandwidth_bps:
        raise invalid("segment.bandwidth_bps", "is what the lease has already; name another one")


def check_now(asked: Segment, lease: Lease, driver: Driver, now: int) -> None:
    """That another bandwidth is asked for from about now, of a network that can change one. Raises `Problem`."""
    if asked.window.start_s == lease.end_s:
        return
    if not getattr(driver, "resizes", False):
        why = "this operator's network cannot change the bandwidth of a segment in force"
        raise Problem("NOT_IMPLEMENTED", why, field="segment.bandwidth_bps")
    if abs(asked.window.start_s - now) > LATE_S:
        raise invalid("segment.window", f"another bandwidth counts from its confirm: start within {LATE_S} s of now")


def check_boundary(asked: Segment, driver: Driver, *, elsewhere: bool) -> None:
    """That a boundary is put into force by the driver, or `elsewhere` in this network. Raises `NOT_IMPLEMENTED`."""
    if asked.boundary is not None and not (elsewhere or getattr(driver, "bounds", False)):
        why = "this operator's network holds no traffic to a boundary, so it takes none"
        raise Problem("NOT_IMPLEMENTED", why, field="segment.boundary")


def claim_of(name: Id, segment: Segment, route: tuple[Id, ...], lease: Lease | None = None) -> Claim | None:
    """What holding this segment takes from the inventory: everything that it uses, or of a `lease` what it needs more.

    More time needs all of it there. More bandwidth needs the difference, at both interfaces too but without another
    label; less needs nothing.
    """
    ends = (segment.a, segment.z)
    frame, more = segment.window, segment.bandwidth_bps
    within = lease is not None and frame.start_s != lease.end_s
    if lease is not None and within:
        more -= lease.segment.bandwidth_bps
    if more <= 0:
        return None
    return Claim(
        id=name,
        links=(*route, *(end.interface for end in ends)) if within else route,
        ends=() if within else tuple((end.interface, end.label) for end in ends if end.label is not None),
        bandwidth_bps=more,
        start_s=frame.start_s,
        end_s=frame.end_s,
    )


def refuse(refused: Refused, segment: Segment) -> Problem:
    """Why the inventory did not admit a claim, with what is free instead; the inside stays unnamed."""
    if isinstance(refused, LabelTaken):
        end = "a" if refused.interface == segment.a.interface else "z"
        extra = {"interface": refused.interface, "free": labels.ranges(refused.free)}
        detail = f"the label is not free on {refused.interface} in this window"
        return Problem("LABEL_TAKEN", detail, field=f"segment.{end}.label", extra=extra)
    return _no_capacity(refused, segment)


def _no_capacity(refused: Refusal, segment: Segment) -> Problem:
    at_end = refused.resource in {segment.a.interface, segment.z.interface}
    where = {"interface": refused.resource} if at_end else {}
    detail = f"{refused.free} bit/s are free {f'on {refused.resource}' if at_end else 'inside'} in this window"
    extra = {"free": refused.free, **where}
    return Problem("CAPACITY_CHANGED", detail, field="segment.bandwidth_bps", extra=extra)


def _check_window(asked: Segment, now: int, horizon_s: int, *, asked_before: bool) -> None:
    frame = asked.window
    if frame.end_s <= now:
        raise invalid("segment.window", "ends in the past")
    if frame.start_s < now - LATE_S and not asked_before:
        raise invalid("segment.window", f"starts more than {LATE_S} s ago")
    if frame.end_s > horizon_s:
        raise invalid(
            "segment.window", f"ends after {window(now, horizon_s).end:%Y-%m-%dT%H:%M:%SZ}, the last sold now"
        )


def _ends(network: Network, asked: Segment) -> tuple[Uni | Enni, Uni | Enni]:
    a = network.interface(asked.a.interface, "segment.a.interface")
    z = network.interface(asked.z.interface, "segment.z.interface")
    if a.id == z.id:
        raise invalid("segment.z.interface", "is the same as a; a segment joins two interfaces")
    return a, z


def _check_ends(asked: Segment, a: Uni | Enni, z: Uni | Enni) -> None:
    for interface in (a, z):
        if asked.mtu > interface.mtu:
            raise invalid("segment.mtu", f"{interface.id} carries frames of at most {interface.mtu} bytes")
        if asked.bandwidth_bps > interface.speed_bps:
            raise invalid("segment.bandwidth_bps", f"the speed of {interface.id} is {interface.speed_bps} bit/s")
    if not (a.swap and z.swap) and asked.a.label and asked.z.label and asked.a.label != asked.z.label:
        fixed = z.id if a.swap else a.id
        raise invalid("segment.z.label", f"{fixed} cannot swap labels: both ends need the same one")


def _check_limits(limits: Limits, promise: Promise) -> None:
    broken = limits.broken_by(promise)
    if broken:
        offered = {name: getattr(promise, name) for name in broken}
        raise Problem(
            "NO_FEASIBLE_PATH",
            f"the best route now promises {', '.join(f'{name} {value}' for name, value in offered.items())}",
            field=f"limits.{broken[0]}",
            extra={"promise": offered},
        )


def _at_term(tariff: Tariff, term_s: int) -> Tariff:
    """With the factor of a term, whatever is left of it."""
    return structs.replace(tariff, terms=(TermFactor(0, term_ppm(tariff.terms, term_s)),))


def _route(network: Network, inventory: Inventory, asked: Segment) -> Route:
    """The best route with room for it. Where there is none, the best one without regard to room says what is free."""
    frame, name = asked.window, asked.route_class
    a, z = asked.a.interface, asked.z.interface

    def usable(inside: Id) -> bool:
        return inventory.free((inside,), frame.start_s, frame.end_s) >= asked.bandwidth_bps

    route = network.route(name, a, z, usable)
    if route is not None:
        return route
    best = network.route(name, a, z)
    if best is None:
        detail = f"route class {name} does not join {a} and {z}"
        raise Problem("NO_FEASIBLE_PATH", detail, field="segment.route_class")
    raise _no_capacity(Refusal("", inventory.free(best.links, frame.start_s, frame.end_s)), asked)


def _labelled(inventory: Inventory, asked: Segment, a: Uni | Enni, z: Uni | Enni) -> Segment:
    """With a label at both ends: the one asked for, otherwise the lowest that is free there."""
    ends = {a.id: asked.a, z.id: asked.z}
    if not (a.swap and z.swap):
        label = asked.a.label or asked.z.label
        ends = {name: End(name, label) for name in ends}
    free = {name: _choice(inventory, end, asked) for name, end in ends.items()}
    if not (a.swap and z.swap):
        both = free[a.id] & free[z.id]
        free = dict.fromkeys(free, both)
    picked = {name: _pick(name, mask, asked) for name, mask in free.items()}
    return structs.replace(asked, a=End(a.id, picked[a.id]), z=End(z.id, picked[z.id]))


def _choice(inventory: Inventory, end: End, asked: Segment) -> int:
    """Mask of the labels to choose from: the one asked for, whether free or not, or all that are free."""
    if end.label is not None:
        return 1 << end.label
    return inventory.free_labels(end.interface, asked.window.start_s, asked.window.end_s)


def _pick(interface: Id, mask: int, asked: Segment) -> int:
    if not mask:
        raise refuse(LabelTaken(interface, 0, 0), asked)
    return labels.lowest(mask)
