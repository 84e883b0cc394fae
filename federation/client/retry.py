"""What is asked again when the broker did not answer: reads, and writes under the same `Idempotency-Key`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from schemas.problem import PASSING, Outcome, Problem

T = TypeVar("T")
ATTEMPTS_MAX: Final = 4
FIRST_WAIT_S: Final = 0.1
WAIT_S_MAX: Final = 2.0
NETWORK: Final = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


async def persistent(call: Callable[[], Awaitable[T]], address: str, *, write: bool) -> T:
    """The result of `call`, tried again while the network fails or the broker cannot serve.

    Raises the broker's `Problem`, or `UNAVAILABLE` when none answers; a write that may have arrived is `unknown`, also
    where a later copy of it was refused for a reason that may pass: such a refusal does not bind the key.
    """
    lost = False

    async def attempted() -> T:
        nonlocal lost
        try:
            return await call()
        except NETWORK as error:
            lost = lost or not isinstance(error, aiohttp.ClientConnectorError)
            raise
        except Problem as problem:
            if lost and write and problem.code in PASSING and problem.outcome in {None, Outcome.NONE}:
                raise problem.with_outcome(Outcome.UNKNOWN) from problem
            raise

    try:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS_MAX),
            wait=wait_exponential(multiplier=FIRST_WAIT_S, max=WAIT_S_MAX),
            retry=retry_if_exception(_passing),
            reraise=True,
        ):
            with attempt:
                return await attempted()
    except NETWORK as error:
        raise _unreachable(address, error, write=write, lost=lost) from error
    except aiohttp.ClientError as error:
        raise Problem("UNAVAILABLE", f"the broker's address {address} does not work: {error}") from error
    raise AssertionError("an attempt either returns or raises")


def _passing(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ClientSSLError):
        return False  # the same certificate will be shown again
    return isinstance(error, NETWORK) or (isinstance(error, Problem) and error.code == "UNAVAILABLE")


def _unreachable(address: str, error: Exception, *, write: bool, lost: bool) -> Problem:
    """`lost` is whether one of the copies may have arrived."""
    outcome = (Outcome.UNKNOWN if lost else Outcome.NONE) if write else None
    if isinstance(error, aiohttp.ClientSSLError):
        return Problem("UNAVAILABLE", _no_tls(address, error), outcome=outcome)
    why = str(error.os_error.strerror or error) if isinstance(error, aiohttp.ClientConnectorError) else str(error)
    detail = f"no broker answers at {address} ({why or 'time is up'}); is it running there?"
    return Problem("UNAVAILABLE", detail, outcome=outcome)


def _no_tls(address: str, error: aiohttp.ClientSSLError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return f"the certificate shown at {address} is not believed ({why}); name its authority: --ca FILE (PEERWAY_CA)"
    return f"what answers at {address} does not speak TLS as we do ({error.os_error}); is it http:// there?"
