"""Where statements come from: a Protocol, the folder of a trust domain, and HTTPS through the guarded egress.

Nothing that these return is believed; `chain` and `marks` verify it. `superior` is the configuration of the entity that
is asked, for it names the endpoints (OpenID Federation 1.1, section 8).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlencode

import msgspec

from federation.trust.domain import ANCHOR, CONFIGURATION, MARKS, STATEMENT, STATUS, read_members, read_text
from federation.trust.fetch import Answer, Fetch, Post
from federation.trust.jose import unverified
from schemas.entity import EntityStatement, StatusList
from schemas.problem import Problem
from schemas.segment import EntityId

WELL_KNOWN: Final = "/.well-known/openid-federation"
LIST_MAX: Final = 4096


class Statements(Protocol):
    """Finds statements. `NOT_FOUND` says that there is none; any other `Problem` that it cannot be known now."""

    async def configuration(self, entity: str) -> str:
        """What an entity says of itself."""
        ...

    async def statement(self, superior: EntityStatement, entity: str) -> str:
        """What a superior says of an entity."""
        ...

    async def subordinates(self, superior: EntityStatement, entity_types: Sequence[str] = ()) -> tuple[str, ...]:
        """The ids of the entities directly below a superior; a hint.

        With `entity_types` those of any of these types and the intermediates, and maybe others.
        """
        ...

    async def marks(self, entity: str) -> tuple[str, ...]:
        """Marks about an entity beside those in its configuration."""
        ...

    async def status(self, uri: str) -> str:
        """The status list at `uri`."""
        ...

    async def history(self, entity: EntityStatement) -> str:
        """The document of an entity's former federation keys."""
        ...


class Way(Fetch, Post, Protocol):
    """Reads and sends."""


class HttpStatements:
    """`Statements` over HTTPS; who is called, how long and how much is the reader's to limit."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def configuration(self, entity: str) -> str:
        """Section 9: below the entity id itself."""
        return await self._token(entity + WELL_KNOWN)

    async def statement(self, superior: EntityStatement, entity: str) -> str:
        """Section 8.1."""
        url = endpoint(superior, "federation_fetch_endpoint")
        return await self._token(f"{url}{_joint(url)}{urlencode({'sub': entity})}")

    async def subordinates(self, superior: EntityStatement, entity_types: Sequence[str] = ()) -> tuple[str, ...]:
        """Section 8.2. A superior that cannot choose is asked for everybody."""
        url = endpoint(superior, "federation_list_endpoint")
        chosen = [{"entity_type": one} for one in entity_types] + ([{"intermediate": "true"}] if entity_types else [])
        try:
            found = [await self._list(superior, f"{url}{_joint(url)}{urlencode(how)}") for how in chosen]
        except Problem:
            found = []
        found = found or [await self._list(superior, url)]
        return tuple(dict.fromkeys(one for listed in found for one in listed))[:LIST_MAX]

    async def marks(self, entity: str) -> tuple[str, ...]:
        """None: over HTTPS an entity carries its marks in its configuration."""
        return ()

    async def status(self, uri: str) -> str:
        """Token Status List, section 8.1."""
        return await self._token(uri)

    async def history(self, entity: EntityStatement) -> str:
        """Section 8.7."""
        return await self._token(endpoint(entity, "federation_historical_keys_endpoint"))

    async def _list(self, superior: EntityStatement, url: str) -> tuple[str, ...]:
        return parse_list(await self._fetch.get(url), superior.iss)

    async def _token(self, url: str) -> str:
        try:
            return (await self._fetch.get(url)).decode("ascii").strip()
        except UnicodeDecodeError as error:
            raise Problem("DOCUMENT_INVALID", "expected a signed document", field=url[:200]) from error


class Elsewhere:
    """A way out for development: entities that are served under another address, such as one on loopback.

    `places` leads an entity id to the base under which it is served, `https://surf.example` to
    `http://127.0.0.1:8102`. Signatures are checked as ever; only the way to the bytes is another.
    """

    def __init__(self, way: Way, places: Mapping[str, str]) -> None:
        self._way, self._places = way, dict(places)

    async def get(self, url: str) -> bytes:
        """The body at the place where the entity of this URL really is."""
        return await self._way.get(self._place(url))

    async def post(self, url: str, body: bytes, content_type: str | None = None) -> Answer:
        """The answer at the place where the entity of this URL really is."""
        return await self._way.post(self._place(url), body, content_type)

    def _place(self, url: str) -> str:
        for entity, place in self._places.items():
            if url == entity or url.startswith((f"{entity}/", f"{entity}?")):
                return place + url.removeprefix(entity)
        return url


class FolderStatements:
    """`Statements` of a trust domain's folder, read anew at each question: the files may be replaced at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def configuration(self, entity: str) -> str:
        """From the member's folder, or the anchor's."""
        anchor = read_text(self._folder / ANCHOR / CONFIGURATION)
        if anchor and unverified(anchor, EntityStatement).iss == entity:
            return anchor
        return _present(read_text(self._of(entity) / CONFIGURATION), f"{entity} has no configuration here")

    async def statement(self, superior: EntityStatement, entity: str) -> str:
        """The statement in the member's folder, if it is by this superior."""
        found = _present(read_text(self._of(entity) / STATEMENT), f"nobody says anything about {entity} here")
        if unverified(found, EntityStatement).iss != superior.iss:
            raise Problem("NOT_FOUND", f"{superior.iss} says nothing about {entity} here")
        return found

    async def subordinates(self, superior: EntityStatement, entity_types: Sequence[str] = ()) -> tuple[str, ...]:
        """Every member that the folder lists, whatever it is."""
        return tuple(read_members(self._folder))

    async def marks(self, entity: str) -> tuple[str, ...]:
        """The marks in the member's folder."""
        return tuple(read_text(path) for path in sorted((self._of(entity) / MARKS).glob("*.jwt")))

    async def status(self, uri: str) -> str:
        """The list in the folder that names itself by this uri."""
        for path in sorted((self._folder / STATUS).glob("*.jwt")):
            token = read_text(path)
            try:
                if unverified(token, StatusList).sub == uri:
                    return token
            except Problem:
                continue  # another list that is broken
        raise Problem("NOT_FOUND", f"no status list {uri} here")

    async def history(self, entity: EntityStatement) -> str:
        """A folder keeps no former keys."""
        raise Problem("NOT_FOUND", f"no former keys of {entity.iss} here")

    def _of(self, entity: str) -> Path:
        members = read_members(self._folder)
        if entity not in members:
            raise Problem("NOT_FOUND", f"{entity} is not in the members file")
        return members[entity]


def _joint(url: str) -> str:
    return "&" if "?" in url else "?"


def endpoint(entity: EntityStatement, name: str) -> str:
    """An endpoint that an entity publishes in its own configuration. Raises `DOCUMENT_INVALID` where there is none."""
    published: Mapping[str, object] = (entity.metadata or {}).get("federation_entity", {})
    found = published.get(name)
    if not isinstance(found, str) or not found.startswith("https://"):
        raise Problem("DOCUMENT_INVALID", "expected an https URL", field=f"{name} of {entity.iss}")
    return found


def parse_list(body: bytes, superior: str) -> tuple[str, ...]:
    """The entity ids of a list (section 8.2), each once. Raises `DOCUMENT_INVALID`."""
    at = f"list of {superior}"
    try:
        found = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise Problem("DOCUMENT_INVALID", "no JSON array of entity ids", field=at) from error
    if not isinstance(found, list) or len(found) > LIST_MAX:
        raise Problem("DOCUMENT_INVALID", f"expected an array of at most {LIST_MAX} entity ids", field=at)
    return tuple(dict.fromkeys(one for one in found if _is_entity(one) and one.isprintable()))


def _is_entity(found: object) -> bool:
    try:
        msgspec.convert(found, EntityId)
    except msgspec.ValidationError:
        return False
    return True


def _present(text: str, otherwise: str) -> str:
    if not text:
        raise Problem("NOT_FOUND", otherwise)
    return text
