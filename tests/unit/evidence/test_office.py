"""Whom a log asks to sign, and for whom a node signs: members, found as members are, and never itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.evidence.checkpoint import Checkpoint, sign_checkpoint
from federation.evidence.log import STRANGERS, Log
from federation.evidence.note import NoteSigner
from federation.evidence.sqlite import TABLES, LogRows
from federation.evidence.witness import AddCheckpoint, Refusal, read_request, write_request
from federation.node.settings import Evidence, Keys, Trust
from federation.node.sqlite import Database
from federation.trust.chain import Member, TrustDomain
from federation.trust.fetch import Answer
from schemas.entity import FederationEntity, Metadata
from schemas.problem import Problem, not_found
from tests.support.logs import log_signer, witness_signer
from tests.support.seams import NOW, FixedClock

ME = "https://me.example"
DOCUMENTS = "CREATE TABLE documents (hash TEXT PRIMARY KEY);"


class Members:
    """A `Membership`: `there` can be found, none is known before it was looked for."""

    def __init__(self, there: Mapping[str, Member]) -> None:
        self.there, self.domain, self.asked = dict(there), TrustDomain({}), list[str]()

    async def member(self, entity: str, now: int) -> Member:
        self.asked.append(entity)
        if entity not in self.there:
            raise not_found(entity)
        self.domain = TrustDomain({**self.domain.members, entity: self.there[entity]})
        return self.there[entity]

    async def listed(self, entity_types: Sequence[str]) -> tuple[str, ...]:
        return (ME, *self.there)


class Nobody:
    async def post(self, url: str, body: bytes) -> Answer:
        raise Problem("UNAVAILABLE", "nobody is asked here")


@dataclass(frozen=True)
class Config:
    entity: str
    name: str
    data: str
    keys: Keys
    trust: Trust


def member(entity: str, *, log: NoteSigner | None = None, witness: bool = True) -> Member:
    said = FederationEntity(
        organization_name=entity,
        log_endpoint=f"{entity}/peerway/v1",
        log_key=str(log.verifier) if log else None,
        witness_key=str(witness_signer(entity).verifier) if witness else None,
    )
    return Member(entity, entity, Metadata(federation_entity=said), {}, NOW + 3600)


@asynccontextmanager
async def office(
    folder: Path, members: Members, witnesses: tuple[str, ...] = (), clock: FixedClock | None = None
) -> AsyncIterator[Log]:
    keys = Keys(private="", log=str(folder / "log-key"), witness=str(folder / "witness-key"))
    config = Config(ME, "Me", str(folder), keys, Trust(anchors=""))
    async with Database(folder / "log.sqlite", (DOCUMENTS, TABLES)) as database:
        evidence = Evidence(witnesses=witnesses)
        yield Log(config, evidence, LogRows(database), members=members, post=Nobody(), clock=clock or FixedClock())  # type: ignore[arg-type]


def asked(entity: str, signer: NoteSigner, old: int = 0) -> AddCheckpoint:
    checkpoint = Checkpoint(entity.removeprefix("https://"), 1, bytes(32))
    return read_request(write_request(old, [], sign_checkpoint(checkpoint, signer)))


@pytest.mark.asyncio
async def test_a_few_members_are_picked_the_same_ones_every_time_and_never_itself(tmp_path: Path) -> None:
    entities = [f"https://m{number}.example" for number in range(40)]
    everybody = {entity: member(entity, witness=number % 4 != 0) for number, entity in enumerate(entities)}
    found = []
    for order in (entities, entities[::-1]):
        async with office(tmp_path, Members({entity: everybody[entity] for entity in order})) as log:
            found.append([one.entity for one in await log._witnesses()])
    assert found[0] == found[1]
    assert len(found[0]) == 6
    assert ME not in found[0]
    assert all(int(entity[9:-8]) % 4 for entity in found[0]), "only those that say where they sign"


@pytest.mark.asyncio
async def test_those_that_are_named_are_asked_and_nobody_else(tmp_path: Path) -> None:
    members = Members({f"https://m{number}.example": member(f"https://m{number}.example") for number in range(9)})
    named = ("https://m7.example", ME, "https://gone.example", "https://m2.example")
    async with office(tmp_path, members, named) as log:
        assert [one.entity for one in await log._witnesses()] == ["https://m7.example", "https://m2.example"]
    assert ME not in members.asked


@pytest.mark.asyncio
async def test_a_key_that_is_called_after_somebody_else_is_no_witness(tmp_path: Path) -> None:
    twin = member("https://m1.example")
    members = Members(
        {"https://m1.example": twin, "https://m2.example": Member("https://m2.example", "", twin.metadata, {}, NOW + 1)}
    )
    async with office(tmp_path, members) as log:
        assert [one.entity for one in await log._witnesses()] == ["https://m1.example"]


@pytest.mark.asyncio
async def test_logs_of_members_are_signed_also_of_those_not_met_before(tmp_path: Path) -> None:
    surf, signer = "https://surf.example", log_signer("https://surf.example")
    async with office(tmp_path, Members({surf: member(surf, log=signer)})) as log:
        line = await log.sign(asked(surf, signer))
        assert isinstance(line, str)
        assert line.startswith("\u2014 me.example ")
        stranger = await log.sign(asked("https://stranger.example", log_signer("https://stranger.example")))
        own = await log.sign(asked(ME, log_signer(ME)))
    for refusal in (stranger, own):
        assert isinstance(refusal, Refusal)
        assert refusal.status == 404


@pytest.mark.asyncio
async def test_what_anybody_can_send_again_is_signed_again_and_costs_the_disk_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    surf, signer = "https://surf.example", log_signer("https://surf.example")
    async with office(tmp_path, Members({surf: member(surf, log=signer)})) as log:
        assert isinstance(await log.sign(asked(surf, signer)), str)
        monkeypatch.setattr(log.rows, "witness", None)  # what remembers it
        assert isinstance(await log.sign(asked(surf, signer, 1)), str)
        assert isinstance(await log.sign(asked(surf, signer)), Refusal)


@pytest.mark.asyncio
async def test_strangers_cannot_have_this_node_look_for_whomever_they_name(tmp_path: Path) -> None:
    members, clock = Members({}), FixedClock()
    async with office(tmp_path, members, clock=clock) as log:
        for number in range(STRANGERS.burst * 3):
            entity = f"https://s{number}.example"
            assert isinstance(await log.sign(asked(entity, log_signer(entity))), Refusal)
        assert len(members.asked) == STRANGERS.burst
        clock.advance(2)
        await log.sign(asked("https://late.example", log_signer("https://late.example")))
    assert members.asked[-1] == "https://late.example"


@pytest.mark.asyncio
@pytest.mark.parametrize("content", ["rubbish", "PRIVATE+KEY+other.example+00000000+AA=="])
async def test_a_key_file_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "log-key").write_text(content)
    with pytest.raises(Problem, match=r"keys\.log"):
        async with office(tmp_path, Members({})):
            pass
    (tmp_path / "log-key").write_text(log_signer("https://other.example").dump())
    with pytest.raises(Problem, match=r"not a key of https://me\.example"):
        async with office(tmp_path, Members({})):
            pass


@pytest.mark.asyncio
async def test_keys_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    said = []
    for _ in range(2):
        async with office(tmp_path, Members({})) as log:
            said.append(log.said(FederationEntity(organization_name="Me")))
    assert said[0] == said[1]
    assert said[0].log_endpoint == f"{ME}/peerway/v1"
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("log-key", "witness-key")} == {0o600}
