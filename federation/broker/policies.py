"""The policies of one broker: shipped ones, those of its owner's folder, and those that its buyers signed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from federation.broker.authority.buyers import Buyers
from federation.broker.config import BrokerConfig
from federation.policy.catalogue import Catalogue, catalogue
from federation.policy.engine import LoadedPolicy
from federation.policy.folder import Texts, read_folder
from schemas.answer import PoliciesView, PolicyView
from schemas.intent import Intent
from schemas.segment import EntityId

log = logging.getLogger(__name__)


class Policies:
    """A catalogue, asked by buyers under the names that the configuration gives them."""

    def __init__(self, known: Catalogue, entities: Mapping[str, EntityId]) -> None:
        """`entities` are those of the buyers that sign, by name."""
        self._known, self._entities = known, entities

    def applying(self, intent: Intent, buyer: str | None, now: int) -> tuple[LoadedPolicy, ...]:
        """The policies of an intent. Raises INVALID_ARGUMENT on a name that this buyer does not have here."""
        return self._known.applying(intent, self._entity(buyer), now)

    def view(self, buyer: str, now: int) -> PoliciesView:
        """Every policy that a buyer may name, with its text, and what data classes bring."""
        entity = self._entity(buyer)
        found = [self._known.policy(name, entity, now) for name in self._known.names(entity, now)]
        return PoliciesView(
            policies=tuple(
                PolicyView(name=one.name, policy_h=one.policy_h, text=one.text, own=one.signed is not None)
                for one in found
            ),
            data_classes=dict(sorted(self._known.classes.items())),
        )

    def _entity(self, buyer: str | None) -> EntityId | None:
        return None if buyer is None else self._entities.get(buyer)


def open_policies(config: BrokerConfig, buyers: Buyers, now: int) -> Policies:
    """Read the folder; what a buyer signed and cannot be used is logged and left out.

    Raises INVALID_ARGUMENT where a policy of the owner's, or a data class, is at fault.
    """
    asked = config.policies
    texts = Texts({}, {}) if asked.folder is None else read_folder(Path(asked.folder))
    entities = {one.name: one.entity for one in config.buyers if one.entity}
    keys = {entity: buyers.keys_of(entity) for entity in entities.values()}
    known = catalogue(texts.own, texts.signed, keys, asked.data_classes, now=now)
    for file, why in known.rejected.items():
        log.warning("the policy in %s is not used: %s", file, why)
    return Policies(known, entities)
