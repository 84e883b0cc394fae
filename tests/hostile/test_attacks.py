"""Every attack of the table: refused with the control, won without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.problem import Problem
from tests.hostile.control import Beaten, Control
from tests.hostile.table import CONTROLS

pytestmark = pytest.mark.asyncio
EACH = pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
THREATS = {f"T{number}" for number in range(1, 20)}


@EACH
async def test_the_attack_is_refused(control: Control, tmp_path: Path) -> None:
    with pytest.raises((Problem, Beaten)):
        await control.attack(tmp_path)


@EACH
async def test_without_the_control_the_attack_succeeds(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.switch_off(monkeypatch)
    await control.attack(tmp_path)


async def test_every_threat_of_this_kind_has_an_attack() -> None:
    assert {control.threat for control in CONTROLS} >= THREATS
    assert len({control.id for control in CONTROLS}) == len(CONTROLS)
