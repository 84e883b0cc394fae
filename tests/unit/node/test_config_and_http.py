"""Bad configuration and bad bodies: the message names file, key, what was wrong and what would be right."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession, web

from federation.node.bearer import Keyring, key_digest
from federation.node.config import load_toml
from federation.node.http import decode, json_body, listen, problem_middleware, reply
from schemas.problem import Problem


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    port: int


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    listen: Listen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "x"\n[listen]\nhost = "h"\nport = "80"\n', "n.toml: listen.port: expected `int`, got `str`"),
        ('name = "x"\n[listen]\nhost = "h"\n', "n.toml: listen.port: object missing required field `port`"),
        ('name = "x"\n[listen]\nhost="h"\nport=1\nprot=2\n', "n.toml: listen.prot: object contains unknown field"),
        ('name = "x\n', "n.toml: no valid TOML: "),
        ("", "n.toml: name: object missing required field `name`"),
    ],
)
def test_broken_toml_names_file_key_and_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "n.toml").write_text(text)
    with pytest.raises(Problem) as caught:
        load_toml(tmp_path / "n.toml", Settings)
    assert said in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"gone.toml: cannot be read \(No such file or directory\)"):
        load_toml(tmp_path / "gone.toml", Settings)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"host":"h","port":1,"port":2}', "body: no valid JSON: member 'port' stands twice"),
        (b'{"host":"h","port":NaN}', "NaN is no JSON number"),
        (b'{"host":"h"', "body: no valid JSON"),
        (b"\xff", "body: no valid JSON"),
        (b'{"host":"h","port":1.5}', "port: expected `int`"),
        (b'{"host":"h","port":1,"x":1}', "x: object contains unknown field `x`"),
        (b"[" * 5000, "body: no valid JSON"),
        (rb'{"\ud800":1}', "an escape stands for half a character"),
        (b'{"host":"\xed\xa0\x80"}', "body: no valid JSON"),
        ('{"host":"h"}'.encode("utf-16"), "body: no valid JSON"),
    ],
)
def test_bad_bodies_name_the_field(body: bytes, said: str) -> None:
    with pytest.raises(Problem) as caught:
        decode(body, Listen)
    assert said in str(caught.value)


async def echo(request: web.Request) -> web.Response:
    return reply(await json_body(request, Listen, 200))


async def crash(request: web.Request) -> web.Response:
    raise KeyError("secret detail")


@pytest.mark.asyncio
async def test_problems_over_real_http() -> None:
    app = web.Application(middlewares=[problem_middleware])
    app.add_routes([web.post("/echo", echo), web.get("/crash", crash)])
    async with AsyncExitStack() as stack, ClientSession() as session:
        port = await listen(app, "127.0.0.1", 0, stack)
        base = f"http://127.0.0.1:{port}"
        async with session.post(f"{base}/echo", json={"host": "h", "port": 1}) as answer:
            assert await answer.json() == {"host": "h", "port": 1}
        async with session.post(f"{base}/echo", data=b"x" * 201) as answer:
            problem = await answer.json(content_type="application/problem+json")
            assert (answer.status, problem["code"], problem["outcome"]) == (413, "PAYLOAD_TOO_LARGE", "none")
        async with session.post(f"{base}/echo", data=b"{}", headers={"Content-Encoding": "gzip"}) as answer:
            assert answer.status == 400
        async with session.get(f"{base}/crash") as answer:
            assert answer.status == 500
            assert "secret" not in await answer.text()
        async with session.get(f"{base}/nowhere") as answer:
            assert (await answer.json(content_type=None))["code"] == "NOT_FOUND"


@pytest.mark.asyncio
@pytest.mark.parametrize("header", [b"Authorization: Bearer SECRET\x01", b"Authorization : Bearer SECRET"])
async def test_a_key_in_a_broken_header_is_not_logged(header: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with AsyncExitStack() as stack:
        port = await listen(web.Application(), "127.0.0.1", 0, stack)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
    assert "it is not HTTP" in caplog.text
    assert "SECRET" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.asyncio
async def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with AsyncExitStack() as stack:
            with pytest.raises(Problem, match=f"port {port} on 127.0.0.1 is in use"):
                await listen(web.Application(), "127.0.0.1", port, stack)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic abc", "Bearer wrong", "Bearer  ", "Bearer \udcff\udc80"])
def test_unknown_callers_are_refused(header: str | None) -> None:
    ring = Keyring({key_digest("right"): "broker"})
    assert ring.who("Bearer right") == "broker"
    with pytest.raises(Problem) as caught:
        ring.who(header)
    assert caught.value.code == "UNAUTHENTICATED"
