"""What the owner of a broker may ask of it while it runs, over the Unix socket in its data folder: an audit of all
buyers, and a round of the sweeper that waits for nothing.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from federation.broker.sweeping.sweeper import Sweeper
from federation.node import hatch
from federation.node.http import decode
from schemas.answer import AuditView
from schemas.problem import Problem

AUDIT = "audit"


class Audit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what is wrong at any operator; with `sweep` let go of it, too."""

    sweep: bool = False


async def open_hatch(folder: Path, sweeper: Sweeper, stack: AsyncExitStack) -> None:
    """Take orders until `stack` closes. Raises `UNAVAILABLE`."""

    async def take(name: str, body: bytes) -> Any:
        if name != AUDIT:
            raise Problem("NOT_FOUND", "no such order")
        return await (sweeper.swept_all() if decode(body, Audit).sweep else sweeper.audit_all())

    await hatch.open_hatch(folder, take, stack)


async def hand_in(folder: Path, order: Audit) -> AuditView:
    """What the broker of a data folder says. Raises its `Problem`, `aiohttp.ClientConnectorError` where none serves."""
    return msgspec.convert(await hatch.hand_in(folder, AUDIT, msgspec.json.encode(order)), AuditView)
