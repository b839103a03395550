"""The OpenAPI document as a page: what there is, what it takes, what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sendpool.api.reference.html import code, listing, page, prose, table

Json = dict[str, Any]

_METHODS = ("get", "post", "patch", "delete")
_OURS = ' <span class="ours">Sendpool</span>'
#: Words of JSON Schema that are shown beside a type, and how.
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "from {}",
    "maximum": "up to {}",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "maxProperties": "at most {} entries",
    "minProperties": "at least {} entries",
    "default": "default {}",
    "pattern": "pattern `{}`",
}


def docs_page(document: Json) -> bytes:
    """The page of the whole document."""
    info = document["info"]
    groups = [_group(document, tag) for tag in document["tags"]]
    links = " ".join(f'<a href="#{tag["name"]}">{tag["name"]}</a>' for tag in document["tags"])
    subtitle = f"{prose(info['summary'])} Version {info['version']}."
    return page(
        "The API",
        subtitle,
        f"<p>{prose(info['description'])}</p>",
        f'<p><nav>{links} <a href="#shapes">Shapes</a> <a href="openapi.json">openapi.json</a></nav></p>',
        _start(document),
        *groups,
        '<h2 id="shapes">Shapes</h2>',
        *(_shape(name, schema) for name, schema in document["components"]["schemas"].items()),
    )


def _start(document: Json) -> str:
    versions = " or ".join(code("/" + server["url"]) for server in document["servers"])
    return (
        f"<p>Paths stand below {versions}. Authenticate with HTTP Basic: account SID and auth token, or API key SID "
        "and its secret. Bodies are JSON both ways.</p>"
        "<pre>curl -u $TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN http://127.0.0.1:8080/v1/Senders</pre>"
    )


def _group(document: Json, tag: Json) -> str:
    found = [
        _operation(document, path, method, entry[method])
        for path, entry in document["paths"].items()
        for method in entry
        if method in _METHODS and entry[method]["tags"] == [tag["name"]]
    ]
    if not found:
        return ""
    return f'<h2 id="{tag["name"]}">{tag["name"]}</h2><p>{prose(tag["description"])}.</p>{"".join(found)}'


def _operation(document: Json, path: str, method: str, operation: Json) -> str:
    mark = _OURS if operation.get("x-sendpool") and operation["tags"] != ["Server"] else ""
    return (
        f'<details id="{operation["operationId"]}"><summary><b class="method {method}">{method.upper()}</b>'
        f"{code(path)}{mark}<span>{prose(operation['summary'])}</span></summary><div>"
        f"{_paragraph(operation)}{_parameters(document, operation)}{_body(operation)}{_answers(document, operation)}"
        "</div></details>"
    )


def _paragraph(part: Json) -> str:
    return f"<p>{prose(part['description'])}</p>" if part.get("description") else ""


def _parameters(document: Json, operation: Json) -> str:
    rows = []
    for given in operation.get("parameters", ()):
        one = _resolved(document, given)
        mark = _OURS if one.get("x-sendpool") else ""
        about = " ".join([*filter(None, [prose(one.get("description", ""))]), *_limits(one["schema"])])
        rows.append((code(one["name"]) + mark, one["in"], _kind(one["schema"]), about))
    shown = table(("Parameter", "In", "Type", ""), rows)
    return f"<h3>Parameters</h3>{shown}" if shown else ""


def _body(operation: Json) -> str:
    if "requestBody" not in operation:
        return ""
    content = next(iter(operation["requestBody"]["content"].values()))
    shown = "".join(listing(example["value"]) for example in content.get("examples", {}).values())
    return f"<h3>Body: {_kind(content['schema'])}</h3>{shown}"


def _answers(document: Json, operation: Json) -> str:
    rows = []
    for status, given in operation["responses"].items():
        answer = _resolved(document, given)
        headers = ", ".join(code(name) for name in answer.get("headers", {}))
        about = prose(answer["description"]) + (f" (headers {headers})" if headers else "")
        kinds = [_kind(body["schema"]) for body in answer.get("content", {}).values()]
        rows.append((code(status), "".join(kinds), about))
    return f"<h3>Answers</h3>{table(('Status', 'Body', ''), rows)}"


def _shape(name: str, schema: Json) -> str:
    needed = schema.get("required", ())
    rows = [
        (
            code(field) + (_OURS if inner.get("x-sendpool") else ""),
            _kind(inner) + ("" if field in needed else " <i>optional</i>"),
            " ".join([*filter(None, [prose(inner.get("description", ""))]), *_limits(inner)]),
        )
        for field, inner in schema.get("properties", {}).items()
        if inner is not False
    ]
    about = _paragraph(schema) + (f"<p>{_kind(schema)}</p>" if not rows else "")
    fields = table(("Field", "Type", ""), rows)
    return f'<details id="shape-{name}"><summary>{code(name)}</summary><div>{about}{fields}</div></details>'


def _resolved(document: Json, part: Json) -> Json:
    if "$ref" not in part:
        return part
    found: Json = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def _kind(schema: Any) -> str:
    """A schema's type in a few words, with links to shapes."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#shape-{name}">{name}</a>'
    for kind in ("oneOf", "anyOf"):
        if kind in schema:
            return " or ".join(dict.fromkeys(_kind(inner) for inner in schema[kind]))
    if "enum" in schema:
        return " ".join(code(value) for value in schema["enum"] if value is not None)
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if schema.get("properties"):
        fields = ", ".join(code(name) for name, inner in schema["properties"].items() if inner is not False)
        return f"object with {fields}"
    found = schema.get("type", "anything")
    names = found if isinstance(found, list) else [found]
    return " or ".join(names) + (f" ({schema['format']})" if "format" in schema else "")


def _limits(schema: Json) -> Iterator[str]:
    found = ["not empty"] if 1 in (schema.get("minLength"), schema.get("minItems")) else []
    told = {name: schema[name] for name in _LIMITS if schema.get(name) is not None}
    found += [
        prose(_LIMITS[name].format(f"{value:,}" if isinstance(value, int) else value))
        for name, value in told.items()
        if not (name.startswith("min") and value == 1 and name != "minimum")
    ]
    if found:
        yield f"({'; '.join(found)})"
