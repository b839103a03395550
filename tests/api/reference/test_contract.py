"""Our OpenAPI document against the contract's: everything of theirs is in ours, and what is only in ours says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from sendpool.api.reference.document import document

Json = dict[str, Any]

CONTRACT: Json = msgspec.yaml.decode((Path(__file__).parents[2] / "contract" / "openapi.yaml").read_bytes())
OURS = document()
METHODS = ("get", "post", "put", "patch", "delete")

#: Operations of the contract that are not built. Whoever builds one documents it in
#: src/sendpool/api/reference/of_*.py and takes it out here.
NOT_BUILT: set[str] = set()
#: Properties of the contract's bodies that are not built, at their places.
PARTS_NOT_BUILT: set[str] = set()


def operations(root: Json) -> dict[str, Json]:
    """Every operation by method and path, with the parameters of its path."""
    return {
        f"{method} {path}": {
            **entry[method],
            "parameters": [*entry.get("parameters", ()), *entry[method].get("parameters", ())],
        }
        for path, entry in root["paths"].items()
        for method in METHODS
        if method in entry
    }


def resolved(root: Json, part: Any) -> Any:
    while isinstance(part, dict) and "$ref" in part:
        found: Any = root
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def places(root: Json, schema: Any, at: str = "", seen: tuple[str, ...] = ()) -> Iterator[tuple[str, Json]]:
    """Every property that a schema knows, with its place ("to[].address") and its own schema."""
    if isinstance(schema, dict) and (name := schema.get("$ref")) in seen:
        return
    seen = (*seen, schema["$ref"]) if isinstance(schema, dict) and "$ref" in schema else seen
    schema = resolved(root, schema)
    if not isinstance(schema, dict):
        return
    for kind in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(kind, ()):
            yield from places(root, inner, at, seen)
    if "items" in schema:
        yield from places(root, schema["items"], f"{at}[]", seen)
    if isinstance(schema.get("additionalProperties"), dict):
        yield f"{at}.*".lstrip("."), schema["additionalProperties"]
    for name, inner in schema.get("properties", {}).items():
        if inner is not False:
            place = f"{at}.{name}".lstrip(".")
            yield place, inner
            yield from places(root, inner, place, seen)


def required(root: Json, schema: Any, at: str = "") -> Iterator[str]:
    """Every property that is there whatever else is."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from (f"{at}.{name}".lstrip(".") for name in schema.get("required", ()))
        schema = resolved(root, schema)
    for inner in schema.get("allOf", ()):
        yield from required(root, inner, at)
    if "items" in schema:
        yield from required(root, schema["items"], f"{at}[]")
    for name in schema.get("required", ()):
        yield f"{at}.{name}".lstrip(".")
    for name, inner in schema.get("properties", {}).items():
        yield from required(root, inner, f"{at}.{name}".lstrip("."))


def left_open(root: Json, schema: Any) -> set[str]:
    """Places where the contract says "an object" and no more: what stands below is not its business."""
    found = {place: resolved(root, inner) for place, inner in places(root, schema)}
    found |= {f"{place}[]": resolved(root, inner["items"]) for place, inner in found.items() if "items" in inner}
    return {
        place
        for place, inner in found.items()
        if isinstance(inner, dict) and inner.get("type") == "object" and not inner.keys() & {"properties", "oneOf"}
    }


def body_of(root: Json, part: Any) -> Any:
    content = resolved(root, part).get("content", {}).get("application/json", {})
    return content.get("schema", {})


def unmarked(root: Json, schema: Any, known: set[str], free: set[str]) -> set[str]:
    """Properties of ours that the contract does not know, and that do not say so."""
    found = dict(places(root, schema))
    free = free | {place for place, inner in found.items() if {**resolved(root, inner), **inner}.get("x-sendpool")}
    return {place for place in found.keys() - known - free if not any(place.startswith(above) for above in below(free))}


def below(open_places: set[str]) -> Iterator[str]:
    """How places begin that lie below these."""
    for place in open_places:
        yield from (f"{place}.", f"{place}[")


THEIRS = operations(CONTRACT)
BUILT = operations(OURS)
SHARED = sorted(THEIRS.keys() & BUILT.keys())


def test_every_operation_of_the_contract_is_documented_or_named_as_not_built() -> None:
    assert THEIRS.keys() - BUILT.keys() == NOT_BUILT, "see NOT_BUILT in this file"


def test_every_operation_of_ours_alone_says_so() -> None:
    assert {key for key in BUILT.keys() - THEIRS.keys() if not BUILT[key].get("x-sendpool")} == set()


@pytest.mark.parametrize("key", SHARED)
def test_operations_have_the_contracts_names_and_tags(key: str) -> None:
    assert BUILT[key]["operationId"] == THEIRS[key]["operationId"]
    assert BUILT[key]["tags"] == THEIRS[key]["tags"]


@pytest.mark.parametrize("key", SHARED)
def test_parameters_are_those_of_the_contract_and_marked_additions(key: str) -> None:
    theirs = {(one["in"], one["name"]) for one in (resolved(CONTRACT, p) for p in THEIRS[key]["parameters"])}
    found = [resolved(OURS, p) for p in BUILT[key]["parameters"]]

    assert theirs <= {(one["in"], one["name"]) for one in found}
    added = [one for one in found if (one["in"], one["name"]) not in theirs]
    assert [one["name"] for one in added if not one.get("x-sendpool")] == []


@pytest.mark.parametrize("key", SHARED)
def test_statuses_and_headers_are_those_of_the_contract_and_marked_additions(key: str) -> None:
    theirs, found = THEIRS[key]["responses"], BUILT[key]["responses"]

    assert theirs.keys() <= found.keys()
    assert [s for s in found.keys() - theirs.keys() if not resolved(OURS, found[s]).get("x-sendpool")] == []
    for status in theirs:
        wanted = resolved(CONTRACT, theirs[status]).get("headers", {})
        assert wanted.keys() <= resolved(OURS, found[status]).get("headers", {}).keys()


@pytest.mark.parametrize("key", SHARED)
def test_answers_hold_what_the_contract_requires_and_mark_what_it_does_not_know(key: str) -> None:
    for status, response in THEIRS[key]["responses"].items():
        theirs, found = body_of(CONTRACT, response), body_of(OURS, BUILT[key]["responses"][status])

        assert set(required(CONTRACT, theirs)) <= set(required(OURS, found))
        known = dict(places(CONTRACT, theirs)).keys()
        missing = known - dict(places(OURS, found)).keys()
        assert {place for place in missing if not may_be_left_out(place)} == set()
        # Where the contract has no body (a redirect), ours may have any.
        assert not theirs or unmarked(OURS, found, set(known), left_open(CONTRACT, theirs)) == set()


def may_be_left_out(place: str) -> bool:
    """Whether a field of the contract's answers is one that it requires nowhere and that we have no need of."""
    return re.search(r"profileId$|memoryStoreId$|addresses(\[\].*)?$|errors\[\].infoUrl$", place) is not None


@pytest.mark.parametrize("key", [key for key in SHARED if "requestBody" in THEIRS[key]])
def test_bodies_take_what_the_contract_takes_and_mark_what_it_does_not_know(key: str) -> None:
    theirs, found = body_of(CONTRACT, THEIRS[key]["requestBody"]), body_of(OURS, BUILT[key]["requestBody"])
    known = dict(places(CONTRACT, theirs)).keys()
    missing = known - dict(places(OURS, found)).keys()

    # Where something below is missing too, that says it all.
    lowest = {place for place in missing if not any(other.startswith(tuple(below({place}))) for other in missing)}
    assert {f"body:{place}" for place in lowest} - PARTS_NOT_BUILT == set()
    assert {place for place in PARTS_NOT_BUILT if place.removeprefix("body:") in known - missing} == set(), "built"
    assert unmarked(OURS, found, set(known), left_open(CONTRACT, theirs)) == set()


@pytest.mark.parametrize("key", [key for key in SHARED if "requestBody" in BUILT[key]])
def test_examples_fit_our_schema_and_the_contracts(key: str) -> None:
    content = BUILT[key]["requestBody"]["content"]["application/json"]
    assert content["examples"]

    for root, schema in ((OURS, content["schema"]), (CONTRACT, body_of(CONTRACT, THEIRS[key]["requestBody"]))):
        validator = jsonschema_rs.Draft202012Validator({**schema, "components": root["components"]})
        for example in content["examples"].values():
            validator.validate(example["value"])
