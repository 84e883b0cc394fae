"""Drivers are found by name; one that is not installed is named with those that are."""

from __future__ import annotations

import pytest

from operators.fabric.driver import find_driver
from operators.fabric.null import NullDriver
from schemas.problem import Problem


def test_the_null_driver_is_always_there() -> None:
    assert isinstance(find_driver("null", "fabric"), NullDriver)


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(Problem, match=r"'optical' is no fabric driver; installed are null") as caught:
        find_driver("optical", "fabric")
    assert caught.value.field == "fabric"
