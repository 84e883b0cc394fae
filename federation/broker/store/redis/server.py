"""One Redis server: two connections, each to a server that was looked at first, and true words when there is none.

Every connection asks the server what it is (`fitness.py`) before anything else is sent on it, and lasts for a minute:
a server that has other settings now, or is a replica of another, gets no order to keep. A failure says whether anything
had been sent: what was not sent had no effect; what was sent and not answered is unknown until somebody asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, ClusterDownError, MovedError, RedisError, ResponseError

from federation.broker.config import Store
from federation.broker.store.redis.fitness import FIELD, SCHEMA, WANTED, Facts, elsewhere, forbidden, judge, read_info
from federation.broker.store.redis.pipe import Command, Down, Pipe, Reply, judged, talk
from federation.broker.store.redis.whereabouts import Unfound, Whereabouts
from schemas.problem import Outcome, Problem

ANSWER_S_MAX: Final = 3.0  # for one answer, and for a connection
REPLICAS_MS_MAX: Final = 1_500  # for replicas to have a write
PATIENCE_S: Final = 4.0  # how long a lost answer is asked for again
PAUSE_S: Final = 0.05
FRESH_S: Final = 60.0  # how long a connection is used, and so how often a server is looked at
UNSENT_TRIES: Final = 2  # what was not sent at all is tried so often
RETRY_AFTER_S: Final = 2
WORDS: Final = {
    None: "the store cannot be read now",
    Outcome.NONE: "the store cannot be written now; nothing was changed",
    Outcome.UNKNOWN: "the store did not answer, and whether this was done is not known; ask again with the same key",
}
log = logging.getLogger(__name__)


class Unfit(RedisError):
    """A server that was looked at and refused."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Server:
    """The server of a configuration; open with `async with Server(settings, prefix)`."""

    def __init__(
        self,
        settings: Store,
        prefix: str,
        scripts: Sequence[str] = (),
        *,
        answer_s: float = ANSWER_S_MAX,
        patience_s: float = PATIENCE_S,
        fresh_s: float = FRESH_S,
    ) -> None:
        """`scripts` are loaded on every connection, and after `fresh_s` seconds there is a new one. Raises `Problem`
        where the password cannot be read."""
        self._patience_s = patience_s
        self._schema, self._scripts = f"{prefix}schema", scripts
        self._told: Problem | None = None
        self._replicas, self._watched = 0, bool(settings.sentinels)
        self._life = ""
        self._whereabouts = Whereabouts(settings)
        self._answer_s = answer_s
        # What is read waits for no replica to have what others write.
        self._reads = Pipe(self._connected, answer_s, fresh_s=fresh_s)
        self._writes = Pipe(self._connected, answer_s, self._wait, self._replicated, fresh_s=fresh_s, together=True)

    async def __aenter__(self) -> Self:
        """Raises `UNAVAILABLE` where there is no server, or one that may not be trusted with orders, and says why."""
        try:
            await self.ask([("SET", self._schema, str(SCHEMA), "NX")])
        except Problem as problem:
            await self._close()
            assert self._told is not None, "or it would not have failed"
            raise self._told from problem
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    @property
    def life(self) -> str:
        """Which process it was when it was looked at last; another one does not know who looked at what before."""
        return self._life

    @property
    def followed(self) -> bool:
        """Whether an acknowledged write is one that replicas of the server have."""
        return self._replicas > 0

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """What the server answers to commands that may be sent twice. Raises `UNAVAILABLE`."""
        try:
            return await self._twice(commands)
        except (Down, ResponseError) as error:
            self._drop()
            raise self._failed(error, None) from error

    async def write(self, commands: Sequence[Command]) -> list[Reply]:
        """The same for writes, which are acknowledged once every replica that counts has them. While an answer is lost
        they are sent again, so doing them twice must be doing them once.

        Raises `UNAVAILABLE`, and its outcome says what is known.
        """
        until, sent, tries = asyncio.get_running_loop().time() + self._patience_s, False, 0
        while True:
            try:
                return await self._writes.ask(commands)
            except Down as down:
                sent, tries = sent or down.sent, tries + 1
                self._drop()
                late = asyncio.get_running_loop().time() >= until
                if late or (tries >= UNSENT_TRIES and not sent):
                    raise self._failed(down, Outcome.UNKNOWN if sent else Outcome.NONE) from down
            except ResponseError as error:
                self._drop()
                raise self._failed(error, Outcome.UNKNOWN if sent else Outcome.NONE) from error
            await asyncio.sleep(PAUSE_S)

    async def _twice(self, commands: Sequence[Command]) -> list[Reply]:
        """Once more where the first connection turns out to be of a server that is gone."""
        try:
            return await self._reads.ask(commands)
        except Down as down:
            if not down.sent:
                raise
            return await self._reads.ask(commands)

    def _wait(self) -> Sequence[Command]:
        """WAIT is about the last write of its connection, and so about all before it."""
        return [("WAIT", self._replicas, REPLICAS_MS_MAX)] if self._replicas else []

    def _replicated(self, answers: Sequence[Reply]) -> None:
        if judged([*answers])[0] < self._replicas:
            raise Down(f"fewer than {self._replicas} of its replicas have the write", sent=True)

    async def _connected(self, before: AbstractConnection | None) -> AbstractConnection:
        """A connection to a server that was found fit: the one before while it lasts. Raises `Down`."""
        if before is not None and before.is_connected and not await before.can_read():
            return before
        if before is not None:
            await before.disconnect(nowait=True)
        try:
            kind, where = await self._whereabouts.now()
        except Unfound as unfound:
            raise Down(str(unfound), sent=False, field=unfound.problem.field) from unfound
        made = kind(
            **where, socket_timeout=None, socket_connect_timeout=self._answer_s, decode_responses=True,
            protocol=2, driver_info=None, redis_connect_func=self._meet,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._answer_s):
                await made.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            await made.disconnect(nowait=True)
            raise Down(_why(error), sent=False) from error
        return made

    def _drop(self) -> None:
        """What refuses something, or has forgotten what it was told, may have become another server."""
        self._reads.drop()
        self._writes.drop()

    async def _close(self) -> None:
        await self._reads.close()
        await self._writes.close()
        await self._whereabouts.close()

    def _failed(self, error: Exception, outcome: Outcome | None) -> Problem:
        """What a buyer is told; why it is so is for whoever keeps the server, in the log, once until it is another."""
        why = Problem("UNAVAILABLE", str(error), field=(isinstance(error, Down) and error.field) or FIELD)
        if self._told is None or (why.field, why.detail) != (self._told.field, self._told.detail):
            log.error("%s: %s", why.field, why.detail)
            self._told = why
        return unavailable(outcome)

    async def _meet(self, connection: AbstractConnection) -> None:
        """The first words on every connection. Raises `Unfit`."""
        await connection.on_connect()
        commands: list[Command] = [("CONFIG", "GET", name) for name in WANTED]
        commands += [("INFO",), ("GET", self._schema)]
        try:
            *settings, info, schema = await self._talk(connection, commands)
            facts = Facts(read_info(info), dict(settings), schema, self._watched)
            self._told, self._replicas = None, judge(facts)
            self._live(facts.info.get("run_id", ""))
            await self._talk(connection, [("SCRIPT", "LOAD", script) for script in self._scripts])
        except (MovedError, ClusterDownError) as error:
            raise Unfit(elsewhere(str(error))) from error
        except ResponseError as error:
            raise Unfit(forbidden(str(error))) from error
        except Down as down:
            raise Unfit(Problem("UNAVAILABLE", str(down), field=FIELD)) from down
        except Problem as problem:
            raise Unfit(problem) from problem

    def _live(self, life: str) -> None:
        """What is read and what is written is one server's: where one connection finds another, so does the other."""
        if life != self._life:
            self._life = life
            self._drop()

    async def _talk(self, connection: AbstractConnection, commands: Sequence[Command]) -> list[Reply]:
        answers: list[Reply] = []
        await talk(connection, commands, answers, self._answer_s)
        return judged(answers)


def _why(error: BaseException) -> str:
    """Why there is no connection."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, Unfit | AuthenticationError):
        found = found.__cause__
    if isinstance(found, Unfit):
        return found.problem.detail
    return f"it does not take our name and password ({found})" if found else f"it cannot be reached ({error})"


def unavailable(outcome: Outcome | None) -> Problem:
    """The store cannot be used now; `outcome` is that of a write."""
    return Problem("UNAVAILABLE", WORDS[outcome], outcome=outcome, retry_after_s=RETRY_AFTER_S)
