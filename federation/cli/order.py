"""`peerway order | show | orders | extend | resize | heartbeat | release | measure`: what follows on a quote."""

from __future__ import annotations

from datetime import datetime

import click

from federation.cli.connection import ask, print_json
from federation.cli.exits import Exit
from federation.cli.names import NamesCommand
from federation.cli.options import BANDWIDTH, DURATION, LATENCY, MONEY, TIME, broker_options, key_option
from federation.client.broker import BrokerClient
from federation.client.lease import active, beaten, extended, released, resized
from schemas.answer import OrderView, QuotePending, QuoteView
from schemas.lease import TERMINAL, State
from schemas.price import Money
from schemas.problem import Problem, invalid
from schemas.request import Extension, Measurement, Resize, Way


@click.command(cls=NamesCommand, epilog="\b\nExample:\n  peerway order 6GYvJ0cQ0mBXUqkFzZrKsA")
@click.argument("quote")
@click.option("--no-wait", is_flag=True, help="Answer before it is ACTIVE.")
@key_option
@broker_options
def order(
    *, broker: str, key: str | None, as_json: bool, idempotency_key: str | None, no_wait: bool, quote: str
) -> int:
    """Turn a QUOTE into a lease: ACTIVE on every operator, or on none.

    Waits until it is ACTIVE or has failed (exit status 4). From then on it is billed to the second.
    """

    async def question(client: BrokerClient) -> OrderView:
        ordered = await client.order(quote, idempotency_key)
        return ordered if no_wait or _is_later(ordered) else await active(client, ordered)

    _print_order(ask(broker, key, question), as_json=as_json)
    return Exit.OK


def _is_later(ordered: OrderView) -> bool:
    """Whether its start lies in the future: then COMMITTED is where it rests."""
    committed_at = ordered.history[-1].at if ordered.history else ordered.window.start
    return ordered.state is State.COMMITTED and ordered.window.start > committed_at


@click.command(cls=NamesCommand, epilog="\b\nExample:\n  peerway show 0P8vTt2cQ5WJ9kVjv7n1fg")
@click.argument("id")
@broker_options
def show(*, broker: str, key: str | None, as_json: bool, id: str) -> None:  # noqa: A002 - the word of the command line
    """An order or a quote as it stands, by its ID."""

    async def question(client: BrokerClient) -> OrderView | QuoteView | QuotePending:
        try:
            return await client.get_order(id)
        except Problem as problem:
            if problem.code != "NOT_FOUND":
                raise
        try:
            return await client.get_quote(id)
        except Problem as problem:
            if problem.code != "NOT_FOUND":
                raise
            raise Problem("NOT_FOUND", f"'{id}' is neither an order nor a quote of yours") from problem

    answer = ask(broker, key, question)
    if isinstance(answer, OrderView):
        _print_order(answer, as_json=as_json)
    elif as_json:
        print_json(answer)
    else:
        from federation.cli import screen, tables

        screen.show(*(tables.pending_lines(answer) if isinstance(answer, QuotePending) else tables.quote_lines(answer)))


@click.command(cls=NamesCommand, epilog="\b\nExample:\n  peerway measure 0P8vTt2cQ5WJ9kVjv7n1fg 9.8ms")
@click.argument("id")
@click.argument("latency", type=LATENCY)
@key_option
@broker_options
def measure(
    *,
    broker: str,
    key: str | None,
    as_json: bool,
    idempotency_key: str | None,
    id: str,  # noqa: A002 - the word of the command line
    latency: int,
) -> None:
    """Report the LATENCY that you measured of the order ID, one way, or half of what the way and back took.

    Says what it contradicts: the promise, or where the ends are said to be. One that fits proves nothing.
    """
    answer = ask(broker, key, lambda client: client.measure(id, Measurement(latency_us=latency), idempotency_key))
    if as_json:
        print_json(answer)
        return
    from rich.markup import escape

    from federation.cli.screen import show as say

    told = [f"[bold red]contradicts[/] {escape(why)}" for why in answer.contradicts]
    say(*(told or ["no contradiction, which proves nothing"]))


@click.command(epilog="\b\nExample:\n  peerway orders --latest 20 --json")
@click.option("--latest", type=click.IntRange(min=1), metavar="N", help="So many of them; all if not given.")
@broker_options
def orders(*, broker: str, key: str | None, as_json: bool, latest: int | None) -> None:
    """Your orders, the latest first."""
    answer = ask(broker, key, lambda client: client.orders(latest))
    if as_json:
        print_json(answer)
        return
    from federation.cli import screen, tables

    wide = screen.console().width >= screen.WIDE
    screen.show(tables.orders_table(answer, wide=wide) if answer else "You have no orders.")


@click.command(cls=NamesCommand, epilog="\b\nExample:\n  peerway extend 0P8vTt2cQ5WJ9kVjv7n1fg --by 30m")
@click.argument("order")
@click.option("--by", "by_s", type=DURATION, help="How much longer: 30m, 2h.")
@click.option("--until", "end", type=TIME, help="Or until when: 2026-12-01T18:00Z.")
@key_option
@broker_options
def extend(
    *,
    broker: str,
    key: str | None,
    as_json: bool,
    idempotency_key: str | None,
    order: str,
    by_s: int | None,
    end: datetime | None,
) -> None:
    """Make the lease of an ORDER last longer, on every operator or on none."""
    if (by_s is None) == (end is None):
        raise invalid("--by", "give either --by (30m) or --until (2026-12-01T18:00Z), and only one of them")
    longer = Extension(by_s=by_s, end=end)

    async def question(client: BrokerClient) -> OrderView:
        return await extended(client, await client.get_order(order), longer, idempotency_key)

    _print_order(ask(broker, key, question), as_json=as_json)


@click.command(cls=NamesCommand, epilog="\b\nExample:\n  peerway resize 0P8vTt2cQ5WJ9kVjv7n1fg 20G")
@click.argument("order")
@click.argument("bandwidth", type=BANDWIDTH)
@click.option("--in-place", is_flag=True, help="Only where every operator can change it.")
@click.option("--new-path", is_flag=True, help="Only over a new path.")
@click.option("--budget", type=MONEY, help="At most, from now to the end, with leaving the old path: 250EUR.")
@key_option
@broker_options
def resize(
    *,
    broker: str,
    key: str | None,
    as_json: bool,
    idempotency_key: str | None,
    order: str,
    bandwidth: int,
    in_place: bool,
    new_path: bool,
    budget: Money | None,
) -> None:
    """Give the lease of an ORDER another BANDWIDTH: in place, or over a new path before the old one ends.

    A new path is another order, with labels of its own; it is shown, and is the one to use. The old one is released.
    """
    if in_place and new_path:
        raise invalid(
            "--in-place", "give --in-place or --new-path; without either the broker tries both, in this order"
        )
    way = Way.IN_PLACE if in_place else Way.NEW_PATH if new_path else None
    asked = Resize(bandwidth_bps=bandwidth, way=way, budget=budget)
    answer = ask(broker, key, lambda client: resized(client, order, asked, idempotency_key))
    if as_json:
        print_json(answer)
    else:
        _print_order(answer.order, as_json=False)


@click.command(cls=NamesCommand, epilog="\b\nExample:\n  peerway release 0P8vTt2cQ5WJ9kVjv7n1fg")
@click.argument("order")
@click.option("--no-wait", is_flag=True, help="Answer before everything is released.")
@key_option
@broker_options
def release(
    *, broker: str, key: str | None, as_json: bool, idempotency_key: str | None, no_wait: bool, order: str
) -> int:
    """End the lease of an ORDER on every operator and get its bill. Legal in every state, and again.

    Waits two minutes for operators that do not answer; the broker goes on asking them after that (exit status 5).
    """

    async def question(client: BrokerClient) -> OrderView:
        answer = await client.release(order, idempotency_key)
        return answer if no_wait else await released(client, answer)

    answer = ask(broker, key, question)
    _print_order(answer, as_json=as_json)
    if no_wait or answer.state in TERMINAL:
        return Exit.OK
    missing = ", ".join(lease.operator_name for lease in answer.segments if lease.state not in TERMINAL)
    click.echo(
        f"Not released yet: {missing or 'a bill'}. The broker goes on; look again: peerway show {order}", err=True
    )
    return Exit.UNREACHABLE


@click.command(
    cls=NamesCommand,
    epilog="\b\nExample:\n  peerway heartbeat 0P8vTt2cQ5WJ9kVjv7n1fg --repeat && echo it is over",
)
@click.argument("order")
@click.option("--repeat", is_flag=True, help="Again and again until the lease is over, or you are interrupted.")
@broker_options
def heartbeat(*, broker: str, key: str | None, as_json: bool, repeat: bool, order: str) -> None:
    """Say that you still want the lease of an ORDER that was quoted with --idle-release."""

    async def question(client: BrokerClient) -> OrderView:
        return await (beaten(client, order) if repeat else client.heartbeat(order))

    _print_order(ask(broker, key, question), as_json=as_json)


def _print_order(answer: OrderView, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    from federation.cli import screen, tables

    screen.show(*tables.order_lines(answer))
