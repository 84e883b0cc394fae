"""The floor: a node of our stack that does nothing but what every promise needs.

It verifies the document that it is sent (mutual TLS, the caller's own key), writes it down in full sync, and signs one
back. One with `others` is the broker of the floor: it takes a document of the buyer, sends one of its own to each of
them at once, verifies and writes down what they answer, and answers.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Struct

from federation.node.callers import caller_of, callers
from federation.node.certificate import server_tls
from federation.node.http import listen, problem_middleware, read_body
from federation.node.mtls.mutual import Mutual
from federation.node.mtls.renewed import session_to
from federation.node.outside import outside
from federation.node.process import run_daemon
from federation.node.seams import SystemClock, SystemEntropy
from federation.node.settings import EgressRules, ListenTls
from federation.node.sqlite import Database
from federation.trust.chain import TrustDomain
from federation.trust.domain import load_domain
from federation.trust.jose import doc_hash, sign_jws, verify_jws
from federation.trust.keys import PrivateKey, PublicKey, public_keys
from federation.trust.keyset import load_key_set
from schemas.entity import Jwk, Jwks
from schemas.order import Order
from schemas.problem import Problem
from schemas.quote import Action

PATH: Final = "/echo"
TABLE: Final = "CREATE TABLE documents (hash TEXT PRIMARY KEY, token TEXT NOT NULL)"
INSERT: Final = "INSERT INTO documents VALUES (?, ?)"
LIFE_S: Final = 60


class Other(Struct, frozen=True):
    """A node of the floor, as others find it."""

    entity: str
    url: str


class Setting(Struct, frozen=True):
    """What one node is told. `public` is the certificate that is shown to the buyer whose key is `buyer`, if it has a
    public face."""

    entity: str
    folder: str
    trust: str
    port: int
    others: tuple[Other, ...] = ()
    literals: tuple[str, ...] = ()
    public: ListenTls | None = None
    buyer: Jwk | None = None


class Echo:
    """One node."""

    def __init__(self, setting: Setting, stack: AsyncExitStack) -> None:
        self._setting, self._stack, self._clock = setting, stack, SystemClock()
        folder, trust = Path(setting.folder), Path(setting.trust)
        self._key = load_key_set((folder / "key.json").read_bytes(), "key").signer
        self._mutual = Mutual.open(folder / "tls", setting.entity, ("127.0.0.1",), self._clock)
        self._domain: TrustDomain = load_domain(trust, trust / "anchors.json", self._clock.now())
        self._mutual.believe(self._domain)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        setting, stack = self._setting, self._stack
        self._database = await stack.enter_async_context(Database(Path(setting.folder) / "echo.sqlite", [TABLE]))
        egress = await stack.enter_async_context(outside(EgressRules(literals=setting.literals)))
        self._sessions = {one.entity: session_to(self._mutual.tls, one.entity, egress) for one in setting.others}
        for session in self._sessions.values():
            stack.push_async_callback(session.close)
        guard = [problem_middleware] if setting.public else [problem_middleware, callers(self._mutual.judge)]
        app = web.Application(middlewares=guard)
        app.router.add_post(PATH, self._fan_out if setting.public else self._answer)
        tls = server_tls(setting.public, "public") if setting.public else self._mutual.tls.server_context()
        await listen(app, "127.0.0.1", setting.port, stack, tls)
        sys.stdout.write(msgspec.json.encode({"ready": setting.entity}).decode() + "\n")
        sys.stdout.flush()
        await stop.wait()

    async def _answer(self, request: web.Request) -> web.Response:
        caller = caller_of(request)
        keys = self._domain.member(caller, self._clock.now()).keys
        return web.Response(text=await self._echo(await read_body(request), caller, keys))

    async def _fan_out(self, request: web.Request) -> web.Response:
        assert self._setting.buyer is not None, "whoever has a public face knows its buyer"
        body, keys = await read_body(request), public_keys(Jwks((self._setting.buyer,)))
        claims = await self._taken(body.decode(), "https://buyer.example", keys)
        answers = await asyncio.gather(*(self._ask(one) for one in self._setting.others))
        await self._write(*answers)
        return web.Response(text=self._signed(claims.iss))

    async def _ask(self, other: Other) -> str:
        keys = self._domain.member(other.entity, self._clock.now()).keys
        session = self._sessions[other.entity].get()
        return await echoed(session, self._key, self._setting.entity, other, keys)

    async def _echo(self, body: bytes, caller: str, keys: Mapping[str, PublicKey]) -> str:
        await self._taken(body.decode(), caller, keys)
        return self._signed(caller)

    async def _taken(self, token: str, caller: str, keys: Mapping[str, PublicKey]) -> Order:
        """A document of `caller`, verified and on disk."""
        found = verify_jws(token, Order, keys, now=self._clock.now(), iss=caller, aud=self._setting.entity)
        await self._write(token)
        return found

    async def _write(self, *tokens: str) -> None:
        rows = [(doc_hash(token), token) for token in tokens]
        await self._database.write(lambda connection: connection.executemany(INSERT, rows).rowcount)

    def _signed(self, to: str) -> str:
        return document(self._key, self._setting.entity, to)


def document(key: PrivateKey, iss: str, aud: str) -> str:
    """A document of the size of an order: a release."""
    now, entropy = SystemClock().now(), SystemEntropy()
    claims = Order(
        iss=iss, sub="p" * 43, aud=aud, iat=now, exp=now + LIFE_S, jti=entropy.token(),
        action=Action.RELEASE, product=entropy.token(), prev_h="h" * 43,
    )  # fmt: skip
    return sign_jws(key, claims)


async def echoed(
    session: aiohttp.ClientSession, key: PrivateKey, me: str, there: Other, keys: Mapping[str, PublicKey]
) -> str:
    """One signed document sent, and one of `there` back, verified. Raises `Problem`."""
    async with session.post(there.url, data=document(key, me, there.entity).encode()) as response:
        answer = await response.text()
    if response.status != 200:
        raise Problem("UNAVAILABLE", f"no echo: {answer}")
    verify_jws(answer, Order, keys, now=SystemClock().now(), iss=there.entity, aud=me)
    return answer


async def _serve(setting: Setting, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        await Echo(setting, stack).run(stop)


def main(file: str) -> int:
    """Serve what a file describes."""
    setting = msgspec.json.decode(Path(file).read_bytes(), type=Setting)
    return run_daemon("echo", partial(_serve, setting))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
