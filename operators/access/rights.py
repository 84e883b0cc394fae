"""The token endpoint, for brokers whose keys this operator has yet to read of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.tokens.endpoint import Connection, TokenAnswer, TokenEndpoint
from operators.access.gate import Gate

SIGNED: Final = ("client_assertion", "assertion")


class Heeding:
    """A `TokenEndpoint` in front of another. Who shows no certificate is nobody whose keys would be read again."""

    def __init__(self, tokens: TokenEndpoint, gate: Gate) -> None:
        self._tokens, self._gate = tokens, gate

    async def answer(self, form: Mapping[str, str], connection: Connection, now: int) -> TokenAnswer:
        """See `TokenEndpoint.answer`."""
        for name in SIGNED:
            if name in form and connection.entity is not None:
                await self._gate.heed(form[name], connection.entity)
        return await self._tokens.answer(form, connection, now)
