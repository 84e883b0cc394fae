"""Mutual TLS over HTTP on loopback: who is let in, who is not, and keys that change while calls go on."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from federation.node.audit import FILE, Audit
from federation.node.callers import address_rates, caller_of, callers, leaf_of, network_of, rates, refusals
from federation.node.http import listen, problem_middleware, reply
from federation.node.limits import Buckets, Rate
from federation.node.mtls.renewed import session_to
from federation.trust.certificates import der, entity_of, pem, read_certificate, thumbprint
from federation.trust.destinations import Rules
from federation.trust.egress import Egress
from schemas.problem import Problem
from tests.support.seams import CountingEntropy, FixedClock
from tests.support.speaking import BROKER, EVIL, SURF, Node, members, rotating

PLENTY = Rate(per_second=100_000, burst=100_000)


async def loopback(host: str, port: int) -> list[tuple[int, str]]:
    return [(2, "127.0.0.1")]


@asynccontextmanager
async def serving(
    node: Node,
    folder: Path,
    *,
    judge: Callable[[bytes], str] | None = None,
    rate: Rate = PLENTY,
) -> AsyncIterator[int]:
    """A node's second listener, which says who called."""

    async def who(request: web.Request) -> web.Response:
        return reply({"caller": caller_of(request)})

    async with AsyncExitStack() as stack:
        audit = stack.enter_context(Audit(folder, node.clock, CountingEntropy()))
        chain = [refusals(audit), callers(judge or node.judge), rates(Buckets(rate), node.clock)]
        app = web.Application(middlewares=[problem_middleware, *chain])
        app.router.add_route("*", "/who", who)
        yield await listen(app, "127.0.0.1", 0, stack, node.tls.server_context())


async def ask(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> tuple[int, dict[str, object]]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://{host}:{port}/who", ssl=context) as response,
    ):
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # without and with a server name in the handshake
@pytest.mark.asyncio
async def test_the_caller_is_the_entity_of_its_own_authority(tmp_path: Path, host: str) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path) as port:
        assert await ask(port, broker.tls.client_context(SURF), host) == (200, {"caller": BROKER})


def context_with(believed: Node, leaf_file: Path | None) -> ssl.SSLContext:
    """A client that believes one node and shows any leaf, or none."""
    context = ssl.create_default_context(cadata=pem(believed.own.certificate).decode())
    if leaf_file is not None:
        context.load_cert_chain(leaf_file)
    return context


def name_only(leaf: bytes) -> str:
    """The control switched off: whom the leaf names is believed."""
    return entity_of(read_certificate(leaf))


@pytest.mark.asyncio
async def test_t13_an_evil_members_leaf_in_anothers_name_passes_tls_and_not_the_check(tmp_path: Path) -> None:
    surf, _, evil = members(tmp_path, FixedClock())
    context = context_with(surf, evil.forge(BROKER, tmp_path / "forged.pem"))
    async with serving(surf, tmp_path) as port:
        status, body = await ask(port, context)
    assert (status, body["code"]) == (401, "UNAUTHENTICATED")
    async with serving(surf, tmp_path, judge=name_only) as port:
        assert await ask(port, context) == (200, {"caller": BROKER})


@pytest.mark.asyncio
async def test_the_refused_caller_learns_no_reason_and_the_record_does(tmp_path: Path) -> None:
    surf, broker, evil = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path) as port:
        context = context_with(surf, evil.forge(BROKER, tmp_path / "forged.pem"))
        _, forged = await ask(port, context)
        surf.speakers.believe([surf.authority()])
        _, unknown = await ask(port, broker.tls.client_context(SURF))
    refs = [forged.pop("ref"), unknown.pop("ref")]
    assert forged == unknown
    assert forged["detail"] == "the caller is not known here"
    lines = (tmp_path / FILE).read_text().splitlines()
    assert [ref in line for ref, line in zip(refs, lines, strict=True)] == [True, True]
    assert "does not verify" in lines[0]
    assert "no member" in lines[1]
    assert all('"act":"GET /who"' in line for line in lines)


@pytest.mark.asyncio
async def test_a_token_can_be_bound_to_the_leaf_that_is_shown(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    shown: list[str] = []

    async def bound(request: web.Request) -> web.Response:
        shown.append(leaf_of(request))
        return reply({})

    async with AsyncExitStack() as stack:
        app = web.Application(middlewares=[callers(surf.judge)])
        app.router.add_get("/who", bound)
        port = await listen(app, "127.0.0.1", 0, stack, surf.tls.server_context())
        for _ in range(2):
            await ask(port, broker.tls.client_context(SURF))
            assert broker.own.leaf is not None
            assert shown[-1] == thumbprint(der(broker.own.leaf))
            broker.rotate()
    assert len(set(shown)) == 2


@pytest.mark.asyncio
async def test_a_stranger_does_not_get_past_the_handshake(tmp_path: Path) -> None:
    clock = FixedClock()
    surf, broker, evil = members(tmp_path, clock)
    surf.believe(surf, broker)
    stranger = Node(tmp_path / "stranger", "https://stranger.example", clock, seed=7)
    async with serving(surf, tmp_path) as port:
        for leaf_file in (None, stranger.own.leaf_file, evil.own.leaf_file):
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await ask(port, context_with(surf, leaf_file))
        assert (await ask(port, broker.tls.client_context(SURF)))[0] == 200


@pytest.mark.asyncio
async def test_a_server_that_is_another_member_is_not_taken_for_the_one_called(tmp_path: Path) -> None:
    _, broker, evil = members(tmp_path, FixedClock())
    async with serving(evil, tmp_path) as port:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(port, broker.tls.client_context(SURF))
        assert (await ask(port, broker.tls.client_context(EVIL)))[0] == 200


@pytest.mark.asyncio
async def test_nothing_older_than_tls_1_3_is_spoken(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    context = context_with(surf, broker.own.leaf_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(surf, tmp_path) as port:
        with pytest.raises(aiohttp.ClientError):
            await ask(port, context)


@pytest.mark.asyncio
async def test_a_member_whose_chain_ended_is_refused_on_the_connection_it_has(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path) as port, aiohttp.ClientSession() as session:
        statuses = []
        for _ in range(2):
            async with session.get(f"https://127.0.0.1:{port}/who", ssl=broker.tls.client_context(SURF)) as response:
                statuses.append(response.status)
                await response.read()
            surf.speakers.believe([surf.authority()])
    assert statuses == [200, 401]


@pytest.mark.asyncio
async def test_one_caller_too_hasty_is_told_to_wait_and_another_is_not(tmp_path: Path) -> None:
    clock = FixedClock()
    surf, broker, evil = members(tmp_path, clock)
    async with serving(surf, tmp_path, rate=Rate(per_second=1, burst=3)) as port, aiohttp.ClientSession() as session:

        async def status(node: Node) -> tuple[int, str | None]:
            context = node.tls.client_context(SURF)
            async with session.get(f"https://127.0.0.1:{port}/who", ssl=context) as response:
                return response.status, response.headers.get("Retry-After")

        assert [await status(evil) for _ in range(5)] == [(200, None)] * 3 + [(429, "1")] * 2
        assert [await status(broker) for _ in range(3)] == [(200, None)] * 3
        clock.advance(1)
        assert [await status(evil) for _ in range(2)] == [(200, None), (429, "1")]


@pytest.mark.asyncio
async def test_leaves_and_authorities_rotate_under_load_without_a_failed_request(tmp_path: Path) -> None:
    clock = FixedClock()
    surf, broker, evil = members(tmp_path, clock)
    surf.believe(surf, broker)
    shown: set[bytes] = set()

    def judge(leaf: bytes) -> str:
        shown.add(leaf)
        return surf.judge(leaf)

    async with serving(surf, tmp_path, judge=judge) as port:
        egress = Egress(loopback, rules=Rules(names={"surf.example:443": f"127.0.0.1:{port}"}))
        sessions = session_to(broker.tls, SURF, egress, drain_s=60.0)
        answers: list[tuple[int, bytes]] = []

        async def call(number: int) -> None:
            headers = {"Connection": "close"} if number % 3 == 0 else {}
            async with sessions.get().get("https://surf.example/who", headers=headers) as response:
                answers.append((response.status, await response.read()))

        await rotating(surf, broker, evil, call)
        await sessions.close()
        await egress.close()
    assert answers == [(200, b'{"caller":"https://broker.example"}')] * 400
    assert len(shown) == 9, "the server saw every leaf that the broker ever had"


@pytest.mark.asyncio
async def test_a_session_made_for_one_entity_finds_nobody_when_its_authority_is_gone(tmp_path: Path) -> None:
    _, broker, _ = members(tmp_path, FixedClock())
    sessions = session_to(broker.tls, SURF, Egress(loopback))
    broker.believe(broker)
    with pytest.raises(Problem, match="no TLS authority"):
        sessions.get()


@pytest.mark.asyncio
async def test_a_member_that_goes_leaves_no_context_behind_and_disturbs_nobody_else(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    before = broker.tls.client_context(SURF), broker.tls.client_context(EVIL)
    broker.believe(broker, surf)
    assert broker.tls.client_context(SURF) is before[0]
    with pytest.raises(Problem, match="no TLS authority"):
        broker.tls.client_context(EVIL)
    broker.rotate()
    assert broker.tls.client_context(SURF) is not before[0], "calls go on with the present leaf"


@pytest.mark.asyncio
async def test_a_public_listener_paces_by_address(tmp_path: Path) -> None:
    clock = FixedClock()
    async with AsyncExitStack() as stack:
        paced = address_rates(Buckets(Rate(per_second=1, burst=2)), clock)
        port = await listen(web.Application(middlewares=[problem_middleware, paced]), "127.0.0.1", 0, stack)

        async def statuses(source: str, count: int) -> list[int]:
            connector = aiohttp.TCPConnector(local_addr=(source, 0))
            async with aiohttp.ClientSession(connector=connector) as session:
                found = []
                for _ in range(count):
                    async with session.get(f"http://127.0.0.1:{port}/") as response:
                        found.append(response.status)
                return found

        assert await statuses("127.0.0.1", 4) == [404, 404, 429, 429]
        assert await statuses("127.0.0.2", 2) == [404, 404]
        clock.advance(1)
        assert await statuses("127.0.0.1", 2) == [404, 429]


def test_one_ipv6_network_is_one_caller() -> None:
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("") == "?"
