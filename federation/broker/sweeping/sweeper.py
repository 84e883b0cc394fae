"""Asks every operator what it keeps for us, and lets go what no live order owns.

Nothing is released on one look: what seems wrong is asked for once more by itself, and on the rounds it has to stay
wrong for a while. A journal that knows not one of the leases there are releases none of them by itself.
Every act is one that may be done twice, so a sweep that was cut short is simply followed by another; nothing of it is
kept on disk but the record of what was done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol, TypeVar

from federation.broker.orders.saga.pace import ORDER_LIFE_S
from federation.broker.peers.protocols import KeepingPeer, Kept, LeaseHint
from federation.broker.peers.pseudonym import pseudonym
from federation.broker.quotes.ask import Author
from federation.broker.sweeping.compare import Kind, Ours, Owner, Suspect, compare, ours
from federation.broker.sweeping.office import Office, always, pause
from federation.broker.sweeping.protocols import SweepStore
from federation.broker.sweeping.views import Finding, Looked, Report, audit_view
from federation.node.callers import check_rate
from federation.node.limits import Buckets, Rate
from federation.trust.jose import sign_jws
from schemas.answer import AuditView
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.order import Order
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import EntityId

SWEEP_S: Final = 300.0
WRONG_FOR_S: Final = 120  # how long something has to be wrong before a round acts on it
HOLD_GRACE_S: Final = 60  # a quote that is younger may be on its way into the journal
AT_ONCE: Final = 8
OPERATOR_S: Final = 60.0  # for one operator to say what it keeps, to be asked once more, and to let go: each
BY_HAND: Final = "if this is the right store: peerway broker audit --sweep"
AUDITS: Final = Rate(per_second=1, burst=30)  # of one buyer
log = logging.getLogger(__name__)
Note = Callable[[Problem, EntityId], None]
At = TypeVar("At", Suspect, Finding)


class Hinting(Protocol):
    """Whoever runs the orders."""

    async def hint(self, hint: LeaseHint) -> None:
        """Have the order of a lease look for itself."""
        ...


class Tools(NamedTuple):
    """Operators, the journal, the orders that run, and who we are. `note` records what was done."""

    peers: Callable[[], Mapping[EntityId, KeepingPeer]]
    store: SweepStore
    orders: Hinting
    author: Author
    note: Note


class Sweeper:
    """One broker's; where it has replicas, the one that holds `office` makes the rounds."""

    def __init__(self, tools: Tools, office: Office = always) -> None:
        self._tools, self._office = tools, office
        self._clock = tools.author.clock
        self._since: dict[tuple[Kind, EntityId, str], int] = {}
        self._latest: Report | None = None
        self._looks = 0
        self._turn, self._asked = asyncio.Lock(), Buckets(AUDITS)

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            held = True
            try:
                if held := await self._office():
                    await self.sweep()
                else:
                    self._since.clear()  # what is wrong has to be so in one row of our own looks
            except Problem as problem:
                log.warning("nothing swept: %s", problem)
            await pause(held, SWEEP_S)

    async def sweep(self, wrong_for_s: int = WRONG_FOR_S) -> Report:
        """Look, and let go what has been wrong for so long. Raises `UNAVAILABLE` without a store."""
        async with self._turn:
            report = await self._look()
            latest = self._clock.now() - wrong_for_s
            due = [one for one in report.findings if self._since[_key(one)] <= latest]  # an audit may change that
        if wrong_for_s and _of_another_journal(report):
            log.warning("operators keep leases for us that are all unknown here: released by hand alone, %s", BY_HAND)
            due = [one for one in due if one.owner is not None]
        await asyncio.gather(*(self._let_go_all(theirs) for theirs in _by_operator(due).values()))
        return report

    async def audit(self) -> Report:
        """What is wrong now: who asks while another look is under way shares the next. Raises `UNAVAILABLE` without a
        store."""
        came = self._looks
        async with self._turn:
            if self._latest is None or self._looks == came:
                self._looks += 1
                self._latest = await self._look()
            return self._latest

    async def audit_of(self, buyer: str, agent: str | None) -> AuditView:
        """The same for one buyer: what is its own, or could be by the name that the operator has for it. Raises
        `TOO_MANY_REQUESTS`: each look asks every operator for everything."""
        check_rate(self._asked, buyer, self._clock)
        secret = self._tools.author.secret

        def owns(owner: Owner) -> bool:
            return owner.buyer == buyer and agent in {None, owner.agent}

        def whose(finding: Finding) -> bool:
            if finding.owner is not None:
                return owns(finding.owner)
            return agent is None and finding.sub == pseudonym(secret, buyer, finding.operator)

        return audit_view(await self.audit(), whose, owns)

    async def audit_all(self) -> AuditView:
        """The same for the owner of the broker."""
        return audit_view(await self.audit(), lambda _: True, lambda _: True)

    async def swept_all(self) -> AuditView:
        """What a round found that let go of all of it at once, for the owner of the broker."""
        report = await self.sweep(0)
        return audit_view(report, lambda _: True, lambda _: True)

    # --- looking ---------------------------------------------------------------------------------------------------

    async def _look(self) -> Report:
        at, gate = self._clock.now(), asyncio.Semaphore(AT_ONCE)
        peers = dict(self._tools.peers())

        async def ask(peer: KeepingPeer) -> Kept | Problem:
            async with gate:
                try:
                    async with asyncio.timeout(OPERATOR_S):
                        return await peer.kept(at - HOLD_GRACE_S)
                except TimeoutError:
                    return Problem("OPERATOR_UNREACHABLE", f"{peer.name} takes too long to say what it keeps")
                except Problem as problem:
                    return problem

        kept = dict(zip(peers, await asyncio.gather(*(ask(peer) for peer in peers.values())), strict=True))
        # Only now: what begins is in the journal before an operator hears of it.
        store = self._tools.store
        waiting, quotes = await store.open_waiting(), await store.open_quotes(at - HOLD_GRACE_S)
        known = ours(await store.unfinished(), quotes, waiting)
        looked = {entity: _looked(peers[entity], found, known) for entity, found in kept.items()}
        suspects = [
            suspect
            for entity, found in kept.items()
            if not isinstance(found, Problem)
            for suspect in compare(entity, found, known)
        ]
        checked = await asyncio.gather(
            *(self._all_checked(peers[entity], theirs) for entity, theirs in _by_operator(suspects).items())
        )
        for entity, (_, why) in zip(_by_operator(suspects), checked, strict=True):
            looked[entity] = looked[entity]._replace(why=why) if why else looked[entity]
        findings = [self._dated(one) for some, _ in checked for one in some]
        present = set(map(_key, findings))
        self._since = {key: at_s for key, at_s in self._since.items() if key in present}
        return Report(at, tuple(looked.values()), tuple(findings))

    async def _all_checked(self, peer: KeepingPeer, suspects: Sequence[Suspect]) -> tuple[list[Finding], str]:
        """What is wrong of what seems so at one operator, and why not all of it could be asked for: one that claims a
        thousand things and answers slowly keeps nobody else waiting."""
        found, why = list[Finding](), ""
        try:
            async with asyncio.timeout(OPERATOR_S):
                for suspect in suspects:
                    try:
                        finding = await self._checked(peer, suspect)
                    except Problem as problem:  # it proves nothing, neither that something is wrong nor that nothing is
                        why = problem.detail
                    else:
                        found += [] if finding is None else [finding]
        except TimeoutError:
            why = f"{peer.name} keeps more that is in no order of ours than could be asked for in time"
        return found, why

    def _dated(self, finding: Finding) -> Finding:
        self._since.setdefault(_key(finding), self._clock.now())
        return finding

    async def _checked(self, peer: KeepingPeer, suspect: Suspect) -> Finding | None:
        """Asked for once more by itself: it may be over by now. Raises `Problem` where there is no answer."""
        base = Finding(
            suspect.kind, suspect.operator, peer.name, suspect.what, self._clock.now(), "", owner=suspect.owner
        )
        if suspect.kind is Kind.HOLD:
            return base._replace(why="a hold for a quote that nobody can order any more")
        try:
            found = await peer.lease(suspect.what)
        except Problem as problem:
            if problem.code != "DOCUMENT_INVALID":
                raise
            return base._replace(why=f"its receipt does not verify: {problem.detail}")
        if suspect.kind is Kind.MISSING:
            return await self._missing(base, None if found is None else found.receipt.state)
        if found is None or found.receipt.state in TERMINAL:
            return None
        receipt = found.receipt
        known = base._replace(since=receipt.iat, state=receipt.state, sub=receipt.sub, receipt_h=found.receipt_h)
        return await self._owned(known)

    async def _owned(self, finding: Finding) -> Finding:
        order_id = await self._tools.store.find_product(finding.operator, finding.what)
        owner = None if order_id is None else await self._tools.store.owner_of(order_id)
        if order_id is None or owner is None:
            return finding._replace(why="a lease of no order in our books")
        return finding._replace(owner=Owner(order_id, *owner), why=f"a lease of order {order_id}, which is over")

    async def _missing(self, finding: Finding, there: State | None) -> Finding | None:
        """Only if its order believes in it still."""
        if there is not None and there not in TERMINAL:
            return None
        states = await self._tools.store.unfinished()
        owner = finding.owner
        if owner is None or not any(one.terms.id == owner.order and one.state in BILLABLE for one in states):
            return None
        why = f"order {owner.order} is in force, and its operator says that the lease is {there or 'unknown'}"
        return finding._replace(state=there, why=why)

    # --- letting go ------------------------------------------------------------------------------------------------

    async def _let_go_all(self, findings: Sequence[Finding]) -> None:
        """Of one operator, as far as there is time; the next round goes on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(OPERATOR_S):
                for finding in findings:
                    await self._let_go(finding)

    async def _let_go(self, finding: Finding) -> None:
        peer = self._tools.peers().get(finding.operator)
        if peer is None:
            return
        try:
            if finding.kind is Kind.HOLD:
                await peer.decline(finding.what)
            elif finding.kind is Kind.MISSING:
                at_ms = self._clock.now_us() // 1000
                state = finding.state or State.RELEASED
                hint = LeaseHint(operator=finding.operator, product=finding.what, state=state, at_ms=at_ms)
                await self._tools.orders.hint(hint)
            elif finding.receipt_h is None or finding.sub is None:
                return  # a receipt that does not verify names nothing that could be released: a person has to look
            else:
                release = self._release(finding, finding.sub, finding.receipt_h)
                await peer.order(sign_jws(self._tools.author.key, release), release, None)
        except Problem as problem:
            log.warning("%s %s at %s is still there: %s", finding.kind, finding.what, finding.operator, problem)
            return
        done = {Kind.HOLD: "declined", Kind.LEASE: "released", Kind.MISSING: "asked for"}[finding.kind]
        text = f"{finding.kind} {finding.what}: {finding.why}; {done}"
        log.warning("swept at %s: %s", finding.operator, text)
        self._tools.note(Problem("INCOMPATIBLE_STATE", text), finding.operator)

    def _release(self, finding: Finding, sub: str, receipt_h: str) -> Order:
        author, now = self._tools.author, self._clock.now()
        return Order(
            iss=author.entity,
            sub=sub,
            aud=finding.operator,
            iat=now,
            exp=now + ORDER_LIFE_S,
            jti=author.entropy.token(),
            action=Action.RELEASE,
            product=finding.what,
            prev_h=receipt_h,
        )


def _key(finding: Finding) -> tuple[Kind, EntityId, str]:
    return finding.kind, finding.operator, finding.what


def _of_another_journal(report: Report) -> bool:
    """Whether this may be the wrong store, or an empty one: it knows not one of the leases that operators keep."""
    unknown = any(one.kind is Kind.LEASE and one.owner is None for one in report.findings)
    return unknown and not any(owner.order for one in report.looked for owner in one.leases)


def _by_operator(some: Sequence[At]) -> dict[EntityId, list[At]]:
    found: dict[EntityId, list[At]] = {}
    for one in some:
        found.setdefault(one.operator, []).append(one)
    return found


def _looked(peer: KeepingPeer, found: Kept | Problem, known: Ours) -> Looked:
    if isinstance(found, Problem):
        return Looked(peer.entity, peer.name, why=found.detail)
    here = [(peer.entity, lease.product) for lease in found.leases]
    held = [(peer.entity, quote) for quote in found.quotes]
    nobody = Owner(None, "", None)
    return Looked(
        peer.entity,
        peer.name,
        tuple(known.leases.get(place, nobody) for place in here),
        tuple(known.quotes.get(place, nobody) for place in held),
    )
