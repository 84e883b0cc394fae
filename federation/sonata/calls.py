"""Calls to one operator over HTTP: one deadline, one limit of size, and every failure says what it left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from schemas.problem import Outcome, Problem

DEADLINE_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 256 * 1024
RETRY_AFTER_S_MAX: Final = 3600
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
# One deadline, ours, holds for everything from the connection to the last byte.
NO_OTHER_DEADLINE: Final = aiohttp.ClientTimeout()


class Answer(NamedTuple):
    """An answer, whole."""

    status: int
    body: bytes
    retry_after_s: int | None


class Calls:
    """Calls what lies under `base_url`. `session` gives the session to use now; `headers` go with every call."""

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        base_url: str,
        headers: Mapping[str, str],
        *,
        deadline_s: float = DEADLINE_S,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._session = session
        self._base = base_url.rstrip("/")
        self._headers = headers
        self._deadline_s = deadline_s
        self._answer_bytes_max = answer_bytes_max

    async def call(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, shown: Mapping[str, str] = NOTHING
    ) -> Answer:
        """One request, one whole answer, within the deadline; foreign exceptions end here.

        Raises `OPERATOR_UNREACHABLE`; of a call with a `body` it names the `outcome`.
        """
        write = body is not None
        # As text, since whole URLs are remembered parsed.
        url = URL(f"{self._base}{path}?{urlencode(query)}" if query else f"{self._base}{path}")
        try:
            async with (
                asyncio.timeout(self._deadline_s),
                self._session().request(
                    method,
                    url,
                    data=body,
                    headers={**self._headers, **shown},
                    allow_redirects=False,
                    timeout=NO_OTHER_DEADLINE,
                ) as response,
            ):
                return Answer(response.status, await self._body(response, write), _retry_after(response))
        except aiohttp.ClientConnectorError as error:
            raise self.lost(f"cannot connect: {_reason(error)}", write, Outcome.NONE) from error
        except Problem as problem:
            if problem.code == "OPERATOR_UNREACHABLE":
                raise
            raise self.lost(f"it is not called: {problem.detail}", write, Outcome.NONE) from problem
        except TimeoutError as error:
            raise self.lost(f"no answer within {self._deadline_s:g} s", write) from error
        except (aiohttp.ClientError, OSError) as error:
            raise self.lost(f"the connection broke: {type(error).__name__}", write) from error

    def lost(self, why: str, write: bool, outcome: Outcome = Outcome.UNKNOWN) -> Problem:
        """That no answer came that could be used; of a `write` what it left behind."""
        detail = f"the operator at {self._base} is of no help: {why}"
        return Problem("OPERATOR_UNREACHABLE", detail, outcome=outcome if write else None)

    async def _body(self, response: aiohttp.ClientResponse, write: bool) -> bytes:
        body = bytearray()
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > self._answer_bytes_max:
                raise self.lost(f"its answer is larger than {self._answer_bytes_max} bytes", write)
        return bytes(body)


def _reason(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not the one that its metadata promise"
    return str(error.os_error.strerror or type(error.os_error).__name__)


def _retry_after(response: aiohttp.ClientResponse) -> int | None:
    text = response.headers.get("Retry-After", "")
    return min(int(text), RETRY_AFTER_S_MAX) if text.isascii() and text.isdigit() and len(text) < 10 else None
