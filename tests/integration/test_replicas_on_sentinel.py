"""Three replicas of a broker while the primary of their store is lost, and one of themselves with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.redis_sentinel import Watched, service
from tests.support.replicas import Replicas, all_released, replicated

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]
__all__ = ["service"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replicas(service: Watched, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replicas]:
    async with replicated(tmp_path_factory.mktemp("federation"), service) as running:
        yield running


@pytest.mark.parametrize("also", [None, 1, 2, 0])
async def test_the_primary_is_killed_and_a_replica_with_it(
    replicas: Replicas, service: Watched, also: int | None
) -> None:
    before = service.primary
    buying = [asyncio.create_task(replicas.bought(n, f"failover-{also}-{n}")) for n in range(6)]
    await replicas.begun(3)
    before.kill()
    if also is not None:
        replicas.kill(also)
    orders = await asyncio.gather(*buying)
    assert service.primary is not before
    await all_released(replicas, orders)
    if also is not None:
        await replicas.start(also)
    await service.healed(before)
