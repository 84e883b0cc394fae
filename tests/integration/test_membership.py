"""Real daemons below a real anchor: members come, go and change their keys while everybody runs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from federation.anchor.books import Enrolled
from federation.anchor.hatch import Enrol, Remove, order_at
from federation.anchor.throwaway import ANCHOR
from federation.broker.config import load_config
from federation.cli.demo.cast import AUDITOR, BROKER, CAST
from federation.cli.demo.ledger import believed
from federation.cli.demo.ports import PortReserve
from federation.cli.demo.processes import ANCHOR as SERVE_ANCHOR
from federation.cli.demo.processes import BROKER as SERVE_BROKER
from federation.cli.demo.processes import OPERATOR, Processes
from federation.cli.demo.stage import Stage, build
from federation.client.broker import BrokerClient
from federation.node.outside import outside
from federation.node.seams import SystemClock
from federation.trust.history import key_at, verify_history
from federation.trust.jose import claimed_kid, unverified, verify_jws
from federation.trust.keys import generate
from federation.trust.keyset import KeySet, dump_key_set, load_key_set
from federation.trust.resolve import unverified_of
from federation.trust.statements import Elsewhere, HttpStatements
from schemas.intent import Intent
from schemas.problem import Problem
from schemas.quote import PathQuote, SegmentQuote
from tests.support.forks import forked

THREE = tuple(one for one in CAST if one.host in {"surf", "switch", "belnet"})
SURF, SWITCH, BELNET = "https://surf.example", "https://switch.example", "https://belnet.example"
WITHIN_S, POLL_S, GBPS = 60, 0.1, 10**9
INTENT = Intent(a="Utrecht@SURF", z="Groningen@SURF", bandwidth_bps=GBPS, duration_s=3600)


@dataclass
class Domain:
    """A running anchor, broker and operators, and the folder of what they were told."""

    stage: Stage
    processes: Processes

    async def start(self, host: str) -> None:
        player = next(one for one in self.stage.players if one.performer.host == host)
        await self.processes.ready(self.processes.start(host, [*OPERATOR, "--config", str(player.config)]))

    def client(self) -> BrokerClient:
        return BrokerClient(self.stage.broker, self.stage.given.agent)

    async def anchor(self, order: Enrol | Remove) -> None:
        """What a command of `peerway anchor` does."""
        await order_at(self.stage.superiors[0], order, SystemClock())

    async def enrol(self, entity: str, *, own: Path) -> None:
        keys = load_key_set((own / "federation.json").read_bytes(), "keys").public()
        await self.anchor(Enrol(member=Enrolled(entity=entity, jwks=keys, types=("connectivity_operator",))))

    def own(self, host: str) -> Path:
        return self.stage.folder / "operators" / host


@pytest_asyncio.fixture
async def domain(tmp_path: Path) -> AsyncIterator[Domain]:
    async with standing(tmp_path, "refresh_s = 1\nreread_s = 1\n") as made:
        yield made


@asynccontextmanager
async def standing(tmp_path: Path, trust: str = "") -> AsyncIterator[Domain]:
    """An anchor and a broker that run; `trust` is what every node's configuration says beside its anchors."""
    with PortReserve() as ports:
        stage = await build(tmp_path, THREE, ports, SystemClock())
        for config in (stage.broker_config, *(one.config for one in stage.players)):
            config.write_text(config.read_text().replace("[trust]\n", f"[trust]\n{trust}"))
        async with Processes(tmp_path, forked) as processes:
            listening = [p for entity in (ANCHOR, AUDITOR) for p in ("--port", str(stage.places.port(entity)))]
            superiors = processes.start("anchor", [*SERVE_ANCHOR, *map(str, stage.superiors), *listening])
            await processes.ready(superiors, 2)
            await processes.ready(processes.start("broker", [*SERVE_BROKER, "--config", str(stage.broker_config)]))
            yield Domain(stage, processes)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again; what is refused meanwhile is not there yet."""
    async with asyncio.timeout(WITHIN_S):
        while not await holds():
            await asyncio.sleep(POLL_S)


async def offering(client: BrokerClient) -> set[str]:
    """The operators whose offers the broker has."""
    return {one.entity for one in (await client.federation()).operators if one.connected and one.offers}


@pytest.mark.asyncio
async def test_members_come_and_go_while_the_others_go_on(domain: Domain) -> None:
    await domain.anchor(Remove(entity=SWITCH))
    for host in ("surf", "switch", "belnet"):
        await domain.start(host)
    async with domain.client() as client:

        async def are(*entities: str) -> bool:
            return await offering(client) == set(entities)

        await until(lambda: are(SURF, BELNET))
        await domain.enrol(SWITCH, own=domain.own("switch"))
        await until(lambda: are(SURF, BELNET, SWITCH))
        await domain.anchor(Remove(entity=BELNET))
        await until(lambda: are(SURF, SWITCH))
        assert BELNET not in {one.entity for one in (await client.federation()).operators}
        await client.decline((await client.quote(INTENT)).id)

        await domain.anchor(Remove(entity=BROKER))

        async def refused() -> bool:
            try:
                await client.decline((await client.quote(INTENT)).id)
            except Problem:
                return True
            return False

        await until(refused)


async def keys_of(stage: Stage, entity: str) -> tuple[set[str], set[str]]:
    """The protocol and the federation keys that somebody who comes now believes of an entity."""
    found = (await believed(stage)).members.get(entity)
    return (set(found.keys), set(found.federation_keys)) if found else (set(), set())


async def has_keys(stage: Stage, index: int, expected: set[str]) -> bool:
    return (await keys_of(stage, SURF))[index] == expected


async def changed(domain: Domain, name: str, index: int) -> tuple[str, str]:
    """Replace a key of SURF as the help of `peerway keys` says; the former and the new one."""
    file = domain.own("surf") / name
    first = load_key_set(file.read_bytes(), name)
    fresh = generate()
    both = first.added(fresh)
    for keys in (both, both.signing_with(fresh.kid), KeySet((fresh,))):
        known = functools.partial(has_keys, domain.stage, index, {key.kid for key in keys.keys})
        if name == "federation.json" and len(keys.keys) == 1:
            await asyncio.sleep(3)  # its configuration is signed with the new one by then
            file.write_bytes(dump_key_set(keys))
            await asyncio.sleep(3)
            await domain.enrol(SURF, own=domain.own("surf"))
        else:
            file.write_bytes(dump_key_set(keys))
            if name == "federation.json":
                await domain.enrol(SURF, own=domain.own("surf"))
        await until(known)
        await asyncio.sleep(2)  # everybody else reads it again within a second
    return first.signer.kid, fresh.kid


@pytest.mark.asyncio
async def test_protocol_and_federation_keys_change_under_load(domain: Domain) -> None:
    await domain.start("surf")
    quotes: list[str] = []
    async with domain.client() as client:

        async def there() -> bool:
            return SURF in await offering(client)

        await until(there)

        async def buy() -> None:
            while True:
                view = await client.quote(INTENT)
                quotes.append(unverified(view.document, PathQuote).path[0].quote or "")
                await client.decline(view.id)

        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(buy())
            protocol = await changed(domain, "protocol.json", 0)
            federation = await changed(domain, "federation.json", 1)
            load.cancel()
    assert len(quotes) > 10
    assert await keys_of(domain.stage, SURF) == ({protocol[1]}, {federation[1]})
    await check_evidence(domain.stage, quotes, former=protocol[0])


@pytest.mark.asyncio
async def test_protocol_keys_that_are_swapped_without_an_overlap_are_believed_at_once(tmp_path: Path) -> None:
    """Nodes that read one another again after twelve hours, and buyers that do not notice."""
    async with standing(tmp_path) as domain:
        await domain.start("surf")
        async with domain.client() as client:

            async def there() -> bool:
                return SURF in await offering(client)

            await until(there)
            for folder in (domain.own("surf"), domain.stage.folder / "broker"):
                fresh, signers = generate(), set[str]()
                (folder / "protocol.json").write_bytes(dump_key_set(KeySet((fresh,))))

                async def bought_under_it(kid: str = fresh.kid, signers: set[str] = signers) -> bool:
                    view = await client.quote(INTENT)
                    quote = unverified(view.document, PathQuote).path[0].quote or ""
                    signers |= {claimed_kid(quote) or "", claimed_kid(view.document) or ""}
                    await client.decline(view.id)
                    return kid in signers

                await until(bought_under_it)


async def check_evidence(stage: Stage, quotes: list[str], former: str) -> None:
    """What the former key signed counts by the signer's history, at the time it was signed, and for nothing new."""
    trust, clock = load_config(stage.broker_config).trust, SystemClock()
    surf = (await believed(stage)).member(SURF, clock.now())
    async with outside(trust.egress) as egress:
        statements = HttpStatements(Elsewhere(egress, trust.egress.places))
        own = unverified_of(await statements.configuration(SURF))
        history = verify_history(await statements.history(own), SURF, surf.federation_keys, clock.now())
    assert {key.kid for key in history.keys} >= {former}
    old, new = unverified(quotes[0], SegmentQuote), unverified(quotes[-1], SegmentQuote)
    with pytest.raises(Problem, match="kid"):
        verify_jws(quotes[0], SegmentQuote, surf.keys, now=old.iat, iss=SURF, aud=BROKER)
    evidence = {former: key_at(history, former, old.iat)}
    assert verify_jws(quotes[0], SegmentQuote, evidence, now=old.iat, iss=SURF, aud=BROKER) == old
    assert verify_jws(quotes[-1], SegmentQuote, surf.keys, now=new.iat, iss=SURF, aud=BROKER) == new
    with pytest.raises(Problem, match="not in use"):
        key_at(history, former, new.iat)
