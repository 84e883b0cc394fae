"""Who may buy here, from the configuration: by a bearer key within set limits, by mandates of its own, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from federation.broker.authority.access import BuyerAccess, BuyerLimits
from federation.node.bearer import Keyring
from federation.node.config import read_text
from federation.trust.keys import PublicKey, public_keys
from schemas.authority import AUTHORITY_TYPE, Authority, Spend
from schemas.entity import Jwks
from schemas.price import RateTable
from schemas.problem import Problem, invalid
from schemas.segment import EntityId

HOUSE_DEPTH = 2  # as that of an agent's token: the broker passes it on once, and the operator once
UNTIL_MAX = 10**11


class Buyers:
    """The buyers of one broker."""

    def __init__(self, accesses: Sequence[BuyerAccess], rates: RateTable) -> None:
        self.bearers = Keyring({one.key_sha256: one.name for one in accesses if one.key_sha256})
        self.any_bearer = any(one.key_sha256 for one in accesses)
        self._houses = {one.name: house(one.limits, rates) for one in accesses if one.key_sha256}
        self._names = {one.entity: one.name for one in accesses if one.entity}
        self._keys = {one.entity: _keys(one) for one in accesses if one.entity}

    def house(self, name: str) -> Authority:
        """The limits of a buyer that comes with a bearer key."""
        return self._houses[name]

    def name_of(self, entity: EntityId) -> str:
        """The buyer whose mandates are signed by `entity`. Raises `UNAUTHENTICATED` for one that is none any more."""
        if entity not in self._names:
            raise Problem("UNAUTHENTICATED", "the mandate's buyer is not known here")
        return self._names[entity]

    def entity_of(self, name: str) -> EntityId | None:
        """Who signs the mandates of a buyer, if it gives any."""
        return next((entity for entity, named in self._names.items() if named == name), None)

    def keys_of(self, entity: EntityId) -> Mapping[str, PublicKey]:
        """What verifies the mandates of a buyer. Raises `NOT_FOUND`."""
        if entity not in self._keys:
            raise Problem("NOT_FOUND", f"{entity} is no buyer here")
        return self._keys[entity]


def house(limits: BuyerLimits, rates: RateTable) -> Authority:
    """The authority that a configuration gives the owner of a bearer key."""
    known = sorted(rates.worth_ppm)
    currency = limits.currency or ("EUR" if "EUR" in known or not known else known[0])
    return Authority(
        type=AUTHORITY_TYPE,
        actions=limits.actions,
        locations=limits.operators,
        max_bandwidth_bps=limits.max_bandwidth_bps,
        jurisdictions=limits.jurisdictions,
        excluded_regimes=limits.excluded_regimes,
        required_marks=limits.required_marks,
        spend=Spend(
            ccy=currency,
            per_order_micro=limits.per_order_micro,
            total_micro=limits.total_micro,
            until=UNTIL_MAX if limits.until is None else int(limits.until.timestamp()),
        ),
        max_hops=limits.max_hops,
        depth=HOUSE_DEPTH,
    )


def _keys(access: BuyerAccess) -> Mapping[str, PublicKey]:
    assert access.jwks is not None, "checked when the configuration was read"
    try:
        return public_keys(msgspec.json.decode(read_text(Path(access.jwks)), type=Jwks))
    except (msgspec.MsgspecError, Problem) as error:
        why = "no public JWK set; make one with: peerway keys public FILE"
        raise error if _says(error) else invalid(access.jwks, why) from error


def _says(error: Exception) -> bool:
    return isinstance(error, Problem) and error.code == "INVALID_ARGUMENT"
