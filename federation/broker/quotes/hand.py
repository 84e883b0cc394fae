"""The quotes in hand of one attempt: asked for in parallel, swapped where a label or a path changed, let go at the end.

A path visits an operator once, so there is at most one quote in hand per operator, and asking that operator again
replaces it in one step. An answer that was lost may have left a hold that nobody can name: it is left to expire.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct, structs

from federation.broker.authority.power import Power
from federation.broker.peers.protocols import HeldQuote, OperatorPeer, Permit
from federation.broker.quotes.ask import Author, Purpose
from federation.broker.quotes.permits import Permits
from federation.tokens.grant import grants_hash
from schemas.price import RateTable
from schemas.problem import Outcome, Problem
from schemas.quote import Rfq
from schemas.segment import Hash, Limits, Segment, Time, moment

ASK_S: Final = 3.5
DECLINE_S_LEAST: Final = 0.5
FAULT: Final = "a fault on the side of this broker; its log has it"
NO_RATES: Final = RateTable("", {})
log = logging.getLogger(__name__)


class Ask(Struct, frozen=True, kw_only=True):
    """What one operator is asked for; `product` is the lease to be extended, `currency` that in which it sells.

    `grants` are what the owners of its UNIs at the ends gave, `purpose` is for its own policy. `confirm_within_s` is
    how long others on the path may take."""

    operator: str
    segment: Segment
    limits: Limits = Limits()
    product: str | None = None
    currency: str = "EUR"
    grants: tuple[str, ...] = ()
    purpose: Purpose = Purpose()
    confirm_within_s: int | None = None


class Left(Struct, frozen=True, kw_only=True):
    """A hold that could not be let go and ends by itself at `until` at the latest."""

    operator: str
    until: Time


class Hand:
    """Quotes in hand for one buyer, by operator.

    `power` is the authority under which operators are asked, whose ceilings are converted at `rates`."""

    def __init__(
        self,
        peers: Mapping[str, OperatorPeer],
        author: Author,
        buyer: str,
        hold_s: int,
        *,
        power: Power | None = None,
        rates: RateTable = NO_RATES,
    ) -> None:
        self._peers, self._author = peers, author
        self._buyer, self._hold_s, self._power = buyer, hold_s, power
        self._permits = Permits(author.secret, rates)
        self.quotes: dict[str, HeldQuote] = {}
        self.left: list[Left] = []
        self.ever_held = False
        self._lost: dict[str, int] = {}
        self._purposes: dict[str, Purpose] = {}

    async def ask(self, asks: Sequence[Ask], timeout_s: float) -> list[HeldQuote | Problem]:
        """An answer per ask, in order: the quote in hand where it is what is asked for, otherwise the operator's."""
        return list(await asyncio.gather(*(self._one(ask, min(ASK_S, timeout_s)) for ask in asks)))

    async def _one(self, ask: Ask, timeout_s: float) -> HeldQuote | Problem:
        """A fault with one operator is an answer like any other, so that what the others hold is let go."""
        now = self._author.clock.now()
        try:
            return await self._answer(ask, timeout_s)
        except Exception:
            log.exception("a fault in asking %s for a quote", ask.operator)
            self._note_lost(ask.operator, now)
            return Problem("INTERNAL", f"{ask.operator}: {FAULT}", extra={"operator": ask.operator})

    async def _answer(self, ask: Ask, timeout_s: float) -> HeldQuote | Problem:
        present = self.quotes.get(ask.operator)
        if present is not None and fits(present, ask) and self._purposes.get(ask.operator) == ask.purpose:
            return present
        jws, rfq = self.rfq(ask, None if present is None else present.quote_h)
        peer = self.peer(ask.operator)
        if peer is None:
            return unknown(ask.operator)
        try:
            permit = self.permit(ask)
            async with asyncio.timeout(timeout_s):
                held = structs.replace(await peer.quote(jws, rfq, permit), grant_h=grants_hash(ask.grants))
        except TimeoutError:
            self._note_lost(ask.operator, rfq.iat)
            return self._late(peer, timeout_s)
        except Problem as problem:
            if problem.outcome is Outcome.UNKNOWN:
                self._note_lost(ask.operator, rfq.iat)
            return problem
        self.quotes[ask.operator], self._purposes[ask.operator] = held, ask.purpose
        self.ever_held = self.ever_held or held.quote.held
        return held

    def rfq(self, ask: Ask, replaces: Hash | None) -> tuple[str, Rfq]:
        """A question as it is sent; what `replaces` names is swapped for its answer."""
        return self._author.rfq(
            self._buyer,
            ask.operator,
            ask.segment,
            hold_s=self._hold_s,
            limits=ask.limits,
            product=ask.product,
            replaces=replaces,
            confirm_within_s=ask.confirm_within_s,
            mandate_h=self._power.mandate_h if self._power else None,
            grant_h=grants_hash(ask.grants),
            purpose=ask.purpose,
        )

    def permit(self, ask: Ask) -> Permit | None:
        """By which right it is asked. Raises `POLICY_DENIED`."""
        return self._permits.of(self._power, self._buyer, ask.operator, ask.currency, ask.grants)

    def peer(self, operator: str) -> OperatorPeer | None:
        """An operator that is there."""
        return self._peers.get(operator)

    def _late(self, peer: OperatorPeer, timeout_s: float) -> Problem:
        why = f"{peer.name} did not answer within {timeout_s:.1f} s"
        return Problem("OPERATOR_UNREACHABLE", why, outcome=Outcome.UNKNOWN, extra={"operator": peer.entity})

    def _note_lost(self, operator: str, asked_s: int) -> None:
        """An answer is missing, and perhaps a hold is there that it would have named."""
        self._lost[operator] = asked_s + self._hold_s

    async def let_go(self, keep: Sequence[HeldQuote], timeout_s: float) -> None:
        """Decline every quote in hand but those to `keep`, in parallel; what cannot be declined is noted in `left`."""
        kept = {held.quote_h for held in keep}
        unused = [held for held in self.quotes.values() if held.quote_h not in kept]
        self.quotes = {held.operator: held for held in keep}
        declined = await asyncio.gather(*(self._decline(one, max(DECLINE_S_LEAST, timeout_s)) for one in unused))
        until = dict(self._lost)
        for held, gone in zip(unused, declined, strict=True):
            if not gone:
                until[held.operator] = max(held.quote.exp, until.get(held.operator, 0))
        now = self._author.clock.now()
        self.left = [Left(operator=op, until=moment(at)) for op, at in sorted(until.items()) if at > now]

    def told(self, problem: Problem) -> Problem:
        """The problem with what was left behind: nothing, holds let go, or holds that end by themselves."""
        undone = self.ever_held or bool(self.left)
        left = {"left_to_expire": msgspec.to_builtins(self.left)} if self.left else {}
        return problem.with_outcome(Outcome.UNDONE if undone else Outcome.NONE, **left)

    async def _decline(self, held: HeldQuote, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                if (peer := self._peers.get(held.operator)) is None:
                    raise unknown(held.operator)
                await peer.decline(held.quote_id)
        except (Problem, TimeoutError) as error:
            log.warning("a hold at %s is left to expire: %s", held.operator, str(error) or "no answer")
            return False
        except Exception:
            log.exception("a hold at %s is left to expire, after a fault", held.operator)
            return False
        return True


def unknown(operator: str) -> Problem:
    """What there is to say of an operator that left this broker's configuration or its trust domain."""
    why = f"{operator} is not among the operators of this broker any more"
    return Problem("OPERATOR_UNREACHABLE", why, outcome=Outcome.NONE, extra={"operator": operator})


def fits(present: HeldQuote, ask: Ask) -> bool:
    """Whether a quote in hand is one for what is asked now."""
    held, wanted = present.quote.segment, ask.segment
    ends = ((held.a, wanted.a), (held.z, wanted.z))
    return (
        all(have.interface == want.interface and want.label in {None, have.label} for have, want in ends)
        and (held.route_class, held.bandwidth_bps, held.mtu) == (wanted.route_class, wanted.bandwidth_bps, wanted.mtu)
        and (held.window, held.boundary) == (wanted.window, wanted.boundary)
        and present.quote.product == ask.product
    )
