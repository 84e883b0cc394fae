"""Whether receipts say what was quoted, and whether both sides of every interconnect say the same."""

from __future__ import annotations

from federation.broker.orders.saga.state import Fault, OrderState
from schemas.segment import End, Segment


def differs(quoted: Segment, given: Segment, end_s: int) -> Fault | None:
    """What of `given` is not what `quoted` promised; more MTU is no harm. `end_s` is when the lease should end."""
    if given == quoted and given.window.end_s == end_s:
        return None  # as it nearly always is
    pairs = {
        "interface at the a end": (quoted.a.interface, given.a.interface),
        "interface at the z end": (quoted.z.interface, given.z.interface),
        "label at the a end": (quoted.a.label or given.a.label, given.a.label),
        "label at the z end": (quoted.z.label or given.z.label, given.z.label),
        "bandwidth": (quoted.bandwidth_bps, given.bandwidth_bps),
        "route class": (quoted.route_class, given.route_class),
        "start": (quoted.window.start_s, given.window.start_s),
        "end": (end_s, given.window.end_s),
        "MTU": (max(quoted.mtu, given.mtu), given.mtu),
    }
    for name, (asked, got) in pairs.items():
        if asked != got:
            return Fault("OPERATOR_REFUSED", f"the receipt says {name} {got}, quoted was {asked}")
    return None


def disagreement(state: OrderState) -> tuple[int, Fault] | None:
    """The first interconnect where the two signed receipts do not match, as the position of the segment before it.

    The interfaces meet by the path that was quoted, so it is enough that each receipt names those quoted (`differs`)
    and that both name one label, one bandwidth and an MTU as large as asked.
    """
    for index, (left, right) in enumerate(zip(state.legs, state.legs[1:], strict=False)):
        if left.in_force is None or right.in_force is None:
            continue
        if fault := _apart(left.in_force, right.in_force):
            return index, fault
    return None


def _apart(left: Segment, right: Segment) -> Fault | None:
    where = f"where {left.z.interface} meets {right.a.interface}"
    if not _labelled(left.z, right.a):
        return Fault("OPERATOR_REFUSED", f"{where} the labels differ: {left.z.label} and {right.a.label}")
    if left.bandwidth_bps != right.bandwidth_bps:
        return Fault("OPERATOR_REFUSED", f"{where} the bandwidths differ: {left.bandwidth_bps}, {right.bandwidth_bps}")
    return None


def _labelled(left: End, right: End) -> bool:
    return left.label is not None and left.label == right.label
