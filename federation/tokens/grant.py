"""Endpoint grants: who may connect at a UNI that is not theirs (pure).

A segment that ends at a UNI is its owner's own, or comes with the owner's grant for the broker or for the very buyer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from federation.tokens.mandate import KeysOf
from federation.trust.jose import doc_hash, unverified, verify_jws
from federation.trust.merkle import path_root
from schemas.grant import EndpointGrant
from schemas.problem import Problem
from schemas.segment import EntityId, Hash, Segment


class Asker(NamedTuple):
    """Who wants to connect: a broker, and the buyer by its pseudonym at this operator."""

    broker: EntityId
    buyer: str


def grants_hash(tokens: Sequence[str]) -> Hash | None:
    """`grant_h` of an rfq or order: the hash of one grant, or the Merkle root over the hashes of two (a, then z)."""
    hashes = [doc_hash(token) for token in tokens]
    if len(hashes) > 1:
        return path_root(hashes)
    return hashes[0] if hashes else None


def verify_grant(token: str, keys_of: KeysOf, *, operator: EntityId, now: int) -> EndpointGrant:
    """A grant for a UNI of this operator, signed by whoever it says. Raises `Problem`.

    Whether that is the owner of the UNI, `check_endpoints` asks.
    """
    owner = unverified(token, EndpointGrant).iss
    return verify_jws(token, EndpointGrant, keys_of(owner), now=now, iss=owner, aud=operator)


def check_endpoints(
    segment: Segment, owners: Mapping[str, EntityId], asker: Asker, grants: Sequence[EndpointGrant]
) -> None:
    """Every UNI at an end of `segment` is the asker's own or granted to it. Raises `POLICY_DENIED` naming the end.

    `owners` holds the UNIs of this operator that belong to others; its own UNIs it sells to whom it likes, and an ENNI
    nobody owns.
    """
    for name, end in (("a", segment.a), ("z", segment.z)):
        owner = owners.get(end.interface)
        if owner is None or owner == asker.broker:
            continue
        if not any(_allows(grant, owner, end.interface, segment, asker) for grant in grants):
            why = f"{end.interface} belongs to another; its owner's endpoint grant for this segment is missing"
            raise Problem("POLICY_DENIED", why, field=f"segment.{name}.interface")


def is_for(grant: EndpointGrant, asker: Asker) -> bool:
    """Whether a grant is for whoever asks: the broker itself, or this buyer of this very broker."""
    if grant.via is None:
        return grant.sub == asker.broker
    return (grant.via, grant.sub) == asker


def _allows(grant: EndpointGrant, owner: EntityId, uni: str, segment: Segment, asker: Asker) -> bool:
    return (
        grant.iss == owner
        and grant.uni == uni
        and is_for(grant, asker)
        and segment.bandwidth_bps <= grant.bandwidth_bps
        and grant.window.start <= segment.window.start
        and segment.window.end <= grant.window.end
    )
