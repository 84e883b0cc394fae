"""What is known of the federation at one moment (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.broker.discovery.sheet import OperatorSheet


@dataclass(frozen=True)
class Known:
    """The operators by name (`roster`), the sheets of those that published, and why others are absent; by entity id.

    `epoch` grows with every change of the sheets, so that two answers with one epoch saw the same offers. Treat the
    mappings as read-only: they are never changed, only replaced.
    """

    epoch: int = 0
    roster: Mapping[str, str] = field(default_factory=dict)
    sheets: Mapping[str, OperatorSheet] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
