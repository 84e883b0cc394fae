"""The network between nodes. What is sent travels by itself: neither end has to live for it to arrive."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from tests.simulation.world.lives import Ended, Life, outside

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]
FAULTS: Final = (
    "lost request", "lost answer", "late request", "duplicate", "slow request", "slow answer", "broken connection",
)  # fmt: skip


class Refused(Exception):
    """Nobody listens there."""


class Broken(Exception):
    """The connection broke before an answer came."""


class End(Protocol):
    """A node as the network knows it."""

    entity: str
    life: Life

    @property
    def serving(self) -> bool:
        """Whether somebody listens."""
        ...


@dataclass
class Wire:
    """Draws the fate of every call from its seed; `chance` is that of a fault, `cut` are pairs that cannot speak."""

    rng: random.Random
    chance: float = 0.0
    cut: set[tuple[str, str]] = field(default_factory=set)
    told: Counter[str] = field(default_factory=Counter)
    strays: set[str] = field(default_factory=set)

    def send(self, source: End, target: End, work: Work[T], name: str = "") -> asyncio.Future[T]:
        """Have `target` do `work`; its answer, or what it raised, as far as it comes back. Else nothing ever does.

        `name` is kept in `strays` where the request may arrive after its sender has turned away."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        fate = self.rng.choice(FAULTS) if self.rng.random() < self.chance else "fine"
        self.told[fate] += fate != "fine"
        if fate in {"duplicate", "late request", "slow request", "broken connection"}:
            self.strays.add(name)
        call = _Call(self, (source.entity, target.entity), target, work, answer, fate)
        if fate != "lost request":
            outside(call.arrive, self._travel(fate, "request"))
        if fate == "duplicate":
            outside(call.again, self.rng.uniform(0.01, 30))
        if fate == "broken connection":
            outside(call.breaks, self.rng.uniform(0, 0.1))
        return answer

    def tell(self, source: End, target: End, hear: Callable[[], None], what: str) -> None:
        """News that nobody answers: by chance lost, or so late that later ones come before."""
        fate = self.rng.choice(("lost", "late")) if self.rng.random() < self.chance else "fine"
        self.told[f"{fate} {what}"] += fate != "fine"
        if fate != "lost" and self.connected((source.entity, target.entity)):
            outside(hear, self._travel(f"{fate} news", "news"))

    def connected(self, pair: tuple[str, str]) -> bool:
        """Whether two nodes can speak, either way."""
        return pair not in self.cut and pair[::-1] not in self.cut

    def _travel(self, fate: str, leg: str) -> float:
        if fate == f"late {leg}":
            return self.rng.uniform(11, 90)
        return self.rng.uniform(0.5, 9.5) if fate == f"slow {leg}" else self.rng.uniform(0.001, 0.02)


@dataclass
class _Call:
    wire: Wire
    pair: tuple[str, str]
    target: End
    work: Work[Any]
    answer: asyncio.Future[Any]
    fate: str

    def arrive(self) -> None:
        """The request is there."""
        if not self.wire.connected(self.pair):
            self.wire.told["lost in a partition"] += 1
        elif not self.target.serving:
            self._return(lambda: self._fail(Refused()))
        else:
            done = self.target.life.ask(self.work())
            done.add_done_callback(self._answered)

    def again(self) -> None:
        """The same request once more; nobody waits for its answer."""
        if self.wire.connected(self.pair) and self.target.serving:
            self.target.life.ask(self.work()).add_done_callback(_unheard)

    def breaks(self) -> None:
        """The caller sees the connection break, whatever has become of its request."""
        self._fail(Broken())

    def _answered(self, done: asyncio.Future[Any]) -> None:
        error = done.exception()
        if self.fate == "lost answer" or not self.wire.connected(self.pair):
            return
        if isinstance(error, Ended):
            self._return(lambda: self._fail(Broken()))
        elif error is not None:
            self._return(lambda: self._fail(error))
        else:
            self._return(lambda: None if self.answer.done() else self.answer.set_result(done.result()))

    def _return(self, tell: Callable[[], None]) -> None:
        outside(tell, self.wire._travel(self.fate, "answer"))

    def _fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # its caller may have gone away


def _unheard(done: asyncio.Future[Any]) -> None:
    done.exception()
