"""A quote that some operator has not answered yet, as it is kept: all that a broker needs to go on after a crash.

Every question is written down before it is sent, and every hold once it is known, so whatever an operator may hold for
this quote can be found again and let go. `WaitingStore` is what must be stored; one transaction per method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from federation.broker.authority.power import Power
from federation.broker.paths.route import Route
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.hand import Ask
from federation.broker.quotes.labels import Labels
from federation.broker.quotes.protocols import Claim
from schemas.answer import AskedOperator, QuotePending
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Outcome, Problem, from_dict
from schemas.segment import EntityId, Hash, Id, Window, moment


class Question(Struct, frozen=True, kw_only=True):
    """An rfq that is on its way to an operator, or was taken there and not answered; `quote_id` is the operator's."""

    ask: Ask
    rfq_jws: str
    quote_id: Id | None = None


class Waiting(Struct, frozen=True, kw_only=True):
    """One quote on its way. Times are Unix seconds.

    `route`, `labels` and `window` are what is asked for now, `questions` what operators owe an answer to, `held` what
    they hold. `state` is ASKED until it is answered or given up; then `problem` says why, and what is left in
    `questions` and `held` is still to be let go. `version` counts what was written, `beat_s` is when that was last and
    `by` who did it, where several brokers share a store: another one takes over what is by one that is gone.
    """

    id: Id
    buyer: str
    intent: Intent
    asked_at: int
    answer_by: int
    names: Mapping[EntityId, str]
    power: Power | None = None
    grants: tuple[str, ...] = ()
    route: Route | None = None
    labels: Labels = ()
    window: Window | None = None
    rounds: int = 0
    questions: tuple[Question, ...] = ()
    held: tuple[HeldQuote, ...] = ()
    state: State = State.ASKED
    problem: Mapping[str, Any] | None = None
    version: int = 0
    beat_s: int = 0
    by: str = ""

    @property
    def agent(self) -> Hash | None:
        """The key of the agent that asked; none for the buyer itself."""
        return None if self.power is None else self.power.key

    @property
    def open(self) -> bool:
        """Whether anything is still to be done about it."""
        return self.state is State.ASKED or bool(self.questions or self.held)


class WaitingStore(Protocol):
    """Quotes that are not answered yet."""

    async def put_waiting(self, waiting: Waiting, claim: Claim | None = None) -> bool:
        """Write it over the version before, and bind its id to the claim of a first one; false, with nothing written,
        where another one has written since."""
        ...

    async def get_waiting(self, buyer: str, quote_id: Id) -> Waiting | None:
        """It, if it exists and is this buyer's."""
        ...

    async def open_waiting(self) -> tuple[Waiting, ...]:
        """All about which something is still to be done, of all buyers, in order of their ids."""
        ...

    async def prune_waiting(self, before_s: int) -> None:
        """Forget those that were over before this second."""
        ...


def pending_view(waiting: Waiting) -> QuotePending:
    """What the buyer is shown."""
    asked = [question.ask.operator for question in waiting.questions if question.quote_id is not None]
    return QuotePending(
        id=waiting.id,
        state=waiting.state,
        asked_at=moment(waiting.asked_at),
        answer_by=moment(waiting.answer_by),
        waiting_for=tuple(AskedOperator(operator=one, operator_name=waiting.names.get(one, one)) for one in asked),
        outcome=Outcome.PENDING if waiting.state is State.ASKED else Outcome.UNDONE,
    )


def failure(waiting: Waiting) -> Problem | None:
    """Why there is no quote, where it is known that there will be none."""
    return None if waiting.problem is None else from_dict(waiting.problem)
