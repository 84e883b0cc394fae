"""The federation times k: every operator k times, with prices of its own, and k times as many interconnects.

Each interconnect between A and B becomes k: copy c of A meets copy c + s of B (counted round), with a shift s drawn
per interconnect. So copies are joined with each other, every ENNI has exactly one peer, and interconnects grow
linearly. Prices of single offers differ from the rate card by up to twice or half, in the first copy too: what stands
in a card is in proportion to length, and so to latency, which would make the search easy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from msgspec import structs

from benchmarks.caida.draft import share
from federation.broker.discovery.sheet import OperatorSheet
from schemas.interface import Interface, Peer
from schemas.offer import Offer


def copied(sheets: Mapping[str, OperatorSheet], k: int, seed: int) -> dict[str, OperatorSheet]:
    """`k` copies of every sheet, by entity id; the ids of the first are those of the original."""
    return {copy.entity: copy for sheet in sheets.values() for copy in _copies(sheet, k, seed)}


def name_of(entity: str, copy: int) -> str:
    """The entity id of a copy."""
    return entity if copy == 0 else entity.replace("https://", f"https://copy{copy}.", 1)


def original_of(entity: str) -> str:
    """The entity id that a copy was made from."""
    host = entity.removeprefix("https://")
    return f"https://{host.partition('.')[2]}" if host.startswith("copy") else entity


def _copies(sheet: OperatorSheet, k: int, seed: int) -> Iterator[OperatorSheet]:
    shifts = {name: _shift(sheet.entity, i.peer, name, k, seed) for name, i in sheet.interfaces.items() if i.peer}
    for copy in range(k):
        rng = Random(f"{seed} {sheet.entity} {copy}")
        interfaces = {name: _interface(i, copy, shifts, k) for name, i in sheet.interfaces.items()}
        offers = {name: _offer(offer, rng) for name, offer in sheet.offers.items()}
        yield structs.replace(sheet, entity=name_of(sheet.entity, copy), interfaces=interfaces, offers=offers)


def _shift(entity: str, peer: Peer, name: str, k: int, seed: int) -> int:
    """How far the peer's copy is from ours: what one side adds, the other takes away."""
    sides = sorted([f"{entity} {name}", f"{peer.entity} {peer.interface}"])
    shift = int(share(seed, "shift", *sides) * k)
    return shift if sides[0].startswith(f"{entity} ") else -shift


def _interface(interface: Interface, copy: int, shifts: Mapping[str, int], k: int) -> Interface:
    if interface.peer is None:
        return interface
    there = name_of(interface.peer.entity, (copy + shifts[interface.id]) % k)
    return structs.replace(interface, peer=Peer(there, interface.peer.interface))


def _offer(offer: Offer, rng: Random) -> Offer:
    factor = round(1000 * 2 ** (2 * rng.random() - 1))  # thousandths, from a half to twice
    hourly, gbps = offer.hourly_micro * factor // 1000, offer.gbps_hourly_micro * factor // 1000
    return structs.replace(offer, hourly_micro=hourly, gbps_hourly_micro=gbps)
