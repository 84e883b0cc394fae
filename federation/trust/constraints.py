"""Constraints of a superior on everything below it (OpenID Federation 1.1, section 6.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.entity import Constraints, NamingConstraints
from schemas.problem import Problem

ALWAYS_ALLOWED: Final = "federation_entity"
NAMES_MAX: Final = 256
NAME: Final = re.compile(r"\.?[a-z0-9]([a-z0-9.\-]{0,252}[a-z0-9])?")


def check_constraints(constraints: Constraints, below: Sequence[str]) -> None:
    """Hold the entities `below` to what one statement says; `below` runs from its subject down to the chain's subject.

    Raises `DOCUMENT_INVALID`. Every entity below but the last is an intermediate.
    """
    if ALWAYS_ALLOWED in (constraints.allowed_entity_types or ()):
        raise _broken("allowed_entity_types", f"names {ALWAYS_ALLOWED}, which is always allowed and not to be named")
    longest, found = constraints.max_path_length, len(below) - 1
    if longest is not None and found > longest:
        raise _broken("max_path_length", f"{found} intermediates, {longest} allowed")
    if constraints.naming_constraints is not None:
        for entity in below:
            _check_name(constraints.naming_constraints, entity)


def allowed_metadata(constraints: Sequence[Constraints], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata without the entity types that a superior does not allow (section 6.2.3)."""
    limits = [one.allowed_entity_types for one in constraints if one.allowed_entity_types is not None]
    return {
        entity_type: parameters
        for entity_type, parameters in metadata.items()
        if entity_type == ALWAYS_ALLOWED or all(entity_type in limit for limit in limits)
    }


def _check_name(names: NamingConstraints, entity: str) -> None:
    host = host_of(entity)
    if any(_matches(name, host) for name in _usable(names.excluded)):
        raise _broken("naming_constraints", f"{entity} is excluded by a superior")
    if names.permitted is not None and not any(_matches(name, host) for name in _usable(names.permitted)):
        raise _broken("naming_constraints", f"{entity} is not among the names that a superior permits")


def _usable(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > NAMES_MAX:
        raise _broken("naming_constraints", f"more than {NAMES_MAX} names")
    if wrong := next((name for name in names if not NAME.fullmatch(name.lower())), None):
        raise _broken("naming_constraints", f"'{wrong[:80]}' is neither a host nor a domain with a leading dot")
    return names


def _matches(name: str, host: str) -> bool:
    """A leading dot stands for one or more labels in front; without it only that very host is meant."""
    name = name.lower()
    return host.endswith(name) and len(host) > len(name) if name.startswith(".") else host == name


def host_of(entity: str) -> str:
    """The host of an entity id, without port and path."""
    return entity.removeprefix("https://").partition("/")[0].partition(":")[0]


def _broken(field: str, why: str) -> Problem:
    return Problem("DOCUMENT_INVALID", why, field=f"constraints.{field}")
