"""A lease that was changed as often as it may be: what its broker states of it is not too large to be read."""

from __future__ import annotations

import pytest
from msgspec import structs

from federation.broker.orders.saga.state import Leg, Pledge
from federation.broker.orders.saga.statement import statement_claims
from federation.trust.jose import sign_jws, verify_jws
from federation.trust.keys import generate, public_keys
from schemas.entity import Jwks
from schemas.lease import State
from schemas.order import CHANGES_MAX
from schemas.price import Tariff
from schemas.statement import USES_MAX, BillingStatement
from schemas.token import TYPES
from tests.support.sagas import HOUR_S, Saga, billed
from tests.support.seams import NOW

KEY = generate()
TARIFF = Tariff(currency="EUR", hourly_micro=450_000_000, gbps_hourly_micro=20_000_000, exit_micro=10**9)
RECEIPT = "r" * TYPES["receipt+jwt"].bytes_max


def changed(leg: Leg, first: Pledge, count: int) -> Leg:
    """Another bandwidth each minute, at a tariff of its own."""
    later = (
        structs.replace(
            first, quote_h=f"{number}".rjust(43, "c"), tariff=structs.replace(TARIFF, hourly_micro=10**9 + number),
            from_s=NOW + 60 * number,
        )
        for number in range(1, count + 1)
    )  # fmt: skip
    return structs.replace(leg, longer=tuple(later))


@pytest.mark.parametrize("segments", [1, 3, 9])
def test_the_statement_of_a_lease_that_was_changed_without_a_pause_can_be_read(segments: int) -> None:
    count = min(CHANGES_MAX, USES_MAX // segments - 1)
    saga = Saga(segments, tariff=TARIFF, lasts_s=10 * HOUR_S).active()
    pairs = zip(saga.state.legs, saga.state.terms.parts, strict=True)
    saga.state = structs.replace(saga.state, legs=tuple(changed(leg, part.pledge, count) for leg, part in pairs))
    saga.at(9 * HOUR_S).release().all("SendRelease", State.RELEASED, billed(7))
    assert saga.is_ == "RELEASED"
    claims = statement_claims(saga.state, {})
    assert [len(one.uses) for one in claims.segments] == [count + 1] * segments
    token = sign_jws(KEY, claims)
    keys = public_keys(Jwks((KEY.jwk(),)))
    assert verify_jws(token, BillingStatement, keys, now=claims.iat, aud=claims.aud) == claims
    assert len(token) + segments * len(RECEIPT) * 4 // 3 < TYPES["billing-statement+jwt"].bytes_max
