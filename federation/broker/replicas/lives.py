"""Which replica a process is, and which of its lives: so that one that was killed has at once again what it carried.

A new life may have what an earlier one of the same replica had if that one is certain to be over. What shows it is the
file `replica` in the data folder, locked for as long as a process lives, however it ends. It says which replica this
is, which life, in which boot of which machine, and which file it is itself. The same boot and the same file, and the
lock is ours: then the process before is gone. After another boot, or in a copy of the folder, it may not be; then this
is a new replica, and what the other one had is taken over as from anybody. The store counts lives, too: whoever finds
that somebody went on from the same file is a new replica as well.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from federation.broker.store.redis.server import Server
from federation.node.seams import Entropy
from schemas.problem import invalid

FILE: Final = "replica"
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
BYTES_MAX: Final = 4_096
KEPT_S: Final = 30 * 86_400  # a replica that was away for so long is a new one
NAME: Final = re.compile(r"(?P<replica>.+)\.(?P<life>[0-9]+)")
BEGIN: Final = """
if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] + 1, 'EX', ARGV[2])
return 1
"""


class Last(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says of the life before: `boot` and `file` are where that was."""

    replica: str
    life: int
    boot: str
    file: tuple[int, int]


def boot_id() -> str | None:
    """What no two boots of any machine have in common; none where the system does not say."""
    try:
        return BOOT.read_text(encoding="ascii").strip() or None
    except OSError:
        return None


def earlier(name: str, now: str) -> bool:
    """Whether `name` is a life of the same replica as `now`, before it."""
    one, other = NAME.fullmatch(name), NAME.fullmatch(now)
    same = one is not None and other is not None and one["replica"] == other["replica"]
    return same and one is not None and other is not None and int(one["life"]) < int(other["life"])


@asynccontextmanager
async def living(
    data: Path, server: Server, prefix: str, entropy: Entropy, boot: Callable[[], str | None] = boot_id
) -> AsyncIterator[str]:
    """The name of this life, which nobody else has. Raises `Problem` where the folder cannot be written, and
    `UNAVAILABLE`."""
    path = data / FILE
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise invalid(str(path), f"cannot be kept ({error.strerror})") from error
    try:
        here = boot() if _locked(file) else None
        yield await _begin(file, here, server, prefix, entropy)
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    """Whether it is ours from now on: another process may run over the same folder, and some systems have no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


async def _begin(file: int, boot: str | None, server: Server, prefix: str, entropy: Entropy) -> str:
    if boot is None:
        return f"{entropy.token()}.1"  # nobody will go on from it
    status = os.fstat(file)
    here = (status.st_dev, status.st_ino)
    last = _read(file)
    if last is None or (last.boot, last.file) != (boot, here) or not await _counted(last, server, prefix):
        last = Last(entropy.token(), 0, boot, here)
        await _counted(last, server, prefix)  # nobody else has this name
    present = Last(last.replica, last.life + 1, boot, here)
    _write(file, msgspec.json.encode(present))
    return f"{present.replica}.{present.life}"


async def _counted(last: Last, server: Server, prefix: str) -> bool:
    """Whether the life after this one is ours, counted where a copy of the file would count, too."""
    (done,) = await server.write([("EVAL", BEGIN, 1, f"{prefix}replica:{last.replica}", last.life, KEPT_S)])
    return bool(done)


def _read(file: int) -> Last | None:
    try:
        return msgspec.json.decode(os.pread(file, BYTES_MAX, 0), type=Last)
    except msgspec.MsgspecError:
        return None  # empty, or cut off in the middle of a write


def _write(file: int, text: bytes) -> None:
    """In place: the file itself is part of the proof."""
    os.ftruncate(file, 0)
    os.pwrite(file, text, 0)
    os.fsync(file)
