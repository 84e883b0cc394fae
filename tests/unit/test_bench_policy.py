"""`make bench-policy` still measures what it says: every operation runs, and every figure has its operation."""

from __future__ import annotations

from time import process_time

import pytest

from benchmarks import policy


def test_every_operation_runs_and_every_figure_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "SEGMENTS", 20)
    us = policy.timed(policy.subjects(), rounds=1, batch_s=0, clock=process_time)
    found = policy.figures(us | dict.fromkeys(us, 1.0))
    assert found["prefilter_1000_vs_verify"] == {
        "value": 1.0,
        "unit": "ratio",
        "bar": "<= 14",
        "ok": True,
        "compares": "1,000 segments filtered by the dearest shipped policy / one bare ES256 verify",
    }
    told = {"prefilter_1000_new_vs_verify", "decision_vs_bare_cedar", "evidence_five_operators_vs_verify"}
    assert set(found) == {"prefilter_1000_vs_verify", *told}
    slow = policy.figures(us | {policy.AGAIN.format("eu-only"): 15 * us[policy.FLOOR]})
    assert slow["prefilter_1000_vs_verify"]["ok"] is False
