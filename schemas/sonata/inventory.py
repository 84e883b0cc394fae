"""Envelopes of productInventory/v8 (Mplify 116.1), which is read only: leases as products."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from schemas.segment import Time
from schemas.sonata.parts import ItemPrice
from schemas.sonata.segment import SegmentConfiguration
from schemas.sonata.states import ProductStatus

API = "productInventory/v8"


class OrderItemRef(Struct, rename="camel", frozen=True, kw_only=True):
    """`MEFProductOrderItemRef`: which order item a product came from."""

    product_order_id: str
    product_order_item_id: str


class Product(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `MEFProduct`; members it does not know are passed over."""

    id: str
    status: ProductStatus
    start_date: Time
    product_configuration: SegmentConfiguration | UnsetType = UNSET
    product_order_item: tuple[OrderItemRef, ...] = ()
    product_price: tuple[ItemPrice, ...] = ()
    termination_date: Time | UnsetType = UNSET
    external_id: str | UnsetType = UNSET


class ProductFound(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `MEFProduct_Find`."""

    id: str
    status: ProductStatus
    external_id: str | UnsetType = UNSET
