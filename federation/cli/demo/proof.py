"""The purchase proved to a stranger: evidence as a file, verified by a process that has the anchor's keys alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from federation.cli.demo.cast import BUYER_ENTITY
from federation.cli.demo.claims import Claim, Step, claim
from federation.cli.demo.processes import HERE
from federation.cli.demo.stage import TRUST, Stage
from federation.client.broker import BrokerClient
from schemas.evidence import Profile
from schemas.problem import Problem

FOLDER: Final = "evidence"
VERIFY: Final = (sys.executable, "-m", "federation.cli.main", "verify")
WAIT_S: Final = 90.0
AGAIN_S: Final = 0.25
KIB: Final = 1024


class Verdict(NamedTuple):
    """What `peerway verify` said of a file: its exit status, and the checks that held and that failed."""

    status: int
    held: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """All of them, and at least one."""
        return self.status == 0 and bool(self.held) and not self.failed


async def proved(client: BrokerClient, stage: Stage, order: str) -> Step:
    """Write the evidence of an order, verify it, and see that one bit of it cannot be changed."""
    folder = stage.folder / FOLDER
    folder.mkdir()
    begun = asyncio.get_running_loop().time()
    whole = await _written(client, order, Profile.BUYER, folder)
    took_s = asyncio.get_running_loop().time() - begun
    countries = await _written(client, order, Profile.COUNTRIES, folder)
    flipped = folder / "flipped.evidence"
    flipped.write_bytes(_flip(whole.read_bytes()))
    good, bad, less = await asyncio.gather(*(_verify(stage, one) for one in (whole, flipped, countries)))
    return Step(
        title="Proved to a stranger",
        asked="the evidence of step 4 as a file, for somebody with the anchor's keys, no network and no trust",
        claims=(*_claims(whole, good, bad), _shown_less(countries, less)),
        notes=(f"others had signed below the broker's log {took_s:.1f} s after the bill",),
    )


def _claims(whole: Path, good: Verdict, bad: Verdict) -> tuple[Claim, ...]:
    size = f"{whole.stat().st_size / KIB:.0f} KiB"
    return (
        claim(f"peerway verify: every check of {size} holds", good.ok, ", ".join(good.failed or good.held)),
        claim(
            "the same file with one bit flipped is refused, by name of the check",
            bad.status != 0 and bool(bad.failed),
            ", ".join(bad.failed),
        ),
    )


def _shown_less(countries: Path, less: Verdict) -> Claim:
    size = f"{countries.stat().st_size / KIB:.0f} KiB"
    return claim(
        f"a bundle of {size} that shows countries alone holds too", less.ok, ", ".join(less.failed or less.held)
    )


async def _written(client: BrokerClient, order: str, profile: Profile, folder: Path) -> Path:
    """The file, as soon as a checkpoint that others signed covers it. Raises `Problem`."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                found = await client.evidence(order, profile)
            except Problem as problem:
                if not problem.extra.get("pending"):
                    raise
                await asyncio.sleep(AGAIN_S)
            else:
                path = folder / f"{profile.value}.evidence"
                path.write_text(found.bundle, encoding="utf-8")
                return path


def _flip(data: bytes) -> bytes:
    """One bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


async def _verify(stage: Stage, bundle: Path) -> Verdict:
    """What the command says, in a process of its own that knows of no broker."""
    anchors = stage.folder / TRUST / "anchors.json"
    words = [str(bundle), "--anchor", str(anchors), "--key", f"{BUYER_ENTITY}={stage.given.jwks}", "--json"]
    process = await asyncio.create_subprocess_exec(
        *VERIFY, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=_environment()
    )
    out, err = await process.communicate()
    try:
        checks = json.loads(out)["checks"]
    except ValueError as error:
        raise Problem("UNAVAILABLE", f"peerway verify said: {err.decode(errors='replace')[-400:]}") from error
    return Verdict(process.returncode or 0, _names(checks, ok=True), _names(checks, ok=False))


def _environment() -> Mapping[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("PEERWAY_")}
    return known | {"PYTHONPATH": str(HERE)}


def _names(checks: list[dict[str, Any]], *, ok: bool) -> tuple[str, ...]:
    return tuple(one["name"] for one in checks if one["ok"] is ok)
