"""gRPC as every node serves and calls it: limits, problems as statuses, and a guard in front of every handler.

`Guard` is an interceptor: a call without a deadline, from nobody known, or one of too many, is refused before its
handler runs; a `Problem` that a handler raises leaves as a status whose details are its JSON, and anything else as
`INTERNAL` without detail. Handlers ask `caller_of`.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
import msgspec

from federation.node.audit import STRANGER, Audit
from federation.node.callers import Judge, check_rate
from federation.node.limits import AtOnce, Buckets
from federation.node.seams import Clock
from federation.trust.certificates import thumbprint
from schemas.problem import CATALOGUE, Outcome, Problem, invalid

MESSAGE_BYTES_MAX: Final = 64 * 1024
METADATA_BYTES_MAX: Final = 16 * 1024
STREAMS_MAX: Final = 256
CALLS_MAX: Final = 2048
CALLS_EACH_MAX: Final = 256  # under way for one caller: streams last for as long as their caller says
CONNECTION_AGE_MS: Final = 3_600_000
SERVER_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # or a second daemon on the same port would quietly get half of the calls
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", STREAMS_MAX),
    ("grpc.max_connection_age_ms", CONNECTION_AGE_MS),  # then a caller shows its certificate again
    ("grpc.max_connection_age_grace_ms", CONNECTION_AGE_MS // 6),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # watchers keep quiet streams alive by pings
)
CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),  # as many as it takes; or a quiet stream is looked after once a minute
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),  # nothing from a foreign DNS configures our calls
    ("grpc.use_local_subchannel_pool", 1),  # or a channel with new keys would go on with the old connection
)
_STATUS: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    410: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
Context = Any  # grpc.aio.ServicerContext, whose own types do not agree with the generated ones
_CALLER: Final[ContextVar[str]] = ContextVar("caller")
_LEAF: Final[ContextVar[str]] = ContextVar("leaf")
log = logging.getLogger(__name__)


def caller_of() -> str:
    """The entity that made the call under way. Only behind a `Guard`."""
    return _CALLER.get()


def leaf_of() -> str:
    """`x5t#S256` of the certificate that its caller shows. Only behind a `Guard`."""
    return _LEAF.get()


class Guard(grpc.aio.ServerInterceptor):
    """What every call of one server passes: a deadline, a known caller, a caller not too many times."""

    def __init__(self, judge: Judge, buckets: Buckets, audit: Audit, clock: Clock) -> None:
        self._judge, self._buckets, self._audit, self._clock = judge, buckets, audit, clock
        self._at_once = AtOnce(CALLS_EACH_MAX, "calls")
        self._guarded: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler, behind the guard; made once, for a server has the same ones as long as it runs."""
        method = str(handler_call_details.method)
        if method not in self._guarded:
            handler: Any = await continuation(handler_call_details)
            if handler is None:
                return None
            self._guarded[method] = self._behind(handler, method)
        return self._guarded[method]

    def _behind(self, handler: Any, method: str) -> grpc.RpcMethodHandler[Any, Any]:
        behaviour = next(b for b in _behaviours(handler) if b is not None)
        wrap = self._streaming if handler.response_streaming else self._single
        kinds = {False: grpc.unary_unary_rpc_method_handler, True: grpc.unary_stream_rpc_method_handler}
        if handler.request_streaming:
            kinds = {False: grpc.stream_unary_rpc_method_handler, True: grpc.stream_stream_rpc_method_handler}
        make: Any = kinds[bool(handler.response_streaming)]
        guarded: grpc.RpcMethodHandler[Any, Any] = make(
            wrap(behaviour, method), handler.request_deserializer, handler.response_serializer
        )
        return guarded

    def _single(self, behaviour: Any, method: str) -> Any:
        async def call(request: Any, context: Context) -> Any:
            try:
                with self._admitted(context):
                    return await behaviour(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - unseen here, gRPC would tell the caller its text
                await self._refuse(context, error, method)

        return call

    def _streaming(self, behaviour: Any, method: str) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                with self._admitted(context) as leaf:
                    async with aclosing(behaviour(request, context)) as messages:
                        async for message in messages:
                            self._judge(leaf)  # a stream is long, and its caller may be believed no more
                            yield message
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - unseen here, gRPC would tell the caller its text
                await self._refuse(context, error, method)

        return call

    @contextmanager
    def _admitted(self, context: Context) -> Iterator[bytes]:
        """The caller's leaf, while a call is under way: one caller's streams leave room for those of others."""
        leaf = self._admit(context)
        with self._at_once.one(caller_of()):
            yield leaf

    def _admit(self, context: Context) -> bytes:
        if context.time_remaining() is None:
            raise invalid("deadline", "every call carries one")
        leaf = _leaf(context)
        _CALLER.set(self._judge(leaf))
        _LEAF.set(thumbprint(leaf))
        check_rate(self._buckets, caller_of(), self._clock)
        return leaf

    async def _refuse(self, context: Context, error: Exception, method: str) -> NoReturn:
        problem = error if isinstance(error, Problem) else unexpected(error, method)
        await refuse(context, self._audit.refused(problem, caller=_CALLER.get(STRANGER), act=method))


def guarded_server(guard: Guard) -> grpc.aio.Server:
    """A server with every limit; beyond `CALLS_MAX` calls at once the next is `RESOURCE_EXHAUSTED`. Add services."""
    return grpc.aio.server(interceptors=(guard,), options=SERVER_OPTIONS, maximum_concurrent_rpcs=CALLS_MAX)


def unexpected(error: Exception, method: str) -> Problem:
    """A fault of ours: written to the log in full, told without detail. What is not there is no fault."""
    if isinstance(error, NotImplementedError):  # raised by the generated servicers, for the methods a node leaves out
        return Problem("NOT_IMPLEMENTED", f"{method} is not served here")
    log.error("unexpected fault in %s", method, exc_info=error)
    return Problem("INTERNAL", "the fault is in this node's log, not in your request", outcome=Outcome.UNKNOWN)


async def refuse(context: Context, problem: Problem) -> NoReturn:
    """End a call with the status of a problem; its JSON is the status's details."""
    status = _STATUS.get(CATALOGUE[problem.code].status, grpc.StatusCode.INTERNAL)
    wait = (("retry-after", str(problem.retry_after_s)),) if problem.retry_after_s else ()
    await context.abort(status, msgspec.json.encode(problem.as_dict()).decode(), wait)
    raise AssertionError("abort does not return")


def _behaviours(handler: Any) -> tuple[Any, ...]:
    return handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream


def _leaf(context: Context) -> bytes:
    found = list(context.auth_context().get("x509_pem_cert", ()))
    if len(found) != 1:
        raise Problem("UNAUTHENTICATED", "no certificate came with the connection")
    return _der(found[0])


@lru_cache(maxsize=1024)
def _der(pem: bytes) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
    except ValueError as error:
        raise Problem("UNAUTHENTICATED", "the certificate cannot be read") from error
