"""Promises in a row: in one go they come to what the agreed rule says pair by pair, to the last unit."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from federation.broker.paths.assembly import in_a_row
from schemas.segment import PPB, Promise

SHARES = st.integers(min_value=0, max_value=PPB)
SUMS = st.integers(min_value=0, max_value=10**12)


@given(st.lists(st.builds(Promise, SUMS, SUMS, SHARES, SHARES, SUMS), min_size=1, max_size=6), SUMS)
def test_promises_in_a_row_are_those_of_the_agreed_rule(promises: list[Promise], between_us: int) -> None:
    assert in_a_row(promises, between_us) == reduce(Promise.then, [Promise(latency_us=between_us), *promises])
