"""Checks `inclusion` and `witnesses`: the broker logged every document, and others saw its log after that.

The log is append-only as far as its witnesses can tell, and each of them says when it looked: so nothing here was put
in later, taken out, or shown to somebody else in another form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from federation.evidence.checkpoint import (
    WITNESSES_NEEDED,
    Witnessed,
    entity_of,
    key_of,
    origin_of,
    read_checkpoint,
    verify_checkpoint,
    verify_inclusion,
    verify_log,
)
from federation.evidence.note import TIME_BYTES, Type, read_note
from federation.evidence.verify.purchase import purchase
from federation.evidence.verify.reading import Case, unsound
from schemas.evidence import LogEvidence
from schemas.segment import EntityId, Hash
from schemas.token import SKEW_S


class Seen(NamedTuple):
    """Which chains a log's evidence rests on: of the log and its witnesses, each at a time."""

    log: EntityId
    at: int
    witnesses: Mapping[EntityId, int]


def inclusion(case: Case) -> str:
    """Every document stands in the log of the broker. Raises `DOCUMENT_INVALID`."""
    broker, shown = _log(case)
    key = case.standing.at(broker, seen(case, broker).at).member.metadata.federation_entity
    if key is None or key.log_key is None:
        raise unsound(f"the metadata of {broker} name no key of its log")
    checkpoint = verify_log(read_note(shown.checkpoint), broker, key.log_key)
    for name in logged(case):
        if name not in shown.inclusions:
            raise unsound(f"what shows that {name[:8]} stands in the log of {broker} is missing")
        verify_inclusion(name, shown.inclusions[name], checkpoint)
    return f"{len(shown.inclusions)} documents in the log of {broker}, {checkpoint.size} entries"


def witnesses(case: Case) -> str:
    """Enough other members signed below the log's checkpoint, after all that it shows. Raises `DOCUMENT_INVALID`."""
    broker, shown = _log(case)
    found = _witnessed(case, broker, shown)
    expected = [origin_of(broker), *sorted(map(origin_of, found.witnesses))]
    if [line.name for line in read_note(shown.checkpoint).lines] != expected:
        raise unsound("the lines below the checkpoint are not the log's and then its witnesses', by name")
    latest = max((case.items[name].claims.iat for name in logged(case) if name in case.items), default=0)
    for witness, at in found.witnesses.items():
        if at + SKEW_S < latest:
            raise unsound(f"{witness} signed before the last of the documents was made")
        if at > case.now + SKEW_S:
            raise unsound(f"{witness} signed in the future")
    return f"signed by {', '.join(sorted(found.witnesses))}"


def seen(case: Case, log: EntityId) -> Seen:
    """Who signed a checkpoint and when, as it says itself: whose chains it needs. Raises `DOCUMENT_INVALID`."""
    note = read_note(case.bundle.logs[log].checkpoint)
    read_checkpoint(note.text)
    times: dict[EntityId, int] = {}
    for line in note.lines:
        entity = entity_of(line.name)
        if entity != log and entity in case.bundle.chains and len(line.signature) > TIME_BYTES:
            times.setdefault(entity, int.from_bytes(line.signature[:TIME_BYTES], "big"))
    return Seen(log, min(times.values(), default=case.now), times)


def why_no_other(entity: EntityId, paths: Mapping[EntityId, Sequence[EntityId]], log: EntityId) -> str | None:
    """Why a witness is none beside a log and those in `paths` that count already, itself among them.

    `paths` run from each up to its anchor. Any member may vouch for others: so a log could make witnesses of its own.
    """
    if log in paths[entity]:
        return f"{entity} is a member by the word of {log}, and is no witness of its log"
    for other in paths:
        below, above = (entity, other) if other in paths[entity] else (other, entity)
        if other != entity and above in paths[below]:
            return f"{below} is a member by the word of {above}, and is no other witness"
    return None


def _witnessed(case: Case, log: EntityId, shown: LogEvidence) -> Witnessed:
    found = seen(case, log)
    keys, paths = {}, {entity: case.standing.at(entity, at).chain.path for entity, at in found.witnesses.items()}
    for entity, at in sorted(found.witnesses.items()):
        if why := why_no_other(entity, paths, log):
            raise unsound(why)
        named = case.standing.at(entity, at).member.metadata.federation_entity
        if named is None or named.witness_key is None:
            raise unsound(f"the metadata of {entity} name no key as a witness")
        keys[entity] = str(key_of(entity, named.witness_key, Type.COSIGNATURE))
    own = case.standing.at(log, found.at).member.metadata.federation_entity
    if own is None or own.log_key is None:
        raise unsound(f"the metadata of {log} name no key of its log")
    return verify_checkpoint(shown.checkpoint, log, own.log_key, keys, WITNESSES_NEEDED)


def _log(case: Case) -> tuple[EntityId, LogEvidence]:
    broker = purchase(case).broker
    if broker not in case.bundle.logs:
        raise unsound(f"the log of {broker} is missing")
    return broker, case.bundle.logs[broker]


def logged(case: Case) -> tuple[Hash, ...]:
    """What must stand in the broker's log: every document, and the policies that buyers signed."""
    return (*case.items, *(item.hash for item in case.signed_policies.values()))
