"""A control, how it is switched off in a test, and the attack that it stops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

from federation.trust.jose import unverified

Attack = Callable[[Path], Awaitable[None]]


class Beaten(Exception):
    """The attack gained nothing, though nobody said no."""


class Control(NamedTuple):
    """`place` is the one name that `off` replaces: from what stands there to what lets the attack through.

    `beneath` are other names, where the same check is made once more and is left out as well.
    """

    threat: str
    name: str
    place: str
    off: Callable[[Any], Any]
    attack: Attack
    beneath: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """How a test report names it."""
        return f"{self.threat}-{self.attack.__name__}"

    def switch_off(self, patch: pytest.MonkeyPatch) -> None:
        """For this test alone."""
        for place, off in ((self.place, self.off), *((one, nothing) for one in self.beneath)):
            owner, _, name = place.rpartition(".")
            found = _find(owner)
            patch.setattr(found, name, off(getattr(found, name)))


def _find(dotted: str) -> Any:
    """A module, or a class in one."""
    try:
        return __import__(dotted, fromlist=["_"])
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return getattr(_find(module), name)


def beaten(why: str) -> NoReturn:
    """The attacker gives up."""
    raise Beaten(why)


# --- What may stand where a control stood ----------------------------------------------------------------------------


def nothing(real: Any) -> Any:
    """The check is not made."""
    return lambda *args, **kwargs: None


def always(answer: Any) -> Callable[[Any], Any]:
    """The check finds the same whatever it is shown."""
    return lambda real: lambda *args, **kwargs: answer


def instead(thing: Any) -> Callable[[Any], Any]:
    """Another thing stands there."""
    return lambda real: thing


def any_audience(verify_jws: Any) -> Any:
    """Documents for others count as for us."""

    def verify(token: str, claims: Any, keys: Any, **how: Any) -> Any:
        return verify_jws(token, claims, keys, **(how | {"aud": unverified(token, claims).aud}))

    return verify
