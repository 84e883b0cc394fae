"""One incarnation of a node after another. A crash is no cancellation: no `finally` runs and nobody says good-bye.

Every task of an incarnation goes through its fence at every await, so it may end at any of them. What is left of it
stays parked where it stood until the run is over. The same fence holds the tasks of a process that was stopped, until
it goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")
CURRENT: ContextVar[Life | None] = ContextVar("CURRENT", default=None)


class Ended(Exception):
    """Whoever was asked is no more; what it did before is not known."""


class Life:
    """One incarnation. `ends_at` is the number of the step, over all its tasks, before which it ends."""

    def __init__(self, name: str, ends_at: int | None = None) -> None:
        self.name, self.ends_at = name, ends_at
        self.steps = 0
        self.over = self.buried = self.stands = False
        self.ended = asyncio.Event()
        self.desk: Any = None  # whoever answers what is asked of it
        self.tasks: set[asyncio.Task[Any]] = set()  # the loop itself keeps only weak references
        self._parked: list[asyncio.Future[None]] = []
        self._standing: list[asyncio.Future[None]] = []
        self._asked: dict[asyncio.Future[Any], None] = {}  # in order, so that they end in the same one in every run
        self._context: Context = copy_context()
        self._context.run(CURRENT.set, self)

    def end(self) -> None:
        """Crash. Whoever waits for an answer finds the connection broken."""
        if self.over:
            return
        self.over = True
        self.ended.set()
        for answer in list(self._asked):
            if not answer.done():
                answer.set_exception(Ended(self.name))

    def stand(self) -> None:
        """Stop like a process that got SIGSTOP: what comes in waits, deadlines pass, and it knows of neither."""
        self.stands = True

    def go(self) -> None:
        """Go on, everything in the order in which it became due."""
        self.stands = False
        waiting, self._standing = self._standing, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let this incarnation do something."""
        return asyncio.get_running_loop().create_task(work, context=self._context.copy())

    def inside(self, call: Callable[..., object], *given: object) -> None:
        """Call something as this incarnation, so that what it begins stays behind the fence."""
        self._context.copy().run(call, *given)

    def ask(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """The same, for somebody outside: raises what `work` raises, and `Ended` where the incarnation ended first."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self.over:
            work.close()
            answer.set_exception(Ended(self.name))
            return answer
        self._asked[answer] = None
        answer.add_done_callback(self._asked.pop)
        self.run(work).add_done_callback(lambda task: _hand_over(task, answer))
        return answer

    def held(self) -> asyncio.Future[None]:
        """What a task waits for of an incarnation that is over, for good, or of one that stands, until it goes on."""
        waits: Any = asyncio.get_running_loop().create_future()
        waits._asyncio_future_blocking = True
        (self._parked if self.over else self._standing).append(waits)
        return waits  # type: ignore[no-any-return]


class Lived:
    """A node, one incarnation after another. `faults` are what an incarnation died of by itself."""

    entity: str
    name: str
    faults: list[str]

    def unborn(self) -> None:
        """No incarnation yet."""
        self.life = Life(self.name)
        self.life.end()
        self.lives: list[Life] = []
        self.desk: Any = None  # whoever answers, once its books are taken up

    @property
    def serving(self) -> bool:
        """Whether an incarnation has taken up its books."""
        return self.desk is not None and not self.life.over

    async def start(self, ends_at: int | None = None) -> None:
        """A new incarnation over the same books; it recovers by itself."""
        self.desk, self.life = None, Life(self.name, ends_at)
        self.lives.append(self.life)
        self.life.run(self._guarded(self.life))
        while not (self.serving or self.life.over):
            await asyncio.sleep(0.001)

    async def _guarded(self, life: Life) -> None:
        try:
            await self.live()
        except Exception as fault:  # noqa: BLE001 - judged at the end of the run
            self.faults.append(repr(fault))
            life.end()

    async def live(self) -> None:
        """Until the end of this incarnation; sets `desk` once it serves."""
        raise NotImplementedError


class _Fenced(Coroutine[Any, Any, T]):
    """A task's coroutine behind the fence of its life. `_error` is what was to be thrown into it while it stood."""

    __slots__ = ("_error", "_life", "_work")

    def __init__(self, work: Coroutine[Any, Any, T], life: Life) -> None:
        self._work, self._life = work, life
        self._error: BaseException | None = None

    def send(self, value: Any) -> Any:
        life = self._life
        # What is left over when all is done ends as it can: no step of it is one that a crash could come before.
        if not life.buried:
            if not life.over and not life.stands:
                life.steps += 1
                if life.steps == life.ends_at:
                    life.end()
            if life.over or life.stands:
                return life.held()
        if self._error is not None:
            return self._thrown(self._error)
        return self._work.send(value)

    def throw(self, *error: Any) -> Any:
        life = self._life
        if life.over and not life.buried:
            return life.held()
        if life.stands and not life.buried:
            self._error = error[0]
            return life.held()
        return self._thrown(*error)

    def _thrown(self, *error: Any) -> Any:
        self._error = None
        return self._work.throw(*error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        raise AssertionError("a task alone runs this")


def fenced_tasks(loop: asyncio.AbstractEventLoop, work: Any, **named: Any) -> asyncio.Task[Any]:
    """A task factory: tasks of a life, and all that these begin, stay behind its fence."""
    context = named.get("context")
    life = CURRENT.get() if context is None else context.get(CURRENT)
    if life is None:
        return asyncio.Task(work, loop=loop, **named)
    task = asyncio.Task(_Fenced(work, life), loop=loop, **named)
    life.tasks.add(task)
    task.add_done_callback(life.tasks.discard)
    return task


def outside(call: Callable[[], None], after_s: float) -> None:
    """Have something happen later, whoever lives then."""
    context = copy_context()
    context.run(CURRENT.set, None)
    asyncio.get_running_loop().call_later(after_s, call, context=context)


def _hand_over(task: asyncio.Task[T], answer: asyncio.Future[T]) -> None:
    if answer.done() or task.cancelled():
        return
    if (error := task.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())
