"""One order told event by event: what it decides after each, in short names."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from federation.broker.orders.saga import extension
from federation.broker.orders.saga.decide import begin, decide
from federation.broker.orders.saga.effects import Act, Effect, TellOrder, WaitUntil
from federation.broker.orders.saga.events import (
    Barred,
    Declined,
    Event,
    ExtendAsked,
    Hinted,
    Missing,
    Receipted,
    Refused,
    ReleaseAsked,
    Restarted,
    Tick,
    Told,
    Unanswered,
    Untold,
)
from federation.broker.orders.saga.state import Fault, Handing, OrderState, Part, Pledge, Terms
from schemas.answer import EndView
from schemas.lease import State
from schemas.order import Bill, Receipt
from schemas.price import Line, Money, RateTable, Tariff
from schemas.segment import End, Segment, moment, window
from tests.support.seams import NOW

HOUR_S = 3600


def part(index: int, start_s: int, end_s: int, currency: str, tariff: Tariff | None = None) -> Part:
    name = f"op{index}"
    ends = (End(f"a{index}", 100 + index), End(f"z{index}", 101 + index))
    quoted = Segment(a=ends[0], z=ends[1], bandwidth_bps=10**9, window=window(start_s, end_s))
    return Part(
        operator=f"https://{name}.example", name=name, sub="pseudonym",
        a=EndView(interface=f"a{index}", city="A", country="NL"),
        z=EndView(interface=f"z{index}", city="Z", country="NL"),
        pledge=Pledge(
            quote_id=f"quote-{index}", quote_h=f"{index}".rjust(43, "q"), quoted=quoted, amount=Money(currency, 50),
            held_until=NOW + 30, tariff=tariff,
        ),
    )  # fmt: skip


class Saga:
    """An order over `count` operators, placed at `NOW`."""

    def __init__(
        self,
        count: int = 2,
        *,
        start_in_s: int = 0,
        lasts_s: int = HOUR_S,
        currencies: tuple[str, ...] = ("EUR",) * 9,
        idle_release_s: int | None = None,
        replaces: str | None = None,
        tariff: Tariff | None = None,
    ) -> None:
        start_s, self.at_us = NOW + start_in_s, NOW * 1_000_000
        end_s = start_s + lasts_s
        rates = RateTable("2026-11-02", {"EUR": 1_000_000, "CHF": 1_100_000})
        terms = Terms(
            id="o" * 22, buyer="alice", issuer="https://broker.example", quote="q", path_root="r" * 43, start_s=start_s,
            bandwidth_bps=10**9, placed_s=NOW,
            parts=tuple(part(index, start_s, end_s, currencies[index], tariff) for index in range(count)),
            total=Money("EUR", 10), rates=rates, idle_release_s=idle_release_s,
            replaces=replaces,
        )  # fmt: skip
        self.flying: dict[str, Act] = {}
        self._decided(*begin(terms, end_s, self.at_us))

    # --- what it wants -------------------------------------------------------------------------------------

    @property
    def wants(self) -> list[str]:
        """The names of every act wanted now."""
        return [name_of(effect) for effect in self.effects if not isinstance(effect, WaitUntil)]

    @property
    def wakes_in_s(self) -> float | None:
        """Seconds from `NOW` to the time it waits for."""
        return next((e.at_us / 1_000_000 - NOW for e in self.effects if isinstance(e, WaitUntil)), None)

    @property
    def legs(self) -> list[str]:
        return [str(leg.state) for leg in self.state.legs]

    @property
    def is_(self) -> str:
        return str(self.state.state)

    # --- what it is told -----------------------------------------------------------------------------------

    def tell(self, event: Event) -> Saga:
        return self._decided(*decide(self.state, event))

    def _decided(self, state: OrderState, effects: tuple[Effect, ...]) -> Saga:
        self.state, self.effects = state, effects
        acts = [effect for effect in effects if not isinstance(effect, WaitUntil)]
        self.flying |= {name_of(act): act for act in acts}
        return self

    def at(self, seconds: float) -> Saga:
        """Time passes until so many seconds after `NOW`."""
        self.at_us = round((NOW + seconds) * 1_000_000)
        return self.tell(Tick(self.at_us))

    def got(self, name: str, state: State, change: Callable[[Receipt], Receipt] = lambda receipt: receipt) -> Saga:
        """The act is answered with a receipt."""
        act = self.flying.pop(name)
        receipt = change(self.receipt(act.leg, state))
        return self.tell(
            Receipted(self.at_us, act, receipt, f"receipt-{name}-{state}".replace(" ", "-").rjust(43, "x"))
        )

    def receipt(self, leg: int, state: State) -> Receipt:
        agreed = self.state.terms.parts[leg]
        frame = window(agreed.pledge.quoted.window.start_s, self.state.end_s)
        bps = self.state.bandwidth_bps
        segment = structs.replace(agreed.pledge.quoted, window=frame, bandwidth_bps=bps)
        return Receipt(
            iss=agreed.operator, sub="pseudonym", aud="https://broker.example", iat=NOW, exp=NOW + 100, jti="j" * 22,
            order_h=f"{leg}".rjust(43, "o"), quote_h=agreed.pledge.quote_h, prev_h=None, product=f"product-{leg}",
            state=state, segment=segment, bill=bill(0) if state is State.RELEASED else None,
        )  # fmt: skip

    def refused(self, name: str, code: str = "OPERATOR_REFUSED") -> Saga:
        return self.tell(Refused(self.at_us, self.flying.pop(name), Fault(code, "not today")))

    def lost(self, name: str) -> Saga:
        fault = Fault("OPERATOR_UNREACHABLE", "no answer")
        return self.tell(Unanswered(self.at_us, self.flying.pop(name), fault))

    def missing(self, name: str) -> Saga:
        return self.tell(Missing(self.at_us, self.flying.pop(name)))

    def declined(self, name: str) -> Saga:
        return self.tell(Declined(self.at_us, self.flying.pop(name)))

    def release(self) -> Saga:
        return self.tell(ReleaseAsked(self.at_us))

    def restart(self) -> Saga:
        return self.tell(Restarted(self.at_us))

    def hint(self, leg: int) -> Saga:
        return self.tell(Hinted(self.at_us, leg))

    def extend(self, by_s: int = HOUR_S) -> Saga:
        end_s = self.state.end_s
        pledges = tuple(
            structs.replace(
                one.pledge, quote_h=f"{index}".rjust(43, "e"), held_until=self.at_us // 1_000_000 + 30,
                quoted=structs.replace(one.pledge.quoted, window=window(end_s, end_s + by_s)),
            )
            for index, one in enumerate(self.state.terms.parts)
        )  # fmt: skip
        begun = extension.begun(
            self.state, self.at_us, quote="q2", path_root="e" * 43, until_s=end_s + by_s, total=Money("EUR", 7),
            pledges=pledges,
        )  # fmt: skip
        return self.tell(ExtendAsked(self.at_us, begun))

    def resize(self, bandwidth_bps: int, tariff: Tariff | None = None, total_micro: int = 7) -> Saga:
        now_s, end_s = self.at_us // 1_000_000, self.state.end_s
        pledges = tuple(
            structs.replace(
                one.pledge, quote_h=f"{index}".rjust(43, "z"), held_until=now_s + 30, tariff=tariff,
                quoted=structs.replace(one.pledge.quoted, bandwidth_bps=bandwidth_bps, window=window(now_s, end_s)),
            )
            for index, one in enumerate(self.state.terms.parts)
        )  # fmt: skip
        begun = extension.begun(
            self.state, self.at_us, quote="q3", path_root="z" * 43, until_s=end_s, total=Money("EUR", total_micro),
            pledges=pledges, bandwidth_bps=bandwidth_bps,
        )  # fmt: skip
        return self.tell(ExtendAsked(self.at_us, begun))

    def told(self, what: Handing, *, refused: bool = False, lost: bool = False) -> Saga:
        """The order that this one replaces answered."""
        act = next(act for act in self.flying.values() if isinstance(act, TellOrder) and act.what is what)
        del self.flying[name_of(act)]
        fault = Fault("INCOMPATIBLE_STATE", "it is over")
        answer = (
            Untold(self.at_us, act) if lost else Barred(self.at_us, act, fault) if refused else Told(self.at_us, act)
        )
        return self.tell(answer)

    # --- shortcuts -----------------------------------------------------------------------------------------

    def all(self, kind: str, state: State, change: Callable[[Receipt], Receipt] = lambda receipt: receipt) -> Saga:
        """Every wanted act of a kind is answered alike."""
        for name in [name for name in self.wants if name.startswith(f"{kind} ")]:
            self.got(name, state, change)
        return self

    def active(self) -> Saga:
        """As far as ACTIVE."""
        return self.all("SendOrder", State.UP).all("SendConfirm", State.ACTIVE)


def name_of(act: Act) -> str:
    """Such as `SendOrder 0`; of an extension with a plus sign; `TellOrder REROUTE`."""
    if isinstance(act, TellOrder):
        return f"TellOrder {act.what}"
    return f"{type(act).__name__} {act.leg}{'+' if act.change else ''}"


def bill(micro: int, currency: str = "EUR", start: int = NOW, end: int = NOW + 60) -> Bill:
    return Bill(start=moment(start), end=moment(end), lines=(Line("bandwidth", micro),), total=Money(currency, micro))


def billed(micro: int, currency: str = "EUR") -> Callable[[Receipt], Receipt]:
    return lambda receipt: structs.replace(receipt, bill=bill(micro, currency))


def until(end_s: int) -> Callable[[Receipt], Receipt]:
    """A receipt whose lease ends at `end_s`."""

    def change(receipt: Receipt) -> Receipt:
        longer = window(receipt.segment.window.start_s, end_s)
        return structs.replace(receipt, segment=structs.replace(receipt.segment, window=longer))

    return change


def at_end_z(label: int | None = None, **members: object) -> Callable[[Receipt], Receipt]:
    """A receipt with another label at its z end, or other members of its segment."""

    def change(receipt: Receipt) -> Receipt:
        segment = structs.replace(receipt.segment, **members)
        if label is not None:
            segment = structs.replace(segment, z=End(segment.z.interface, label))
        return structs.replace(receipt, segment=segment)

    return change
