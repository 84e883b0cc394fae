"""One blow to one daemon, drawn from a seed: whom, at which point of its work, and what becomes of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.support.crashes.points import ORDER
from tests.support.federation import TinyFederation
from tests.support.redis_server import RedisServer

# How often a point is passed while a few purchases go on, about: a blow that never falls is drawn for nothing.
PASSED = {
    "broker": {"write": 24, "act": 18, "ask": 6, "answer": 6},
    "operator": {"write": 12, "answer": 8, "up": 2, "down": 2},
}
STOPPED = 4  # one blow in so many stops a daemon, as a machine that swaps does, and does not kill it
PAUSE_S_MAX = 3.0  # longer than the broker of these tests waits for an operator
POLL_S = 0.02
REDIS = "redis"  # the server of the broker's store: struck while the broker passes a point


class Strike(NamedTuple):
    """`count` is how often the point is passed until then; a stopped daemon goes on after `pause_s`, or is killed."""

    victim: str
    point: str
    count: int
    stops: bool
    pause_s: float
    killed_after: bool

    @property
    def at(self) -> str:
        """Whose work the blow falls into: one at a time in each."""
        return "broker" if self.victim == REDIS else self.victim

    def __str__(self) -> str:
        what = f"stopped for {self.pause_s} s" if self.stops else "killed"
        return f"{self.victim} {what} {self.point} {self.count}{', then killed' * (self.stops and self.killed_after)}"


def draw(chance: Random, operators: Sequence[str], *, redis: bool = False) -> Strike:
    """The broker as often as all operators together, and its Redis server, if there is one, as often as itself."""
    broker = chance.random() < 0.5
    own = chance.choice(("broker", REDIS)) if redis else "broker"
    passed = PASSED["broker" if broker else "operator"]
    name = chance.choice(sorted(passed))
    point = "before answer" if name == "answer" else f"{chance.choice(('before', 'after'))} {name}"
    return Strike(
        victim=own if broker else chance.choice(operators),
        point=point,
        count=chance.randint(1, passed[name]),
        stops=chance.randrange(STOPPED) == 0,
        pause_s=round(chance.uniform(0.1, PAUSE_S_MAX), 2),
        killed_after=chance.random() < 0.5,
    )


def every(operators: Sequence[str]) -> list[Strike]:
    """A kill at each point, at each of its first passings: each step of the saga on both sides."""
    return [
        Strike(victim, "before answer" if name == "answer" else f"{side} {name}", count, False, 0, False)
        for role, victims in (("broker", ["broker"]), ("operator", operators))
        for name, counts in PASSED[role].items()
        for side in ("before", "after")
        if (side, name) != ("after", "answer")
        for count in range(1, counts + 1)
        for victim in victims
    ]


async def fallen(
    federation: TinyFederation, strike: Strike, nonce: str, done: asyncio.Event, redis: RedisServer | None = None
) -> bool:
    """Have it fall once its time comes, and bring up who fell; whether it fell before `done`."""
    process = redis.pid if redis and strike.victim == REDIS else 0
    number = signal.SIGSTOP if strike.stops else signal.SIGKILL
    order = federation.folder / strike.at / ORDER
    aside = order.with_suffix(".new")
    aside.write_text(f"{nonce},{strike.point},{strike.count},{int(number)},{process}")
    aside.rename(order)
    while order.exists():
        if done.is_set():
            order.unlink(missing_ok=True)
            return False
        await asyncio.sleep(POLL_S)
    if strike.stops:
        await _stopped(process or federation.nodes[strike.at].process.pid)
        await asyncio.sleep(strike.pause_s)
    if redis and process:
        _redis_again(redis, strike)
    else:
        await _daemon_again(federation, strike)
    return True


async def _daemon_again(federation: TinyFederation, strike: Strike) -> None:
    process = federation.nodes[strike.victim].process
    if strike.stops:
        process.send_signal(signal.SIGKILL if strike.killed_after else signal.SIGCONT)
    if not strike.stops or strike.killed_after:
        await asyncio.to_thread(process.wait, 20)
        federation.kill(strike.victim)
        await federation.start(strike.victim)


def _redis_again(redis: RedisServer, strike: Strike) -> None:
    if strike.stops and not strike.killed_after:
        redis.resume()
    else:
        redis.kill()
        redis.start()


async def _stopped(process: int) -> None:
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        await asyncio.sleep(POLL_S)
