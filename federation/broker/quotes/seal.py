"""One signed end-to-end quote over the segment quotes, and what the buyer is shown of it (pure but for the clock)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from federation.broker.authority.power import Power
from federation.broker.market.asking import Terms
from federation.broker.market.views import Sheets, countries_of, end_view
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.ask import Author
from federation.broker.quotes.basis import canonical_hash, kept_of
from federation.broker.quotes.deciding import Judgement, decided
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.quotes.tally import Tally
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.merkle import path_root
from schemas.answer import PathView, QuoteView, SegmentView
from schemas.intent import Intent
from schemas.lease import State
from schemas.price import Money
from schemas.quote import PathQuote, QuotedSegment
from schemas.segment import moment

EARLIER_S: Final = 1


@dataclass(frozen=True)
class Bought:
    """What a path-quote is about: the intent, the quotes in path order with their sum, how often operators were asked.

    `judgement` is what policies say of the path. `order` is the order that it extends, `power` the authority it is
    asked under; `name` is the id that it has already, where its buyer was told one before.
    """

    buyer: str
    intent: Intent
    held: tuple[HeldQuote, ...]
    tally: Tally
    judgement: Judgement
    rounds: int
    order: str | None = None
    power: Power | None = None
    grants: tuple[str, ...] = ()
    name: str | None = None


class Sealed(NamedTuple):
    """A quote to be stored, with the texts that it rests on, by their hashes."""

    quote: StoredQuote
    texts: Mapping[str, str]


def seal(bought: Bought, path: PathView, author: Author, terms: Terms) -> Sealed:
    """Sign decision and path-quote. It expires a second before the first of its segment quotes: all can be ordered."""
    first, now = bought.held[0].quote, author.clock.now()
    decision = decided(bought.judgement, [one.quote_h for one in bought.held], author)
    claims = PathQuote(
        iss=author.entity,
        sub=bought.buyer,
        aud=bought.buyer,
        iat=now,
        exp=min(one.quote.exp for one in bought.held) - EARLIER_S,
        jti=bought.name or author.entropy.token(),
        action=first.action,
        order=bought.order,
        intent_h=canonical_hash(bought.intent),
        window=first.segment.window,
        bandwidth_bps=first.segment.bandwidth_bps,
        path=tuple(
            QuotedSegment(operator=one.operator, quote_h=one.quote_h, quote=one.quote_jws, total=total)
            for one, total in zip(bought.held, bought.tally.totals, strict=True)
        ),
        path_root=path_root([one.quote_h for one in bought.held]),
        promise=bought.tally.promise,
        total=bought.tally.total,
        exit_total=bought.tally.exit_total,
        rates_h=canonical_hash(terms.rates),
        mandate_h=bought.power.mandate_h if bought.power else None,
        decision_h=doc_hash(decision.document),
    )
    document = sign_jws(author.key, claims)
    belief = terms.believed((author.entity, *(one.operator for one in bought.held)))
    kept = kept_of(belief, bought.judgement.rules.at, bought.intent, terms.rates)
    quote = StoredQuote(
        id=claims.jti,
        buyer=bought.buyer,
        state=State.HELD if all(one.quote.held for one in bought.held) else State.QUOTED,
        intent=bought.intent,
        document=document,
        document_h=doc_hash(document),
        claims=claims,
        held=bought.held,
        path=path,
        rounds=bought.rounds,
        order=bought.order,
        power=bought.power,
        grants=bought.grants,
        basis=kept.basis,
        decision=decision.view,
        policies=bought.judgement.signed,
    )
    return Sealed(quote, {**kept.texts, **bought.judgement.texts})


def path_view(bought: Bought, names: Mapping[str, str], sheets: Sheets, terms: Terms, why: str = "") -> PathView:
    """The path as quoted, with the labels held; `names` are the operators' by entity id."""
    pairs = zip(bought.held, bought.tally.totals, strict=True)
    return PathView(
        segments=tuple(_segment(one, total, names, sheets) for one, total in pairs),
        promise=bought.tally.promise,
        total=bought.tally.total,
        countries=countries_of([(one.operator, one.quote.segment.route_class) for one in bought.held], terms.facts),
        why=why,
    )


def _segment(one: HeldQuote, total: Money, names: Mapping[str, str], sheets: Sheets) -> SegmentView:
    segment = one.quote.segment
    return SegmentView(
        operator=one.operator,
        operator_name=names[one.operator],
        route_class=segment.route_class,
        a=end_view(one.operator, segment.a, sheets),
        z=end_view(one.operator, segment.z, sheets),
        promise=one.quote.promise,
        price=one.quote.total,
        total=total,
    )


def quote_view(stored: StoredQuote) -> QuoteView:
    """A stored quote as the buyer is shown it."""
    claims = stored.claims
    return QuoteView(
        id=stored.id,
        state=stored.state,
        action=claims.action,
        expires_at=moment(claims.exp),
        window=claims.window,
        path=stored.path,
        total=claims.total,
        exit_total=claims.exit_total,
        document=stored.document,
        rounds=stored.rounds,
        order=stored.order,
        decision=stored.decision,
    )
