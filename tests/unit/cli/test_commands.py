from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from federation.broker.api.tools import tool_rows
from federation.cli.main import COMMANDS, run
from federation.cli.mcp import mcp
from schemas.answer import AuditFinding, OrderView
from schemas.lease import State
from schemas.problem import Problem
from schemas.segment import moment
from tests.support.face import World
from tests.support.seams import NOW, CountingEntropy

ROOT = Path(__file__).parents[3]
ASKED = ("Utrecht@SURF", "Milan@GARR", "--bandwidth", "10G", "--for", "2h")
Told = tuple[int, str, str]


class Terminal:
    """Runs `peerway` in this process, in a thread because a command has a loop of its own."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self._capsys = world, capsys

    async def __call__(self, *arguments: str, key: str | None = "alice-key") -> Told:
        reach = ["--broker", self.world.address, *(["--key", key] if key else [])]
        status = await asyncio.to_thread(run, [*arguments, *reach])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return int(status), out, err


@pytest_asyncio.fixture
async def peerway(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Terminal]:
    for name in ("PEERWAY_BROKER", "PEERWAY_KEY", "PEERWAY_DEBUG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    async with World() as world:
        yield Terminal(world, capsys)


def test_help_is_quick_and_lists_every_command() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(
        [sys.executable, "-m", "federation.cli.main", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for name, command in COMMANDS.items():
        assert name in told.stdout
        assert command.about.split(";")[0] in " ".join(told.stdout.split())
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3, "seconds of work, however busy"


def test_help_imports_none_of_the_heavy_parts() -> None:
    code = "import sys; from federation.cli.main import run; run(['--help']); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(told.stdout.rsplit("\n", 2)[-2].split())
    assert not loaded & {"aiohttp", "rich", "mcp", "pydantic", "numpy", "grpc", "msgspec", "cryptography"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    out, _ = capsys.readouterr()
    if name != "broker":
        assert f"peerway {name}" in out.split("Example")[-1] or name == "mcp"
        assert "Example" in out


@pytest.mark.asyncio
async def test_a_purchase_at_the_terminal(peerway: Terminal) -> None:
    status, out, _ = await peerway("search", *ASKED, "--timing")
    assert status == 0
    for expected in (
        "Path 1",
        "Path 3",
        "GÉANT",
        "Utrecht NL → Amsterdam DE",
        "EUR 12.35",
        "9.88 ms",
        "search 0.42 ms",
    ):
        assert expected in out
    status, out, _ = await peerway("quote", *ASKED)
    assert status == 0
    assert "peerway order q1" in out
    status, out, _ = await peerway("order", "q1")
    assert (status, "ACTIVE" in out, "p-SURF" in out) == (0, True, True)
    status, out, _ = await peerway("extend", "o1", "--by", "30m")
    assert "until 2026-11-18 13:36:40Z" in out
    status, out, _ = await peerway("resize", "o1", "20G")
    assert (status, "20 Gb/s" in out) == (0, True)
    status, out, _ = await peerway("heartbeat", "o1", "--repeat")
    assert (status, "ACTIVE" in out) == (0, True)
    status, out, _ = await peerway("release", "o1")
    assert (status, "RELEASED" in out, "1 min" in out, "EUR 1.50" in out) == (0, True, True, True)
    status, out, _ = await peerway("statement", "o1")
    assert (status, "surf.example" in out, "EUR 6.30" in out) == (0, True, True)
    status, out, _ = await peerway("audit")
    assert (status, "0 found at 1 operators" in out) == (0, True)
    status, out, _ = await peerway("orders")
    assert "o1" in out
    status, out, _ = await peerway("federation")
    assert "https://surf.example" in out
    status, out, _ = await peerway("show", "q1")
    assert "Quote q1" in out


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "arguments", [("search", *ASKED), ("quote", *ASKED), ("orders",), ("federation",), ("order", "q1"), ("show", "o1"),
                  ("extend", "o1", "--by", "1h"), ("resize", "o1", "20G", "--in-place"), ("heartbeat", "o1"),
                  ("release", "o1")]
)  # fmt: skip
async def test_every_command_answers_programs_in_json(peerway: Terminal, arguments: tuple[str, ...]) -> None:
    await peerway("quote", *ASKED)
    if arguments != ("order", "q1"):
        await peerway("order", "q1")
    status, out, err = await peerway(*arguments, "--json")
    assert (status, err) == (0, "")
    json.loads(out)


@pytest.mark.asyncio
async def test_a_backup_at_the_terminal(peerway: Terminal) -> None:
    status, out, _ = await peerway("search", *ASKED, "--paths", "1", "--backup", "operator", "--backup-latency", "20ms")
    assert status == 0
    assert "without a common operator" in out
    assert "EUR 25.70 for both, EUR 13.35 more than path 1 alone (+108 %)" in out
    status, out, _ = await peerway("search", *ASKED, "--backup", "city")
    assert status == 3
    assert "both use the city Utrecht NL" in out
    assert "accept any backup" in out
    status, out, _ = await peerway("search", *ASKED, "--backup", "city", "--json")
    assert json.loads(out)["backup"]["shared"] == ["the city Utrecht NL"]


@pytest.mark.asyncio
async def test_a_front_at_the_terminal(peerway: Terminal) -> None:
    status, out, _ = await peerway("search", *ASKED, "--paths", "1", "--front", "price,latency")
    assert status == 0
    for expected in ("No path beats another on price, latency: 40 to choose from", "9.84 ms", "SURF → GÉANT"):
        assert expected in out
    status, out, _ = await peerway("search", *ASKED, "--front", "price,latency", "--json")
    assert len(json.loads(out)["front"]["paths"]) == 40


@pytest.mark.asyncio
async def test_an_intent_takes_every_word(peerway: Terminal) -> None:
    more = "--latency 12ms --jitter 1ms --loss 0.01% --availability 99.9% --mtu 9000 --hops 4 --budget 30CHF"
    policy = "--countries EEA,CH --domicile EEA --parents EEA --class eu --only SURF,GARR --without X --best latency"
    status, _, _ = await peerway("search", *ASKED, *more.split(), *policy.split(), "--start", "2026-12-01T08:00Z")
    intent = peerway.world.exchanges["alice"].intents[-1]
    assert status == 0
    assert (intent.limits.latency_us, intent.limits.loss_ppb, intent.mtu, intent.hops) == (12_000, 100_000, 9000, 4)
    assert (intent.currency, intent.sovereignty.countries) == ("CHF", ("EEA", "CH"))
    assert (intent.operators_allowed, intent.operators_denied) == (("SURF", "GARR"), ("X",))


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["search", "quote"])
async def test_no_path_says_what_binds_and_what_would_help(peerway: Terminal, command: str) -> None:
    status, out, _ = await peerway(command, "A", "B", "--bandwidth", "13bps", "--for", "1h")
    assert status == 3
    for expected in ("No path satisfies", "latency  ", "latency 9876", "parents", "physics allows 4.32 ms"):
        assert expected in out


def lacks(*words: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    return lambda given: tuple(word for word in given if word not in words)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("search", "A", "B", "--for", "1h"), "--bandwidth"),
        (("search", *ASKED, "--backup", "street"), "'segment', 'operator', 'site', 'city'"),
        (("search", *ASKED, "--backup-hops", "3"), "need --backup"),
        (("search", *ASKED, "--front", "price"), "write for example price,latency"),
        (("search", *ASKED, "--front", "price,speed"), "write for example price,latency"),
        (("search", "A", "B", "--bandwidth", "0", "--for", "1h"), "write for example 10G"),
        (("search", "A", "B", "--bandwidth", "-1G", "--for", "1h"), "--bandwidth"),
        (("search", "A", "B", "--bandwidth", "1G"), "--until"),
        (("search", "A", "B", "--bandwidth", "1G", "--for", "1h", "--until", "2026-12-01T08:00Z"), "only one"),
        (("search", "A", "B", "--bandwidth", "1G", "--for", "soon"), "write for example 2h"),
        (("search", "A", "B", "--bandwidth", "1G", "--for", "1h", "--latency", "12"), "write for example 12ms"),
        (("search", "A", "A", "--bandwidth", "1G", "--for", "1h"), "two different places"),
        (("search", "A@", "B", "--bandwidth", "1G", "--for", "1h"), "write for example Utrecht"),
        (("search", "A", "B", "--bandwidth", "10", "--for", "1h"), "write for example 10G"),
        (("search", "A", "B", "--bandwidth", "1G", "--for", "1h", "--countries", " ,"), "names nothing"),
        (("order", "q1", "--idempotency-key", "a\nb"), "printable ASCII"),
        (("quote", "A", "B", "--bandwidth", "1G", "--start", "2026-12-02T00:00Z", "--until", "2026-12-01T00:00Z"),
         "later than start"),
        (("extend", "o1"), "--until"),
        (("order",), "QUOTE"),
        (("sarch",), "No such command 'sarch'. Did you mean search?"),
        (("xyzzy",), "No such command 'xyzzy'."),
        (("resize", "o1", "20G", "--in-place", "--new-path"), "--in-place or --new-path"),
    ],
)  # fmt: skip
async def test_bad_input_is_status_2_and_shows_what_is_right(
    peerway: Terminal, arguments: tuple[str, ...], says: str
) -> None:
    status, out, err = await peerway(*arguments)
    assert (status, out) == (2, "")
    assert says in err


@pytest.mark.asyncio
async def test_a_narrow_screen_keeps_ids_in_one_piece(peerway: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    exchange = peerway.world.exchanges["alice"]
    await peerway("quote", *ASKED)
    await peerway("order", "q1")
    long_id = "dbDSH2uOBK0rxa3KLRLrSA"
    exchange.all_orders = {long_id: structs.replace(exchange.all_orders["o1"], id=long_id)}
    for command in (("orders",), ("show", long_id), ("federation",)):
        status, out, _ = await peerway(*command)
        assert status == 0
        assert max(map(len, out.splitlines())) <= 80
        assert long_id in out or command == ("federation",)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("a", "FROM"), ("intent.currency", "--currency"), ("operators_required", "--via"), ("grants[0]", "--grant"),
        ("cities_denied", "--avoid-city"), ("data_class", "--data-class"), ("mandate.spend", "mandate.spend"),
    ],
)  # fmt: skip
async def test_a_mistake_is_named_by_its_option(peerway: Terminal, field: str, word: str) -> None:
    peerway.world.exchanges["alice"].fail = Problem("INVALID_ARGUMENT", "is unknown", field=field)
    assert (await peerway("search", *ASKED))[2] == f"peerway: {word}: is unknown\n"


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["", "../orders", "..", ".", "a/b", "o1?wait_s=1", "o1%2fextend", "ö"])
async def test_what_cannot_be_an_id_is_no_part_of_an_address(peerway: Terminal, name: str) -> None:
    assert (await peerway("show", name))[::2] == (4, f"peerway: '{name}' is neither an order nor a quote of yours\n")
    assert (await peerway("release", name))[::2] == (4, f"peerway: order {name} is not known here\n")


@pytest.mark.asyncio
async def test_a_quote_that_was_ordered_names_its_order(peerway: Terminal) -> None:
    await peerway("quote", *ASKED)
    await peerway("order", "q1")
    assert "ordered: see order o1" in (await peerway("show", "q1"))[1]


@pytest.mark.asyncio
async def test_a_release_that_an_operator_does_not_confirm_is_no_success(
    peerway: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await peerway("quote", *ASKED)
    await peerway("order", "q1")
    exchange = peerway.world.exchanges["alice"]
    order = exchange.all_orders["o1"]
    legs = (structs.replace(order.segments[0], state=State.RELEASED), *order.segments[1:])
    waiting = structs.replace(order, state=State.RELEASING, segments=legs)

    async def release(order_id: str, key: str) -> OrderView:
        exchange.all_orders[order_id] = waiting
        return waiting

    monkeypatch.setattr(exchange, "release", release)
    status, out, err = await peerway("release", "o1")
    assert (status, "RELEASING" in out) == (5, True)
    assert err == "Not released yet: GÉANT. The broker goes on; look again: peerway show o1\n"
    assert (await peerway("release", "o1", "--no-wait"))[::2] == (0, "")


@pytest.mark.asyncio
async def test_what_is_left_of_a_mandate_is_told(peerway: Terminal) -> None:
    status, out, _ = await peerway("mandate", "left")
    lines = out.splitlines()
    assert (status, lines[0]) == (0, "EUR 187.654322 left of EUR 200.00, at most EUR 50.00 for one order")
    assert lines[2] == "may quote, order, extend, release; at most 100 Gb/s, 6 segments"
    assert not any(line.startswith("only") for line in lines)
    status, out, _ = await peerway("mandate", "left", "--json")
    assert (status, json.loads(out)["left"]["micro"]) == (0, 187_654_322)


def test_the_help_of_mcp_names_every_tool() -> None:
    named = " ".join(str(mcp.help).split())
    assert [row.name for row in tool_rows(CountingEntropy()) if row.name not in named] == []


@pytest.mark.asyncio
async def test_refusals_are_status_4_and_unreachable_5(peerway: Terminal, unused_tcp_port: int) -> None:
    status, _, err = await peerway("show", "absent")
    assert (status, err) == (4, "peerway: 'absent' is neither an order nor a quote of yours\n")
    peerway.world.exchanges["alice"].fail = Problem("INVALID_ARGUMENT", "is unknown", field="a")
    status, _, err = await peerway("search", *ASKED)
    assert (status, err) == (2, "peerway: FROM: is unknown\n")
    peerway.world.exchanges["alice"].fail = Problem("QUOTE_EXPIRED", "it expired at noon")
    status, _, err = await peerway("order", "q1", "--json")
    assert (status, json.loads(err)["code"]) == (4, "QUOTE_EXPIRED")
    status, _, err = await peerway("orders", key="wrong")
    assert (status, "not known" in err) == (4, True)
    status, _, err = await peerway("orders", key=None)
    assert (status, "PEERWAY_KEY" in err) == (2, True)
    status, _, err = await peerway("orders", "--broker", f"http://127.0.0.1:{unused_tcp_port}")
    assert status == 0, "the last --broker counts"
    peerway.world.exchanges["alice"].fail = RuntimeError("x")
    status, _, err = await peerway("orders")
    assert (status, "the fault is in this node's log" in err) == (1, True)


def test_a_broker_that_is_not_there_is_status_5(unused_tcp_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["orders", "--key", "k", "--broker", f"http://127.0.0.1:{unused_tcp_port}"])
    assert status == 5
    assert f"no broker answers at http://127.0.0.1:{unused_tcp_port}" in capsys.readouterr().err


def test_the_sample_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from federation.broker.config import SAMPLE

    assert run(["broker", "sample"]) == 0
    assert capsys.readouterr().out == SAMPLE


@pytest.mark.asyncio
async def test_an_audit_ends_with_zero_only_where_nothing_is_found(peerway: Terminal) -> None:
    found = AuditFinding(
        kind="lease", operator="https://surf.example", operator_name="SURF", what="p-1", since=moment(NOW),
        why="a lease of order o9, which is over", order="o9",
    )  # fmt: skip
    peerway.world.exchanges["alice"].orphans.append(found)
    status, out, _ = await peerway("audit")
    assert (status, "1 found" in out, "p-1" in out, "o9" in out) == (1, True, True, True)
    status, out, _ = await peerway("audit", "--json")
    assert (status, json.loads(out)["findings"][0]["what"]) == (1, "p-1")
