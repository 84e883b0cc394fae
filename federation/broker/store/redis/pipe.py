"""One connection for many who ask: what is asked while an answer is on its way goes along with the next question.

So the price of an fsync is paid once for all who wait, as with SQLite's group commit, and a server that answers slowly
is asked for more at a time instead of more often. Everybody has an answer, or is told what is known: what was not sent
had no effect; what was sent and not answered is unknown until somebody asks again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, BusyLoadingError, NoScriptError, RedisError, ResponseError

COMMANDS_MAX: Final = 128  # sent at once
Command = tuple[str | int, ...]
Reply = Any  # strings, integers, nothing, and lists of them


class Down(Exception):
    """There is no answer; `sent` says whether the server may have got the commands, `field` which key of the
    configuration is to blame, where that is known."""

    def __init__(self, why: str, *, sent: bool, field: str | None = None) -> None:
        super().__init__(why)
        self.sent, self.field = sent, field


class _Asked(NamedTuple):
    commands: Sequence[Command]
    done: asyncio.Future[list[Reply]]


class Pipe:
    """`connect` gives a connection that may be used, or raises `Down`. `last` is asked behind every batch, and `enough`
    judges the answers to it: raises `Down` where those before are not to be believed yet."""

    def __init__(
        self,
        connect: Callable[[AbstractConnection | None], Awaitable[AbstractConnection]],
        answer_s: float,
        last: Callable[[], Sequence[Command]] = tuple,
        enough: Callable[[Sequence[Reply]], None] = lambda answers: None,
        *,
        fresh_s: float = math.inf,
        together: bool = False,
    ) -> None:
        """A connection is used for `fresh_s` seconds, then another one is made. With `together` a batch is done in one
        turn of the server: it reads some 16 KB a turn, and writes to its disk at the end of each, so that a batch of
        commits would else cost an fsync for nearly every one of them."""
        self._connect, self._answer_s, self._last, self._enough = connect, answer_s, last, enough
        self._together, self._fresh_s = together, fresh_s
        self._connection: AbstractConnection | None = None
        self._fresh_until = -math.inf
        self._waiting: list[_Asked] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """The answers. Raises `Down`, and the first `ResponseError` among them."""
        done: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(commands, done))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="store")
        return judged(await done)

    def drop(self) -> None:
        """Have the server looked at again before it is asked anything more."""
        self._fresh_until = -math.inf

    async def close(self) -> None:
        """Ask nothing more."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        if self._connection is not None:
            await self._connection.disconnect()

    async def _work(self) -> None:
        batch: list[_Asked] = []
        try:
            while self._waiting:
                batch = self._take()
                await self._send(batch)
        finally:
            self._working = None
            _settle([*batch, *self._waiting], [], Down("the broker is stopping", sent=True))
            self._waiting.clear()

    async def _meet(self) -> None:
        now, before = asyncio.get_running_loop().time(), self._connection
        if before is not None and now > self._fresh_until:
            await before.disconnect(nowait=True)
            before = None
        self._connection = await self._connect(before)
        if self._connection is not before:
            self._fresh_until = now + self._fresh_s

    def _doubt(self, behind: Sequence[Reply]) -> Down | None:
        """Why what was answered is not to be believed yet; what was refused is."""
        try:
            if behind:
                self._enough(behind)
        except (Down, ResponseError) as error:
            return Down(str(error), sent=True)
        return None

    def _take(self) -> list[_Asked]:
        batch, count = [self._waiting.pop(0)], 0
        while self._waiting and (count := count + len(batch[-1].commands)) < COMMANDS_MAX:
            batch.append(self._waiting.pop(0))
        return batch

    async def _send(self, batch: Sequence[_Asked]) -> None:
        answers: list[Reply] = []
        try:
            await self._meet()
            last = self._last()
            commands = [command for asked in batch for command in asked.commands]
            whole = self._together and len(batch) > 1
            framed = [("MULTI",), *commands, ("EXEC",)] if whole else commands
            assert self._connection is not None, "just met"
            await talk(self._connection, [*framed, *last], answers, self._answer_s)
        except Down as down:
            _settle(batch, [] if self._together else answers, down)
        else:
            done, behind = answers[: len(framed)], answers[len(framed) :]
            answers = _executed(done[1:]) if whole else done
            _settle(batch, answers, self._doubt(behind))


def judged(answers: list[Reply]) -> list[Reply]:
    """Answers without faults. Raises the first `ResponseError`; `Down` where scripts were forgotten."""
    for answer in answers:
        if isinstance(answer, NoScriptError):
            raise Down("it has forgotten its scripts", sent=False)
        if isinstance(answer, ResponseError):
            raise answer
    return answers


async def talk(
    connection: AbstractConnection, commands: Sequence[Command], answers: list[Reply], answer_s: float
) -> None:
    """Send commands and put their answers, faults among them, into `answers` as they come. Raises `Down`."""
    try:
        async with asyncio.timeout(answer_s):
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            for _ in commands:
                try:
                    answers.append(await connection.read_response(timeout=math.inf))
                except ResponseError as error:
                    answers.append(error)
    except (AuthenticationError, BusyLoadingError) as error:
        await connection.disconnect(nowait=True)
        raise Down(str(error), sent=False) from error
    except (RedisError, OSError, TimeoutError) as error:
        await connection.disconnect(nowait=True)
        raise Down(f"the answer was lost ({str(error) or 'it took too long'})", sent=True) from error
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


def _executed(answers: Sequence[Reply]) -> list[Reply]:
    """The answers behind EXEC. Where one was refused before, nothing was done, and each says so."""
    *queued, found = answers
    if isinstance(found, list):
        return found
    return [one if isinstance(one, ResponseError) else found for one in queued]


def _settle(batch: Sequence[_Asked], answers: Sequence[Reply], down: Down | None) -> None:
    """Each gets its own answers; who has not all of them is told why, and so is who was not refused, while there is
    something wrong."""
    first = 0
    for asked in batch:
        mine = list(answers[first : first + len(asked.commands)])
        first += len(asked.commands)
        if asked.done.done():
            continue
        refused = any(isinstance(one, ResponseError) for one in mine)
        if len(mine) == len(asked.commands) and (down is None or refused):
            asked.done.set_result(mine)
        else:
            assert down is not None, "all were answered"
            asked.done.set_exception(Down(str(down), sent=down.sent, field=down.field))
