"""`make bench-trust` still measures what it says: every operation runs, and every figure has its operation."""

from __future__ import annotations

from time import process_time

from benchmarks import trust


def test_every_operation_runs_and_every_figure_is_measured() -> None:
    us = trust.timed(trust.subjects(), rounds=1, batch_s=0, clock=process_time)
    assert next(iter(us)) == trust.FLOOR
    found = trust.figures(us | dict.fromkeys(us, 1.0))
    assert set(found) == {"admission_vs_verify", "cached_chain_vs_verify"}
    assert [one["bar"] for one in found.values()] == ["<= 8", "<= 0.05"]
    assert [one["ok"] for one in found.values()] == [True, False]
