"""The purchase in five steps: cheapest, sovereign, impossible, bought, and proved. Each step checks what it claims."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from msgspec import structs

from federation.cli import units
from federation.cli.demo.buyer import PER_ORDER, TOTAL
from federation.cli.demo.claims import Claim, Step, claim
from federation.cli.demo.ledger import Inspector, bill_claims, members_claim
from federation.cli.demo.proof import proved
from federation.cli.demo.stage import Stage
from federation.cli.tables import limit_name
from federation.client.broker import BrokerClient
from federation.client.lease import active, extended, released
from schemas.answer import OrderView, PathView, SearchAnswer
from schemas.intent import Intent
from schemas.jurisdiction import expand
from schemas.lease import State
from schemas.price import Money
from schemas.problem import Problem
from schemas.request import Extension
from schemas.segment import Limits

HEALTH: Final = ("EEA", "CH")
LATENCY_US: Final = 15_000
IMPOSSIBLE_US: Final = 5_000
IMPOSSIBLE_BUDGET: Final = Money("EUR", 15_000_000)
USE_S: Final = 3
EXTENSION_S: Final = 1_800
BEYOND_S: Final = 86_400
OPERATORS_MIN: Final = 3
CHEAPEST: Final = Intent(
    a="Utrecht@SURF", z="Milan@GARR", bandwidth_bps=10**10, duration_s=7_200, limits=Limits(latency_us=LATENCY_US)
)
POLICY: Final = "eu-health"
SOVEREIGN: Final = structs.replace(CHEAPEST, policy=POLICY, data_class="EU-health")
IMPOSSIBLE: Final = structs.replace(SOVEREIGN, limits=Limits(latency_us=IMPOSSIBLE_US), budget=IMPOSSIBLE_BUDGET)
Tell = Callable[[Step], None]


class Scenario:
    """Acts as the buyer's agent. `tell` hears of each step when it is over, `say` what is going on meanwhile."""

    def __init__(self, client: BrokerClient, stage: Stage, tell: Tell, say: Callable[[str], None]) -> None:
        self._client, self._stage, self._tell, self._say = client, stage, tell, say
        self._best: PathView | None = None
        self._ended: OrderView | None = None

    async def play(self) -> tuple[Step, ...]:
        """Every step. A step that meets a problem is told as a claim that did not hold, and ends the play."""
        steps: list[Step] = []
        for act in (self._cheapest, self._sovereign, self._impossible, self._purchase, self._proof):
            begun = time.perf_counter()
            step = await _guarded(act())
            steps.append(structs.replace(step, took_ms=(time.perf_counter() - begun) * 1000))
            self._tell(steps[-1])
            if not step.held:
                break
        return tuple(steps)

    async def _cheapest(self) -> Step:
        self._say("searching the cheapest path")
        answer, search_ms = await self._search(CHEAPEST)
        path = self._best = answer.paths[0] if answer.paths else None
        operators = list(dict.fromkeys(s.operator_name for s in path.segments)) if path else []
        claims = (
            await members_claim(self._stage),
            claim("a path was found and proven the cheapest of everything published", answer.found and answer.proven),
            claim("at least three operators carry it", len(operators) >= OPERATORS_MIN, " → ".join(operators)),
            claim(
                f"it keeps the limit of {units.latency(LATENCY_US)}",
                path is not None and path.promise.latency_us <= LATENCY_US,
                units.latency(path.promise.latency_us) if path else "",
            ),
        )
        return Step(
            title="The cheapest path",
            asked=f"10 Gb/s from Utrecht on SURF to Milan on GARR for 2 hours, at most {units.latency(LATENCY_US)}",
            claims=claims,
            search=answer,
            search_ms=search_ms,
        )

    async def _sovereign(self) -> Step:
        self._say("searching the same for health data")
        answer, search_ms = await self._search(SOVEREIGN)
        assert self._best, "the first step held"
        notes = _difference(self._best, answer.paths[0]) if answer.paths else ()
        return Step(
            title="The same, for health data",
            asked=f"... under the policy {POLICY}: carried, arranged and managed in the EEA and Switzerland",
            claims=_sovereign_claims(self._best, answer),
            search=answer,
            search_ms=search_ms,
            notes=notes,
        )

    async def _impossible(self) -> Step:
        self._say("searching the impossible")
        answer, search_ms = await self._search(IMPOSSIBLE)
        claims = (
            claim("no path is pretended", not answer.found and not answer.paths),
            claim(
                "the limits that bind are named with what is possible",
                bool(answer.binding),
                "; ".join(
                    f"{limit_name(b.limit)}: {b.asked} asked, {b.floor or 'none'} possible" for b in answer.binding
                ),
            ),
            claim("the physical floor is told", answer.floor_us > 0, units.latency(answer.floor_us)),
            claim("relaxations are offered with their price", bool(answer.relaxations), _relaxed(answer)),
        )
        asked = f"... within {units.latency(IMPOSSIBLE_US)} and for at most {units.money(IMPOSSIBLE_BUDGET)}"
        return Step(title="The impossible", asked=asked, claims=claims, search=answer, search_ms=search_ms)

    async def _purchase(self) -> Step:
        async with Inspector(self._stage) as inspector:
            before = await inspector.products()
            self._say("asking for more than the mandate allows")
            beyond = await self._beyond()
            self._say("asking every operator of the path for a firm quote")
            quote = await self._client.quote(SOVEREIGN)
            self._say("ordering; waiting until every operator is up and confirmed")
            begun = time.perf_counter()
            order = await active(self._client, await self._client.order(quote.id))
            active_ms = (time.perf_counter() - begun) * 1000
            claims = [beyond, claim("nothing was sold before", not any(before.values())), *_active_claims(order)]
            claims += await inspector.active_claims(order)
            self._say(f"ACTIVE after {active_ms:.0f} ms; using it for {USE_S} s")
            await asyncio.sleep(USE_S)
            self._say("extending by half an hour")
            longer = await extended(self._client, order, Extension(by_s=EXTENSION_S))
            gained = longer.window.end_s - order.window.end_s
            claims.append(claim("extended by 30 minutes on every operator", gained == EXTENSION_S, f"{gained} s"))
            self._say("releasing")
            ended = self._ended = await released(self._client, longer)
            self._say("checking the bill and every operator's inventory")
            claims += await bill_claims(self._client, self._stage, quote, ended)
            claims += await inspector.empty_claims()
        return Step(
            title="Bought, used, extended, released",
            asked="a firm quote for step 2, ordered by an agent under its buyer's mandate: "
            f"at most {units.money(PER_ORDER)} an order, {units.money(TOTAL)} in all",
            claims=tuple(claims),
            quote=quote,
            order=ended,
            notes=(f"from the order to ACTIVE on {len(order.segments)} operators: {active_ms:.0f} ms", _data_plane()),
        )

    async def _proof(self) -> Step:
        self._say("writing the evidence, once other members have signed below the broker's log")
        assert self._ended, "the fourth step held"
        return await proved(self._client, self._stage, self._ended.id)

    async def _beyond(self) -> Claim:
        """An order that the mandate does not allow is refused before any operator hears of it."""
        what = f"{units.duration(BEYOND_S)} of it would cost more than one order may, and the broker refuses"
        try:
            quote = await self._client.quote(structs.replace(SOVEREIGN, duration_s=BEYOND_S))
        except Problem as problem:
            return claim(what, (problem.code, problem.field) == ("POLICY_DENIED", "mandate.spend"), problem.detail)
        return claim(what, False, f"quoted at {units.money(quote.total)}")

    async def _search(self, intent: Intent) -> tuple[SearchAnswer, float | None]:
        answer = await self._client.search(intent)
        return answer, self._client.timing.get("search")


async def _guarded(act: Coroutine[Any, Any, Step]) -> Step:
    try:
        return await act
    except Problem as problem:
        return Step(title="A step failed", asked="", claims=(claim("no problem occurred", False, str(problem)),))


def _sovereign_claims(cheapest: PathView, answer: SearchAnswer) -> tuple[Claim, ...]:
    path = answer.paths[0] if answer.paths else None
    refused = {(e.operator, e.route_class) for e in answer.excluded}
    kept_out = [s for s in cheapest.segments if refused & {(s.operator, s.route_class), (s.operator, None)}]
    crossed = set(path.countries or ()) if path and path.countries is not None else {"unknown"}
    return (
        claim("a path was found, and it is another one", path is not None and _route(path) != _route(cheapest)),
        claim(
            "the cheapest path of step 1 is refused, and it is said why",
            bool(kept_out),
            "; ".join(sorted({f"{e.operator_name}: {e.detail}" for s in kept_out for e in answer.excluded
                              if e.operator == s.operator})),
        ),
        claim(
            f"every refusal names the policy {POLICY}, the fact and the reason",
            all(e.rule.startswith(f"{POLICY}.") and e.detail for e in answer.excluded),
            f"{len(answer.excluded)} refusals",
        ),
        claim(
            "every country it may cross is attested and allowed",
            crossed <= expand(HEALTH, "countries"),
            " ".join(sorted(crossed)),
        ),
    )  # fmt: skip


def _route(path: PathView) -> list[tuple[str, str, str]]:
    return [(s.operator, s.a.interface, s.z.interface) for s in path.segments]


def _difference(cheapest: PathView, sovereign: PathView) -> tuple[str, ...]:
    dearer = sovereign.total.micro - cheapest.total.micro
    slower = sovereign.promise.latency_us - cheapest.promise.latency_us
    percent = 100 * dearer / cheapest.total.micro if cheapest.total.micro else 0
    over = [" → ".join(s.operator_name for s in path.segments) for path in (cheapest, sovereign)]
    return (
        f"{over[0]}  became  {over[1]}",
        f"sovereignty costs {units.money(Money(sovereign.total.currency, abs(dearer)))} "
        f"{'more' if dearer >= 0 else 'less'} ({percent:+.0f} %) and {slower / 1000:+.2f} ms",
    )


def _relaxed(answer: SearchAnswer) -> str:
    return "; ".join(f"{r.change}: {units.money(r.total)}" for r in answer.relaxations)


def _active_claims(order: OrderView) -> list[Claim]:
    agree = all(one.z.label == two.a.label for one, two in zip(order.segments, order.segments[1:], strict=False))
    labels = [str(lease.z.label) for lease in order.segments[:-1]]
    return [
        claim(
            "ACTIVE on every operator",
            order.state is State.ACTIVE and all(lease.state is State.ACTIVE for lease in order.segments),
            ", ".join(f"{lease.operator_name} {lease.state}" for lease in order.segments),
        ),
        claim("both sides of every interconnect hold the same label", agree, "labels " + ", ".join(labels)),
    ]


def _data_plane() -> str:
    return "in use means ACTIVE at every operator and billed: there is no data plane yet, no packet was carried"
