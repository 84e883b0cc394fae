"""How this broker reaches its operators: over mutual TLS, where nobody but the operator that is called can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp

from federation.node.mtls.renewed import Dialled, Renewed, session_to
from federation.node.mtls.tls import Tls
from federation.trust.egress import Egress
from schemas.problem import Outcome, Problem

CALL_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 64 * 1024


class Reach:
    """Sessions and channels to operators, made anew when keys change. Close it, or use it as a context."""

    def __init__(self, tls: Tls, egress: Egress) -> None:
        self._tls, self._egress = tls, egress
        self._sessions: dict[str, Renewed[aiohttp.ClientSession]] = {}
        self._channels: dict[tuple[str, str], Dialled] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        for channel in self._channels.values():
            await channel.close()

    def session(self, operator: str) -> Callable[[], aiohttp.ClientSession]:
        """What gives the session for the next call to `operator`; raises `UNAVAILABLE` where it is not believed."""
        if operator not in self._sessions:
            self._sessions[operator] = session_to(self._tls, operator, self._egress)
        return self._sessions[operator].get

    async def post(self, operator: str, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of an answer to a form. Raises `OPERATOR_UNREACHABLE`."""
        return await self._call(operator, "POST", url, form)

    async def get(self, operator: str, url: str) -> tuple[int, bytes]:
        """Status and body of an answer. Raises `OPERATOR_UNREACHABLE`."""
        return await self._call(operator, "GET", url)

    async def _call(
        self, operator: str, method: str, url: str, form: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        try:
            session = self.session(operator)()
            asked = session.request(method, url, data=form, allow_redirects=False)
            async with asyncio.timeout(CALL_S), asked as response:
                return response.status, await _whole(response, operator)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(operator, f"{method} is not answered ({type(error).__name__})") from error
        except Problem as problem:
            raise _unreachable(operator, problem.detail) from problem

    def mesh(self, operator: str, endpoint: str) -> Dialled:
        """The channel to its gRPC endpoint; the same one for the same endpoint."""
        if (operator, endpoint) not in self._channels:
            self._channels[operator, endpoint] = Dialled(self._tls, operator, self._egress, endpoint)
        return self._channels[operator, endpoint]


async def _whole(response: aiohttp.ClientResponse, operator: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(ANSWER_BYTES_MAX):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise _unreachable(operator, f"its answer is larger than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _unreachable(operator: str, why: str) -> Problem:
    return Problem("OPERATOR_UNREACHABLE", f"{operator}: {why}", outcome=Outcome.NONE, extra={"operator": operator})
