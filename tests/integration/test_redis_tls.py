"""Servers and sentinels that speak TLS alone, found under the name that stands in their certificate."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from federation.broker.config import Store
from federation.broker.replicas.news import News
from federation.broker.store.redis.keys import prefix
from federation.cli.demo.ports import LOOPBACK
from tests.integration.test_redis_sentinel import impatient, refused, settled, space_of
from tests.support.local_root import LocalRoot
from tests.support.redis_sentinel import Secured, Watched, until
from tests.support.redis_server import ENTITY, find_server
from tests.support.sagas import Saga

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOST = "localhost"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """A primary, one that follows it, and who watches them."""
    program, folder = find_server(), tmp_path_factory.mktemp("tls")
    said = subprocess.run([program or "true", "--tls-port", "x"], check=False, capture_output=True, text=True).stderr
    if "Bad directive" in said:
        pytest.skip("this redis-server was built without TLS")
    root = LocalRoot(folder, HOST)
    with Watched(servers=2, sentinels=1, tls=Secured(HOST, root.certificate(folder), root.file)) as made:
        await made.watch()
        yield made


async def test_what_is_written_and_what_is_told_goes_by_tls(service: Watched) -> None:
    heard, listening = list[tuple[str, int]](), asyncio.Event()
    async with impatient(service.store) as server, impatient(service.store) as other:
        assert await settled(space_of(server), "first")
        ours, theirs = (News(one, service.store, prefix(ENTITY), name) for one, name in ((server, "a"), (other, "b")))
        hearing = asyncio.create_task(theirs.hear(lambda *said: heard.append(said), listening.set))
        telling = asyncio.create_task(ours.send())
        await listening.wait()
        ours.tell(Saga().state)
        await until(lambda: bool(heard))
        for task in (hearing, telling):
            task.cancel()
        await asyncio.gather(hearing, telling, return_exceptions=True)


async def test_whoever_is_not_vouched_for_is_not_called(service: Watched, tmp_path: Path) -> None:
    other, right = LocalRoot(tmp_path, HOST, seed=71), service.store
    told = await refused(structs.replace(right, roots=str(other.file)))
    assert "store.sentinels: none of them can be asked" in told
    assert "certificate verify failed" in told
    port = service.ports[service.servers.index(service.primary)]
    alone = Store(redis=f"rediss://{HOST}:{port}", roots=right.roots)
    assert "CERTIFICATE_VERIFY_FAILED" in await refused(structs.replace(alone, roots=str(other.file)))
    assert "match" in await refused(structs.replace(alone, redis=f"rediss://{LOOPBACK}:{port}"))
    assert "store.redis: " in await refused(Store(redis=f"redis://{HOST}:{port}")), "without TLS there is no answer"


@pytest.mark.long
async def test_one_that_took_the_place_of_another_is_called_by_the_name_in_its_certificate(service: Watched) -> None:
    async with impatient(service.store) as server:
        space, before = space_of(server), service.primary
        kept = await settled(space, "before")
        await service.fail_over()
        await service.promoted(before)
        name = await settled(space, "after")
        assert await space.keys.get([kept, name]) == ["1", "1"]
