"""What a step of the demo asserts of itself, checked by the demo and told in its report."""

from __future__ import annotations

from msgspec import Struct

from schemas.answer import FederationView, OrderView, QuoteView, SearchAnswer


class Claim(Struct, frozen=True, kw_only=True):
    """One assertion: whether it held, and what was seen."""

    text: str
    held: bool
    seen: str = ""


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step: what was asked, what came back, what is claimed of it. `took_ms` is wall-clock time at the buyer."""

    title: str
    asked: str
    claims: tuple[Claim, ...]
    took_ms: float = 0.0
    search: SearchAnswer | None = None
    search_ms: float | None = None
    quote: QuoteView | None = None
    order: OrderView | None = None
    notes: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether every claim held."""
        return all(one.held for one in self.claims)


class NodeReport(Struct, frozen=True, kw_only=True):
    """One process: what it carries, its memory, how long it took until it was ready."""

    name: str
    pid: int
    memory_kib: int
    operators: int


class DemoReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole demo. `ok` only if every claim of every step held."""

    ok: bool
    steps: tuple[Step, ...]
    federation: FederationView
    processes: tuple[NodeReport, ...]
    measured: tuple[str, ...]
    invented: tuple[str, ...]
    start_s: float
    total_s: float
    addresses: dict[str, str] = {}


def claim(text: str, held: bool, seen: str = "") -> Claim:
    """An assertion just checked."""
    return Claim(text=text, held=held, seen=seen)
