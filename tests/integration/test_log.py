"""Logs of real daemons below a real anchor: what is bought is logged, others sign below, its parties see where."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from federation.broker.config import load_config
from federation.broker.peers.logs import OperatorLogs
from federation.broker.peers.reach import Reach
from federation.cli.demo.cast import BROKER
from federation.cli.demo.ledger import believed
from federation.evidence.checkpoint import (
    Checkpoint,
    read_checkpoint,
    sign_checkpoint,
    signers_of,
    verify_checkpoint,
    verify_inclusion,
)
from federation.evidence.note import NoteSigner, read_note
from federation.evidence.tree import check_consistency
from federation.evidence.witness import write_request
from federation.node.mtls.mutual import Mutual
from federation.node.outside import outside
from federation.node.seams import SystemClock
from federation.node.settings import TLS
from federation.trust.chain import TrustDomain
from federation.trust.jose import doc_hash, unverified
from schemas.answer import OrderView
from schemas.problem import Problem
from schemas.quote import PathQuote
from tests.integration.test_membership import INTENT, SURF, SWITCH, Domain, offering, standing, until


def place(domain: Domain, entity: str, path: str) -> str:
    return f"{domain.stage.places.every[entity]}/peerway/v1{path}"


async def read(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


def verified(entity: str, note: str, everybody: TrustDomain) -> Checkpoint:
    """As somebody does who has the anchor's keys, and a network to find the others'."""
    named = {one.entity: one.metadata.federation_entity for one in everybody.members.values()}
    keys = {one: said.witness_key for one, said in named.items() if said and said.witness_key}
    own = named[entity]
    assert own is not None
    assert own.log_key is not None
    return verify_checkpoint(note, entity, own.log_key, keys).checkpoint


@asynccontextmanager
async def trading(tmp_path: Path) -> AsyncIterator[Domain]:
    """A broker and three operators that know each other."""
    async with standing(tmp_path, "refresh_s = 1\nreread_s = 1\n") as domain:
        await asyncio.gather(*(domain.start(host) for host in ("surf", "switch", "belnet")))
        async with domain.client() as client:

            async def there() -> bool:
                return len(await offering(client)) == 3

            await until(there)
        yield domain


@asynccontextmanager
async def logs_of_operators(domain: Domain, everybody: TrustDomain) -> AsyncIterator[OperatorLogs]:
    """Asked with the broker's own TLS files."""

    def endpoint(operator: str) -> str:
        role = everybody.member(operator, SystemClock().now()).metadata.connectivity_operator
        assert role is not None
        return role.documents_endpoint

    mutual = Mutual.open(domain.stage.folder / "broker" / TLS, BROKER, (), SystemClock())
    mutual.believe(everybody)
    rules = load_config(domain.stage.broker_config).trust.egress
    async with outside(rules) as egress, Reach(mutual.tls, egress) as reach:
        yield OperatorLogs(reach, endpoint)


async def bought(domain: Domain) -> tuple[OrderView, PathQuote, str]:
    async with domain.client() as client:
        quote = await client.quote(INTENT)
        order = await client.order(quote.id)
    return order, unverified(quote.document, PathQuote), quote.document


@pytest.mark.asyncio
async def test_a_purchase_is_logged_witnessed_and_shown_to_its_parties(tmp_path: Path) -> None:
    async with trading(tmp_path) as domain:
        _, path, document = await bought(domain)
        quote = path.path[0].quote
        assert quote is not None

        async def witnessed() -> bool:
            everybody = await believed(domain.stage)
            for entity in (BROKER, SURF):
                status, note = await read(place(domain, entity, "/log/checkpoint"))
                if status != 200 or len(signers_of(note)) < 3 or verified(entity, note, everybody).size < 4:
                    return False
            return True

        await until(witnessed)
        everybody = await believed(domain.stage)
        async with logs_of_operators(domain, everybody) as logs:
            quote_h = doc_hash(quote)
            found = await logs.inclusions(SURF, [quote_h])
            assert found is not None
            verify_inclusion(quote_h, found.inclusions[quote_h], verified(SURF, found.checkpoint, everybody))
            with pytest.raises(Problem, match="documents"):
                await logs.inclusions(SURF, [quote_h, doc_hash(document)])
        first, *others = signers_of(found.checkpoint)
        assert first == SURF
        assert len(others) >= 2
        await check_history(domain, everybody)
        await check_fork(domain)


async def check_history(domain: Domain, everybody: TrustDomain) -> None:
    """Whoever looked before sees that nothing was changed since."""
    _, note = await read(place(domain, BROKER, "/log/checkpoint"))
    before = verified(BROKER, note, everybody)
    await bought(domain)

    async def grown() -> bool:
        return verified(BROKER, (await read(place(domain, BROKER, "/log/checkpoint")))[1], everybody).size > before.size

    await until(grown)
    after = verified(BROKER, (await read(place(domain, BROKER, "/log/checkpoint")))[1], everybody)
    _, proof = await read(place(domain, BROKER, f"/log/consistency?from={before.size}&to={after.size}"))
    hashes = [base64.b64decode(line) for line in proof.splitlines()]
    check_consistency(before.size, before.root, after.size, after.root, hashes)
    for query in ("", "?from=1", "?from=2&to=1", f"?from=0&to={after.size + 1_000}", "?from=-1&to=1", "?from=x&to=1"):
        assert (await read(place(domain, BROKER, f"/log/consistency{query}")))[0] == 400


async def check_fork(domain: Domain) -> None:
    """SURF itself, with its own key, cannot get a signature below another history."""
    key = NoteSigner.read((domain.own("surf") / "data" / "log-key").read_text())
    _, note = await read(place(domain, SURF, "/log/checkpoint"))
    size = read_checkpoint(read_note(note).text).size
    forked = sign_checkpoint(Checkpoint(key.verifier.name, size, bytes(32)), key)
    answers = set()
    async with aiohttp.ClientSession() as session:
        for old in range(size + 1):
            url = place(domain, SWITCH, "/witness/add-checkpoint")
            async with session.post(url, data=write_request(old, [], forked)) as response:
                answers.add((response.status, response.content_type))
                if response.status == 409:
                    assert int(await response.text()) > 0
        async with session.post(url, data=b"old 0\n\nnonsense") as response:
            assert response.status == 400
    assert {status for status, _ in answers} <= {400, 409, 422}
    assert (409, "text/x.tlog.size") in answers
