"""What a person reads of the demo: each step as it ends, and at the end what is real and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from federation.cli import tables, units
from federation.cli.demo.claims import Claim, DemoReport, Step
from schemas.answer import FederationView

EXCLUDED_SHOWN_MAX: Final = 12
BUYER: Final = ("PEERWAY_BROKER", "PEERWAY_MANDATE", "PEERWAY_AGENT_KEY", "PEERWAY_ANCHORS", "PEERWAY_AT")
MEASURED: Final = (
    "Where the PoPs of these networks are, and which of them are joined inside a network: CAIDA, August 2024.",
    "Times, memory and counts: taken on this machine, now. The first start compiles the search for later ones, which "
    "takes it some seconds; until then searches run uncompiled.",
)
INVENTED: Final = (
    "Which networks interconnect, and where: any two PoPs within 60 km may meet here.",
    "Capacities, cable lengths and latencies (great circle x 1.3 at 200,000 km/s), labels, UNIs, their owners and "
    "what they lead to.",
    "Prices, exchange rates, promises of jitter, loss, availability and carbon.",
    "The anchor, its auditor, and every attestation: domiciles, controlling parents, operations, custody of keys, "
    "laws, certificates, sea cables and countries crossed. None of it says anything about the companies named.",
    "There is no data plane yet: ACTIVE means every operator configured and bills it, not that packets flowed.",
)


def tell_step(console: Console, number: int, step: Step) -> None:
    """One step: what was asked, what came back, what was checked."""
    console.print()
    console.rule(f"[bold]{number}. {escape(step.title)}[/]", align="left")
    console.print(f"[dim]{escape(step.asked)}[/]")
    for part in _body(step):
        console.print(part)
    for note in step.notes:
        console.print(f"  {escape(note)}")
    for one in step.claims:
        console.print(_claim_line(one))
    timing = f"search alone {step.search_ms:.2f} ms, " if step.search_ms is not None else ""
    console.print(f"[dim]{timing}whole step {step.took_ms:.0f} ms at the buyer[/]")


def _body(step: Step) -> Iterator[str | Table]:
    if step.search:
        for path in step.search.paths[:1]:
            yield tables.path_line(path, step.search.window.duration_s)
            yield tables.path_table(path)
        if not step.search.found:
            yield from tables.binding_lines(step.search)
            yield f"[dim]physics allows {units.latency(step.search.floor_us)} at best: light in vacuum, straight[/]"
        if step.search.excluded and step.search.found:
            yield tables.exclusion_table(step.search.excluded[:EXCLUDED_SHOWN_MAX])
            if (more := len(step.search.excluded) - EXCLUDED_SHOWN_MAX) > 0:
                yield f"[dim]and {more} more[/]"
    if step.order:
        yield from tables.order_lines(step.order)


def _claim_line(one: Claim) -> str:
    mark = "[green]✓[/]" if one.held else "[bold red]✗[/]"
    return f"{mark} {escape(one.text)}" + (f" [dim]({escape(one.seen)})[/]" if one.seen else "")


def federation_line(view: FederationView) -> str:
    """How much was federated."""
    sizes = sorted((len(component) for component in view.components), reverse=True)
    together = f"{len(sizes)} components of {', '.join(map(str, sizes))} operators" if len(sizes) > 1 else "1 component"
    return (
        f"{len(view.operators)} operators, {view.interfaces:,} interfaces, {view.interconnects:,} interconnects, "
        f"{view.offers:,} offers, {together}; the broker knew them all after {view.discovery_ms / 1000:.1f} s"
    )


def memory_line(report: DemoReport) -> str:
    """What it took."""
    sizes = [node.memory_kib / 1024 for node in report.processes if node.operators]
    brokers = [node.memory_kib / 1024 for node in report.processes if not node.operators]
    each = f"{min(sizes, default=0):.0f} to {max(sizes, default=0):.0f} MiB"
    return f"{len(sizes)} operator processes of {each}, the broker's of {sum(brokers):.0f} MiB"


def tell_end(console: Console, report: DemoReport) -> None:
    """The verdict, and what to make of it."""
    console.print()
    lines = [f"[bold]measured[/]  {line}" for line in report.measured]
    lines += [f"[bold]invented[/]  {line}" for line in report.invented]
    console.print(federation_line(report.federation))
    console.print(memory_line(report))
    console.print(Panel("\n".join(lines), title="What of this is real", title_align="left"))
    broken = [one.text for step in report.steps for one in step.claims if not one.held]
    held = sum(one.held for step in report.steps for one in step.claims)
    if broken:
        console.print(f"[bold red]{len(broken)} claims did not hold[/]: {escape('; '.join(broken))}")
    else:
        console.print(f"[bold green]All {held} claims held.[/] {report.total_s:.1f} s, of which {report.start_s:.1f} s "
                      f"to start {len(report.federation.operators)} operators and the broker.")  # fmt: skip
    for line in _left_running(report.addresses):
        console.print(escape(line), soft_wrap=True)


def _left_running(addresses: Mapping[str, str]) -> Iterator[str]:
    """What to type next, in lines that a shell takes as they are."""
    if not addresses:
        return
    yield "Left running. To buy by hand:"
    yield from (f"  export {name}={addresses[name]}" for name in BUYER)
    yield f"To end it:\n  {addresses['STOP']}"
    yield "Operators, the agents' face of the broker, the key that signed the mandate, and the evidence of step 5:"
    yield from (f"  {name}={value}" for name, value in addresses.items() if name not in (*BUYER, "STOP"))
