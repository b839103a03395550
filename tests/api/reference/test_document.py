"""The OpenAPI document tells of every route, is a document, and is served."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from starlette.routing import Route

from sendpool.api.app import ROUTES, VERSIONS, create_app
from sendpool.api.reference.document import document, errors_of, public_path
from sendpool.api.reference.operations import OPERATIONS
from sendpool.api.reference.parameters import PATH_PARAMETERS
from sendpool.api.reference.system import SYSTEM

DOCUMENT = document()


def test_every_route_is_documented() -> None:
    served = {f"{method} {path}" for path, handlers in ROUTES.items() for method in handlers}

    assert served - OPERATIONS.keys() == set(), "say what it is for: the tables in src/sendpool/api/reference/of_*.py"
    assert OPERATIONS.keys() - served == set(), "it is documented and not served: take it out of OPERATIONS"


def test_every_parameter_of_a_path_is_documented() -> None:
    named = {name for path in (*ROUTES, *(route.path for route in SYSTEM)) for name in re.findall(r"\{(\w+)", path)}

    assert named - PATH_PARAMETERS.keys() == set(), (
        "add it to PATH_PARAMETERS in src/sendpool/api/reference/parameters.py"
    )


async def test_every_route_without_a_version_is_documented(world: Any) -> None:
    router: Any = create_app(world.services)._app  # what is not hot, too
    served = {route.path for route in router.routes if isinstance(route, Route)}
    own = {path for path in served if not path.startswith(tuple(f"/{version}/" for version in VERSIONS))}

    assert own == {route.path for route in SYSTEM}, "say what it is for: SYSTEM in src/sendpool/api/reference/system.py"
    assert all(public_path(route.path) in DOCUMENT["paths"] for route in SYSTEM)


def test_operations_have_names_of_their_own() -> None:
    operations = [entry[method] for entry in DOCUMENT["paths"].values() for method in entry if method != "servers"]
    names = [operation["operationId"] for operation in operations]

    assert len(names) == len(set(names))


def test_what_has_an_id_may_be_unknown_and_what_has_a_body_may_be_refused() -> None:
    assert 404 in errors_of("GET /Senders/{sender_id}", OPERATIONS["GET /Senders/{sender_id}"])
    assert 404 not in errors_of("GET /Senders", OPERATIONS["GET /Senders"])
    assert {413, 415} <= set(errors_of("POST /Messages", OPERATIONS["POST /Messages"]))


def references(part: Any) -> Iterator[str]:
    """Every reference in a value."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    components = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "parameters")
        for name in DOCUMENT["components"][kind]
    }

    assert components == set(references(DOCUMENT))


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_every_schema_is_one(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}

    jsonschema_rs.Draft202012Validator(schema)


def test_only_basic_authentication_is_offered() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]

    assert {name: scheme["scheme"] for name, scheme in schemes.items()} == {"accountAuth": "basic"}
    assert DOCUMENT["security"] == [{"accountAuth": []}]


def test_both_versions_are_servers() -> None:
    assert [server["url"] for server in DOCUMENT["servers"]] == list(VERSIONS)


async def test_the_document_is_served_to_anybody_and_not_sent_twice(still: Any) -> None:
    first = await still.get("/openapi.json")
    again = await still.get("/openapi.json", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    changed = await still.get("/openapi.json", headers={"if-none-match": '"other"'})

    assert first.status == 200
    assert first.headers["content-type"] == "application/json"
    assert first.json == json.loads(json.dumps(DOCUMENT))
    assert (again.status, again.body) == (304, b"")
    assert (changed.status, changed.body) == (200, first.body)


async def test_the_page_needs_nothing_from_elsewhere_and_shows_every_path(still: Any) -> None:
    page = await still.get("/docs")
    text = page.body.decode()

    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert re.findall(r"<script|<link|<img|@import|url\(", text) == []
    for path in DOCUMENT["paths"]:
        assert f"<code>{path}</code>" in text
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert targets <= set(re.findall(r'id="([^"]+)"', text))
