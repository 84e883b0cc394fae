"""Where confirms are handed in: what is none, what is too large, who may."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.api.http import PEERWAY
from schemas.problem import Outcome, Problem
from tests.support.operator_world import PLAIN_KEY, OperatorWorld

pytestmark = pytest.mark.asyncio


async def test_what_is_no_confirm_is_refused_with_a_problem(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        for body in (b"", b"x.y.z", b"\xff\xfe", b"x" * 60_000, b"x" * 70_000):
            with pytest.raises(Problem) as caught:
                await world.broker.confirms.confirm(body)
            code = "DOCUMENT_INVALID" if len(body) < 65_536 else "PAYLOAD_TOO_LARGE"
            assert (caught.value.code, caught.value.outcome) == (code, Outcome.NONE)
        url = f"{world.origin}{PEERWAY}/documents"
        for headers in ({}, {"Authorization": f"Bearer {PLAIN_KEY}"}):
            async with world.session.post(url, data=b"x.y.z", headers=headers) as response:
                assert (response.status, (await response.json(content_type=None))["code"]) == (401, "UNAUTHENTICATED")
