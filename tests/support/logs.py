"""Logs, witnesses and their keys in memory, for tests that need inclusions without a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from federation.evidence.checkpoint import Checkpoint, leaf_of, origin_of, sign_checkpoint, write_inclusion
from federation.evidence.note import NoteSigner, Type
from federation.evidence.tree import Growth, Read, inclusion_proof
from schemas.evidence import LogEvidence


class MemoryLog:
    """A log that keeps everything in lists; `root` and `size` are those of now."""

    def __init__(self, signer: NoteSigner) -> None:
        self.signer, self.index = signer, dict[str, int]()
        self._growth = Growth(lambda wanted: [], 0)

    @property
    def read(self) -> Read:
        """What a proof is made from."""
        return lambda wanted: [self._growth.nodes[one] for one in wanted]

    @property
    def size(self) -> int:
        return self._growth.size

    def add(self, *document_hs: str) -> None:
        """Documents by hash, each once."""
        for document_h in document_hs:
            self.index[document_h] = self.size
            self._growth.add(leaf_of(document_h))

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.signer.verifier.name, self.size, self._growth.root)

    def note(self, witnesses: Iterable[NoteSigner] = (), now: int = 0) -> str:
        """The checkpoint of now, signed by the log and below it by witnesses."""
        checkpoint = self.checkpoint()
        return sign_checkpoint(checkpoint, self.signer) + "".join(w.line(checkpoint.text, now) for w in witnesses)

    def evidence(self, document_hs: Sequence[str], witnesses: Iterable[NoteSigner], now: int) -> LogEvidence:
        """What a node would give for some of its documents."""
        proofs = {
            one: write_inclusion(self.index[one], inclusion_proof(self.read, self.index[one], self.size))
            for one in document_hs
        }
        return LogEvidence(checkpoint=self.note(witnesses, now), inclusions=proofs)


def log_signer(entity: str) -> NoteSigner:
    """A fresh key for the log of a member."""
    return NoteSigner.generate(origin_of(entity), Type.NOTE)


def witness_signer(entity: str) -> NoteSigner:
    """A fresh key for a member as a witness."""
    return NoteSigner.generate(origin_of(entity), Type.COSIGNATURE)


def witness_keys(signers: Mapping[str, NoteSigner]) -> dict[str, str]:
    """The verifier keys of witnesses, by entity id, as `verify_checkpoint` takes them."""
    return {entity: str(signer.verifier) for entity, signer in signers.items()}
