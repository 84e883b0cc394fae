"""What a verification says: every check of the profile by name, and why it failed or what it found."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from schemas.evidence import Profile

FORMAT: Final = "format"
_BY_ANYBODY: Final = ("chains", "signatures", "marks", "facts", "policy", "inclusion", "witnesses", "complete")
# In the order in which a person reads them. What a profile does not show cannot be checked in it, and is not listed.
CHECKS: Final[Mapping[Profile, tuple[str, ...]]] = MappingProxyType(
    {
        Profile.COUNTRIES: _BY_ANYBODY,
        Profile.REGULATOR: (*_BY_ANYBODY[:2], "documents", "path", *_BY_ANYBODY[2:]),
        Profile.BUYER: (
            *_BY_ANYBODY[:2],
            "documents",
            "path",
            *_BY_ANYBODY[2:5],
            "narrowing",
            "amounts",
            "bills",
            "statement",
            "plausibility",
            *_BY_ANYBODY[5:],
        ),
    }
)


class Check(Struct, frozen=True):
    """One check: its name, whether it holds, and what it found or missed."""

    name: str
    ok: bool
    detail: str


class Report(Struct, frozen=True):
    """All checks of the profile, which is null for a file that cannot be read."""

    profile: Profile | None
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all of them hold."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def failed(self) -> tuple[str, ...]:
        """The names of those that do not."""
        return tuple(check.name for check in self.checks if not check.ok)
