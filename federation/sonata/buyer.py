"""The buyer's end: every call has a deadline, every answer a size limit, and every failure says what it left behind.

A write whose answer is lost leaves an unknown outcome. It is resolved by asking: `find_quote` and `find_order` by
`externalId`, which is the `jti` of our document; or by sending the same document again, which a seller of ours answers
as it did the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import quote as escaped

import aiohttp
import msgspec

from federation.sonata.answers import (
    CancelAnswer,
    OrderAnswer,
    ProductAnswer,
    QuoteAnswer,
    error_of,
    read_cancel,
    read_order,
    read_product,
    read_quote,
)
from federation.sonata.asking import BuyerProfile, Ordered, cancel_body, order_body, quote_body
from federation.sonata.calls import ANSWER_BYTES_MAX, DEADLINE_S, NOTHING, Answer, Calls
from schemas.order import Order
from schemas.problem import Problem
from schemas.quote import Rfq
from schemas.sonata import inventory, order, quote
from schemas.sonata.hub import Hub, Subscription
from schemas.sonata.inventory import ProductFound
from schemas.sonata.order import OrderFound
from schemas.sonata.quote import QuoteFound, QuoteOperation
from schemas.sonata.states import ProductStatus, QuoteState

T = TypeVar("T")
_HUB: Final = msgspec.json.Decoder(Hub)
PAGE: Final = 100
PAGES_MAX: Final = 1000


class SonataBuyer:
    """Buys segments from one seller, whose three APIs lie under `base_url`.

    `session` gives the session to use now: one over mutual TLS, which says who we are, or, for a plain buyer, any with
    a `bearer` key. Every call raises `Problem`: what the seller said, or `OPERATOR_UNREACHABLE`. A failed write names
    its `outcome`.
    """

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        base_url: str,
        profile: BuyerProfile,
        *,
        bearer: str | None = None,
        deadline_s: float = DEADLINE_S,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        headers = {"Content-Type": "application/json;charset=utf-8"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        self._calls = Calls(session, base_url, headers, deadline_s=deadline_s, answer_bytes_max=answer_bytes_max)
        self._profile = profile

    async def quote(
        self,
        rfq_jws: str,
        rfq: Rfq,
        *,
        project_id: str | None = None,
        shown: Mapping[str, str] = NOTHING,
        answer_by: int | None = None,
    ) -> QuoteAnswer:
        """Ask for a firm quote and a hold. A refusal is an answer, not an exception. `shown` are headers that say by
        which right we ask. With `answer_by` (Unix seconds) the answer may be that it comes later: ask `get_quote`."""
        body = quote_body(rfq_jws, rfq, self._profile, project_id, answer_by)
        return await self._post(f"{quote.API}/quote", body, read_quote, buyer_id=rfq.sub, shown=shown)

    async def decline(self, quote_id: str) -> None:
        """Let a quote and its hold go."""
        await self._post(f"{quote.API}/declineQuote", QuoteOperation(quote_id=quote_id), bytes)

    async def cancel_quote(self, quote_id: str) -> None:
        """Stop asking for a quote that is not answered yet."""
        await self._post(f"{quote.API}/cancelQuote", QuoteOperation(quote_id=quote_id), bytes)

    async def subscribe(self, api: str, callback: str) -> Hub:
        """Have the events of one API told to a callback; again is the same hub, at a seller of ours."""
        return await self._post(f"{api}/hub", Subscription(callback=callback), _HUB.decode)

    async def order(
        self,
        order_jws: str,
        document: Order,
        ordered: Ordered | None = None,
        *,
        project_id: str | None = None,
        shown: Mapping[str, str] = NOTHING,
    ) -> OrderAnswer:
        """Commit or extend what was `ordered`, or release (`ordered` None). A failed order is an answer."""
        body = order_body(order_jws, document, self._profile, ordered, project_id)
        return await self._post(f"{order.API}/productOrder", body, read_order, buyer_id=document.sub, shown=shown)

    async def cancel(self, order_id: str, why: str) -> CancelAnswer:
        """Undo an order that is in progress."""
        body = cancel_body(order_id, why, self._profile)
        return await self._post(f"{order.API}/cancelProductOrder", body, read_cancel)

    async def get_quote(self, quote_id: str) -> QuoteAnswer:
        """A quote as it stands now."""
        return await self._get(_one(f"{quote.API}/quote", quote_id), read_quote)

    async def get_order(self, order_id: str) -> OrderAnswer:
        """An order as it stands now."""
        return await self._get(_one(f"{order.API}/productOrder", order_id), read_order)

    async def product(self, product_id: str) -> ProductAnswer:
        """A product as it stands now."""
        return await self._get(_one(f"{inventory.API}/product", product_id), read_product)

    async def find_quote(self, external_id: str) -> QuoteAnswer | None:
        """The quote that answered the rfq of this `jti`; None if the seller has none."""
        found = await self._list(f"{quote.API}/quote", QuoteFound, {"externalId": external_id})
        return await self.get_quote(found[0].id) if found else None

    async def find_order(self, external_id: str) -> OrderAnswer | None:
        """The order that carried the document of this `jti`; None if the seller has none."""
        found = await self._list(f"{order.API}/productOrder", OrderFound, {"externalId": external_id})
        return await self.get_order(found[0].id) if found else None

    async def products(self, status: ProductStatus | None = None) -> tuple[ProductFound, ...]:
        """Every product of ours at the seller, or every one in `status`."""
        wanted = {} if status is None else {"status": status.value}
        return await self._all(f"{inventory.API}/product", ProductFound, wanted)

    async def quotes(self, state: QuoteState, before: datetime) -> tuple[QuoteFound, ...]:
        """Every quote of ours at the seller that is in `state` and was asked for before a time."""
        wanted = {"state": state.value, "quoteDate.lt": f"{before:%Y-%m-%dT%H:%M:%SZ}"}
        return await self._all(f"{quote.API}/quote", QuoteFound, wanted)

    async def _all(self, path: str, kind: type[T], wanted: Mapping[str, str]) -> tuple[T, ...]:
        """Page by page until one is empty: a seller may give fewer than were asked for, and none gives more."""
        found: list[T] = []
        for _ in range(PAGES_MAX):
            got = await self._list(path, kind, {**wanted, "offset": str(len(found)), "limit": str(PAGE)})
            if len(got) > PAGE:
                raise self._calls.lost(f"it lists {len(got)} where {PAGE} were asked for", write=False)
            found += got
            if not got:
                break
        return tuple(found)

    async def _post(
        self,
        path: str,
        body: msgspec.Struct,
        read: Callable[[bytes], T],
        *,
        buyer_id: str | None = None,
        shown: Mapping[str, str] = NOTHING,
    ) -> T:
        query = {} if buyer_id is None else {"buyerId": buyer_id}
        return self._read(await self._calls.call("POST", f"/{path}", query, msgspec.json.encode(body), shown), read)

    async def _get(self, path: str, read: Callable[[bytes], T]) -> T:
        return await self._call("GET", path, {}, read)

    async def _list(self, path: str, kind: type[T], query: Mapping[str, str]) -> tuple[T, ...]:
        reader = msgspec.json.Decoder(tuple[kind, ...])  # type: ignore[valid-type]
        return await self._call("GET", path, query, reader.decode)

    async def _call(self, method: str, path: str, query: Mapping[str, str], read: Callable[[bytes], T]) -> T:
        return self._read(await self._calls.call(method, f"/{path}", query, None), read, write=False)

    def _read(self, answer: Answer, read: Callable[[bytes], T], *, write: bool = True) -> T:
        if not 200 <= answer.status < 300:
            raise error_of(answer.status, answer.body, write=write, retry_after_s=answer.retry_after_s)
        try:
            return read(answer.body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self._calls.lost(f"its answer is not Sonata: {error}", write) from error


def _one(collection: str, name: str) -> str:
    """The path of one resource; an id of the seller's cannot lead elsewhere."""
    if name in {"", ".", ".."}:
        raise Problem("NOT_FOUND", f"'{name}' is no id")
    return f"{collection}/{escaped(name, safe='')}"
