"""What a buyer may ask of a broker: the application layer, without any transport.

Every method is one buyer's; what belongs to another is NOT_FOUND, and of the agents of one buyer each has its own. Each
raises `Problem`, and every failed write says
its `outcome`. A `key` is the buyer's `Idempotency-Key`.
"""

from __future__ import annotations

from collections.abc import Callable

from federation.broker.authority.asked import denied
from federation.broker.authority.power import Buyer
from federation.broker.authority.revocations import Revocations
from federation.broker.evidence.gathering import Gathering
from federation.broker.market.searching import Searching
from federation.broker.measuring import Measuring
from federation.broker.once import Once, claim_of
from federation.broker.orders.protocols import PAGE_MAX, Orders, OrderStore
from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.statements import Statements
from federation.broker.orders.terms import not_active
from federation.broker.policies import Policies
from federation.broker.quotes.extension import Extending, Longer
from federation.broker.quotes.grants import check_grants
from federation.broker.quotes.protocols import QuoteStore, StoredQuote
from federation.broker.quotes.quoting import Asked, Quoting
from federation.broker.quotes.seal import quote_view
from federation.broker.quotes.slow import ANSWERED, Slow
from federation.broker.quotes.waiting import Waiting, failure, pending_view
from federation.broker.quotes.within import Within
from federation.broker.resizing import Resizing, leased, resize_view
from federation.broker.spend.protocols import Left
from federation.broker.sweeping.sweeper import Sweeper
from federation.node.seams import Clock
from schemas.answer import (
    AllowanceView,
    AuditView,
    EvidenceView,
    FederationView,
    MeasurementView,
    OrderView,
    PoliciesView,
    QuotePending,
    QuoteView,
    ResizeView,
    RevocationView,
    SearchAnswer,
    StatementView,
)
from schemas.authority import Deed
from schemas.backup import BackupRequest
from schemas.evidence import Profile
from schemas.intent import Intent, Objective
from schemas.lease import State
from schemas.price import Money
from schemas.problem import Outcome, Problem, invalid, not_found
from schemas.request import Extension, Measurement, Resize
from schemas.segment import WINDOW_S_MAX, Window, moment, window

OPEN = frozenset({State.HELD, State.QUOTED})


class Desk:
    """One broker, as its buyers see it."""

    def __init__(
        self,
        *,
        searching: Searching,
        quoting: Quoting,
        extending: Extending,
        quotes: QuoteStore,
        orders: Orders,
        order_store: OrderStore,
        ledger: Left,
        once: Once,
        once_quotes: Once | None = None,
        revocations: Revocations,
        federation: Callable[[], FederationView],
        clock: Clock,
        policies: Policies,
        measuring: Measuring,
        statements: Statements,
        sweeper: Sweeper,
        gathering: Gathering | None = None,
        slow: Slow | None = None,
    ) -> None:
        self._slow, self._sweeper = slow, sweeper
        self._gathering, self._statements = gathering, statements
        self._policies, self._measuring = policies, measuring
        self._searching, self._quoting, self._extending = searching, quoting, extending
        self._quotes, self._orders, self._order_store, self._ledger = quotes, orders, order_store, ledger
        self._once_quotes = once_quotes or once
        self._once, self._federation, self._clock = once, federation, clock
        self._resizing = Resizing(quoting, extending, orders, clock)
        self._revocations = revocations

    # --- before an order ---------------------------------------------------------------------------------

    async def search(
        self,
        buyer: Buyer,
        intent: Intent,
        k: int,
        *,
        front: tuple[Objective, ...] | None = None,
        backup: BackupRequest | None = None,
    ) -> SearchAnswer:
        """At most `k` candidate paths from published offers, or why there is none. Nothing is asked or held.

        With `front` also the paths that no other beats on all of these objectives, with `backup` the best pair of
        paths that have nothing of a kind in common. What is found lies within the buyer's mandate.
        """
        buyer.may(Deed.QUOTE, self._clock.now())
        if buyer.power is not None:
            within = Within(buyer.power.authority, self._searching.terms)
            intent = within.confined(intent, self._searching.sheets)
        return await self._searching.search(intent, k, front=front, backup=backup, buyer=buyer.name)

    async def quote(
        self, buyer: Buyer, intent: Intent, key: str, grants: tuple[str, ...] = ()
    ) -> QuoteView | QuotePending:
        """A firm quote with a hold at every operator, with the endpoint grants of UNIs' owners; or, where the intent
        lets operators take long and one does, what is waited for. See `Quoting.quote` for what it raises."""
        buyer.may(Deed.QUOTE, self._clock.now())
        check_grants(grants)
        claim = claim_of(buyer.asker, key, "quote", intent, *grants)

        async def work() -> QuoteView | QuotePending:
            if intent.answer_within_s is None:
                return quote_view(await self._quoting.quote(buyer.name, intent, claim, buyer.power, grants))
            if self._slow is None:
                raise invalid("answer_within_s", "this broker waits for nobody; leave it out")
            made = await self._slow.quote(Asked(buyer.name, intent, buyer.power, grants), claim)
            return shown(made) if isinstance(made, Waiting) else quote_view(made)

        return await self._once_quotes.run(claim, work, lambda quote_id: self.get_quote(buyer, quote_id))

    async def get_quote(self, buyer: Buyer, quote_id: str, wait_s: float = 0) -> QuoteView | QuotePending:
        """A quote as it stands, or what is waited for; once it is there within `wait_s` seconds. Raises why there will
        be none."""
        if self._slow is not None:
            waiting = await self._slow.find(buyer.name, buyer.agent, quote_id, wait_s)
            if waiting is not None and waiting.state not in ANSWERED:
                return shown(waiting)
        return quote_view(await self._quote(buyer, quote_id))

    async def decline(self, buyer: Buyer, quote_id: str, key: str) -> QuoteView | QuotePending:
        """Let a quote and its holds go, or stop waiting for it. One that is over already answers as it stands.

        Raises INCOMPATIBLE_STATE for one that was ordered: release the order instead.
        """

        async def work() -> QuoteView | QuotePending:
            if self._slow is not None:
                waiting = await self._slow.find(buyer.name, buyer.agent, quote_id)
                if waiting is not None and waiting.state is State.ASKED:
                    waiting = await self._slow.decline(waiting)
                if waiting is not None and waiting.state not in ANSWERED:
                    return shown(waiting)
            stored = await self._quote(buyer, quote_id)
            if stored.state in OPEN and await self._move(stored, State.DECLINED):
                await self._extending.let_go(stored)
            after = await self._quote(buyer, quote_id)
            if after.state is State.COMMITTED:
                why = f"quote {quote_id} was ordered; release order {after.order} instead"
                raise Problem("INCOMPATIBLE_STATE", why, outcome=Outcome.NONE, extra={"order": after.order})
            return quote_view(after)

        claim = claim_of(buyer.asker, key, "decline", quote_id)
        return await self._once.run(claim, work, lambda _: self.get_quote(buyer, quote_id))

    # --- orders ------------------------------------------------------------------------------------------

    async def order(self, buyer: Buyer, quote_id: str, key: str) -> OrderView:
        """Commit to a quote. Returns once that is durable; `get_order` tells when it is ACTIVE.

        Raises QUOTE_USED, QUOTE_EXPIRED, INCOMPATIBLE_STATE (declined, or a quote of an extension), POLICY_DENIED (not
        within the mandate, or too little of it is left).
        """
        buyer.may(Deed.ORDER, self._clock.now())
        claim = claim_of(buyer.asker, key, "order", quote_id)

        async def work() -> OrderView:
            stored = await self._quote(buyer, quote_id)
            check_open(stored)
            self._check_quoted(buyer, stored)
            return await self._orders.place(stored, claim, buyer.budget)

        return await self._once.run(claim, work, lambda order_id: self._orders.get(buyer.name, order_id, buyer.agent))

    async def get_order(self, buyer: Buyer, order_id: str, wait_s: float = 0) -> OrderView:
        """An order as it stands, or once it stands still within `wait_s` seconds."""
        if wait_s > 0:
            return await self._orders.wait(buyer.name, order_id, wait_s, buyer.agent)
        return await self._orders.get(buyer.name, order_id, buyer.agent)

    async def orders(self, buyer: Buyer, limit: int = PAGE_MAX, after: str | None = None) -> tuple[OrderView, ...]:
        """A page of the buyer's orders, latest first; see `Orders.list`."""
        return await self._orders.list(buyer.name, buyer.agent, limit, after)

    async def extend(self, buyer: Buyer, order_id: str, extension: Extension, key: str) -> OrderView:
        """Make a lease last longer everywhere or nowhere. Returns once the extension is durable and under way.

        Raises NOT_FOUND, INCOMPATIBLE_STATE, POLICY_DENIED, INVALID_ARGUMENT, or why an operator refused.
        """
        buyer.may(Deed.EXTEND, self._clock.now())
        claim = claim_of(buyer.asker, key, "extend", order_id, extension)

        async def work() -> OrderView:
            longer = await self._longer(buyer, order_id, extension)
            return await self._extending.change(longer, lambda made: self._orders.extend(made, claim, buyer.budget))

        return await self._once.run(claim, work, lambda _: self._orders.get(buyer.name, order_id, buyer.agent))

    async def resize(self, buyer: Buyer, order_id: str, asked: Resize, key: str) -> ResizeView:
        """Give a lease another bandwidth, in place or over a new path. See `Resizing.resize`; raises NOT_FOUND, too."""
        claim = claim_of(buyer.asker, key, "resize", order_id, asked)

        async def work() -> ResizeView:
            state = await self._order_store.get_order(buyer.name, order_id)
            if state is None or not state.terms.of_agent(buyer.agent):
                raise not_found(f"order {order_id}")
            quote = await self._quote(buyer, state.terms.quote)
            return await self._resizing.resize(buyer, state, quote, asked, claim)

        async def again(found: str) -> ResizeView:
            return resize_view(order_id, await self._orders.get(buyer.name, found, buyer.agent))

        return await self._once.run(claim, work, again)

    async def release(self, buyer: Buyer, order_id: str, key: str) -> OrderView:
        """End a lease everywhere. Legal in every state, and again."""
        buyer.may(Deed.RELEASE, self._clock.now())
        claim = claim_of(buyer.asker, key, "release", order_id)

        async def work() -> OrderView:
            return await self._orders.release(buyer.name, order_id, claim, buyer.agent)

        return await self._once.run(claim, work, lambda _: self._orders.get(buyer.name, order_id, buyer.agent))

    async def heartbeat(self, buyer: Buyer, order_id: str, _key: str) -> OrderView:
        """The holder of a lease is still there. No mandate has to name it: it asks for nothing that was not ordered.
        No key is written down for it: twice is once, and a lease may be heard of ten thousand times a day.

        Raises NOT_FOUND.
        """
        return await self._orders.heartbeat(buyer.name, order_id, buyer.agent)

    async def measure(self, buyer: Buyer, order_id: str, measured: Measurement, key: str) -> MeasurementView:
        """What was measured of a lease in force, and what that contradicts.

        Raises NOT_FOUND, INCOMPATIBLE_STATE, TOO_MANY_REQUESTS.
        """
        claim = claim_of(buyer.asker, key, "measure", order_id, measured)

        async def work() -> MeasurementView:
            return await self._measuring.report(buyer, order_id, measured, claim)

        return await self._once.run(claim, work, lambda found: self._measuring.again(buyer, order_id, found))

    async def measurements(self, buyer: Buyer, order_id: str) -> tuple[MeasurementView, ...]:
        """What was measured of an order."""
        return await self._measuring.all(buyer, order_id)

    async def revoke(self, buyer: Buyer, mandate_h: str, key: str) -> RevocationView:
        """Take a mandate of the buyer back, whether an agent has shown it yet or not. Leases under it go on.

        Raises POLICY_DENIED for an agent, also one that would revoke its own.
        """
        if buyer.agent is not None:
            why = "an agent revokes no mandates; the buyer does, with a key of its own"
            raise Problem("POLICY_DENIED", why, outcome=Outcome.NONE)

        async def work() -> RevocationView:
            at = await self._revocations.revoke(buyer.issuers, mandate_h, self._clock.now())
            return RevocationView(mandate=mandate_h, revoked_at=moment(at))

        return await self._once.run(claim_of(buyer.asker, key, "revoke", mandate_h), work, lambda _: work())

    # --- what there is to see ----------------------------------------------------------------------------

    async def allowance(self, buyer: Buyer) -> AllowanceView:
        """What a buyer may do, and what is left to be spent. Raises NOT_FOUND where nothing limits it."""
        if buyer.power is None:
            raise not_found("a mandate")
        power, budget = buyer.power, buyer.power.budget
        left = Money(budget.ccy, max(0, await self._ledger.left(budget)))
        return AllowanceView(mandate=power.mandate_h, agent=power.agent, authority=power.authority, left=left)

    def policies(self, buyer: Buyer) -> PoliciesView:
        """The policies and data classes that this buyer may name in an intent."""
        return self._policies.view(buyer.name, self._clock.now())

    async def evidence(self, buyer: Buyer, order_id: str, profile: Profile) -> EvidenceView:
        """What proves an order to a stranger. See `Gathering.bundle` for what it raises."""
        if self._gathering is None:
            raise Problem("NOT_IMPLEMENTED", "this broker keeps no log, and nothing is proved without one")
        data = await self._gathering.bundle(buyer.name, buyer.agent, order_id, profile)
        return EvidenceView(order=order_id, profile=profile, bundle=data.decode())

    async def statement(self, buyer: Buyer, order_id: str) -> StatementView:
        """What an order that is over came to. See `Statements.of` for what it raises."""
        return await self._statements.of(buyer.name, buyer.agent, order_id)

    async def audit(self, buyer: Buyer) -> AuditView:
        """What operators keep for this buyer that no live order of its owns. Raises UNAVAILABLE, TOO_MANY_REQUESTS."""
        return await self._sweeper.audit_of(buyer.name, buyer.agent)

    def federation(self) -> FederationView:
        """The federation as the broker knows it now."""
        return self._federation()

    async def document(self, buyer: Buyer, document_h: str) -> str:
        """A signed document of the buyer's quotes and orders, by its hash."""
        found = await self._quotes.get_document(buyer.name, document_h, buyer.agent)
        if found is None:
            raise not_found(f"document {document_h}")
        return found

    # --- parts -------------------------------------------------------------------------------------------

    async def _quote(self, buyer: Buyer, quote_id: str) -> StoredQuote:
        """The quote, EXPIRED since it was last looked at if its time is up: expiry is a state, never a flag."""
        stored = await self._quotes.get_quote(buyer.name, quote_id)
        if stored is not None and stored.state in OPEN and self._clock.now() >= stored.claims.exp:
            await self._move(stored, State.EXPIRED)
            stored = await self._quotes.get_quote(buyer.name, quote_id)
        if stored is None or buyer.agent not in {None, stored.agent}:
            raise not_found(f"quote {quote_id}")
        return stored

    async def _move(self, stored: StoredQuote, to: State) -> bool:
        return await self._quotes.move_quote(stored.buyer, stored.id, stored.state, to)

    async def _longer(self, buyer: Buyer, order_id: str, extension: Extension) -> Longer:
        state = await self._order_store.get_order(buyer.name, order_id)
        if state is None or not state.terms.of_agent(buyer.agent):
            raise not_found(f"order {order_id}")
        if state.state is not State.ACTIVE:
            raise Problem("INCOMPATIBLE_STATE", not_active(state, "can be extended"), outcome=Outcome.NONE)
        added = added_window(state, extension)
        return Longer(
            order=order_id,
            quote=await self._quote(buyer, state.terms.quote),
            leased=leased(state),
            window=added,
            total=state.total,
            power=buyer.power,
        )

    def _check_quoted(self, buyer: Buyer, stored: StoredQuote) -> None:
        """A quote is ordered under the mandate it was asked for under, and within both authorities."""
        if buyer.power is None or stored.power is None:
            return
        if buyer.power.mandate_h != stored.power.mandate_h:
            raise denied("mandate_h", f"quote {stored.id} was given under another mandate; ask for a new one")
        Buyer(buyer.name, stored.power).may(Deed.ORDER, self._clock.now())
        Within(buyer.power.authority, self._searching.terms).check_quote(stored)


def shown(waiting: Waiting) -> QuotePending:
    """What there is to say of a quote that is not there. Raises why there will be none."""
    if (problem := failure(waiting)) is not None:
        raise problem
    return pending_view(waiting)


def check_open(stored: StoredQuote) -> None:
    """Whether a quote may still be ordered, as far as its state tells; the order's own transaction decides."""
    match stored.state:
        case State.COMMITTED:
            why = f"quote {stored.id} was ordered already: see order {stored.order}"
            raise Problem("QUOTE_USED", why, outcome=Outcome.NONE, extra={"order": stored.order})
        case State.EXPIRED:
            why = f"quote {stored.id} was firm until {moment(stored.claims.exp):%Y-%m-%dT%H:%M:%SZ}; ask for a new one"
            raise Problem("QUOTE_EXPIRED", why, outcome=Outcome.NONE)
        case State.DECLINED:
            why = f"quote {stored.id} was declined; ask for a new one"
            raise Problem("INCOMPATIBLE_STATE", why, outcome=Outcome.NONE)


def added_window(state: OrderState, extension: Extension) -> Window:
    """From the present end to the one asked for. Raises INVALID_ARGUMENT where that is not later."""
    end, field = state.end_s + (extension.by_s or 0), "by_s"
    if extension.end is not None:
        end, field = int(extension.end.timestamp()), "end"
    if end <= state.end_s:
        raise invalid(
            field, f"the lease already lasts until {moment(state.end_s):%Y-%m-%dT%H:%M:%SZ}; name a later end"
        )
    if end - state.terms.start_s > WINDOW_S_MAX:
        raise invalid(field, "a lease of more than five years is not sold")
    return window(state.end_s, end)
