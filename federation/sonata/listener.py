"""The buyer's end of events: listeners below a callback that only the seller was told.

An event is a hint and nobody's word: it says which resource to read again. The callback holds an unguessable word per
seller, so strangers cannot even hint; what is posted is bounded in size, and its answer says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from federation.node.http import read_body
from schemas.sonata.hub import LISTENERS, Event

EVENT_BYTES_MAX: Final = 16 * 1024
Hear = Callable[[str, Event], bool]
_DECODER: Final = msgspec.json.Decoder(Event)


def listen_to_events(app: web.Application, base: str, hear: Hear) -> None:
    """Take events below `base`/WORD; `hear` is given the word and the event, and says whether it knows the word."""

    async def take(request: web.Request) -> web.Response:
        body = await read_body(request, EVENT_BYTES_MAX)
        try:
            event = _DECODER.decode(body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise web.HTTPBadRequest from error
        if not hear(request.match_info["word"], event):
            raise web.HTTPNotFound
        return web.Response(status=204)

    for path in LISTENERS.values():
        app.router.add_post(f"{base}/{{word}}/{path}", take)
