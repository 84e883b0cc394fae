"""Confirms handed in at operators that refuse, break or answer anything: a `Problem` says what was left behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web

from federation.broker.peers.confirms import Confirms
from federation.node.http import listen
from schemas.problem import Outcome, Problem

pytestmark = pytest.mark.asyncio
OPERATOR = "https://alpha.example"


@asynccontextmanager
async def answering(status: int, body: bytes, **headers: str) -> AsyncIterator[tuple[Confirms, list[Any]]]:
    """An operator that answers every confirm so, and what it was asked."""
    asked: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        asked.append((request.path, request.content_type, await request.read()))
        return web.Response(status=status, body=body, headers=headers)

    async with AsyncExitStack() as stack:
        app = web.Application()
        app.router.add_post("/documents", take)
        port = await listen(app, "127.0.0.1", 0, stack)
        session = await stack.enter_async_context(ClientSession())
        yield Confirms(OPERATOR, lambda: session, f"http://127.0.0.1:{port}/documents", deadline_s=5), asked


async def refused(status: int, body: bytes, **headers: str) -> Problem:
    async with answering(status, body, **headers) as (confirms, _):
        with pytest.raises(Problem) as caught:
            await confirms.confirm(b"c")
    assert caught.value.extra["operator"] == OPERATOR
    json.dumps(caught.value.as_dict(), ensure_ascii=False).encode()
    return caught.value


async def test_a_confirm_is_handed_in_as_it_is_and_its_receipt_comes_back() -> None:
    async with answering(200, b"x.y.z") as (confirms, asked):
        assert await confirms.confirm(b"a.b.c") == b"x.y.z"
    assert asked == [("/documents", "application/jose", b"a.b.c")]


async def test_what_the_operator_says_is_told_and_left_nothing_behind() -> None:
    told = json.dumps({"code": "INCOMPATIBLE_STATE", "detail": "it lapsed", "field": "order_h"}).encode()
    problem = await refused(409, told)
    assert (problem.code, problem.detail, problem.field) == ("INCOMPATIBLE_STATE", "it lapsed", "order_h")
    assert problem.outcome is Outcome.NONE


@pytest.mark.parametrize(
    ("status", "headers", "code", "outcome"),
    [
        (400, {}, "OPERATOR_REFUSED", Outcome.NONE),
        (429, {"Retry-After": "7"}, "OPERATOR_REFUSED", Outcome.NONE),
        (500, {}, "OPERATOR_UNREACHABLE", Outcome.UNKNOWN),
        (204, {}, "OPERATOR_UNREACHABLE", Outcome.UNKNOWN),
    ],
)
async def test_a_status_alone_becomes_a_problem(
    status: int, headers: dict[str, str], code: str, outcome: Outcome
) -> None:
    problem = await refused(status, b"", **headers)
    assert (problem.code, problem.outcome) == (code, outcome)
    assert problem.retry_after_s == (7 if headers else None)


async def test_a_fault_of_the_operator_leaves_open_what_it_did() -> None:
    problem = await refused(500, b'{"code": "INTERNAL", "detail": "see the log", "outcome": "none"}')
    assert (problem.code, problem.outcome) == ("INTERNAL", Outcome.UNKNOWN)


@pytest.mark.parametrize(
    "told",
    [
        b'{"code": "INTERNAL", "retry_after_s": "1\\r\\nX: y", "field": {"deep": 1}}',
        b'{"code": ["x"], "detail": {}}',
        b"[" * 3_000,
        b"\xff",
        rb'{"code": "INTERNAL", "detail": "\ud800"}',
    ],
)
async def test_answers_that_are_made_to_hurt_are_a_problem_too(told: bytes) -> None:
    problem = await refused(409, told)
    assert (problem.field, problem.retry_after_s) == (None, None)


async def test_an_answer_without_end_is_lost() -> None:
    async with answering(200, b"x" * 300_000) as (confirms, _):
        with pytest.raises(Problem, match="larger than") as caught:
            await confirms.confirm(b"c")
    assert (caught.value.code, caught.value.outcome) == ("OPERATOR_UNREACHABLE", Outcome.UNKNOWN)
