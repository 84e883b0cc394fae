"""The circumstances that a policy may ask for: of a purchase for a buyer's, of a sale for an operator's (pure)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Purchase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a buyer's policy sees; `now` is the Unix second that evidence is judged at."""

    now: int
    data_class: str | None = None


class Sale(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator's own policy sees: whom the broker asks for, by pseudonym, and where the path ends (countries).

    `bandwidth_gbps` is rounded up.
    """

    now: int
    buyer: str
    bandwidth_gbps: int
    data_class: str | None = None
    destinations: frozenset[str] | None = None


Context = Purchase | Sale


def told(context: Context) -> dict[str, Any]:
    """The attributes of the Cedar context; what is unknown is absent."""
    values = {name: getattr(context, name) for name in context.__struct_fields__}
    return {name: value for name, value in values.items() if value is not None}
