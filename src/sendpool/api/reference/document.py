"""Our OpenAPI 3.1 document, made of the shapes of answers and the tables beside this module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sendpool import __version__
from sendpool.api import schemas
from sendpool.api.fields import OperationId, Url
from sendpool.api.problems import ErrorResponse
from sendpool.api.reference.documented import GONE, TEMPLATE_DELETED, TEMPLATE_MADE, Documented
from sendpool.api.reference.operations import OPERATIONS
from sendpool.api.reference.parameters import PARAMETERS, PATH_PARAMETERS, Parameter, schema_of
from sendpool.api.reference.requests import PARTS, REFERENCE, REQUESTS, ref
from sendpool.api.reference.stream_requests import FORMS
from sendpool.api.reference.system import SYSTEM, SystemRoute

Json = dict[str, Any]

_ABOUT = """\
Compatible with the hosted Communications API: clients move by changing the base URL. What is marked `x-sendpool` is an
addition of Sendpool's own. Every error body lists all that is wrong at once; what a code means and what to do about it
stands under [/docs/errors](docs/errors)."""

_TAGS = {
    "Messages": "Send, and read what became of it",
    "MessageOperations": "One accepted request and its counters",
    "Senders": "Who can send: one identity on one channel each",
    "SenderPools": "Senders that are used interchangeably",
    "SenderPoolOperations": "What changed pools",
    "Emails": "The same for email",
    "Content": "Templates, which sends name by `contentId`",
    "Events": "What happened, to be posted to sinks or to be pulled",
    "Server": "For operators and their tools, without a version in the path",
}

#: By status: the name of the response, what it says, and whether it is our addition.
_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("BadRequest", "Malformed or invalid; as many problems as can be found are listed at once"),
    401: ("Unauthorized", "Missing or wrong credentials"),
    403: ("Forbidden", "These credentials may not do this"),
    404: ("NotFound", "No such resource in this account"),
    409: ("Conflict", "The request collides with the present state of the resource"),
    413: ("TooLarge", "The body is too large"),
    415: ("NotJson", "The body is not JSON in UTF-8"),
    429: ("TooManyRequests", "Too many requests, or too much is waiting already; Retry-After says when to come again"),
    500: ("InternalServerError", "The server failed; its log says why"),
    503: ("ServiceUnavailable", "The server cannot take this now; Retry-After says when to come again"),
}
_OURS = (413, 415)
_EVERYWHERE = (400, 401, 409, 429, 500, 503)

_RETRY: Json = {"Retry-After": {"description": "Whole seconds to wait.", "schema": {"type": "integer", "minimum": 0}}}
_HEADERS: Mapping[int, Json] = {
    401: {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}}},
    429: _RETRY,
    503: _RETRY,
}


def document() -> Json:
    """The whole document."""
    used = {"Server", *(operation.tag for operation in OPERATIONS.values())}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sendpool",
            "version": __version__,
            "summary": "Senders, sender pools, messages, operations and emails over your own carriers.",
            "description": _ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "v1", "description": "The stable version"},
            {"url": "preview", "description": "The same paths; `pagination.self` is a URL"},
        ],
        "security": [{"accountAuth": []}],
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items() if name in used],
        "paths": {**_paths(), **_system()},
        "components": {
            "securitySchemes": {
                "accountAuth": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Account SID with auth token, or API key SID with its secret.",
                }
            },
            "parameters": {name: _parameter(found) for name, found in PARAMETERS.items()},
            "responses": dict(_responses()),
            "schemas": _schemas(),
        },
    }


def errors_of(key: str, operation: Documented) -> list[int]:
    """The statuses of the errors that an operation may answer, in order."""
    found = {*_EVERYWHERE, *operation.more_errors}
    if "{" in key:
        found.add(404)
    if operation.body is not None:
        found |= {413, 415}
    return sorted(found - set(operation.fewer_errors))


def public_path(template: str) -> str:
    """A path of `api.app.ROUTES` with its parameters named as clients know them."""
    named = re.sub(r":\w+\}", "}", template)
    return re.sub(r"\{(\w+)\}", lambda found: f"{{{PATH_PARAMETERS[found[1]].name}}}", named)


def _paths() -> Json:
    paths: Json = {}
    for key, operation in OPERATIONS.items():
        method, template = key.split(" ")
        path = paths.setdefault(public_path(template), {})
        path[method.lower()] = _operation(key, template, operation)
    return paths


def _operation(key: str, template: str, operation: Documented) -> Json:
    in_path = [_parameter(PATH_PARAMETERS[name]) for name in re.findall(r"\{(\w+)", template)]
    referred = [{"$ref": f"#/components/parameters/{name}"} for name in operation.parameters]
    found: Json = {"operationId": operation.id, "tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        found["description"] = operation.description
    if in_path or referred:
        found["parameters"] = in_path + referred
    if operation.body is not None:
        found["requestBody"] = _body(operation)
    if operation.ours:
        found["x-sendpool"] = True
    errors = {str(status): _error(status, ours=status in operation.our_errors) for status in errors_of(key, operation)}
    return {**found, "responses": {**dict([_success(operation)]), **errors}}


def _body(operation: Documented) -> Json:
    assert operation.body is not None
    content: Json = {"schema": ref(operation.body)}
    if operation.examples:
        content["examples"] = {title: {"value": value} for title, value in operation.examples.items()}
    media_type = "application/x-www-form-urlencoded" if operation.form else "application/json"
    return {"required": True, "content": {media_type: content}}


def _response(name: str) -> Json:
    return {"$ref": f"#/components/responses/{name}"}


def _success(operation: Documented) -> tuple[str, Json]:
    if isinstance(operation.answer, str):
        return SUCCESSES[operation.answer][0], _response(operation.answer)
    return str(operation.status), {"description": operation.summary, "content": _json(operation.answer.__name__)}


def _error(status: int, *, ours: bool) -> Json:
    """A reference to an error's response; where it is our addition to an operation, the response itself."""
    name, description = _ERRORS[status]
    marked = {"description": description, "x-sendpool": True, "content": _json(ErrorResponse.__name__)}
    return marked if ours else _response(name)


def _json(schema: str) -> Json:
    return {"application/json": {"schema": ref(schema)}}


def _parameter(found: Parameter) -> Json:
    shown: Json = {"name": found.name, "in": found.place, "required": found.place == "path", "schema": found.schema}
    if found.description:
        shown["description"] = found.description
    if found.deprecated:
        shown["deprecated"] = True
    if found.ours:
        shown["x-sendpool"] = True
    return shown


def _id_header() -> Json:
    return {"description": "The same as the body's operationId.", "schema": schema_of(OperationId)}


def _url_header(description: str) -> Json:
    return {"description": description, "schema": schema_of(Url)}


#: Answers that several operations share: status, what it says, headers and the body's schema.
SUCCESSES: Mapping[str, tuple[str, str, Json, str | None]] = {
    "OperationAccepted": (
        "202",
        "Durable, and under way; follow the operation",
        {
            "operationId": _id_header(),
            "operation-id": _id_header(),
            "operationLocation": _url_header("The same as the body's operationLocation."),
            "operation-location": _url_header("The same as the body's operationLocation."),
            "resource-location": _url_header("The list of what the operation makes."),
        },
        "OperationReference",
    ),
    TEMPLATE_MADE: ("201", "The template is there; sends may name it", {}, "ContentTemplate"),
    GONE: ("204", "It is gone", {}, None),
    TEMPLATE_DELETED: ("204", "The template is gone", {}, None),
    "ResourceAccepted": ("202", "Done; a read that follows sees it", {}, "ResourceReference"),
    "MessageLocation": (
        "301",
        "The message is at Location",
        {"Location": _url_header("The message's absolute URL.")},
        "ResourceReference",
    ),
}


def _responses() -> Iterator[tuple[str, Json]]:
    for name, (_, description, headers, schema) in SUCCESSES.items():
        shown: Json = {"description": description}
        if headers:
            shown["headers"] = headers
        if schema is not None:
            shown["content"] = _json(schema)
        yield name, shown
    for status, (name, description) in _ERRORS.items():
        shown = {"description": description}
        if status in _HEADERS:
            shown["headers"] = _HEADERS[status]
        if status in _OURS:
            shown["x-sendpool"] = True
        yield name, {**shown, "content": _json(ErrorResponse.__name__)}


def _answers() -> set[type]:
    shapes = {operation.answer for operation in OPERATIONS.values() if not isinstance(operation.answer, str)}
    return {*shapes, schemas.OperationReference, schemas.ResourceReference, ErrorResponse}


def _schemas() -> Json:
    """Every shape that is answered, and every body that is taken, in the order of their names."""
    shapes = sorted(_answers(), key=lambda shape: shape.__name__)
    _, components = msgspec.json.schema_components(shapes, ref_template=REFERENCE)
    return dict(sorted({**components, **PARTS, **REQUESTS, **FORMS}.items()))


def _system() -> Json:
    paths: Json = {}
    for route in SYSTEM:
        paths.setdefault(public_path(route.path), {"servers": [{"url": "."}]}).update(
            {method.lower(): _system_operation(route, method) for method in route.methods}
        )
    return paths


def _system_operation(route: SystemRoute, method: str) -> Json:
    in_path = [_parameter(PATH_PARAMETERS[name]) for name in re.findall(r"\{(\w+)", route.path)]
    found: Json = {
        "operationId": f"{method.lower()}{route.id}" if len(route.methods) > 1 else route.id,
        "tags": ["Server"],
        "summary": route.summary,
        "security": [{}],
        **({"parameters": in_path} if in_path else {}),
        "x-sendpool": True,
    }
    answers: Json = {str(status): {"description": about} for status, about in route.answers.items()}
    next(iter(answers.values()))["content"] = {route.media_type: {"schema": {"type": route.kind}}}
    return {**found, "responses": answers}
