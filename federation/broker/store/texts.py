"""What quotes rest on, each text once; and which of it is needed no longer. So with the tokens by which was asked.

A text is used by every quote that rests on it, which is noted to the day. Those of a quote that was ordered are pinned,
and those of chains that were believed. What is not pinned, and was used by no quote for days, nobody can ask for:
quotes that were not ordered are forgotten sooner.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from federation.broker.authority.passes import AFTER_QUOTE_S, BEFORE_QUOTE_S
from federation.broker.quotes.protocols import StoredQuote
from federation.node.sqlite import Database
from federation.trust.jose import unverified
from schemas.decision import Decision
from schemas.segment import Hash

NOTED_S: Final = 86_400  # how exactly it is known when a text was used last
STATEMENT_S: Final = 8 * 86_400  # a chain that was believed so much later has no statement of before
_QUOTE: Final = msgspec.json.Decoder(StoredQuote)


class TextRows:
    """Implements what `PruneStore` says of texts, tokens and chains."""

    _database: Database
    _looked_at: Hash = ""
    _pinned_for_s: int | None = None

    async def prune_texts(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_texts`. None is forgotten before all orders have pinned theirs, once for a moment: what
        is ordered from then on rests on texts that are younger."""
        if self._pinned_for_s != before_s:
            if await self._database.write(lambda connection: _pin(connection, limit), long=True) == limit:
                return limit
            self._pinned_for_s = before_s
        after = self._looked_at
        looked = await self._database.write(lambda connection: _forget(connection, after, before_s, limit), long=True)
        self._looked_at = looked[-1] if len(looked) == limit else ""
        return len(looked)

    async def prune_tokens(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_tokens`. None is forgotten before all orders have said, for this moment, which they
        need: `prune_texts` sees to it."""
        if self._pinned_for_s != before_s:
            return 0
        return await self._database.write(lambda connection: _forget_tokens(connection, before_s, limit), long=True)

    async def prune_chains(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_chains`."""
        return await self._database.write(lambda connection: _forget_chains(connection, before_s, limit), long=True)


def names_of(quote: StoredQuote) -> frozenset[Hash]:
    """The texts that a quote rests on: what was believed, the intent, the rates, and the policies it was decided by."""
    names = {quote.claims.intent_h, quote.claims.rates_h}
    if quote.basis is not None:
        names |= quote.basis.hashes()
    if quote.decision is not None:
        decision = unverified(quote.decision.document, Decision)
        names |= {decision.schema_h, *(ref.policy_h for ref in decision.policies)}
    return frozenset(names)


def keep_texts(connection: sqlite3.Connection, texts: Mapping[Hash, str], at_s: int) -> None:
    """Keep texts under their hashes, used at a Unix second; the same hash again changes nothing but that."""
    query = (
        "INSERT INTO kept (hash, text, at_s) VALUES (?, ?, ?) "
        "ON CONFLICT (hash) DO UPDATE SET at_s = excluded.at_s WHERE at_s < ?"
    )
    connection.executemany(query, [(name, text, at_s, at_s - NOTED_S) for name, text in texts.items()])


def find_texts(connection: sqlite3.Connection, hashes: Iterable[Hash]) -> dict[Hash, str]:
    """Those of the texts that are kept."""
    rows = (connection.execute("SELECT hash, text FROM kept WHERE hash = ?", (one,)).fetchone() for one in hashes)
    return {row["hash"]: row["text"] for row in rows if row is not None}


def pin(connection: sqlite3.Connection, names: Iterable[Hash]) -> None:
    """Keep texts whether they are used or not."""
    connection.executemany("INSERT OR IGNORE INTO pinned (hash) VALUES (?)", [(name,) for name in names])


def _pin(connection: sqlite3.Connection, limit: int) -> int:
    """Pin the texts of quotes that were ordered, at most so many; how many."""
    query = (
        "SELECT quote_id, body FROM uses JOIN quote_bodies ON quote_bodies.id = quote_id "
        "WHERE quote_id NOT IN (SELECT quote_id FROM pinned_quotes) LIMIT ?"
    )
    rows = connection.execute(query, (limit,)).fetchall()
    for row in rows:
        quote = _QUOTE.decode(row["body"])
        pin(connection, names_of(quote))
        if quote.claims.mandate_h is not None:
            under = (quote.buyer, quote.claims.mandate_h, quote.claims.iat)
            connection.execute("INSERT OR IGNORE INTO ordered_under (buyer, mandate_h, iat) VALUES (?, ?, ?)", under)
        connection.execute("INSERT INTO pinned_quotes (quote_id) VALUES (?)", (row["quote_id"],))
    return len(rows)


def _forget(connection: sqlite3.Connection, after: Hash, before_s: int, limit: int) -> list[Hash]:
    """The next texts by their hashes, of which those that nobody needs are gone."""
    query = (
        "SELECT hash, at_s < ? AND hash NOT IN (SELECT hash FROM pinned) AS over "
        "FROM kept WHERE hash > ? ORDER BY hash LIMIT ?"
    )
    rows = connection.execute(query, (before_s, after, limit)).fetchall()
    connection.executemany("DELETE FROM kept WHERE hash = ?", [(row["hash"],) for row in rows if row["over"]])
    return [str(row["hash"]) for row in rows]


def _forget_tokens(connection: sqlite3.Connection, before_s: int, limit: int) -> int:
    """The next tokens, the oldest first: what an order needs is kept for good, and not looked at again."""
    needed = (
        "SELECT 1 FROM ordered_under AS used WHERE used.buyer = passes.buyer AND used.mandate_h = passes.mandate_h "
        "AND used.iat BETWEEN passes.iat - ? AND passes.iat + ?"
    )
    query = (
        f"SELECT buyer, mandate_h, iat, hash, EXISTS ({needed}) AS needed "  # noqa: S608 - constants of this module
        "FROM passes WHERE kept = 0 AND iat < ? ORDER BY iat LIMIT ?"
    )
    rows = connection.execute(query, (AFTER_QUOTE_S, BEFORE_QUOTE_S, before_s, limit)).fetchall()
    where = "WHERE buyer = ? AND mandate_h = ? AND iat = ? AND hash = ?"
    kept, over = ([tuple(row)[:4] for row in rows if bool(row["needed"]) is which] for which in (True, False))
    connection.executemany(f"UPDATE passes SET kept = 1 {where}", kept)  # noqa: S608
    connection.executemany(f"DELETE FROM passes {where}", over)  # noqa: S608
    documents = [(document_h, buyer) for buyer, _, _, document_h in over]
    connection.executemany("DELETE FROM documents WHERE hash = ? AND buyer = ?", documents)
    return len(rows)


def _forget_chains(connection: sqlite3.Connection, before_s: int, limit: int) -> int:
    """A chain shares statements with others, and those after it: what these rest on stays pinned."""
    rows = connection.execute("SELECT entity, chain FROM standing WHERE at_s < ? LIMIT ?", (before_s, limit)).fetchall()
    for row in rows:
        connection.execute("DELETE FROM standing WHERE entity = ? AND chain = ?", tuple(row))
        connection.executemany("DELETE FROM pinned WHERE hash = ?", [(name,) for name in row["chain"].split(",")])
    if rows:
        others = connection.execute("SELECT chain FROM standing WHERE at_s < ?", (before_s + STATEMENT_S,)).fetchall()
        pin(connection, {name for row in others for name in row["chain"].split(",")})
    return len(rows)
