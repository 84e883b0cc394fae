"""A backup as an agent asks for it and is told it: both paths in a line each."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, structs

from schemas.answer import BackupView, PathView, Relaxation
from schemas.backup import Apart, BackupRequest
from schemas.intent import Intent
from schemas.price import Money
from schemas.segment import Micros


class BackupArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the two paths must not share, and the backup's own limits."""

    apart: Annotated[Apart, Meta(description="what the two paths must not have in common")]
    max_latency_us: Annotated[Micros | None, Meta(description="of the backup; null as for the primary")] = None
    max_segments: Annotated[int, Meta(ge=1, le=16)] | None = None


class BackupBrief(Struct, frozen=True, kw_only=True):
    """The best pair, or why there is none."""

    found: bool
    proven: bool
    why: str
    total: Money | None = None
    primary: str | None = None
    backup: str | None = None
    shared: tuple[str, ...] = ()
    without_backup_limits: str | None = None


def backup_request(asked: BackupArgs | None, intent: Intent) -> BackupRequest | None:
    """The same as the broker's request."""
    if asked is None:
        return None
    limits = None
    if asked.max_latency_us is not None:
        limits = structs.replace(intent.limits, latency_us=asked.max_latency_us)
    return BackupRequest(apart=asked.apart, limits=limits, hops=asked.max_segments)


def backup_brief(view: BackupView) -> BackupBrief:
    """A pair in a few lines."""
    return BackupBrief(
        found=view.found,
        proven=view.proven,
        why=view.why,
        total=view.total,
        primary=_path(view.primary),
        backup=_path(view.backup),
        shared=view.shared,
        without_backup_limits=_without(view.relaxation),
    )


def _without(relaxation: Relaxation | None) -> str | None:
    if relaxation is None:
        return None
    total = relaxation.total
    return f"{total.micro} micro {total.currency}, backup {relaxation.promise.latency_us} us"


def _path(path: PathView | None) -> str | None:
    if path is None:
        return None
    over = " > ".join(
        f"{segment.operator_name} ({segment.a.city or segment.a.interface}-{segment.z.city or segment.z.interface})"
        for segment in path.segments
    )
    return f"{path.total.micro} micro {path.total.currency}, {path.promise.latency_us} us: {over}"
