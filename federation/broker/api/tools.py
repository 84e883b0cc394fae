"""The MCP tools, in the order of a purchase. Each is written once, over an `Exchange`.

A quote can be ordered once and a lease released once, so `place_order` and `release_lease` take their idempotency key
from what they act on: an agent that repeats a call after a lost answer gets the first answer again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mcp.server import MCPServer

from federation.broker.api.arguments import (
    ARGUMENT_OF,
    ExtendArgs,
    HeartbeatArgs,
    IntentArgs,
    ListArgs,
    MandateArgs,
    OrderArgs,
    QuoteArgs,
    QuoteWaitArgs,
    ReleaseArgs,
    ResizeArgs,
    SearchArgs,
    WaitArgs,
)
from federation.broker.api.backups import backup_request
from federation.broker.api.briefs import (
    MandateBrief,
    OrderBrief,
    OrdersBrief,
    QuoteBrief,
    ResizeBrief,
    SearchBrief,
    mandate_brief,
    order_brief,
    orders_brief,
    quote_brief,
    resize_brief,
    search_brief,
)
from federation.broker.api.exchange import Exchange
from federation.broker.api.proofs import PROOFS
from federation.broker.api.toolbox import ToolRow, strict_tool
from federation.node.seams import Entropy
from schemas.intent import Intent
from schemas.problem import invalid

VERSION: Final = "1.0.0"  # of these tools
INSTRUCTIONS: Final = (
    "Buy temporary end-to-end connectivity across network operators. search_paths is free and holds nothing; quote is "
    "firm and held for seconds; place_order spends money; get_order follows it until ACTIVE; release_lease stops the "
    "bill. get_mandate says what is left to be spent, list_orders what you have. Money is in micro-units (millionths) "
    "of its currency, latency one-way microseconds. An error result holds a problem: code, detail, field, retryable, "
    "and for writes outcome (what it left behind)."
)


def tool_server(exchange_of: Callable[[], Exchange], entropy: Entropy, **options: Any) -> MCPServer[Any]:
    """An MCP server with the tools; `options` go to `MCPServer` (a token verifier, for example)."""
    tools = [strict_tool(row, exchange_of) for row in tool_rows(entropy)]
    return MCPServer("peerway", title="Peerway", instructions=INSTRUCTIONS, version=VERSION, tools=[*tools], **options)


def tool_rows(entropy: Entropy) -> tuple[ToolRow, ...]:
    """Every tool; `entropy` makes the idempotency keys of changes and heartbeats, and a quote's where none is given."""
    return (*_before_an_order(entropy), *_of_orders(), *_of_leases(entropy), *PROOFS)


def _before_an_order(entropy: Entropy) -> tuple[ToolRow, ...]:
    async def quote(exchange: Exchange, asked: QuoteArgs) -> QuoteBrief:
        key = asked.idempotency_key or entropy.token()
        return quote_brief(await exchange.quote(_intent(asked), key, asked.grants, 0))

    return (
        ToolRow(
            "search_paths",
            "Search paths",
            "Candidate end-to-end paths for what the buyer wants, with price and promises, from published offers. "
            "Holds nothing. Where no path fits: the limits that bind, the physical floor, the cheapest relaxations.",
            SearchArgs,
            SearchBrief,
            _search,
            read_only=True,
            named=ARGUMENT_OF,
        ),
        ToolRow(
            "quote",
            "Get a firm quote",
            "A firm signed price for the best path, with capacity and labels held at every operator until expires_at "
            "(seconds). Costs nothing. Order it with place_order before it expires. Where the UNI at an end belongs to "
            "somebody else, its operator quotes with the owner's grant only.",
            QuoteArgs,
            QuoteBrief,
            quote,
            named=ARGUMENT_OF,
        ),
        ToolRow(
            "get_quote",
            "Look at a quote",
            "A quote as it stands. One asked with answer_within_s may be ASKED for minutes or days, while people at "
            "operators decide; nothing is due for it. wait_s waits for it.",
            QuoteWaitArgs,
            QuoteBrief,
            _get_quote,
            read_only=True,
        ),
        ToolRow(
            "get_mandate",
            "See what you may spend",
            "What is left of the money you may spend, and every limit of what you may do. Until it is over an order "
            "takes what it may come to at most, with leaving early.",
            MandateArgs,
            MandateBrief,
            _get_mandate,
            read_only=True,
        ),
    )


def _of_orders() -> tuple[ToolRow, ...]:
    return (
        ToolRow(
            "place_order",
            "Order a quote",
            "Turns a quote into a lease that is billed to the second: ACTIVE on every operator, or on none. Spends "
            "money. Repeating it for the same quote has no second effect.",
            OrderArgs,
            OrderBrief,
            _place_order,
            idempotent=True,
        ),
        ToolRow(
            "get_order",
            "Look at an order",
            "State, operators, and at the end the bill of an order. wait_s waits while its state is about to change.",
            WaitArgs,
            OrderBrief,
            _get_order,
            read_only=True,
        ),
        ToolRow(
            "list_orders",
            "List orders",
            "The orders made with your key, the latest first: what you still have, and what it costs.",
            ListArgs,
            OrdersBrief,
            _list_orders,
            read_only=True,
        ),
    )


def _of_leases(entropy: Entropy) -> tuple[ToolRow, ...]:
    async def heartbeat(exchange: Exchange, asked: HeartbeatArgs) -> OrderBrief:
        return order_brief(await exchange.heartbeat(asked.order_id, entropy.token()))

    async def extend(exchange: Exchange, asked: ExtendArgs) -> OrderBrief:
        return order_brief(await exchange.extend(asked.order_id, asked.extension(), entropy.token()))

    async def resize(exchange: Exchange, asked: ResizeArgs) -> ResizeBrief:
        return resize_brief(await exchange.resize(asked.order_id, asked.resize(), entropy.token()))

    return (
        ToolRow(
            "extend_lease",
            "Make a lease last longer",
            "Gives a lease in force a later end, on every operator or on none, billed like the time before. Follow it "
            "with get_order: window.end says when it is in force, why if it is not.",
            ExtendArgs,
            OrderBrief,
            extend,
            idempotent=True,
        ),
        ToolRow(
            "resize_lease",
            "Change the bandwidth of a lease",
            "Gives a lease in force another bandwidth until its end, billed to the second from then on. way in_place: "
            "nothing else changes. way new_path: another order takes its place once ACTIVE, on labels of its own; use "
            "that one from then on, and move your traffic; both are billed while both exist. Follow it with get_order: "
            "bandwidth_bps says when it is in force, why if it is not.",
            ResizeArgs,
            ResizeBrief,
            resize,
            named=ARGUMENT_OF,
        ),
        ToolRow(
            "heartbeat",
            "Keep a lease alive",
            "Says that you are still there. Needed only for a lease quoted with idle_release_s, which is released at "
            "idle_release_at unless this comes before; its end stays what it was.",
            HeartbeatArgs,
            OrderBrief,
            heartbeat,
            idempotent=True,
        ),
        ToolRow(
            "release_lease",
            "Release a lease",
            "Ends a lease on every operator and stops its bill; released before its end, the exit cost of the quote is "
            "due. Traffic stops. Legal in every state; repeating it has no second effect.",
            ReleaseArgs,
            OrderBrief,
            _release,
            destructive=True,
            idempotent=True,
        ),
    )


async def _search(exchange: Exchange, asked: SearchArgs) -> SearchBrief:
    intent = _intent(asked)
    backup = backup_request(asked.backup, intent)
    return search_brief(await exchange.search(intent, asked.max_paths, front=asked.front, backup=backup))


async def _get_mandate(exchange: Exchange, asked: MandateArgs) -> MandateBrief:
    return mandate_brief(await exchange.allowance())


async def _get_quote(exchange: Exchange, asked: QuoteWaitArgs) -> QuoteBrief:
    return quote_brief(await exchange.get_quote(asked.quote_id, asked.wait_s))


async def _place_order(exchange: Exchange, asked: OrderArgs) -> OrderBrief:
    return order_brief(await exchange.order(asked.quote_id, f"place_order:{asked.quote_id}"))


async def _get_order(exchange: Exchange, asked: WaitArgs) -> OrderBrief:
    return order_brief(await exchange.get_order(asked.order_id, asked.wait_s))


async def _list_orders(exchange: Exchange, asked: ListArgs) -> OrdersBrief:
    return orders_brief(await exchange.orders(asked.limit, asked.after), asked.limit)


async def _release(exchange: Exchange, asked: ReleaseArgs) -> OrderBrief:
    return order_brief(await exchange.release(asked.order_id, f"release_lease:{asked.order_id}"))


def _intent(asked: IntentArgs) -> Intent:
    try:
        return asked.intent()
    except ValueError as error:
        raise invalid("arguments", str(error)) from error
