"""T10 and T16 at the socket: what the egress dials, and how much it takes from whoever answers."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from federation.node.dns import Dns
from federation.node.http import listen
from federation.trust.certificates import pem
from federation.trust.destinations import Rules
from federation.trust.egress import ADDRESSES_MAX, BODY_BYTES_MAX, Egress
from schemas.problem import Problem
from tests.support.seams import FixedClock
from tests.support.speaking import SURF, Node

pytestmark = pytest.mark.asyncio
IPV4, IPV6 = 2, 10
BOMB_BYTES = 200 * 1024 * 1024


class Names:
    """A name server in the hands of an attacker: one list of answers after the other, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> list[tuple[int, str]]:
        self.asked += 1
        answers = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not answers:
            raise OSError(None, "no such name")
        return [(IPV6 if ":" in answer else IPV4, answer) for answer in answers]


class Site:
    """A foreign node's public listener, and what reached it."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[web.Request] = []
        self._node = Node(folder, SURF, FixedClock(), seed=5)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self._node.own.leaf_file)
        self.roots = ssl.create_default_context(cadata=pem(self._node.own.certificate).decode())
        self.port = 0
        self._over = asyncio.Event()

    def let_go(self) -> None:
        """Let answers that drip end."""
        self._over.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        kind, _, size = request.path.strip("/").partition("/")
        match kind:
            case "body":
                return web.Response(body=b"x" * int(size))
            case "redirect":
                raise web.HTTPFound("https://surf.example/body/1")
            case "bomb":
                squeezed = gzip.compress(bytes(BOMB_BYTES // 100)) * 100
                return web.Response(body=squeezed, headers={"Content-Encoding": "gzip"})
            case "status":
                return web.Response(status=int(size), body=b"no")
            case "stream":
                return await self._endless(request, pause=False)
            case "drip":
                return await self._endless(request, pause=True)
            case "header":
                return web.Response(headers={"X-Filler": "a" * int(size)})
            case _:
                return web.Response(body=request.raw_path.encode())

    async def _endless(self, request: web.Request, *, pause: bool) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not pause:
            await response.write(b"x" * 4096)
        await response.write(b"x")
        await self._over.wait()
        return response

    @property
    def rules(self) -> Rules:
        return Rules(names={"surf.example:443": f"127.0.0.1:{self.port}"})


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        found = Site(folder)
        app = web.Application()
        app.router.add_get("/{tail:.*}", found.answer)
        found.port = await listen(app, "127.0.0.1", 0, stack, found.context)
        stack.callback(found.let_go)
        yield found


LOCAL = Names(["127.0.0.1"])


async def refused(egress: Egress, url: str) -> Problem:
    with pytest.raises(Problem) as caught:
        await egress.get(url)
    return caught.value


async def test_a_document_is_read_as_it_was_sent_and_nothing_of_ours_goes_along(tmp_path: Path) -> None:
    async with site(tmp_path) as there, Egress(LOCAL, rules=there.rules, roots=there.roots) as egress:
        assert await egress.get("https://surf.example/.well-known/x?sub=https%3A%2F%2Fa.example") == (
            b"/.well-known/x?sub=https%3A%2F%2Fa.example"
        )
        assert len(await egress.get(f"https://surf.example/body/{BODY_BYTES_MAX}")) == BODY_BYTES_MAX
        headers = there.seen[0].headers
    assert headers["Host"] == "surf.example"
    assert headers["Accept-Encoding"] == "identity"
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)


async def test_one_byte_too_many_is_too_large_and_an_endless_answer_is_not_read_on(tmp_path: Path) -> None:
    async with site(tmp_path) as there, Egress(LOCAL, rules=there.rules, roots=there.roots) as egress:
        for path in (f"body/{BODY_BYTES_MAX + 1}", "stream"):
            assert (await refused(egress, f"https://surf.example/{path}")).code == "PAYLOAD_TOO_LARGE"


async def test_a_gzip_bomb_of_200_mb_is_not_unpacked(tmp_path: Path) -> None:
    async with site(tmp_path) as there, Egress(LOCAL, rules=there.rules, roots=there.roots) as egress:
        problem = await refused(egress, "https://surf.example/bomb")
        async with egress.session(there.roots) as session, session.get("https://surf.example/bomb") as response:
            body = await response.read()
    assert (problem.code, "compressed" in problem.detail) == ("UNAVAILABLE", True)
    assert len(body) < BOMB_BYTES // 100, "a session of the egress gives the bytes of the wire"


@pytest.mark.parametrize("follow", [False, True])
async def test_no_redirect_is_followed(tmp_path: Path, follow: bool) -> None:
    async with site(tmp_path) as there, Egress(LOCAL, rules=there.rules, roots=there.roots) as egress:
        assert "redirect" in (await refused(egress, "https://surf.example/redirect")).detail
        async with egress.session(there.roots) as session:
            with pytest.raises(aiohttp.TooManyRedirects):
                await session.get("https://surf.example/redirect", allow_redirects=follow)
        assert [request.path for request in there.seen] == ["/redirect"] * 2


@pytest.mark.parametrize(("status", "code"), [(404, "NOT_FOUND"), (204, "UNAVAILABLE"), (500, "UNAVAILABLE")])
async def test_any_answer_but_200_is_none(tmp_path: Path, status: int, code: str) -> None:
    async with site(tmp_path) as there, Egress(LOCAL, rules=there.rules, roots=there.roots) as egress:
        assert (await refused(egress, f"https://surf.example/status/{status}")).code == code


async def test_a_header_beyond_measure_ends_the_answer(tmp_path: Path) -> None:
    async with site(tmp_path) as there, Egress(LOCAL, rules=there.rules, roots=there.roots) as egress:
        assert (await refused(egress, "https://surf.example/header/20000")).code == "UNAVAILABLE"


async def test_an_answer_that_drips_ends_at_the_deadline(tmp_path: Path) -> None:
    async with (
        site(tmp_path) as there,
        Egress(LOCAL, rules=there.rules, roots=there.roots, deadline_s=0.2) as egress,
    ):
        assert "did not answer within" in (await refused(egress, "https://surf.example/drip")).detail


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as there, Egress(LOCAL, rules=there.rules) as egress:
        assert (await refused(egress, "https://surf.example/x")).code == "UNAVAILABLE"
        assert there.seen == []


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "2606:4700::1111"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["8.8.8.8"] * (ADDRESSES_MAX + 1),
        [],
    ],
)
async def test_one_address_inside_spoils_the_name(tmp_path: Path, answers: list[str]) -> None:
    async with site(tmp_path) as there:
        url = f"https://surf.example:{there.port}/x"
        rules = Rules(ports=frozenset({there.port}))
        async with Egress(Names(answers), rules=rules, roots=there.roots) as egress:
            assert (await refused(egress, url)).code == "UNAVAILABLE"
            with pytest.raises(Problem):
                await egress.target(f"surf.example:{there.port}")
        assert there.seen == []
        if answers == ["127.0.0.1"]:  # the control switched off: the same call reaches what is inside
            async with Egress(Names(answers), rules=rules, roots=there.roots, allowed=lambda _: True) as open_egress:
                await open_egress.get(url)
            assert len(there.seen) == 1


async def test_t10_a_name_that_changes_its_mind_is_dialled_where_it_was_judged(tmp_path: Path) -> None:
    """The first answer is public and the next one inside: one question per connection, and its answer is dialled."""
    dialled: list[str] = []

    def judged(address: str) -> bool:
        dialled.append(address)
        return address != "127.0.0.2"

    async with site(tmp_path) as there:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        rules = Rules(ports=frozenset({there.port}))
        url = f"https://surf.example:{there.port}/x"
        async with Egress(names, rules=rules, roots=there.roots, allowed=judged) as egress:
            assert await egress.get(url) == b"/x"
            assert names.asked == 1
            async with egress.session(there.roots) as another:
                with pytest.raises(aiohttp.ClientError):
                    await another.get(url)
        assert dialled == ["127.0.0.1", "127.0.0.2"]
        assert len(there.seen) == 1


async def test_a_grpc_target_is_the_judged_address_and_the_name_its_certificate_must_hold() -> None:
    names = Names(["8.8.8.8"], ["2606:4700::1111"])
    async with Egress(names) as egress:
        assert await egress.target("surf.example:443") == ("8.8.8.8:443", "surf.example")
        assert await egress.target("surf.example:8443") == ("[2606:4700::1111]:8443", "surf.example")
        with pytest.raises(Problem):
            await egress.target("unix:/tmp/x")
    assert names.asked == 2
    rules = Rules(names={"surf.example:443": "127.0.0.1:7"}, literals=frozenset({"127.0.0.1:9"}))
    async with Egress(LOCAL, rules=rules) as egress:
        assert await egress.target("surf.example:443") == ("127.0.0.1:7", "surf.example")
        assert await egress.target("127.0.0.1:9") == ("127.0.0.1:9", "127.0.0.1")


async def test_the_systems_resolver_gives_every_answer_with_its_family() -> None:
    dns = Dns()
    assert await dns("127.0.0.1", 443) == [(IPV4, "127.0.0.1")]
    assert await dns("::1", 443) == [(IPV6, "::1")]
    dns.close()


async def test_a_proxy_of_the_environment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with site(tmp_path) as there, Egress(LOCAL, rules=there.rules, roots=there.roots) as egress:
        assert await egress.get("https://surf.example/x") == b"/x"
