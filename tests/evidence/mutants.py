"""Every way to spoil one good bundle: each field, signature and document altered, dropped, doubled, reordered, swapped.

A mutant says which checks ought to refuse it: one of them has to, whatever else does. What nobody may spell in another
way (JSON, base64, the order of lists) is for `format`; it may always refuse, unless the mutant is put in order again
(`ordered`), as someone who forges would.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from msgspec import json as mjson

from federation.trust.jose import claimed_typ
from federation.trust.keys import b64url, b64url_decode
from tests.support.evidence.cast import key_of

FORMAT: Final = "format"
AUTHORITY: Final = ("mandate+jwt", "at+jwt", "authorization-grant+jwt", "endpoint-grant+jwt")
SPOILED: Final = "A" * 43


class Mutant(NamedTuple):
    """What was done, the bytes, and the checks of which one ought to refuse."""

    name: str
    data: bytes
    ought: frozenset[str]


def mutants(data: bytes, other: bytes) -> Iterator[Mutant]:
    """All mutants of a good bundle; `other` is a good bundle of another purchase between the same parties."""
    good, rest = json.loads(data), json.loads(other)
    yield from _bytes(data)
    for made in (_tokens, _signers, _drops, _orders, _unsigned, _logs):
        for name, spoiled, ought in made(good):
            yield from _mutant(name, spoiled, ought, data)
    for name, spoiled, ought in _swaps(good, rest):
        yield from _mutant(name, spoiled, ought, data)


def _mutant(name: str, spoiled: Any, ought: set[str], good: bytes) -> Iterator[Mutant]:
    found = mjson.encode(spoiled, order="sorted") + b"\n"
    if found != good:
        yield Mutant(name, found, frozenset(ought))


Made = Iterator[tuple[str, Any, set[str]]]


def ordered(bundle: Any) -> Any:
    """With every list in its order again."""
    for name in ("marks", "status_lists", "documents"):
        bundle[name] = sorted(bundle[name])
    return bundle


# --- bytes ----------------------------------------------------------------------------------------------------------


def _bytes(data: bytes) -> Iterator[Mutant]:
    """One bit of the file; a piece cut off; something added."""
    everything = frozenset({FORMAT, "chains", "signatures", "marks", "policy", "inclusion", "witnesses", "amounts"})
    for position in range(0, len(data), 97):
        spoiled = bytearray(data)
        spoiled[position] ^= 1
        yield Mutant(f"bit of byte {position}", bytes(spoiled), everything | {"complete", "narrowing"})
    for name, spoiled_ in {
        "cut": data[:-9],
        "doubled": data + data,
        "with a space": data.replace(b",", b", ", 1),
        "no newline": data[:-1],
        "nothing": b"",
        "a list": b"[]\n",
        "a member twice": data.replace(b'"v":1', b'"v":1,"v":1'),
        "another version": data.replace(b'"v":1', b'"v":2'),
        "another member": data.replace(b'"v":1', b'"v":1,"w":1'),
    }.items():
        yield Mutant(name, spoiled_, frozenset({FORMAT}))


# --- signed ---------------------------------------------------------------------------------------------------------


def places(bundle: Any) -> Iterator[tuple[tuple[Any, ...], set[str]]]:
    """Where every signed document stands, and the check that verifies it."""
    for index in range(len(bundle["documents"])):
        yield ("documents", index), {"signatures"}
    for entity, rows in bundle["chains"].items():
        for row, tokens in enumerate(rows):
            yield from ((("chains", entity, row, index), {"chains"}) for index in range(len(tokens)))
    for name in ("marks", "status_lists"):
        yield from (((name, index), {"marks"}) for index in range(len(bundle[name])))
    for index, text in enumerate(bundle["policies"]):
        if text["signed"]:
            yield ("policies", index, "signed"), {"signatures"}


def _tokens(good: Any) -> Made:
    """Every claim and every member of a header altered, with the old signature; every signature altered."""
    for place, ought in places(good):
        token = get(good, place)
        header, payload, signature = token.split(".")
        typ = claimed_typ(token)
        for what, part in (("header", header), ("claim", payload)):
            for path, changed in alterations(json.loads(b64url_decode(part))):
                spelled = b64url(mjson.encode(changed))
                spoiled = f"{spelled}.{payload}" if what == "header" else f"{header}.{spelled}"
                name = f"{typ} {place}: {what} {path}"
                yield name, ordered(put(good, place, f"{spoiled}.{signature}")), ought | {FORMAT}
        for name, bent in _signatures(signature):
            yield f"{typ} {place}: {name}", ordered(put(good, place, f"{header}.{payload}.{bent}")), ought | {FORMAT}


def _signatures(signature: str) -> Iterator[tuple[str, str]]:
    data = b64url_decode(signature)
    for position in (0, 31, 32, 63):
        yield f"signature bit {position}", b64url(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    yield "signature of zeros", b64url(bytes(64))
    yield "no signature", ""
    yield "half a signature", b64url(data[:32])


def _signers(good: Any) -> Made:
    """Every document signed by a stranger: under its own key's id, and under the id of the key that ought to."""
    stranger = key_of("https://stranger.example")
    for place, ought in places(good):
        token = get(good, place)
        header, payload, _ = token.split(".")
        for name, kid in (("its own id", stranger.kid), ("another's id", json.loads(b64url_decode(header))["kid"])):
            spelled = b64url(mjson.encode(json.loads(b64url_decode(header)) | {"kid": kid}))
            spoiled = f"{spelled}.{payload}.{_signed(f'{spelled}.{payload}')}"
            yield f"{claimed_typ(token)} {place}: a stranger under {name}", ordered(put(good, place, spoiled)), ought


def _signed(text: str) -> str:
    der = key_of("https://stranger.example").key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    return b64url(b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der)))


# --- whole documents ------------------------------------------------------------------------------------------------


def _drops(good: Any) -> Made:
    """Every document, statement, chain, policy and log left out."""
    for index, token in enumerate(good["documents"]):
        ought = {"narrowing", "complete"} if claimed_typ(token) in AUTHORITY else {"documents", "complete"}
        yield f"without {claimed_typ(token)} {index}", without(good, ("documents", index)), ought
    for entity, rows in good["chains"].items():
        yield f"without {entity}", without(good, ("chains", entity)), {"chains", "marks", "inclusion", "witnesses"}
        for row, tokens in enumerate(rows):
            for index in range(len(tokens)):
                yield f"chain of {entity} without {index}", without(good, ("chains", entity, row, index)), {"chains"}
    for name in ("marks", "status_lists"):
        for index in range(len(good[name])):
            yield f"without {name} {index}", without(good, (name, index)), {"marks"}
    for index in range(len(good["policies"])):
        yield f"without policy {index}", without(good, ("policies", index)), {"policy"}
    for name in ("intent", "rates", "house"):
        if good[name]:
            empty: Any = {} if name == "rates" else None
            yield f"without {name}", put(good, (name,), empty), {"amounts", "narrowing"}
    for entity in good["logs"]:
        yield f"without the log of {entity}", without(good, ("logs", entity)), {"inclusion"}


def _orders(good: Any) -> Made:
    """Neighbours the other way round, and one thing twice, in every list."""
    for place in _lists(good):
        items = get(good, place)
        ought = {"chains"} if place[0] == "chains" and len(place) == 3 else {FORMAT}
        for index in range(len(items) - 1):
            turned = [*items[:index], items[index + 1], items[index], *items[index + 2 :]]
            yield f"{place} {index} turned", put(good, place, turned), ought
        for index in range(len(items)):
            yield f"{place} {index} twice", put(good, place, items[: index + 1] + items[index:]), ought


def _lists(good: Any) -> Iterator[tuple[Any, ...]]:
    yield from ((name,) for name in ("documents", "marks", "status_lists", "policies"))
    yield from (("chains", entity, row) for entity, rows in good["chains"].items() for row in range(len(rows)))
    yield from (("chains", entity) for entity in good["chains"])


def _swaps(good: Any, rest: Any) -> Made:
    """Every document in the place of another, and one of the same kind from another purchase in its place."""
    documents, others = good["documents"], [t for t in rest["documents"] if t not in good["documents"]]
    for index, token in enumerate(documents):
        typ = claimed_typ(token)
        ought = {"narrowing", "complete"} if typ in AUTHORITY else {"documents", "path", "complete"}
        for number, stray in enumerate(one for one in others if claimed_typ(one) == typ):
            yield f"{typ} {index} of another purchase {number}", ordered(put(good, ("documents", index), stray)), ought
        following = documents[(index + 1) % len(documents)]
        spoiled = f"{token.rpartition('.')[0]}.{following.rpartition('.')[2]}"
        name = f"{typ} {index} with the next one's signature"
        yield name, ordered(put(good, ("documents", index), spoiled)), {"signatures"}
    for number, stray in enumerate(others):
        added = ordered(put(good, ("documents",), [*documents, stray]))
        yield f"{claimed_typ(stray)} {number} of another purchase added", added, {"complete", "documents", "inclusion"}
    entities = sorted(good["chains"])
    for entity, other in zip(entities, entities[1:] + entities[:1], strict=True):
        swapped = put(good, ("chains", entity), good["chains"][other])
        yield f"the chain of {other} for {entity}", swapped, {"chains"}


# --- unsigned -------------------------------------------------------------------------------------------------------


def _unsigned(good: Any) -> Made:
    """Everything that no signature covers by itself."""
    for profile in ("buyer", "regulator", "countries", "nobody"):
        if profile != good["profile"]:
            yield f"for {profile}", put(good, ("profile",), profile), {FORMAT, "complete", "documents"}
    for name, ought in (("intent", {"amounts"}), ("rates", {"amounts"}), ("house", {"narrowing"})):
        if good[name]:
            for path, changed in alterations(good[name]):
                yield f"{name} {path}", put(good, (name,), changed), ought | {FORMAT}
    for index, text in enumerate(good["policies"]):
        for name, changed in (("name", "other"), ("cedar", text["cedar"] + "\n"), ("cedar", "permit")):
            yield f"policy {index} {name}", put(good, ("policies", index, name), changed), {"policy", FORMAT}
        if text["signed"]:
            yield f"policy {index} unsigned", put(good, ("policies", index, "signed"), None), {"complete"}
    yield "schema", put(good, ("policy_schema",), good["policy_schema"] + " "), {"policy"}
    yield "no schema", put(good, ("policy_schema",), ""), {"policy"}


def _logs(good: Any) -> Made:
    """Every line of the checkpoint, every place in the log, every hash of every path."""
    for entity, log in good["logs"].items():
        lines = log["checkpoint"].split("\n")
        for index, line in enumerate(lines):
            for name, changed in (("dropped", None), ("altered", _altered(line)), ("twice", [line, line])):
                written = changed if isinstance(changed, list) else [] if changed is None else [changed]
                text = "\n".join(lines[:index] + written + lines[index + 1 :])
                spoiled = put(good, ("logs", entity, "checkpoint"), text)
                yield f"line {index} {name}", spoiled, {"inclusion", "witnesses"}
        turned = put(good, ("logs", entity, "checkpoint"), "\n".join([*lines[:-2], lines[-1], lines[-2]]))
        yield "the last lines turned", turned, {"witnesses"}
        for name in log["inclusions"]:
            place = ("logs", entity, "inclusions", name)
            yield f"without the inclusion of {name[:8]}", without(good, place), {"inclusion"}
            for path, changed in alterations(log["inclusions"][name]):
                yield f"inclusion of {name[:8]} {path}", put(good, place, changed), {"inclusion", FORMAT}
            moved = without(good, place)
            moved["logs"][entity]["inclusions"][SPOILED] = log["inclusions"][name]
            yield f"the inclusion of {name[:8]} for another", moved, {"inclusion"}


def _altered(line: str) -> str:
    middle = len(line) // 2
    return line[:middle] + ("B" if line[middle : middle + 1] != "B" else "C") + line[middle + 1 :]


# --- JSON -----------------------------------------------------------------------------------------------------------


def alterations(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The value with one thing in it changed, every thing in turn."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{path}.{name} dropped", {key: one for key, one in value.items() if key != name}
            yield from ((where, value | {name: one}) for where, one in alterations(inner, f"{path}.{name}"))
        yield f"{path} with another member", value | {"another": 1}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield f"{path}[{index}] dropped", value[:index] + value[index + 1 :]
            for where, one in alterations(inner, f"{path}[{index}]"):
                yield where, [*value[:index], one, *value[index + 1 :]]
        if len(value) > 1:
            yield f"{path} turned", value[::-1]
    else:
        yield path, _other(value)


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case None:
            return SPOILED
        case str() if len(value) == 43:
            return SPOILED
        case str():
            return value[:-1] + ("x" if value[-1:] != "x" else "y")
    raise AssertionError(f"no such thing in a bundle: {value}")


def get(bundle: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        bundle = bundle[step]
    return bundle


def put(bundle: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy with something else at a place; what is not on the way there is shared."""
    if not place:
        return value
    spoiled = copy.copy(bundle)
    spoiled[place[0]] = put(bundle[place[0]], place[1:], value)
    return spoiled


def without(bundle: Any, place: tuple[Any, ...]) -> Any:
    kept = copy.copy(get(bundle, place[:-1]))
    del kept[place[-1]]
    return put(bundle, place[:-1], kept)
