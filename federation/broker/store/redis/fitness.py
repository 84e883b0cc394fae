"""Whether a Redis server may be trusted with orders (pure): what it says of itself, against what a broker promises.

An order is acknowledged once it is on disk, so a server that writes later, that throws keys away, or that takes writes
while its replicas are out of reach, is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from schemas.problem import Problem

FIELD: Final = "store.redis"
SCHEMA: Final = 1  # of the keys; a newer one is of a newer Peerway
VERSION_MIN: Final = (6, 2)
WANTED: Final = (
    *("appendonly", "appendfsync", "no-appendfsync-on-rewrite"),
    *("maxmemory-policy", "min-replicas-to-write"),
)
ALLOW: Final = "+@read +@write +@connection +@scripting +@pubsub +wait +info +config|get"


class Facts(NamedTuple):
    """What a server says: INFO, the settings `WANTED`, and the version of the keys in it, if there are any.
    `watched` says that sentinels may put a replica of it into its place."""

    info: Mapping[str, str]
    settings: Mapping[str, str]
    schema: str | None
    watched: bool = False

    @property
    def replicas(self) -> int:
        """How many replicas follow it now."""
        return int(self.info.get("connected_slaves", "0"))

    @property
    def replicas_min(self) -> int:
        """How many must be there for it to take a write at all."""
        return int(self.settings.get("min-replicas-to-write", "0"))


def judge(facts: Facts) -> int:
    """How many replicas must have a write before it is acknowledged; 0 where there are none.

    Raises `UNAVAILABLE` that names all that is wrong, and what would be right.
    """
    faults = [*_faults(facts)]
    if faults:
        raise Problem("UNAVAILABLE", "; ".join(faults), field=FIELD)
    return facts.replicas_min


def read_info(text: str) -> dict[str, str]:
    """The lines of INFO by their names."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, found, value in pairs if found}


def forbidden(why: str) -> Problem:
    """The user may not ask for what has to be known."""
    detail = f"its settings cannot be looked at ({why}); allow what is needed: ACL SETUSER <user> {ALLOW}"
    return Problem("UNAVAILABLE", detail, field=FIELD)


def elsewhere(why: str) -> Problem:
    """A node of a cluster without the slot of this broker's keys: `why` are its words, with slot and address."""
    detail = f"it is a node of a cluster, and does not serve the slot of this broker ({why}); name the node that does"
    return Problem("UNAVAILABLE", detail, field=FIELD)


def _faults(facts: Facts) -> Iterator[str]:
    version = facts.info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < VERSION_MIN:
        yield f"this is Redis {version}, and 6.2 is the oldest that will do"
    if facts.info.get("role") != "master":
        yield "this server is a replica of another one; name the one that takes writes"
    if facts.settings.get("appendonly") != "yes":
        yield "it keeps orders in memory alone; set appendonly yes"
    if facts.settings.get("appendfsync") != "always":
        found = facts.settings.get("appendfsync")
        yield f"it acknowledges what is not on disk yet (appendfsync {found}); set appendfsync always"
    if facts.settings.get("no-appendfsync-on-rewrite") != "no":
        why = "it acknowledges what is not on disk yet whenever it writes its file anew"
        yield f"{why} (no-appendfsync-on-rewrite yes); set no-appendfsync-on-rewrite no"
    if facts.settings.get("maxmemory-policy") != "noeviction":
        found = facts.settings.get("maxmemory-policy")
        yield f"it throws keys away when memory runs out (maxmemory-policy {found}); set maxmemory-policy noeviction"
    if facts.replicas > 0 and facts.replicas_min < 1:
        yield "it has replicas and does not wait for any; set min-replicas-to-write 1 or more"
    elif facts.watched and facts.replicas_min < 1:
        yield "sentinels may promote a replica of it that lacks what it took; set min-replicas-to-write 1 or more"
    if facts.schema is not None and (not facts.schema.isdigit() or int(facts.schema) > SCHEMA):
        yield f"its keys were written by a newer Peerway (schema {facts.schema[:20]}, this one knows {SCHEMA})"
