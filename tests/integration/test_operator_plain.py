"""A plain Sonata buyer, who knows nothing of Peerway's documents: holds too, and pays from `completed` on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.segment import SEGMENT_URN, moment
from tests.support.footprints import ENTITY
from tests.support.operator_world import HOUR, PLAIN_KEY, UNI_A, UNI_C, OperatorWorld, plan
from tests.support.seams import NOW

pytestmark = pytest.mark.asyncio
QUOTE = "quoteManagement/v10/quote"
ORDER = "productOrderingManagement/v11/productOrder"
PRODUCT = "productInventory/v8/product"
CONTACT = {"name": "Buyer", "number": "+49-0", "emailAddress": "b@buyer.example"}
ROLES = ("buyerProductOrderItemContact", "buyerImplementationContact", "buyerTechnicalContact")


def at(second: int) -> str:
    return moment(second).strftime("%Y-%m-%dT%H:%M:%SZ")


def product(start: int = NOW, end: int = NOW + HOUR, **more: Any) -> dict[str, Any]:
    configuration = {
        "@type": SEGMENT_URN,
        "a": {"interface": UNI_A},
        "z": {"interface": UNI_C, "label": 6},
        "bandwidthBps": 10_000_000_000,
        "start": at(start),
        "end": at(end),
    }
    return {"productOffering": {"id": "segment"}, "productConfiguration": configuration, **more}


def quote_of(action: str = "add", level: str = "firm", **more: Any) -> dict[str, Any]:
    return {
        "buyerRequestedQuoteLevel": level,
        "instantSyncQuote": True,
        "externalId": "ours-1",
        "quoteItem": [{"id": "7", "action": action, "product": product(**more)}],
    }


def order_of(action: str, quote_id: str | None = None, account: str = "BA-1", **more: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": "1",
        "action": action,
        "requestedCompletionDate": at(NOW),
        "relatedContactInformation": [{"role": role, **CONTACT} for role in ROLES],
    }
    if quote_id:
        item |= {"quoteItem": {"quoteId": quote_id, "id": "7"}, "billingAccount": {"id": account}}
    item["product"] = {"id": more["id"]} if action == "delete" else product(**more)
    return {
        "relatedContactInformation": [{"role": "productOrderContact", **CONTACT}],
        "productOrderItem": [item],
    }


class Plain:
    """Speaks JSON and nothing else; shows its key, unless it is somebody with a certificate."""

    def __init__(self, world: OperatorWorld, *, member: bool = False) -> None:
        self._base = f"{world.origin}/mefApi/sonata" if member else world.base
        self._session = world.broker.session if member else world.session
        self._headers = {} if member else {"Authorization": f"Bearer {PLAIN_KEY}"}

    async def post(self, path: str, body: dict[str, Any], status: int = 201) -> Any:
        url = f"{self._base}/{path}"
        async with self._session.post(url, json=body, headers=self._headers) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def get(self, path: str) -> Any:
        async with self._session.get(f"{self._base}/{path}", headers=self._headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


async def test_a_purchase_without_documents(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        plain = Plain(world)
        quote = await plain.post(QUOTE, quote_of())
        assert quote["state"] == "approved.orderable"
        assert quote["validFor"]["endDateTime"] == at(NOW + 30)
        assert "quote" not in quote["quoteItem"][0]["product"]["productConfiguration"]
        assert world.free(UNI_A) == 90

        order = await plain.post(ORDER, order_of("add", quote["id"]))
        assert order["state"] == "completed"
        item = order["productOrderItem"][0]
        assert "receipt" not in item["product"]["productConfiguration"]
        name = item["product"]["id"]
        assert (await plain.get(f"{PRODUCT}/{name}"))["status"] == "active"

        await world.pass_time(600)  # nothing to confirm, so nothing lapses
        released = await plain.post(ORDER, order_of("delete", id=name))
        assert released["state"] == "completed"
        assert (await plain.get(f"{PRODUCT}/{name}"))["status"] == "terminated"
        lease = await world.running.desk.shop.find_lease(name, f"{ENTITY}/buyers/plain")
        assert lease.bill is not None
        assert (lease.bill.start, lease.bill.end) == (moment(NOW), moment(NOW + 600))
        assert lease.bill.lines[1].micro == 150_000
        world.assert_nothing_held()


async def test_an_extension_takes_effect_at_once(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        plain = Plain(world)
        quote = await plain.post(QUOTE, quote_of())
        order = await plain.post(ORDER, order_of("add", quote["id"]))
        name = order["productOrderItem"][0]["product"]["id"]
        later = {"start": NOW + HOUR, "end": NOW + 2 * HOUR, "id": name}
        longer = await plain.post(QUOTE, quote_of("modify", **later))
        extended = await plain.post(ORDER, order_of("modify", longer["id"], **later))
        assert extended["state"] == "completed"
        shown = await plain.get(f"{PRODUCT}/{name}")
        assert shown["productConfiguration"]["end"] == at(NOW + 2 * HOUR)
        assert len(world.running.desk.shop.inventory.claims()) == 1


async def test_a_budgetary_quote_is_a_price_and_no_more(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        plain = Plain(world)
        quote = await plain.post(QUOTE, quote_of(level="budgetary"))
        assert quote["state"] == "answered"
        assert world.free(UNI_A) == 100
        await plain.post(ORDER, order_of("add", quote["id"]), status=422)
        await world.pass_time(60)
        world.assert_nothing_held()


async def test_the_billing_account_is_the_one_that_was_given(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    path = tmp_path / "operator.toml"
    path.write_text('billing_account = "BA-1"\n' + path.read_text())
    async with world.run():
        plain = Plain(world)
        quote = await plain.post(QUOTE, quote_of())
        (error,) = await plain.post(ORDER, order_of("add", quote["id"], account="BA-2"), status=422)
        assert "account" in error["reason"]
        await plain.post(ORDER, order_of("add", quote["id"]))


async def test_documents_are_not_mixed_with_plain_requests(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        plain = Plain(world, member=True)
        deal = await world.broker.lease(plan())
        await plain.post(ORDER, order_of("delete", id=deal.product), status=422)
        assert (await plain.get(f"{PRODUCT}/{deal.product}"))["status"] == "active"
