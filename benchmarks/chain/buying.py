"""This end of the buyer's process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from benchmarks.chain.buyer import Done, Job, Who
from benchmarks.chain.federation import Chain
from federation.trust.keys import dump_private

LINE_BYTES_MAX: Final = 1 << 27


class Buying:
    """A buyer that does one job after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def do(self, job: Job) -> Done:
        """What came of a job. Raises `RuntimeError` where the process died."""
        await self.tell(job)
        assert self.process.stdout, "opened with a pipe"
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the buyer's process died; what it said stands above")
        return msgspec.json.decode(line, type=Done)

    async def tell(self, what: msgspec.Struct) -> None:
        """One line to the process."""
        assert self.process.stdin, "opened with a pipe"
        self.process.stdin.write(msgspec.json.encode(what) + b"\n")
        await self.process.stdin.drain()


@asynccontextmanager
async def buying(chain: Chain) -> AsyncIterator[Buying]:
    """The buyer of a chain, until the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.chain.buyer", stdin=pipe, stdout=pipe, limit=LINE_BYTES_MAX
    )
    made = Buying(process)
    try:
        root = None if chain.root is None else str(chain.root)
        key, mandate = dump_private(chain.agent.key).decode(), chain.agent.mandate
        bearer = Who(chain.broker, root, "alice-key", None, chain.floor)
        await made.tell(bearer if root is None else Who(chain.broker, root, key, mandate, chain.floor))
        yield made
    finally:
        assert process.stdin, "opened with a pipe"
        process.stdin.close()
        await process.wait()
