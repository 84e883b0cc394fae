"""A broker, as a program uses it: one coroutine per operation, typed answers, the broker's own problems raised."""

from __future__ import annotations

import re
import ssl
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

import aiohttp
import msgspec

from federation.client.agent import ATTEMPTS, Agent, Bearer, Identity, Proving
from federation.client.lease import Lease
from federation.client.quoted import quoted
from federation.client.retry import persistent
from federation.node.seams import Entropy, SystemClock, SystemEntropy
from schemas.answer import (
    AllowanceView,
    AuditView,
    EvidenceView,
    FederationView,
    MeasurementView,
    OrderView,
    PoliciesView,
    QuotePending,
    QuoteView,
    ResizeView,
    RevocationView,
    SearchAnswer,
    StatementView,
)
from schemas.backup import BackupRequest
from schemas.evidence import Profile
from schemas.intent import Intent, Objective
from schemas.problem import Problem, from_dict, invalid, not_found
from schemas.request import PATHS_DEFAULT, Extension, Measurement, OrderRequest, QuoteRequest, Resize, SearchRequest

T = TypeVar("T")
BASE: Final = "/peerway/v1"
TIMEOUT_S: Final = 90
LATER: Final = 202
PAGE: Final = 100  # orders in one answer
NAME: Final = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9._:-]*")


class BrokerClient:
    """Use as `async with BrokerClient("https://broker.example", agent) as broker:`, with an `Agent` that has a mandate
    or, on loopback and closed networks, with a bearer key. `tls` is a context that believes the broker's certificate,
    where the system's authorities do not.

    A write without `key` gets a new `Idempotency-Key`; give your own to repeat a request whose answer was lost.
    Every method raises `Problem`: the broker's, or `UNAVAILABLE` when it cannot be reached. `timing` holds the
    `Server-Timing` of the latest answer, milliseconds by name.
    """

    def __init__(
        self,
        address: str,
        who: str | Agent,
        *,
        timeout_s: int = TIMEOUT_S,
        entropy: Entropy | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not address.startswith(("http://", "https://")):
            raise invalid("broker", f"'{address}' is no address; write for example http://127.0.0.1:8700")
        self._address, self._timeout_s, self._tls = address.rstrip("/"), timeout_s, tls
        self._entropy = entropy or SystemEntropy()
        self._identity = _identity(who, self._address, self._entropy)
        self._session: aiohttp.ClientSession | None = None
        self.timing: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        headers = {"Accept": "application/json, application/problem+json"}
        connector = aiohttp.TCPConnector(ssl=self._tls) if self._tls else None
        self._session = aiohttp.ClientSession(headers=headers, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session, "entered before left"
        await self._session.close()

    async def search(
        self,
        intent: Intent,
        paths: int = PATHS_DEFAULT,
        *,
        front: tuple[Objective, ...] | None = None,
        backup: BackupRequest | None = None,
    ) -> SearchAnswer:
        """Candidate paths from published offers, or why there is none.

        With `front` also the paths that no other beats on all of these objectives, two or three; with `backup` the
        best pair of paths that have nothing of a kind in common.
        """
        asked = SearchRequest(intent=intent, paths=paths, front=front, backup=backup)
        return await self._ask("POST", "/search", SearchAnswer, asked)

    @overload
    async def quote(
        self, intent: Intent, key: str | None = None, grants: tuple[str, ...] = (), wait_s: None = None
    ) -> QuoteView: ...

    @overload
    async def quote(
        self, intent: Intent, key: str | None = None, grants: tuple[str, ...] = (), wait_s: int | None = 0
    ) -> QuoteView | QuotePending: ...

    async def quote(
        self, intent: Intent, key: str | None = None, grants: tuple[str, ...] = (), wait_s: int | None = None
    ) -> QuoteView | QuotePending:
        """A firm quote, held at every operator until it expires; with endpoint grants for UNIs of others.

        Where the intent lets operators take long and one does, this waits as long as they may; with `wait_s` only so
        many seconds, and then says what is waited for.
        """
        asked = QuoteRequest(intent=intent, grants=grants)
        made = await self._either("POST", "/quotes", asked, key=key or self._entropy.token())
        if isinstance(made, QuoteView):
            return made
        return await quoted(self, made, intent.answer_within_s or 0, wait_s)

    async def get_quote(self, quote_id: str, wait_s: int = 0) -> QuoteView | QuotePending:
        """A quote as it stands, or what is waited for; waits up to `wait_s` seconds. Raises why there will be none."""
        return await self._either("GET", _at("quote", quote_id), wait_s=wait_s)

    async def decline(self, quote_id: str, key: str | None = None) -> QuoteView | QuotePending:
        """Let a quote and its holds go, or stop waiting for it."""
        return await self._either("POST", _at("quote", quote_id, "/decline"), key=key or self._entropy.token())

    async def order(self, quote_id: str, key: str | None = None, wait_s: int = 0) -> OrderView:
        """Turn a quote into an order; it may not be ACTIVE yet. Waits up to `wait_s` seconds until it stands still."""
        return await self._write("/orders", OrderView, OrderRequest(quote=quote_id), key, wait_s)

    async def get_order(self, order_id: str, wait_s: int = 0) -> OrderView:
        """An order as it stands; waits up to `wait_s` seconds while it is on its way to another state."""
        query = {"wait_s": str(wait_s)} if wait_s else {}
        return await self._ask("GET", _at("order", order_id), OrderView, query=query, wait_s=wait_s)

    async def orders(self, limit: int | None = None, after: str | None = None) -> tuple[OrderView, ...]:
        """Orders of this buyer, or of the agent's key, latest first: `limit` of them below `after`, or all."""
        found: tuple[OrderView, ...] = ()
        while True:
            wanted = min(PAGE, limit - len(found)) if limit is not None else PAGE
            query = {"limit": str(wanted)} | ({"after": after} if after else {})
            page = await self._ask("GET", "/orders", tuple[OrderView, ...], query=query)
            found += page
            if len(page) < wanted or len(found) == limit:
                return found
            after = page[-1].id

    async def extend(self, order_id: str, extension: Extension, key: str | None = None) -> OrderView:
        """Make a lease last longer."""
        return await self._write(_at("order", order_id, "/extend"), OrderView, extension, key)

    async def resize(self, order_id: str, asked: Resize, key: str | None = None) -> ResizeView:
        """Give a lease another bandwidth, in place or over a new path; the answer names the order to use."""
        return await self._write(_at("order", order_id, "/resize"), ResizeView, asked, key)

    async def release(self, order_id: str, key: str | None = None, wait_s: int = 0) -> OrderView:
        """End a lease everywhere; legal in every state, and again. Waits up to `wait_s` seconds until it is over."""
        return await self._write(_at("order", order_id, "/release"), OrderView, None, key, wait_s)

    async def heartbeat(self, order_id: str, key: str | None = None) -> OrderView:
        """Say that whoever holds a lease is still there; `Lease` does it by itself."""
        return await self._write(_at("order", order_id, "/heartbeat"), OrderView, None, key)

    async def measure(self, order_id: str, measured: Measurement, key: str | None = None) -> MeasurementView:
        """Report what was measured of a lease in force; the answer says what that contradicts, if anything."""
        return await self._write(_at("order", order_id, "/measurements"), MeasurementView, measured, key)

    async def measurements(self, order_id: str) -> tuple[MeasurementView, ...]:
        """What was measured of an order, the first first."""
        return await self._ask("GET", _at("order", order_id, "/measurements"), tuple[MeasurementView, ...])

    async def revoke(self, mandate_h: str, key: str | None = None) -> RevocationView:
        """Take back a mandate by its hash, as the buyer that signed it."""
        return await self._write(_at("mandate", mandate_h, "/revoke"), RevocationView, None, key)

    async def evidence(self, order_id: str, profile: Profile = Profile.BUYER) -> EvidenceView:
        """The bundle that proves an order, as the file that `peerway verify` reads.

        Raises UNAVAILABLE with `extra` `pending` while the order, or a checkpoint of the broker's log, is on its way.
        """
        return await self._ask(
            "GET", _at("order", order_id, "/evidence"), EvidenceView, query={"profile": profile.value}
        )

    async def statement(self, order_id: str) -> StatementView:
        """What an order that is over came to, signed. Raises INCOMPATIBLE_STATE before that, UNAVAILABLE while it is
        being released."""
        return await self._ask("GET", _at("order", order_id, "/statement"), StatementView)

    async def audit(self) -> AuditView:
        """What operators keep for this buyer that no live order of its owns; `clean` where that is nothing."""
        return await self._ask("GET", "/audit", AuditView)

    async def allowance(self) -> AllowanceView:
        """What may be done under the mandate, and what is left to be spent."""
        return await self._ask("GET", "/mandate", AllowanceView)

    async def policies(self) -> PoliciesView:
        """The policies that this buyer may name in an intent, with their texts, and what data classes bring."""
        return await self._ask("GET", "/policies", PoliciesView)

    async def federation(self) -> FederationView:
        """The federation as the broker knows it now."""
        return await self._ask("GET", "/federation", FederationView)

    async def document(self, document_h: str) -> str:
        """A signed document of this buyer's quotes and orders, by its hash."""
        answer = await self._ask("GET", _at("document", document_h), dict[str, str])
        return answer["document"]

    def lease(self, intent: Intent) -> Lease:
        """A path for the length of an `async with` block: quoted, ordered, ACTIVE, and released at its end.

        With `idle_release_s` in the intent it sends heartbeats, and is released also where this process dies.
        """
        return Lease(self, intent)

    async def _either(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, wait_s: int = 0
    ) -> QuoteView | QuotePending:
        query = {"wait_s": str(wait_s)} if wait_s else None
        made: QuoteView | QuotePending = await self._ask(
            method, path, QuoteView, body, query=query, key=key, wait_s=wait_s, later=QuotePending
        )
        return made

    async def _write(self, path: str, kind: type[T], body: Any, key: str | None, wait_s: int = 0) -> T:
        query = {"wait_s": str(wait_s)} if wait_s else {}
        return await self._ask("POST", path, kind, body, query=query, key=key or self._entropy.token(), wait_s=wait_s)

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        key: str | None = None,
        wait_s: int = 0,
        later: Any = None,
    ) -> T:
        assert self._session, "use BrokerClient with `async with`"
        session, headers = self._session, {"Idempotency-Key": key} if key else {}
        data = None if body is None else msgspec.json.encode(body)
        timeout = aiohttp.ClientTimeout(total=self._timeout_s + wait_s)
        if data is not None:
            headers["Content-Type"] = "application/json"

        async def once() -> T:
            url = self._address + BASE + path
            for attempt in range(ATTEMPTS):
                shown = headers | await self._identity.headers(session, method, url)
                async with session.request(
                    method, url, data=data, params=query, headers=shown, timeout=timeout
                ) as response:
                    self.timing = _timing(response.headers.get("Server-Timing", ""))
                    told = await response.read()
                if not self._identity.heard(response.status, response.headers) or attempt == ATTEMPTS - 1:
                    wanted: type[T] = later if response.status == LATER else kind
                    return _answer(response.status, told, wanted, self._address)
            raise AssertionError("the last attempt returns")

        return await persistent(once, self._address, write=key is not None)


def _at(kind: str, name: str, part: str = "") -> str:
    """Where an order, quote, mandate or document stands. Raises NOT_FOUND for a name that nothing has: as a part of an
    address it could lead elsewhere."""
    if not NAME.fullmatch(name):
        raise not_found(f"{kind} {name}")
    return f"/{kind}s/{name}{part}"


def _identity(who: str | Agent, address: str, entropy: Entropy) -> Identity:
    return Bearer(who) if isinstance(who, str) else Proving(who, address, SystemClock(), entropy)


def _answer(status: int, body: bytes, kind: type[T], address: str) -> T:
    try:
        if status < 300:
            return msgspec.json.decode(body, type=kind)
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        why = f"what answers at {address} is no Peerway broker of this version (status {status}: {error})"
        raise Problem("INTERNAL", why) from error
    raise from_dict(problem)


def _timing(header: str) -> dict[str, float]:
    """Milliseconds by name of a `Server-Timing` header; what does not read is left out."""
    found: dict[str, float] = {}
    for part in header.split(","):
        name, _, value = part.strip().partition(";dur=")
        try:
            found[name] = float(value)
        except ValueError:
            continue
    return found
