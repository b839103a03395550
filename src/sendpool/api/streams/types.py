"""`/Types` and `/Schemas`: what can be subscribed to, and what its data looks like."""

from __future__ import annotations

from starlette.requests import Request as PlainRequest
from starlette.responses import JSONResponse, Response

from sendpool.api.exchange import Reply, Request
from sendpool.api.problems import not_found
from sendpool.api.streams.pages import Paging
from sendpool.api.streams.shapes import BY_SCHEMA, encode, shown_kind, shown_schema, shown_version
from sendpool.domain.event_types import KINDS, EventKind, schema_of

#: The path, without authentication, at which a schema itself is: clients that check events fetch it.
RAW_PATH = "/schemas/{schema_id}/{version}"


async def get_types(request: Request) -> Reply:
    """List the types of events; `SchemaId` picks those with that schema."""
    paging = Paging(request, "/Types")
    wanted = paging.parameters.get("SchemaId")
    kinds = [kind for kind in KINDS.values() if wanted in (None, kind.schema_id)]
    shown = [shown_kind(kind, request.base) for kind in paging.cut(kinds)]
    return Reply(200, encode({"types": shown, "meta": paging.meta("types", len(kinds))}))


async def get_type(request: Request) -> Reply:
    """Fetch one type."""
    kind = KINDS.get(request.path("type"))
    if kind is None:
        raise not_found("type of event")
    return Reply(200, encode(shown_kind(kind, request.base)))


def _kind(request: Request) -> EventKind:
    kind = BY_SCHEMA.get(request.path("schema_id"))
    if kind is None:
        raise not_found("schema")
    return kind


async def get_schema(request: Request) -> Reply:
    """Fetch one schema."""
    return Reply(200, encode(shown_schema(_kind(request), request.base)))


async def get_versions(request: Request) -> Reply:
    """List the versions of a schema: the one that events are told in."""
    kind = _kind(request)
    paging = Paging(request, f"/Schemas/{kind.schema_id}/Versions")
    shown = [shown_version(kind, request.base, request.origin) for kind in paging.cut([kind])]
    return Reply(200, encode({"schema_versions": shown, "meta": paging.meta("schema_versions", 1)}))


async def get_version(request: Request) -> Reply:
    """Fetch one version of a schema."""
    kind = _kind(request)
    if request.path("version") != str(kind.version):
        raise not_found("version of this schema")
    return Reply(200, encode(shown_version(kind, request.base, request.origin)))


async def raw_schema(request: PlainRequest) -> Response:
    """The JSON Schema itself."""
    kind = BY_SCHEMA.get(request.path_params["schema_id"])
    if kind is None or request.path_params["version"] != str(kind.version):
        return JSONResponse({"message": "there is no such schema"}, status_code=404)
    return JSONResponse(schema_of(kind), media_type="application/schema+json")
