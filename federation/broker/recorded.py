"""What a broker writes into its audit record besides refused calls: for its owner, never for those it is about."""

from __future__ import annotations

import logging

from federation.node.audit import STRANGER, Audit
from schemas.problem import Problem

log = logging.getLogger(__name__)


def swept(audit: Audit, problem: Problem, operator: str) -> None:
    """What was let go at an operator, because no live order owned it."""
    audit.note(problem, caller=operator, act="sweep")


def unknown(audit: Audit, problem: Problem, act: str) -> None:
    """Who is refused before being known is a stranger."""
    audit.note(problem, caller=STRANGER, act=act)


def unsigned(audit: Audit, problem: Problem, about: str) -> None:
    """Why the checkpoint of a member was not signed."""
    audit.note(problem, caller=about, act="POST /witness/add-checkpoint")


def contradicted(audit: Audit, entity: str, why: str) -> None:
    """What an operator says of its sites and an auditor does not find."""
    log.warning("%s contradicts an auditor: %s", entity, why)
    audit.note(Problem("DOCUMENT_INVALID", why, field="sites"), caller=entity, act="offer sheet")
