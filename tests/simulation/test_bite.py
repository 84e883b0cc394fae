"""The seeds bite: with each of these rules bent, on either side, a run breaks a promise, and says which."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from federation.broker.once import Once
from federation.broker.orders import recovery
from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.lane import Lane
from federation.broker.orders.saga import advance, agree, bill, claims, extension, fold, pace
from federation.broker.peers import verify
from federation.broker.quotes.quoting import Attempt
from federation.broker.quotes.slow import Slow
from federation.broker.spend import rules
from federation.broker.sweeping.sweeper import Sweeper
from operators.inventory import calendar
from operators.orders import fsm, receipts
from operators.orders import recovery as restored
from operators.orders.lifecycle import Lifecycle
from operators.orders.ordering import Ordering
from operators.orders.shop import Shop
from operators.orders.sweeping import Sweeper as OwnSweeper
from tests.simulation.world.buyers import Wishes
from tests.simulation.world.plans import PLANS
from tests.simulation.world.run import Plan, play
from tests.support.world.bent import bend

SEEDS = int(os.environ.get("PEERWAY_BITE_SEEDS", "150"))
# Where the search begins for what few seeds notice: with one that did. Any other may, once the rules differ.
KNOWN = {
    "active when one segment is confirmed": 42,
    "unknown taken for not ordered": 9,
    "one jti for every release": 61,
    "no recovery": 10,
    "what is waited for is forgotten at a restart": 10,
    "a budget that is never taken": 7,
    "labels not compared": 34,
    "worse than asked is good enough": 18,
    "extended when one segment is": 12,
    "capacity is not counted": 23,
    "leases forgotten at a restart": 19,
    "acknowledged before it is on disk": 35,
}
Edit = tuple[Callable[..., Any], str, str]


class Bent(NamedTuple):
    """A rule bent: where, what it says, what it is made to say; the kind of run that notices, and how."""

    name: str
    promise: str
    edits: tuple[Edit, ...]
    plan: Plan = PLANS["drawn"]


FAR, ROUGH, LONGER, CROWD, LIARS = (PLANS[name] for name in ("later", "rough", "longer", "crowd", "liars"))
EARLY = Plan(wishes=Wishes(start_in_s=0, lasts_s=10_000, release=1.0), fault=0.2)

BROKER = (
    Bent("confirm when one segment is up", "settled", (
        (advance.committed, "if all(leg.state is State.UP", "if any(leg.state is State.UP"),
    ), ROUGH),
    Bent("active when one segment is confirmed", "all_or_nothing", (
        (advance.up, "if all(leg.state in BILLABLE", "if any(leg.state in BILLABLE"),
    ), ROUGH),
    Bent("undone without void", "honest_bills", (
        (advance._released, "void = state.void or", "void = None and"),
    ), ROUGH),
    Bent("unknown taken for not ordered", "no_orphan", (
        (advance._never_ordered, "if leg.missing and", "if leg.pace.tries or"),
    ), FAR),
    Bent("a new jti for every try", "no_orphan", (
        (claims.order_claims, '"order", change)', '"order", change, state.legs[leg].pace.turn)'),
    ), FAR),
    Bent("one jti for every release", "once", (
        (advance._released, "n=present.n + 1 if present else 0", "n=0"),
    ), EARLY),
    Bent("no recovery", "all_or_nothing", ((recovery.recover, "for state in states:", "for state in ():"),), ROUGH),
    Bent("effects before the journal", "once", ((
        Lane._journal,
        "await self._shell.store.save(state, claims, filed)",
        'self._shell.spawn(self._shell.store.save(state, claims, filed), "later")',
    ),)),
    Bent("no second try", "settled", (
        (pace.again, "not_before_us=at_us + wait_us", "not_before_us=at_us + 10**15"),
    ), ROUGH),
    Bent("no second try where nodes stand still", "settled", (
        (pace.again, "not_before_us=at_us + wait_us", "not_before_us=at_us + 10**15"),
    ), PLANS["stopped"]),
    Bent("what is waited for is forgotten at a restart", "settled", (
        (Slow.resume, "for waiting in await self._store.open_waiting():", "for waiting in ():"),
    ), PLANS["by hand"]),
    Bent("what lives is swept", "all_or_nothing", (
        (Sweeper._look, "ours(await store.unfinished(), quotes, waiting)", "ours((), quotes, waiting)"),
    ), PLANS["swept"]),
    Bent("bill without its first segment", "honest_bills", (
        (bill.path_bill, "total=Money(currency, total(lines))", "total=Money(currency, total(lines[1:]))"),
    )),
    Bent("the end is only heard of", "all_or_nothing", (
        (advance.active, "and state.now_s >= state.end_s and not", "and False and not"),
    )),
    Bent("a budget that is never taken", "within_authority", (
        (rules.expense_of, "if micro > budget.total_micro - taken_micro:", "if micro > budget.total_micro:"),
    ), Plan(buyers=6, paths=3, fault=0.05, steps=0, budget_micro=20_000_000)),
    Bent("labels not compared", "all_or_nothing", (
        (verify.verified_receipt, '_same("segment", given, before if moving else held.segment)', "pass"),
        (fold._learnt, "fault = fault or differs(quoted, receipt.segment, state.end_s)", "pass"),
        (agree._labelled, "left.label == right.label", "True"),
    ), LIARS),
    Bent("worse than asked is good enough", "within_limits", (
        (Attempt._judged, "if over:", "if False:"),
    ), LIARS),
    Bent("orders of others", "once", (
        (Coordinator._find, "lane.state.terms.buyer == buyer and", ""),
    ), CROWD),
    Bent("extended when one segment is", "all_or_nothing", (
        (extension._confirming, "if Standing.PENDING in standings:", "if Standing.EXTENDED not in standings:"),
        (extension._confirming, "if Standing.LAPSED not in standings:", "if True:"),
    ), LONGER),
    Bent("extension confirmed before all are pending", "all_or_nothing", (
        (extension._ordering, "return state if waiting else", "return"),
    ), LONGER),
    Bent("a key that is good for two answers", "once", (
        (Once._once, "return await _repeated(answered, again)", "pass"),
    )),
)  # fmt: skip

OPERATOR = (
    Bent(
        "capacity is not counted",
        "no_oversell",
        ((calendar.Calendar.admit, "refusal = self._refusal(use)", "refusal = None"),),
        CROWD,
    ),
    Bent(
        "a label is given twice",
        "no_oversell",
        ((calendar.LabelCalendar.take, "exists and labels.is_free(label, start_s, end_s)", "exists"),),
        CROWD,
    ),
    Bent(
        "claims forgotten at a restart",
        "no_oversell",
        ((restored.recover, "for claim in live.claims:", "for claim in ():"),),
        Plan(buyers=6, paths=3, fault=0.05, steps=400),
    ),
    Bent(
        "leases forgotten at a restart",
        "no_orphan",
        ((restored.recover, "for lease in live.leases:", "for lease in ():"),),
        ROUGH,
    ),
    Bent(
        "holds that never expire", "no_orphan", ((Lifecycle.expire, "quote.exp <= self._shop.now()", "False"),), ROUGH
    ),
    Bent(
        "unconfirmed and never taken down",
        "no_orphan",
        ((fsm.due, "if lease.confirm_by is not None and now >= lease.confirm_by:", "if False:"),),
        LIARS,
    ),
    Bent(
        "released in the books alone",
        "no_orphan",
        ((Lifecycle._lowered, "self._shop.driver.take_down(lease.id)", "asyncio.sleep(0)"),),
    ),
    Bent(
        "acknowledged before it is on disk",
        "nothing_lost",
        ((Shop.commit, "await self.store.commit(batch)", "asyncio.ensure_future(self.store.commit(batch))"),),
        ROUGH,
    ),
    Bent(
        "the void of a release not heard",
        "honest_bills",
        ((fsm.release, "released_at=min(now, lease.end_s), void=void)", "released_at=min(now, lease.end_s))"),),
        ROUGH,
    ),
    Bent(
        "billed from the order on",
        "honest_bills",
        ((fsm.owed, "since, until, periods = lease.active_at,", "since, until, periods = lease.created_at,"),),
        ROUGH,
    ),
    Bent(
        "receipts not kept",
        "nothing_lost",
        ((receipts.receipted, "return kept, [Document(signed.hash, lease.broker, signed.token)]", "return kept, []"),),
    ),
    Bent(
        "strays swept in the books alone",
        "no_orphan",
        ((OwnSweeper._act, "await self._drive(shop.driver.take_down(orphan.what))", "await asyncio.sleep(0)"),),
        PLANS["swept"],
    ),
    Bent("declined and still claimed", "no_orphan", ((Lifecycle.close_quote, "freed=[quote.id]", "freed=[]"),)),
    Bent(
        "a second order for one quote",
        "once",
        (
            (fsm.accept, "if quote.state is State.COMMITTED:", "if False:"),
            (
                fsm.accept,
                "return stepped(quote, State.COMMITTED, now)",
                "return structs.replace(quote, state=State.COMMITTED)",
            ),
            (Ordering.order, "return await once(", "return await first() if named else await once("),
        ),
        EARLY,
    ),
)


@pytest.mark.parametrize("bent", BROKER + OPERATOR, ids=lambda bent: bent.name.replace(" ", "-"))
def test_a_bent_rule_is_found(bent: Bent, monkeypatch: pytest.MonkeyPatch) -> None:
    for function, straight, crooked in bent.edits:
        bend(monkeypatch, function, straight, crooked)
    others: set[str] = set()
    for seed in dict.fromkeys([KNOWN.get(bent.name, 0), *range(SEEDS)]):
        broken = play(seed, bent.plan).broken
        if found := [what for what in broken if what.startswith((bent.promise, f"in the end {bent.promise}"))]:
            print(f"{bent.name}: seed {seed}: {found[0]}")
            return
        others.update(broken[:1])  # a bent rule may break more than the promise it is there for, and sooner
    pytest.fail(f"{SEEDS} seeds did not break {bent.promise}: {bent.name}; they broke {sorted(others)}")
