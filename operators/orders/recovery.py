"""After a restart: everything that is not over is as it was, and time makes the steps it missed."""

from __future__ import annotations

import logging

from operators.orders.fsm import due
from operators.orders.lifecycle import wiring
from operators.orders.shop import LEASE, Shop
from schemas.lease import IN_FORCE, State

log = logging.getLogger(__name__)


async def recover(shop: Shop) -> None:
    """Restore claims, quotes and leases from the store, and arm their timers; to be called before anything is served.

    A hold that expired meanwhile is still restored: its timer is due at once and lets it expire like any other. Of two
    that do not fit beside each other, because one was lost while the disk could not say so, the later one counts.
    """
    live = await shop.store.live()
    shop.telling.remember(live.hubs)
    claims = {claim.id: claim for claim in live.claims}
    holds = {quote.id for quote in live.quotes if quote.state is State.HELD}
    for claim in live.claims:
        if claim.id not in holds:
            shop.inventory.restore(claim)
    for quote in sorted(live.quotes, key=lambda quote: quote.created_at)[::-1]:
        shop.take_up(quote, claims.get(quote.id))
    for lease in live.leases:
        shop.remember_lease(lease)
        if due(lease, shop.now()) is not None:
            shop.timers.arm(shop.now(), (LEASE, lease.id))


async def bring_back(shop: Shop) -> None:
    """Tell the network again what is in force: a driver may have lost it, and what is up already is no error."""
    for lease in list(shop.leases.values()):
        async with shop.locks.hold(f"lease:{lease.id}"):
            present = shop.leases.get(lease.id)
            if present is None or present.state not in IN_FORCE:
                continue
            try:
                await shop.driver.bring_up(present.id, wiring(present))
            except Exception:  # a driver is foreign code, and one segment must not stop the others
                log.exception("fabric: %s is in force but was not brought up again", present.id)
