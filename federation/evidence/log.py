"""The log of one node, put together: its tree, its checkpoints and their witnesses, the node as a witness of others.

Every daemon has one, over the store that holds its documents. Who the witnesses are: members that its configuration
names, or a few that it picks from all that there may be, by hashes over its own id and theirs: the same ones every
time, and over all nodes about equally many logs for each witness.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from aiohttp import web
from msgspec import structs

from federation.evidence.asking import Panel, Witness
from federation.evidence.checkpoint import key_of
from federation.evidence.http import publish_log
from federation.evidence.keys import open_signer
from federation.evidence.note import Type
from federation.evidence.protocols import WITNESSED, LogStore
from federation.evidence.sequencer import Sequencer
from federation.evidence.witness import AddCheckpoint, Refusal, judge
from federation.node.identity.membership import Membership
from federation.node.identity.presence import NodeConfig
from federation.node.limits import Buckets, Rate
from federation.node.public import base_path
from federation.node.seams import Clock
from federation.node.settings import Evidence
from federation.trust.chain import Member
from federation.trust.fetch import Post
from schemas.entity import FederationEntity
from schemas.evidence import LogEvidence
from schemas.problem import Problem, not_found
from schemas.segment import EntityId, Hash

PATH: Final = "/peerway/v1"
WITNESSES: Final = 3  # asked at once, of which WITNESSES_NEEDED must sign
CHOSEN: Final = 6  # so many are known, in case some of these are silent
TRIED_MAX: Final = 12  # members looked at for them
CHOSEN_S: Final = 300
CHOSEN_SOON_S: Final = 5  # while there are too few
HASHES_MAX: Final = 256
STRANGERS: Final = Rate(per_second=1, burst=32)  # members that are looked for because their logs want to be signed
LOGGING: Final = ("connectivity_operator", "connectivity_broker")
log = logging.getLogger(__name__)
Record = Callable[[Problem, EntityId], object]


class Log:
    """`publish` and `said` show it, `run` keeps it, `inclusions` is what documents are proved by."""

    def __init__(
        self,
        config: NodeConfig,
        evidence: Evidence,
        rows: LogStore,
        *,
        members: Membership,
        post: Post,
        clock: Clock,
        record: Record = lambda problem, about: None,
    ) -> None:
        """`record` keeps why a member's checkpoint was not signed. Makes keys where there are none.

        Raises `Problem` where a key cannot be read or made.
        """
        assert config.keys.log is not None, "a configuration that was loaded says where"
        assert config.keys.witness is not None, "and for this one too"
        self._entity, self._members, self._clock, self._record = config.entity, members, clock, record
        self._signer = open_signer(Path(config.keys.log), config.entity, Type.NOTE, "keys.log")
        self._witness = open_signer(Path(config.keys.witness), config.entity, Type.COSIGNATURE, "keys.witness")
        self._named, self._strangers = evidence.witnesses, Buckets(STRANGERS, callers_max=1)
        self.rows = rows
        self._chosen: tuple[Witness, ...] = ()
        self._choose_again = 0
        panel, asked = Panel(self._witnesses, post, self.rows, clock.now), len(self._named) or WITNESSES
        self.sequencer = Sequencer(config.entity, self.rows, self._signer, panel, every_s=evidence.every_s, asked=asked)

    def said(self, named: FederationEntity) -> FederationEntity:
        """What this node says of its log in its metadata: where it is public."""
        return structs.replace(
            named,
            log_endpoint=self._entity + PATH,
            log_key=str(self._signer.verifier),
            witness_key=str(self._witness.verifier),
        )

    def publish(self, app: web.Application) -> None:
        """Serve it on the public listener."""
        publish_log(app, base_path(self._entity) + PATH, self.rows, self.sign)

    async def run(self) -> None:
        """Keep it up to date until cancelled."""
        await self.sequencer.run()

    async def inclusions(self, hashes: Sequence[Hash]) -> LogEvidence | None:
        """What shows that these documents stand in this log; none as long as no witnessed checkpoint covers them all.

        Raises `NOT_FOUND` where one of them was never filed here, `INVALID_ARGUMENT` for more than 256.
        """
        if len(hashes) > HASHES_MAX:
            raise Problem("INVALID_ARGUMENT", f"at most {HASHES_MAX} at once", field="hash")
        if not await self.rows.known(hashes):
            raise not_found("one of these documents")
        kept = await self.rows.checkpoint(WITNESSED)
        found = None if kept is None else await self.rows.inclusions(hashes, kept.size)
        return None if kept is None or found is None else LogEvidence(checkpoint=kept.note, inclusions=found)

    # --- as a witness -------------------------------------------------------------------------------------------

    async def sign(self, request: AddCheckpoint) -> str | Refusal:
        """The line of this node below the checkpoint of another log, or why there is none."""
        log_key = await self._log_key(request.log)
        verdict = judge(request, log_key, last := await self.rows.witnessed(request.log))
        if not isinstance(verdict, Refusal) and (verdict.size, verdict.root) != (last.size, last.root):
            verdict = await self.rows.witness(request, log_key)  # again, in one step with remembering it
        if isinstance(verdict, Refusal):
            if verdict.fork:
                log.error("%s shows two histories: %s", request.log, request.note)
            self._record(Problem("DOCUMENT_INVALID", verdict.why, field="checkpoint"), request.log)
            return verdict
        return self._witness.line(request.note.text, self._clock.now())

    async def _log_key(self, entity: EntityId) -> str | None:
        """The key of a member's log; one that is not known here yet is looked for, now and then."""
        now = self._clock.now()
        if entity == self._entity:
            return None
        try:
            if entity not in self._members.domain.members and self._strangers.take("", self._clock.now_us()):
                return None
            named = (await self._members.member(entity, now)).metadata.federation_entity
        except Problem:
            return None
        return named.log_key if named else None

    # --- as a log that wants witnesses --------------------------------------------------------------------------

    async def _witnesses(self) -> tuple[Witness, ...]:
        """Those that are asked, chosen again every few minutes."""
        now = self._clock.now()
        if now >= self._choose_again:
            self._chosen = await self._choose(len(self._named) or CHOSEN)
            enough = len(self._chosen) >= (len(self._named) or WITNESSES)
            self._choose_again = now + (CHOSEN_S if enough else CHOSEN_SOON_S)
        return self._chosen

    async def _choose(self, wanted: int) -> tuple[Witness, ...]:
        found: list[Witness] = []
        for entity in await self._candidates():
            witness = await self._usable(entity) if len(found) < wanted else None
            found += [witness] if witness is not None else []
        return tuple(found)

    async def _candidates(self) -> tuple[EntityId, ...]:
        if self._named:
            return tuple(one for one in self._named if one != self._entity)
        known = (one for one in await self._members.listed(LOGGING) if one != self._entity)
        return tuple(sorted(known, key=functools.partial(_distance, self._entity)))[:TRIED_MAX]

    async def _usable(self, entity: EntityId) -> Witness | None:
        try:
            return witness_of(await self._members.member(entity, self._clock.now()))
        except Problem:
            return None


def witness_of(member: Member) -> Witness | None:
    """A member as a witness, where it is one. Raises `DOCUMENT_INVALID` where its key is none."""
    named = member.metadata.federation_entity
    if named is None or named.witness_key is None or named.log_endpoint is None:
        return None
    return Witness(member.entity, named.log_endpoint, key_of(member.entity, named.witness_key, Type.COSIGNATURE))


def _distance(entity: EntityId, other: EntityId) -> bytes:
    return hashlib.sha256(f"{entity}\n{other}".encode()).digest()
