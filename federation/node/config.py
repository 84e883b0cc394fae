"""Configuration files: TOML into frozen structs, with errors that name the file, the key and what was expected."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import msgspec
from msgspec import inspect, structs

from federation.node.settings import (
    FEDERATION,
    LOG,
    LOOPBACK_HOSTS,
    TLS,
    WITNESS,
    KeyHash,
    Keys,
    ListenTls,
    Public,
    Trust,
)
from schemas.intent import Place
from schemas.interface import Country
from schemas.price import Currency
from schemas.problem import invalid
from schemas.segment import EntityId, Id

T = TypeVar("T")
CONFIG_BYTES_MAX: Final = 1024 * 1024
# What a pattern of `schemas` asks for, in words: a person who wrote something else cannot read the pattern.
SHAPES: Final = {
    repr(get_args(kind)[1].pattern): words
    for kind, words in (
        (Place, "a place, for example Utrecht, or Utrecht@SURF on one operator"),
        (EntityId, "an entity id, for example https://surf.example"),
        (Id, "letters, digits and . _ : - alone"),
        (Currency, "a currency code, for example EUR"),
        (Country, "a country code of two capital letters, for example NL"),
        (KeyHash, "a SHA-256 as 64 lower-case hexadecimal digits"),
    )
}


def load_toml(path: Path, kind: type[T]) -> T:
    """Read `path` as `kind`. Raises `Problem` naming file, key and what was expected."""
    text = read_text(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise invalid(str(path), f"no valid TOML: {error}") from error
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        key, why = explain(error, kind)
        raise invalid(f"{path}: {key}" if key else str(path), why) from error


def read_text(path: Path) -> str:
    """The text of a file. Raises `Problem` where it is missing, unreadable, too large or no UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        raise invalid(str(path), f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise invalid(str(path), "is not UTF-8 text") from error
    if len(data) > CONFIG_BYTES_MAX:
        raise invalid(str(path), f"larger than {CONFIG_BYTES_MAX} bytes")
    return text


def explain(error: msgspec.ValidationError, kind: Any) -> tuple[str, str]:
    """Key (dotted path, empty for the whole) and reason of a validation error of `kind`, with what would be right."""
    text = str(error)
    match = re.fullmatch(r"(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?", text, re.DOTALL)
    why, key = (match[1], match[2] or "") if match else (text, "")
    if member := re.search(r"missing required field `([^`]*)`|unknown field `([^`]*)`", why):
        key = ".".join(part for part in (key, member[1] or member[2]) if part)
    if found := re.search(r"expected `str` matching regex (.*)", why, re.IGNORECASE | re.DOTALL):
        why = f"expected {SHAPES[found[1]]}" if found[1] in SHAPES else why
    key, why = key.replace(".[", "["), why[:1].lower() + why[1:]
    if "RFC3339" in why or "timezone component" in why:
        why = f"{why}; write for example 2026-12-01T18:00:00Z"
    if values := _choices(kind, key):
        why = f"{why}; expected one of {', '.join(values)}"
    return key, why


def _choices(kind: Any, key: str) -> list[str]:
    """The values that the member of `kind` at `key` may have, where it is one of a few; else none."""
    at = _type_of(kind)
    for part in re.findall(r"[^.\[\]]+|\[[^\]]*\]", key):
        inner = [one for option in _options(at) for one in _inside(option, part)]
        if not inner:
            return []
        at = inner[0]
    return [str(value) for option in _options(at) for value in _values(option)]


@lru_cache(maxsize=64)
def _type_of(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _options(at: inspect.Type) -> tuple[inspect.Type, ...]:
    return at.types if isinstance(at, inspect.UnionType) else (at,)


def _inside(at: inspect.Type, part: str) -> list[inspect.Type]:
    if isinstance(at, inspect.StructType):
        return [field.type for field in at.fields if field.encode_name == part]
    if isinstance(at, inspect.DictType):
        return [at.value_type]
    return [at.item_type] if isinstance(at, inspect.ListType | inspect.VarTupleType) else []


def _values(at: inspect.Type) -> list[Any]:
    if isinstance(at, inspect.EnumType):
        return [one.value for one in at.cls]
    return list(at.values) if isinstance(at, inspect.LiteralType) else []


def nearby(keys: Keys, trust: Trust, data: str, base: Path) -> tuple[Keys, Trust]:
    """The files of a node's keys and of its trust, relative to its configuration file `base`, with their defaults."""

    def at(name: str) -> str:
        return str(below(Path(name), base))

    found = Keys(
        private=at(keys.private),
        federation=at(keys.federation or f"{data}/{FEDERATION}"),
        tls=at(keys.tls or f"{data}/{TLS}"),
        log=at(keys.log or f"{data}/{LOG}"),
        witness=at(keys.witness or f"{data}/{WITNESS}"),
    )
    domain, marks = (trust.domain and at(trust.domain), trust.marks and at(trust.marks))
    egress = structs.replace(trust.egress, roots=trust.egress.roots and at(trust.egress.roots))
    return found, structs.replace(trust, anchors=at(trust.anchors), domain=domain, marks=marks, egress=egress)


def nearby_tls(tls: ListenTls | None, base: Path) -> ListenTls | None:
    """The files of a listener's certificate, relative to the configuration file `base`."""
    if tls is None:
        return None
    certificate, private_key = (str(below(Path(name), base)) for name in (tls.certificate, tls.private_key))
    return ListenTls(certificate=certificate, private_key=private_key)


def check_public(trust: Trust, public: Public, host: str, port: int | None, path: Path) -> None:
    """Others can know a node only where a folder or a public listener says who it is, and nobody on the way may say it.

    Raises `INVALID_ARGUMENT`.
    """
    if port is None:
        if trust.domain is None:
            why = "is missing; a node whose trust domain is no folder says who it is there, for example 8102"
            raise invalid(f"{path}: listen.public_port", why)
        if public != Public():
            raise invalid(f"{path}: public", "is about a listener that is not there; give listen.public_port")
    elif public.tls is None and not public.plain_http and host not in LOOPBACK_HOSTS:
        why = f"is missing, and {host} is no loopback address; if something in front speaks TLS, say plain_http = true"
        raise invalid(f"{path}: public.tls", why)


def below(path: Path, base: Path) -> Path:
    """`path`, read relative to the folder of the configuration file that named it."""
    return path if path.is_absolute() else base.parent / path
