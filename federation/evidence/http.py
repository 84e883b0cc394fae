"""A log and a witness on the public listener: checkpoints and consistency for anybody, signatures for logs of members.

Whoever keeps asking for the checkpoint of a log, and for the proof from the former one, watches it for everybody else:
nothing here says what the log is about, for leaves are hashes of hashes. Where a document stands is for its parties, on
the listener where they are known.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from federation.evidence.note import NOTE_BYTES_MAX
from federation.evidence.protocols import SIGNED, WITNESSED, Kept, LogStore
from federation.evidence.witness import REQUEST_BYTES_MAX, AddCheckpoint, Refusal, read_request
from federation.node.http import read_body
from schemas.problem import Problem, invalid

LOG: Final = "/log"
WITNESS: Final = "/witness/add-checkpoint"
TEXT: Final = "text/plain"
SIZE: Final = "text/x.tlog.size"
SIZE_DIGITS_MAX: Final = 18
Sign = Callable[[AddCheckpoint], Awaitable[str | Refusal]]
assert NOTE_BYTES_MAX < REQUEST_BYTES_MAX


def publish_log(app: web.Application, base: str, rows: LogStore, sign: Sign) -> None:
    """Serve a log and a witness below `base`. `sign` gives the line of this witness, or why there is none."""
    face = _Face(rows, sign)
    app.router.add_get(f"{base}{LOG}/checkpoint", face.checkpoint)
    app.router.add_get(f"{base}{LOG}/consistency", face.consistency)
    app.router.add_post(base + WITNESS, face.add_checkpoint)


async def newest(rows: LogStore) -> Kept | None:
    """The newest checkpoint that others signed; as long as nobody has, the newest that the log signed."""
    return await rows.checkpoint(WITNESSED) or await rows.checkpoint(SIGNED)


class _Face:
    def __init__(self, rows: LogStore, sign: Sign) -> None:
        self._rows, self._sign = rows, sign

    async def checkpoint(self, _: web.Request) -> web.Response:
        """The newest checkpoint, as a signed note."""
        return web.Response(text=(await self._newest()).note, content_type=TEXT)

    async def consistency(self, request: web.Request) -> web.Response:
        """The proof from one size to another, a hash in base64 on each line; neither above the newest checkpoint's."""
        old, new = _size(request, "from"), _size(request, "to")
        last = (await self._newest()).size
        if not old <= new <= last:
            raise invalid("to", f"expected from <= to <= {last}, the size of the newest checkpoint")
        proof = await self._rows.consistency(old, new)
        return web.Response(text="".join(f"{base64.b64encode(one).decode()}\n" for one in proof), content_type=TEXT)

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        """A line below the checkpoint of another log (C2SP tlog-witness)."""
        verdict = await self._sign(read_request(await read_body(request, REQUEST_BYTES_MAX)))
        if isinstance(verdict, str):
            return web.Response(text=verdict, content_type=TEXT)
        if verdict.size is not None:
            return web.Response(text=f"{verdict.size}\n", status=verdict.status, content_type=SIZE)
        return web.Response(text=f"{verdict.why}\n", status=verdict.status, content_type=TEXT)

    async def _newest(self) -> Kept:
        found = await newest(self._rows)
        if found is None:
            raise Problem("NOT_FOUND", "nothing was logged yet")
        return found


def _size(request: web.Request, name: str) -> int:
    text = request.query.get(name, "")
    if not (text.isascii() and text.isdigit()) or len(text) > SIZE_DIGITS_MAX:
        raise invalid(name, "expected the size of a tree, such as from=3&to=7")
    return int(text)
