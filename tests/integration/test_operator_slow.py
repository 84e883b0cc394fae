"""An operator that takes its time, over real HTTP and SQLite: a person answers, the network rises, events tell of it.

Every event is judged by the official files where they are at hand, and nothing here depends on any.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner
from msgspec import structs

from federation.node.hatch import hand_in
from federation.trust.jose import doc_hash
from operators.api import hatch
from operators.cli.main import main
from operators.fabric.null import NullDriver
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import End, window
from schemas.sonata import order, quote
from schemas.sonata.hub import EventType
from tests.support.operator_world import ENNI_B, NOW, UNI_A, Deal, OperatorWorld, plan
from tests.support.sonata_official import official_folder, operation_of, validate_request

MANUAL = 'approval = "manual", answer_within_s = 900'
CALLBACK = "https://broker.example/told"
WAIT_S = 60.0  # the longest that a test waits for what should take milliseconds


class Listener:
    """A broker's listener: keeps what it is told, once it is told to; answers 500 before."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.refused, self.open, self.news = 0, True, asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        body, path = await request.read(), request.path.removeprefix("/told/mefApi/sonata/")
        if official_folder():
            found = operation_of("POST", path)
            validate_request(found.api, found.id, body)
        assert request.headers["Content-Type"] == "application/json;charset=utf-8"
        self.news.set()
        if not self.open:
            self.refused += 1
            return web.Response(status=500)
        self.events.append(json.loads(body))
        return web.Response(status=204)

    async def states(self, name: str, count: int) -> list[str]:
        """The states of one resource, once there are so many."""
        async with asyncio.timeout(WAIT_S):
            while len(found := [e["event"]["state"] for e in self.events if e["event"]["id"] == name]) < count:
                self.news.clear()
                await self.news.wait()
        return found

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/{path:.*}", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def led(world: OperatorWorld, place: str) -> None:
    """Have the operator find the broker's entity at `place`."""
    config = world.folder / "operator.toml"
    egress = f', egress = {{ places = {{ "https://broker.example" = "{place}" }} }} }}\nlisten'
    config.write_text(config.read_text().replace(" }\nlisten", egress, 1))


@pytest.mark.asyncio
async def test_a_person_answers_and_the_broker_is_told(tmp_path: Path) -> None:
    listener, world = Listener(), OperatorWorld(tmp_path, selling=MANUAL)
    data = tmp_path / "data"
    async with listener.serving() as place:
        led(world, place)
        async with world.run():
            hub = await world.broker.sonata.subscribe(quote.API, CALLBACK)
            assert (await world.broker.sonata.subscribe(quote.API, CALLBACK)).id == hub.id
            asked = [await world.broker.ask(plan(), answer_by=NOW + 600) for _ in range(3)]
            assert [deal.answer.waiting for deal in asked] == [True] * 3
            yes, no, cancelled = asked
            await world.broker.sonata.cancel_quote(cancelled.answer.id)
            waiting = (await hand_in(data, "list", b"{}"))["waiting"]
            assert [one["quote"] for one in waiting] == [yes.answer.id, no.answer.id]
            listener.open = False
        # The operator is restarted while its questions wait, and while nobody takes its events.
        async with world.run():
            said = await hand_in(data, "grant", json.dumps({"quote": yes.answer.id}).encode())
            assert (said["state"], said["broker"]) == ("HELD", "https://broker.example")
            await hand_in(data, "refuse", json.dumps({"quote": no.answer.id, "why": "no room"}).encode())
            with pytest.raises(Problem, match="waits for an answer"):
                await hand_in(data, "grant", json.dumps({"quote": no.answer.id}).encode())
            assert (await world.broker.look(yes)).held.exp == NOW + 30
            refused = (await world.broker.look(no)).answer.refusal
            assert refused is not None
            assert (refused.code, refused.detail) == ("OPERATOR_REFUSED", "no room")
            listener.open = True
            assert await listener.states(yes.answer.id, 2) == ["inProgress", "approved.orderable"]
            assert await listener.states(no.answer.id, 2) == ["inProgress", "unableToProvide"]
            assert await listener.states(cancelled.answer.id, 2) == ["inProgress", "cancelled"]
            await world.broker.order(yes)
            await world.broker.confirm(yes)
            assert await listener.states(yes.answer.id, 3) == ["inProgress", "approved.orderable", "accepted"]
            await world.broker.release(yes)
        ids = [event["eventId"] for event in listener.events]
        assert len(ids) == len(set(ids))


@pytest.mark.asyncio
async def test_hubs_are_one_brokers_own_and_their_callbacks_are_guarded(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        mine, other = (broker.sonata for broker in world.brokers)
        for callback in ("ftp://broker.example", "https://broker.example/?q=1", "https://", "https://[::1"):
            with pytest.raises(Problem, match="expected an https URL"):
                await mine.subscribe(quote.API, callback)
        hub = await mine.subscribe(order.API, "http://127.0.0.1:1/inside")
        await world.broker.lease(plan(z=ENNI_B))
        letters = await world.running.desk.shop.store.letters()  # type: ignore[attr-defined]
        assert {EventType.ORDER in letter.url for letter in letters} == {True}
        await world.running.delivery.settled()
        assert len(await world.running.desk.shop.store.letters()) == len(letters)  # type: ignore[attr-defined]
        await removed(world, 0, hub.id)
        assert await world.running.desk.shop.store.letters() == []  # type: ignore[attr-defined]
        for _ in range(16):
            await other.subscribe(quote.API, f"https://other.example/{_}")
        with pytest.raises(Problem, match="16 hubs are yours already"):
            await other.subscribe(quote.API, "https://other.example/more")


async def removed(world: OperatorWorld, broker: int, hub_id: str) -> None:
    """One broker's hub, removed by it; the other broker cannot."""
    url = f"{world.origin}/mefApi/sonata/{order.API}/hub/{hub_id}"
    for index, one in enumerate(world.brokers):
        mine = index == broker
        ask = functools.partial(one.session.request, url=url)
        async with ask("GET") as got:
            assert got.status == (200 if mine else 404)
        async with ask("DELETE") as got:
            assert got.status == (204 if mine else 404)


class Building(NullDriver):
    """A network in which somebody has to build something first."""

    def __init__(self) -> None:
        super().__init__()
        self.built = asyncio.Event()

    async def bring_up(self, product: str, wiring: Any) -> None:
        await self.built.wait()
        await super().bring_up(product, wiring)


@pytest.mark.asyncio
async def test_an_order_is_in_progress_while_the_network_builds_and_survives_a_restart(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path, selling="up_within_s = 300, confirm_within_s = 600")
    world.driver = Building()
    async with world.run():
        deal = await world.broker.ask(plan(), confirm_within_s=400)
        assert (deal.held.up_within_s, deal.held.confirm_within_s) == (300, 400)
        placed = await world.broker.order(deal, confirm_by=NOW + 400)
        assert (placed.state, deal.receipts[-1].state, deal.receipts[-1].confirm_by) == (
            "inProgress", "COMMITTED", NOW + 400,
        )  # fmt: skip
    async with world.run():
        await world.run_due()
        assert (await world.broker.sonata.get_order(placed.id)).state == "inProgress"
        world.clock.advance(200)
        world.driver.built.set()
        await asyncio.wait(world.running.desk.shop.rising.values())
        await asyncio.sleep(0)
        await world.run_due()
        done = await world.broker.sonata.get_order(placed.id)
        assert done.state == "completed"
        world.broker.note(deal, done.receipt_jws)
        assert (await world.broker.confirm(deal)).state == "ACTIVE"
        await world.broker.release(deal)
        world.assert_nothing_held()


@pytest.mark.asyncio
async def test_a_person_answers_at_the_command_line(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path, selling=MANUAL)
    config = ["--config", str(tmp_path / "operator.toml")]

    async def said(*words: str, status: int = 0) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["approvals", *words, *config])
        assert result.exit_code == status, result.output
        return result.output

    assert "no operator serves from" in await said("list", status=2)
    async with world.run():
        assert await said("list") == "nothing waits\n"
        yes, no = [await world.broker.ask(plan(), answer_by=NOW + 600) for _ in range(2)]
        listed = (await said("list")).splitlines()
        assert len(listed) == 2
        assert "10 Gb/s uni-a to uni-c, any" in listed[0]
        assert "of https://broker.example; answer by 2026-11-18T11:16:40Z" in listed[0]
        assert json.loads(await said("grant", yes.answer.id, "--json"))["state"] == "HELD"
        assert "no room" in await said("refuse", no.answer.id, "--why", "no room")
        assert "waits for an answer" in await said("refuse", no.answer.id, status=2)
        assert (await world.broker.look(yes)).held.held
        assert await said("list") == "nothing waits\n"


async def leased(world: OperatorWorld, **wanted: int) -> Deal:
    """A lease in force, to which a person said yes."""
    asked = await world.broker.ask(plan(**wanted), answer_by=NOW + 600)
    await world.running.desk.grant(asked.answer.id)
    deal = await world.broker.look(asked)
    await world.broker.order(deal)
    await world.broker.confirm(deal)
    return deal


@pytest.mark.asyncio
async def test_nobody_has_more_bandwidth_than_a_person_granted(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path, selling=MANUAL)
    async with world.run():
        deal = await leased(world, gbps=10)
        held = deal.receipts[-1].segment

        async def change(gbps: int) -> Deal:
            wanted = structs.replace(held, bandwidth_bps=gbps * 10**9, window=window(NOW, held.window.end_s))
            return await world.broker.ask(wanted, action=Action.MODIFY, product=deal.product)

        refusal = (await change(40)).answer.refusal
        assert refusal is not None
        assert (refusal.code, "a person granted 10000000000 bit/s" in refusal.detail) == ("OPERATOR_REFUSED", True)
        less = await change(4)
        await world.broker.order(less)
        await world.broker.confirm(less)
        assert (await change(10)).answer.refusal is None, "which was granted"


@pytest.mark.asyncio
async def test_a_change_that_nobody_has_to_grant_does_not_become_a_lease(tmp_path: Path) -> None:
    """Who holds less bandwidth for a lease, which is answered at once, may not go on with it as with another lease."""
    world = OperatorWorld(tmp_path, selling=MANUAL)
    async with world.run():
        deal = await leased(world, gbps=10)
        held = deal.receipts[-1].segment
        wanted = structs.replace(held, bandwidth_bps=4 * 10**9, window=window(NOW, held.window.end_s))
        less = await world.broker.ask(wanted, action=Action.MODIFY, product=deal.product)
        assert less.answer.quote_jws is not None
        again = structs.replace(wanted, a=End(held.a.interface), z=End(held.z.interface))
        another = await world.broker.ask(again, replaces=doc_hash(less.answer.quote_jws))
        assert another.answer.refusal is not None
        assert "a person answers here" in another.answer.refusal.detail


@pytest.mark.asyncio
async def test_more_time_waits_for_a_person_like_a_new_lease(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path, selling=MANUAL)
    async with world.run():
        deal = await leased(world, duration_s=800)
        held = deal.receipts[-1].segment

        async def longer(until: int, by: int | None = NOW + 700) -> Deal:
            wanted = structs.replace(held, window=window(NOW + 800, until))
            return await world.broker.ask(wanted, action=Action.MODIFY, product=deal.product, answer_by=by)

        at_once = (await longer(NOW + 900, None)).answer.refusal
        assert at_once is not None
        assert "a person answers here" in at_once.detail
        assert "another lease from the end of this one" in at_once.detail
        yes, no, late, over = [await longer(NOW + until) for until in (900, 950, 960, 970)]
        assert world.free(UNI_A, NOW + 850) == 100, "nothing is held before somebody has said yes"
        (told, *_) = [hatch.told(one) for one in world.running.desk.waiting()]
        assert told["product"] == deal.product
        await world.running.desk.refuse(no.answer.id, "not that long")
        await world.running.desk.grant(yes.answer.id)
        assert (await world.broker.look(no)).answer.refusal is not None
        granted = await world.broker.look(yes)
        await world.broker.order(granted)
        await world.broker.confirm(granted)
        assert world.running.desk.shop.leases[deal.product].end_s == NOW + 900
        stale = await world.running.desk.grant(late.answer.id)
        assert stale.refusal is not None, "it began where the lease ended before"
        await world.pass_time(700)
        refusal = (await world.broker.look(over)).answer.refusal
        assert (refusal and refusal.detail) == "nobody answered in time"
        await world.broker.release(granted)
        assert world.free(UNI_A, NOW + 850) == 100
