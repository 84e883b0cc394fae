"""One effect per `Idempotency-Key` (design section 8, promise 4).

The key is taken before anything happens, durably before anything is written, and its answer is bound in the transaction
of the effect. A second request with the key joins the first while that is under way, and finds its answer afterwards.
A refusal without an effect is an answer, too: bound before it is told, so that no stray copy of the request has an
effect later. What may pass (`PASSING`), and a request that died on the way, leave the key taken and unanswered, or not
taken: the same request may run again. Where replicas share the store, a request runs on the one whose turn it is
(`Turns`); the others wait for its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from federation.broker.quotes.protocols import REFUSAL, Claim, ClaimStore
from federation.node.seams import Clock
from federation.trust.jose import sha256_b64
from schemas.problem import PASSING, Outcome, Problem, from_dict

T = TypeVar("T")
REFUSAL_BYTES_MAX: Final = 1_024  # kept as long as its key, of however many requests
WAIT_S: Final = 10.0  # for the answer of another replica
LOOK_AGAIN_S: Final = 0.05
CONFLICT: Final = "this key came with another request before; use a new key for a new request"


def claim_of(buyer: str, key: str, operation: str, *request: Any) -> Claim:
    """The claim of a request: its digest covers the operation and everything asked."""
    return Claim(buyer=buyer, key=key, digest=sha256_b64(msgspec.json.encode([operation, *request], order="sorted")))


class Turns(Protocol):
    """Which replica runs a request. The turn of one that is gone comes to an end by itself."""

    async def take(self, claim: Claim) -> bool:
        """Whether it is this replica's turn from now on. Raises `UNAVAILABLE`."""
        ...

    async def leave(self, claim: Claim) -> bool:
        """Give the turn up; false where it was another's meanwhile, or nobody can say. Never fails."""
        ...


class Once:
    """Runs requests under claims. Work goes on in `tasks` when its caller goes away. `turns` are taken where replicas
    share the store."""

    def __init__(self, store: ClaimStore, clock: Clock, tasks: asyncio.TaskGroup, turns: Turns | None = None) -> None:
        self._store, self._clock, self._tasks, self._turns = store, clock, tasks, turns
        self._running: dict[tuple[str, str], tuple[str, asyncio.Future[Any]]] = {}

    async def run(
        self,
        claim: Claim,
        work: Callable[[], Awaitable[T]],
        again: Callable[[str], Awaitable[T]],
    ) -> T:
        """The answer of `work`; of `again`, given the id of the answer, where the key was answered before.

        Raises IDEMPOTENCY_CONFLICT for a key that came with another request, and what `work` raises or raised before.
        """
        name = (claim.buyer, claim.key)
        if name not in self._running:
            # Registered before anything is awaited, so that there is never a second run beside the first.
            done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            done.add_done_callback(_seen)
            self._running[name] = (claim.digest, done)
            self._tasks.create_task(self._into(done, claim, work, again), name=f"request of {claim.buyer}")
        digest, running = self._running[name]
        if digest != claim.digest:
            raise Problem("IDEMPOTENCY_CONFLICT", CONFLICT, field="Idempotency-Key", outcome=Outcome.NONE)
        answer: T = await asyncio.shield(running)
        return answer

    async def _into(
        self,
        done: asyncio.Future[T],
        claim: Claim,
        work: Callable[[], Awaitable[T]],
        again: Callable[[str], Awaitable[T]],
    ) -> None:
        try:
            if self._turns is None:
                answer = await self._once(claim, work, again)
            else:
                answer = await self._in_turn(self._turns, claim, work, again)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it; a fault of ours must not stop the broker
            _settle(done, error=error)
        except BaseException:
            done.cancel()
            raise
        else:
            _settle(done, answer)
        finally:
            del self._running[(claim.buyer, claim.key)]

    async def _once(self, claim: Claim, work: Callable[[], Awaitable[T]], again: Callable[[str], Awaitable[T]]) -> T:
        if (answered := await self._answered(claim)) is not None:
            return await _repeated(answered, again)
        try:
            return await work()
        except Problem as problem:
            if problem.code in PASSING or problem.outcome in {Outcome.PENDING, Outcome.UNKNOWN}:
                raise
            raise await self._bound(claim, problem) from problem

    async def _bound(self, claim: Claim, problem: Problem) -> Problem:
        """A refusal as it is told: where it cannot be bound, a copy of the request may still have an effect."""
        try:
            await self._store.answer(claim, _refusal(problem), self._clock.now())
        except Problem:
            return problem.with_outcome(Outcome.UNKNOWN)
        return problem

    async def _answered(self, claim: Claim) -> str | None:
        return await self._store.claim(claim, self._clock.now())

    async def _in_turn(
        self,
        turns: Turns,
        claim: Claim,
        work: Callable[[], Awaitable[T]],
        again: Callable[[str], Awaitable[T]],
    ) -> T:
        """A replica that was held up for long may find that another took its turn; then the other's answer counts."""
        if (answered := await self._before(turns, claim)) is not None:
            return await _repeated(answered, again)
        try:
            answer = await self._once(claim, work, again)
        except Problem as problem:
            await turns.leave(claim)
            if (answered := await self._known(claim)) in {None, _refusal(problem)}:
                raise  # with all its members, of which fewer may be kept
            assert answered is not None, "or it would have been raised"
            return await _repeated(answered, again)
        if await turns.leave(claim) or (answered := await self._known(claim)) is None:
            return answer
        return await _repeated(answered, again)

    async def _known(self, claim: Claim) -> str | None:
        """The answer, as far as anybody can tell now: what the work came to is not to be hidden by a store that is away
        a moment later."""
        try:
            return await self._answered(claim)
        except Problem:
            return None

    async def _before(self, turns: Turns, claim: Claim) -> str | None:
        """The answer of another replica, none when it is our turn."""
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_S
        while not await turns.take(claim):
            if (answered := await self._answered(claim)) is not None:
                return answered
            if loop.time() > until:
                why = "this request is under way on another replica; ask again with the same key"
                raise Problem("UNAVAILABLE", why, outcome=Outcome.PENDING, retry_after_s=1)
            await asyncio.sleep(LOOK_AGAIN_S)
        return None


async def _repeated(answered: str, again: Callable[[str], Awaitable[T]]) -> T:
    """What was answered before. Raises what was refused before."""
    if answered.startswith(REFUSAL):
        raise from_dict(msgspec.json.decode(answered.removeprefix(REFUSAL), type=dict[str, Any]))
    return await again(answered)


def _refusal(problem: Problem) -> str:
    """A refusal as the answer of a key; the members of its code only where they are not many."""
    body = msgspec.json.encode(problem.as_dict())
    if len(body) > REFUSAL_BYTES_MAX:
        short = Problem(problem.code, problem.detail[:200], field=problem.field, outcome=problem.outcome)
        body = msgspec.json.encode(short.as_dict())
    return REFUSAL + body.decode()


def _settle(done: asyncio.Future[Any], answer: Any = None, error: Exception | None = None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(answer)
    else:
        done.set_exception(error)


def _seen(done: asyncio.Future[Any]) -> None:
    """Every caller may have gone away, and that is no fault."""
    if not done.cancelled():
        done.exception()
