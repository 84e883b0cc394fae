"""The demo's own audit: what operators have in their inventories, and whether a bill is right to the second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self, TypeVar

from federation.anchor.throwaway import ANCHOR
from federation.broker.config import load_config
from federation.broker.peers.reach import Reach
from federation.cli import units
from federation.cli.demo.cast import BROKER, BUYER, RATES_DATE, WORTH_PPM
from federation.cli.demo.claims import Claim, claim
from federation.cli.demo.stage import Player, Stage
from federation.client.broker import BrokerClient
from federation.node.identity.membership import membership
from federation.node.mtls.mutual import Mutual
from federation.node.outside import outside
from federation.node.seams import SystemClock
from federation.node.settings import TLS
from federation.sonata.asking import BuyerProfile
from federation.sonata.buyer import SonataBuyer
from federation.trust.chain import TrustDomain
from federation.trust.jose import unverified, verify_jws
from schemas.answer import LeaseView, OrderView, QuoteView
from schemas.lease import State
from schemas.order import Receipt
from schemas.price import Money, RateTable, total, usage
from schemas.quote import PathQuote, SegmentQuote
from schemas.sonata.states import ProductStatus

T = TypeVar("T", SegmentQuote, Receipt)
IN_SERVICE: Final = frozenset(ProductStatus) - {ProductStatus.TERMINATED, ProductStatus.CANCELLED}
USED_LINES: Final = frozenset({"port", "bandwidth"})


class Inspector:
    """Reads the Sonata inventory of every operator, as the broker that bought there and with its TLS files."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._stack = stage, AsyncExitStack()
        self._buyers: dict[str, SonataBuyer] = {}

    async def __aenter__(self) -> Self:
        egress = await self._stack.enter_async_context(outside(self._stage.egress))
        mutual = Mutual.open(self._stage.folder / "broker" / TLS, BROKER, (), SystemClock())
        mutual.believe(await believed(self._stage))
        reach = await self._stack.enter_async_context(Reach(mutual.tls, egress))
        self._buyers = {one.performer.entity: _buyer(reach, one) for one in self._stage.players}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def products(self) -> Mapping[str, frozenset[str]]:
        """Ids of the products in service, by operator."""
        found = await asyncio.gather(*(buyer.products() for buyer in self._buyers.values()))
        return {
            entity: frozenset(product.id for product in products if product.status in IN_SERVICE)
            for entity, products in zip(self._buyers, found, strict=True)
        }

    async def active_claims(self, order: OrderView) -> list[Claim]:
        """Every product of the order is active in the inventory of its operator, and nothing else is."""
        ordered = {lease.operator: frozenset({lease.product}) for lease in order.segments}
        found = {entity: products for entity, products in (await self.products()).items() if products}
        return [claim("the inventories of exactly these operators hold exactly these products", found == ordered)]

    async def empty_claims(self) -> list[Claim]:
        """Nothing is in service anywhere."""
        found = await self.products()
        left = [entity for entity, products in found.items() if products]
        seen = ", ".join(left) if left else f"asked {len(found)} operators"
        return [claim("every operator's inventory is empty again", not left, seen)]


async def believed(stage: Stage) -> TrustDomain:
    """Every member, resolved from the anchor down by asking all of them, as anybody else would."""
    trust, clock = load_config(stage.broker_config).trust, SystemClock()
    async with (
        outside(trust.egress) as egress,
        membership(trust, BROKER, stage.folder / "visitor", egress, clock, entity_types=()) as members,
    ):
        return await members.refresh()


async def members_claim(stage: Stage) -> Claim:
    """Who is a member, asked once more by somebody who knows nothing but the anchor's keys."""
    domain, players = await believed(stage), {one.performer.entity for one in stage.players}
    whole = {one.entity for one in domain.operators()} == players and [m.entity for m in domain.brokers()] == [BROKER]
    attested = sum(domain.facts(entity, SystemClock().now()) is not None for entity in players)
    seen = f"{len(players)} operators and a broker by the list of {ANCHOR}, {attested} attested"
    return claim("every member is verified by statements that it and the anchor serve", whole, seen)


def _buyer(reach: Reach, player: Player) -> SonataBuyer:
    profile = BuyerProfile(
        name="Demo", number="+00-0000000", email_address="demo@broker.example", billing_account="demo"
    )
    return SonataBuyer(reach.session(player.performer.entity), f"{player.sonata}/mefApi/sonata", profile)


async def bill_claims(client: BrokerClient, stage: Stage, quote: QuoteView, ended: OrderView) -> list[Claim]:
    """The bill follows from the signed quotes and the seconds used, operator by operator.

    Quotes and receipts are verified against the members first: a bill is compared with what was signed, not with
    what the broker says.
    """
    if ended.bill is None or ended.bill.start is None or ended.bill.end is None:
        return [claim("a bill was made", False, ended.why or str(ended.state))]
    quoted_at = unverified(quote.document, PathQuote).iat
    domain = await believed(stage)
    keys = domain.member(BROKER, quoted_at).keys
    path = verify_jws(quote.document, PathQuote, keys, now=quoted_at, iss=BROKER, aud=BUYER).path
    pairs = list(zip(ended.segments, path, strict=True))
    right = [_at_signed_rates(lease, _signed(segment.quote or "", SegmentQuote, domain)) for lease, segment in pairs]
    receipts = [await client.document(lease.receipt_h or "") for lease in ended.segments]
    same = [
        _signed(receipt, Receipt, domain).bill == lease.bill
        for receipt, (lease, _) in zip(receipts, pairs, strict=True)
    ]
    rates = RateTable(date=RATES_DATE, worth_ppm=WORTH_PPM)
    summed = sum(rates.convert(lease.bill.total, "EUR").micro for lease, _ in pairs if lease.bill)
    seconds = int((ended.bill.end - ended.bill.start).total_seconds())
    return [
        claim("released by every operator", all(lease.state is State.RELEASED for lease, _ in pairs)),
        claim("every operator bills its seconds at its signed rates", all(right), f"{seconds} s"),
        claim("every operator signed its bill", all(same), f"{len(same)} receipts verified"),
        claim("the total is their sum", ended.bill.total.micro == summed, units.exact_money(ended.bill.total)),
    ]


def _signed(document: str, kind: type[T], domain: TrustDomain) -> T:
    """The claims of an operator's document, verified as of the second it was signed."""
    said = unverified(document, kind)
    return verify_jws(document, kind, domain.member(said.iss, said.iat).keys, now=said.iat, iss=said.iss, aud=BROKER)


def _at_signed_rates(lease: LeaseView, quoted: SegmentQuote) -> bool:
    """Whether the usage lines of a lease are what the signed tariff makes of its seconds."""
    bill, segment = lease.bill, quoted.segment
    if bill is None or bill.start is None or bill.end is None:
        return False
    span = (int(bill.start.timestamp()), int(bill.end.timestamp()))
    expected = usage(quoted.tariff, segment.bandwidth_bps, *span, segment.window.duration_s)
    billed = total(tuple(line for line in bill.lines if line.name in USED_LINES))
    return billed == total(expected) and bill.total == Money(quoted.tariff.currency, total(bill.lines))
