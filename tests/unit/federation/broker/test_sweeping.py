"""Sweeping: each kind of orphan is planted, found, and swept; and what is owned or under way is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from msgspec import structs

from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.saga.claims import jti
from federation.broker.peers.protocols import Kept, KeptLease, LeaseReceipt
from federation.broker.peers.pseudonym import pseudonym
from federation.broker.quotes.ask import Author
from federation.broker.quotes.protocols import Claim
from federation.broker.quotes.waiting import Waiting
from federation.broker.sweeping import sweeper
from federation.broker.sweeping.compare import Kind
from federation.broker.sweeping.sweeper import OPERATOR_S, SWEEP_S, WRONG_FOR_S, Sweeper, Tools
from federation.broker.sweeping.views import Finding
from schemas.lease import TERMINAL, State
from schemas.problem import Problem
from schemas.segment import window
from tests.support.seams import CountingEntropy
from tests.support.world.network import Fence, Network, WorldPeer
from tests.support.world.operator import BROKER, WorldOperator
from tests.support.world.run import BUYER, KEY, RATES, World
from tests.support.world.staged import staged

SECRET = b"secret"


class Keeping(WorldPeer):
    """An operator of the world that says what it keeps; `before` shows quotes of any age."""

    def __init__(self, world: World, operator: WorldOperator, network: Network) -> None:
        super().__init__(operator, network, Fence(), world.broker._journaled)
        self.here, self.jtis = operator, dict[str, str]()

    async def lease(self, product: str) -> LeaseReceipt | None:
        found = await super().lease(product)
        if found is None:
            return None
        buyer = self.here.leases[product].buyer
        return structs.replace(found, receipt=structs.replace(found.receipt, sub=buyer))

    async def kept(self, before: int) -> Kept:
        if self.here.down:
            raise Problem("OPERATOR_UNREACHABLE", "nobody answers")
        leases = [one for one in self.here.leases.values() if one.state not in TERMINAL]
        held = [one.id for one in self.here.quotes.values() if one.state is State.HELD and one.created_at < before]
        return Kept(tuple(KeptLease(one.id, self.jtis.get(one.id)) for one in leases), tuple(held))


class Shop:
    """A broker over a world without trouble, and its sweeper."""

    def __init__(self, world: World, tasks: asyncio.TaskGroup) -> None:
        self.world, self.store, self.noted = world, world.store, list[str]()
        network = Network(world.rng)
        self.peers = {one.entity: Keeping(world, one, network) for one in world.operators}
        self.orders = Coordinator(
            key=KEY, peers=self.peers, store=world.store, quotes=world.store, rates=RATES, clock=world.clock,
            entropy=CountingEntropy("o"), tasks=tasks,
        )  # fmt: skip
        author = Author(BROKER, KEY, SECRET, world.clock, CountingEntropy("s"))
        note = lambda problem, operator: self.noted.append(problem.detail)  # noqa: E731
        self.sweeper = Sweeper(Tools(lambda: self.peers, world.store, self.orders, author, note))

    async def active(self, lasts_s: int = 86_400) -> str:
        now = self.world.clock.now()
        quote = self.world.path_quote(window(now, now + lasts_s))
        await self.store.put_quote(quote, claim(f"quote {quote.id}"))
        order = await self.orders.place(quote, claim(quote.id))
        assert (await self.orders.wait(BUYER, order.id, 10)).state is State.ACTIVE
        return order.id

    def forget(self, order_id: str) -> None:
        """The journal loses an order, as if it had never been written."""
        del self.orders._lanes[order_id]
        del self.store.journal[order_id]

    def end(self, order_id: str) -> None:
        """The journal believes that an order is over."""
        del self.orders._lanes[order_id]
        over = structs.replace(self.store.state(order_id), state=State.RELEASED)
        self.store.journal[order_id] = msgspec.json.encode(over)

    def present(self) -> list[str]:
        """Leases that are not over, anywhere."""
        every = [lease for operator in self.world.operators for lease in operator.leases.values()]
        return sorted(lease.id for lease in every if lease.state not in TERMINAL)


def claim(key: str) -> Claim:
    return Claim(buyer=BUYER, key=key, digest="d")


def run(scenario: Callable[[Shop], Awaitable[None]]) -> None:
    """Run a scenario in jumping time, and close the shop afterwards."""
    staged(Shop, scenario)


def test_what_live_orders_own_is_no_orphan_and_is_left_alone() -> None:
    async def scenario(shop: Shop) -> None:
        await shop.active()
        before = shop.present()
        report = await shop.sweeper.sweep(0)
        assert (report.findings, report.unreached) == ((), 0)
        assert sum(len(one.leases) for one in report.looked) == len(before) > 0
        assert shop.present() == before
        view = await shop.sweeper.audit_of(BUYER, None)
        assert (view.clean, sum(one.leases for one in view.operators)) == (True, len(before))
        other = await shop.sweeper.audit_of("bob", None)
        assert (other.clean, sum(one.leases for one in other.operators)) == (True, 0)

    run(scenario)


def test_leases_that_the_journal_lost_are_found_and_released() -> None:
    async def scenario(shop: Shop) -> None:
        shop.forget(await shop.active())
        orphans = shop.present()
        await shop.active()
        kept = sorted(set(shop.present()) - set(orphans))
        report = await shop.sweeper.sweep()
        assert sorted(one.what for one in report.findings) == orphans
        assert {(one.kind, one.state, one.owner) for one in report.findings} == {(Kind.LEASE, State.ACTIVE, None)}
        assert shop.present() == sorted(orphans + kept), "one look releases nothing"
        await asyncio.sleep(WRONG_FOR_S)
        await shop.sweeper.sweep()
        assert shop.present() == kept
        assert len(shop.noted) == len(orphans)
        assert all(text.endswith("a lease of no order in our books; released") for text in shop.noted)
        assert (await shop.sweeper.sweep()).findings == ()

    run(scenario)


def test_a_journal_that_knows_none_of_the_leases_there_are_ends_them_by_hand_alone() -> None:
    async def scenario(shop: Shop) -> None:
        shop.forget(await shop.active())
        orphans = shop.present()
        for _ in range(3):
            assert len((await shop.sweeper.sweep()).findings) == len(orphans)
            await asyncio.sleep(WRONG_FOR_S)
        assert (shop.present(), shop.noted) == (orphans, [])
        await shop.sweeper.sweep(0)
        assert shop.present() == []

    run(scenario)


def test_among_replicas_the_one_in_office_sweeps_and_trusts_its_own_looks_alone() -> None:
    async def scenario(shop: Shop) -> None:
        await shop.active()
        kept = shop.present()
        shop.forget(await shop.active())
        every, held = shop.present(), False

        async def office() -> bool:
            return held

        sweeping = asyncio.create_task(Sweeper(shop.sweeper._tools, office).run())
        for held in (False, True, False, True):  # noqa: B007 - what the office is asked for
            await asyncio.sleep(SWEEP_S - 1)
            assert shop.present() == every
        await asyncio.sleep(SWEEP_S)
        assert shop.present() == kept
        sweeping.cancel()

    run(scenario)


def test_leases_of_an_order_that_is_over_name_it_and_its_buyer_alone_sees_them() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        shop.end(order_id)
        view = await shop.sweeper.audit_of(BUYER, None)
        assert not view.clean
        assert {one.order for one in view.findings} == {order_id}
        assert sorted(one.what for one in view.findings) == shop.present()
        assert (await shop.sweeper.audit_of("bob", None)).clean
        assert not (await shop.sweeper.audit_all()).clean
        await shop.sweeper.sweep(0)
        assert (shop.present(), (await shop.sweeper.audit_of(BUYER, None)).clean) == ([], True)

    run(scenario)


def test_an_orphan_without_an_order_is_its_buyers_by_the_pseudonym() -> None:
    async def scenario(shop: Shop) -> None:
        shop.forget(await shop.active())
        for operator in shop.world.operators:
            name = pseudonym(SECRET, BUYER, operator.entity)
            operator.leases = {key: structs.replace(one, buyer=name) for key, one in operator.leases.items()}
        view = await shop.sweeper.audit_of(BUYER, None)
        assert sorted(one.what for one in view.findings) == shop.present() != []
        assert (await shop.sweeper.audit_of("bob", None)).clean
        assert (await shop.sweeper.audit_of(BUYER, "k" * 43)).clean, "no agent of the buyer ordered it"

    run(scenario)


def test_a_hold_that_nobody_can_order_is_found_and_declined() -> None:
    async def scenario(shop: Shop) -> None:
        now = shop.world.clock.now()
        quote = shop.world.path_quote(window(now, now + 3600))
        holds = {(held.operator, held.quote_id) for held in quote.held}
        for operator in shop.world.operators:
            operator.quotes = {key: structs.replace(one, exp=now + 10_000) for key, one in operator.quotes.items()}
        assert (await shop.sweeper.sweep(0)).findings == (), "it may be on its way into the journal"
        await asyncio.sleep(61)
        report = await shop.sweeper.sweep(0)
        assert {(one.operator, one.what) for one in report.findings} == holds
        assert {one.kind for one in report.findings} == {Kind.HOLD}
        states = {one.state for operator in shop.world.operators for one in operator.quotes.values()}
        assert states == {State.DECLINED}
        assert (await shop.sweeper.sweep(0)).findings == ()

    run(scenario)


def test_an_open_quote_owns_its_holds() -> None:
    async def scenario(shop: Shop) -> None:
        now = shop.world.clock.now()
        quote = shop.world.path_quote(window(now, now + 3600))
        await shop.store.put_quote(quote, claim(f"quote {quote.id}"))
        await asyncio.sleep(20)
        assert (await shop.sweeper.sweep(0)).findings == ()

    run(scenario)


def test_a_lease_that_its_operator_lost_is_found_and_its_order_looks_for_itself() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        lost = shop.store.state(order_id)
        operator = next(one for one in shop.world.operators if one.entity == lost.terms.parts[0].operator)
        product = lost.legs[0].product or ""
        operator.leases[product] = structs.replace(operator.leases[product], state=State.RELEASED)
        report = await shop.sweeper.sweep(0)
        assert [(one.kind, one.what, one.owner and one.owner.order) for one in report.findings] == [
            (Kind.MISSING, product, order_id)
        ]
        await asyncio.sleep(30)
        assert (await shop.orders.get(BUYER, order_id)).state is State.RELEASED
        assert shop.present() == []

    run(scenario)


def test_an_order_that_is_on_its_way_owns_what_its_document_named() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        state = shop.store.state(order_id)
        for index, (part, leg) in enumerate(zip(state.terms.parts, state.legs, strict=True)):
            assert leg.product is not None
            shop.peers[part.operator].jtis[leg.product] = jti(state, index, "order", 0)
        # The order is out, and no answer is known.
        legs = tuple(structs.replace(leg, product=None, state=State.HELD) for leg in state.legs)
        out = structs.replace(state, state=State.COMMITTED, legs=legs)
        del shop.orders._lanes[order_id]
        shop.store.journal[order_id] = msgspec.json.encode(out)
        assert (await shop.sweeper.sweep(0)).findings == ()
        assert shop.present() != []

    run(scenario)


def test_an_operator_that_cannot_be_asked_is_no_proof_of_anything() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        shop.world.operators[0].down = True
        report = await shop.sweeper.sweep(0)
        assert (report.findings, report.unreached) == ((), 1)
        view = await shop.sweeper.audit_of(BUYER, None)
        assert (view.clean, [one.reached for one in view.operators].count(False)) == (False, 1)
        assert (await shop.orders.get(BUYER, order_id)).state is State.ACTIVE

    run(scenario)


def test_many_who_ask_at_once_share_looks() -> None:
    async def scenario(shop: Shop) -> None:
        await shop.active()
        looks = 0
        for peer in shop.peers.values():
            kept = peer.kept

            async def counted(before: int, kept: Callable[[int], Awaitable[Kept]] = kept) -> Kept:
                nonlocal looks
                looks += 1
                await asyncio.sleep(1)
                return await kept(before)

            peer.kept = counted  # type: ignore[method-assign]
        views = await asyncio.gather(*(shop.sweeper.audit_of(BUYER, None) for _ in range(20)))
        assert all(view.clean for view in views)
        assert looks <= 2 * len(shop.peers)

    run(scenario)


def test_a_quote_that_is_waited_for_owns_its_holds_and_questions() -> None:
    async def scenario(shop: Shop) -> None:
        now = shop.world.clock.now()
        quote = shop.world.path_quote(window(now, now + 3600))
        for operator in shop.world.operators:
            operator.quotes = {key: structs.replace(one, exp=now + 10_000) for key, one in operator.quotes.items()}
        await asyncio.sleep(100)
        waiting = Waiting(
            id="w", buyer=BUYER, intent=quote.intent, asked_at=now, answer_by=now + 600, names={}, held=quote.held
        )
        shop.store.open_waiting = lambda: _soon((waiting,))  # type: ignore[method-assign]
        assert (await shop.sweeper.sweep(0)).findings == ()
        shop.store.open_waiting = lambda: _soon(())  # type: ignore[method-assign]
        assert len((await shop.sweeper.sweep(0)).findings) == len(quote.held)

    run(scenario)


async def _soon(found: tuple[Waiting, ...]) -> tuple[Waiting, ...]:
    return found


def test_a_question_that_is_not_answered_proves_nothing_and_a_receipt_that_does_not_verify_is_shown() -> None:
    async def scenario(shop: Shop) -> None:
        shop.forget(await shop.active())
        orphans, lease = shop.present(), WorldPeer.lease

        async def asked(peer: WorldPeer, product: str) -> LeaseReceipt | None:
            raise problem

        try:
            WorldPeer.lease = asked  # type: ignore[method-assign]
            problem = Problem("OPERATOR_UNREACHABLE", "no answer")
            report = await shop.sweeper.sweep(0)
            assert (report.findings, report.unreached) == ((), len(orphans))
            problem = Problem("DOCUMENT_INVALID", "signed by somebody else")
            report = await shop.sweeper.sweep(0)
            assert sorted(one.what for one in report.findings) == orphans
            assert "signed by somebody else" in report.findings[0].why
            assert (shop.present(), shop.noted) == (orphans, []), "nothing can be released by it, and nothing is said"
        finally:
            WorldPeer.lease = lease  # type: ignore[method-assign]

    run(scenario)


def test_an_audit_in_the_middle_of_a_sweep_changes_nothing_about_what_is_let_go() -> None:
    async def scenario(shop: Shop) -> None:
        shop.forget(await shop.active())
        orphans = set(shop.present())
        await shop.active()
        await shop.sweeper.sweep()
        await asyncio.sleep(WRONG_FOR_S)

        def audited(peer: Keeping) -> Callable[..., Awaitable[LeaseReceipt]]:
            async def order(*args: Any) -> LeaseReceipt:
                for one in shop.world.operators:
                    one.down = True
                await shop.sweeper.audit()  # nobody answers: all that was wrong is forgotten
                for one in shop.world.operators:
                    one.down = False
                return await Keeping.order(peer, *args)

            return order

        for peer in shop.peers.values():
            peer.order = audited(peer)  # type: ignore[method-assign]
        await shop.sweeper.sweep()
        assert not orphans & set(shop.present())

    run(scenario)


@pytest.mark.parametrize("what", ["kept", "lease", "order"])
def test_an_operator_that_takes_for_ever_holds_up_neither_sweeps_nor_audits(what: str) -> None:
    async def scenario(shop: Shop) -> None:
        shop.forget(await shop.active())
        slow, *others = (peer for peer in shop.peers.values() if peer.here.leases)
        assert others, "a path of several operators"

        async def for_ever(*_: Any) -> Any:
            await asyncio.sleep(10 * OPERATOR_S)
            raise Problem("OPERATOR_UNREACHABLE", "at last")

        setattr(slow, what, for_ever)
        began = asyncio.get_running_loop().time()
        report = await shop.sweeper.sweep(0)
        assert asyncio.get_running_loop().time() - began <= OPERATOR_S + 1
        assert report.unreached == (what != "order")
        there = [lease for peer in others for lease in peer.here.leases.values()]
        assert {lease.state for lease in there} <= TERMINAL, "what the others keep is let go all the same"

    run(scenario)


def test_what_an_operator_makes_up_costs_no_more_than_there_is_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    count, calls, key = 500, 0, sweeper._key

    def counted(finding: Finding) -> Any:
        nonlocal calls
        calls += 1
        return key(finding)

    monkeypatch.setattr(sweeper, "_key", counted)

    async def scenario(shop: Shop) -> None:
        liar = next(iter(shop.peers.values()))

        async def kept(before: int) -> Kept:
            return Kept((), tuple(f"made-up-{number}" for number in range(count)))

        liar.kept = kept  # type: ignore[method-assign]
        assert len((await shop.sweeper.sweep()).findings) == count
        assert calls <= 10 * count

    run(scenario)


def test_a_buyer_that_asks_without_end_is_told_to_wait_and_others_are_not() -> None:
    async def scenario(shop: Shop) -> None:
        for _ in range(sweeper.AUDITS.burst):
            await shop.sweeper.audit_of(BUYER, None)
        with pytest.raises(Problem) as caught:
            await shop.sweeper.audit_of(BUYER, "another-agent")
        assert (caught.value.code, caught.value.retry_after_s) == ("TOO_MANY_REQUESTS", 1)
        assert (await shop.sweeper.audit_of("bob", None)).clean

    run(scenario)
