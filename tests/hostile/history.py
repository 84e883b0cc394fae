"""A hostile log: its owner has the key, and shows one history to some and another to the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from federation.evidence.checkpoint import Checkpoint, verify_checkpoint
from federation.evidence.note import NoteSigner
from federation.evidence.sqlite import TABLES, LogRows
from federation.evidence.tree import consistency_proof
from federation.evidence.witness import read_request, write_request
from federation.node.sqlite import Database
from federation.trust.jose import sha256_b64
from tests.hostile.control import beaten
from tests.support.logs import MemoryLog, log_signer, witness_keys, witness_signer
from tests.support.seams import NOW

LOG = "https://surf.example"
OTHERS = ("https://dfn.example", "https://geant.example")
DOCUMENTS = "CREATE TABLE documents (hash TEXT PRIMARY KEY);"


class Witnesses:
    """Two honest members, and the log's own key as a witness."""

    def __init__(self, rows: dict[str, LogRows]) -> None:
        self.log, self.rows = log_signer(LOG), rows
        self.signers = {entity: witness_signer(entity) for entity in (LOG, *rows)}

    def history(self, *documents: str) -> MemoryLog:
        made = MemoryLog(self.log)
        made.add(*map(sha256_b64, (one.encode() for one in documents)))
        return made

    async def sign(self, log: MemoryLog, entities: Iterable[str] = OTHERS) -> list[NoteSigner]:
        """Those that signed below this history: each is told what it wants to hear of what it signed before."""
        for entity in entities:
            old = (await self.rows[entity].witnessed(LOG)).size
            proof = consistency_proof(log.read, old, log.size) if old <= log.size else ()
            request = read_request(write_request(old, proof, log.note()))
            verdict = await self.rows[entity].witness(request, str(self.log.verifier))
            if not isinstance(verdict, Checkpoint):
                beaten(f"{entity} does not sign: {verdict.why}")
        return [self.signers[entity] for entity in entities]

    def convince(self, log: MemoryLog, signed: Iterable[NoteSigner]) -> None:
        """Show it to somebody who knows everybody's keys. Raises `Problem` where that is not believed."""
        verify_checkpoint(log.note(signed, NOW), LOG, str(self.log.verifier), witness_keys(self.signers))


@asynccontextmanager
async def witnesses(folder: Path) -> AsyncIterator[Witnesses]:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Database(folder / one[8:], (DOCUMENTS, TABLES))) for one in OTHERS]
        yield Witnesses(dict(zip(OTHERS, map(LogRows, opened), strict=True)))


async def shows_two_histories(folder: Path) -> None:
    """T17: after a dispute, a log of the same size in which one receipt is another."""
    async with witnesses(folder) as there:
        await there.sign(there.history("order", "receipt", "bill"))
        forked = there.history("order", "another receipt", "bill")
        there.convince(forked, await there.sign(forked))


async def leaves_a_document_out(folder: Path) -> None:
    """T17: what was signed is missing; newer documents hide it."""
    async with witnesses(folder) as there:
        await there.sign(there.history("order", "receipt", "bill"))
        forked = there.history("order", "bill", "order", "receipt", "bill")
        there.convince(forked, await there.sign(forked))


async def goes_back_to_a_shorter_history(folder: Path) -> None:
    """T17: the last document never was."""
    async with witnesses(folder) as there:
        await there.sign(there.history("order", "receipt", "bill"))
        forked = there.history("order", "receipt")
        there.convince(forked, await there.sign(forked))


async def is_a_witness_of_itself(folder: Path) -> None:
    """T17: one member was never shown the true history; the second signature below the false one is the log's own."""
    async with witnesses(folder) as there:
        await there.sign(there.history("order", "receipt", "bill"), OTHERS[:1])
        forked = there.history("order", "another receipt", "bill")
        signed = await there.sign(forked, OTHERS[1:])
        there.convince(forked, [there.signers[LOG], *signed])
