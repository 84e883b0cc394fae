"""A key server in memory: what the real one does with a commit, for simulations, and every fault that one can have."""

from __future__ import annotations

from collections.abc import Sequence

from federation.broker.store.redis.keys import Step, counter
from federation.broker.store.redis.server import unavailable
from schemas.problem import Outcome


class SimulatedKeys:
    """Implements `Keys`. Nothing is forgotten by itself, so a test sees what would be kept too long."""

    followed = False

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.sets: dict[str, dict[str, int]] = {}
        self.away = False

    async def get(self, names: Sequence[str]) -> list[str | None]:
        """See `Keys.get`."""
        self._reach(None)
        return [self.values.get(name) for name in names]

    async def ranked(self, name: str, first: int = 0, last: int = -1) -> list[str]:
        """See `Keys.ranked`."""
        self._reach(None)
        members = [member for _, member in self._sorted(name)]
        return members[first:] if last == -1 else members[first : last + 1]

    async def below(self, name: str, member: str | None, count: int) -> list[str]:
        """See `Keys.below`."""
        members = [member for _, member in self._sorted(name)][::-1]
        if member is not None and member not in members:
            return []
        first = 0 if member is None else members.index(member) + 1
        return members[first : first + count]

    async def between(self, name: str, least: int, most: int) -> list[str]:
        """See `Keys.between`."""
        return [member for score, member in self._sorted(name) if least <= score <= most]

    async def scores(self, name: str, members: Sequence[str]) -> list[int | None]:
        """See `Keys.scores`."""
        return [self.sets.get(name, {}).get(member) for member in members]

    async def commit(self, steps: Sequence[Step]) -> bool:
        """See `Keys.commit`."""
        self._reach(Outcome.NONE)
        for step in steps:
            found = self.values.get(step.key)
            if (step.what == "is" and found != step.a) or (step.what == "absent" and found is not None):
                return False
        for step in steps:
            self._do(step)
        return True

    def _do(self, step: Step) -> None:
        members = self.sets.setdefault(step.key, {})
        match step.what:
            case "put":
                self.values[step.key] = step.a
            case "keep":
                self.values.setdefault(step.key, step.a)
            case "forget":
                self.values.pop(step.key, None)
            case "rank":
                members[step.a] = int(step.b)
            case "enter":
                members.setdefault(step.a, int(step.b))
            case "append" if step.a not in members:
                number = int(self.values.get(counter(step.key), "0")) + 1
                self.values[counter(step.key)] = str(number)
                members[step.a] = number
            case "drop":
                members.pop(step.a, None)

    def _reach(self, outcome: Outcome | None) -> None:
        if self.away:
            raise unavailable(outcome)

    def _sorted(self, name: str) -> list[tuple[int, str]]:
        return sorted((score, member) for member, score in self.sets.get(name, {}).items())
