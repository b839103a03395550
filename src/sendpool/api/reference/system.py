"""The routes without a version: for operators, their tools, readers and carriers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class SystemRoute(NamedTuple):
    """One route, which asks for no account. The key of `answers` is the status; the first is that of success."""

    path: str
    id: str
    summary: str
    answers: Mapping[int, str]
    media_type: str = "application/json"
    #: What the body is, as JSON Schema's `type`.
    kind: str = "object"
    methods: tuple[str, ...] = ("GET",)


_HTML = "text/html"

SYSTEM = (
    SystemRoute("/healthz", "health", "Whether the process answers", {200: "It does"}),
    SystemRoute(
        "/readyz",
        "readiness",
        "Whether it is migrated, listening, and knows its senders",
        {200: "It is", 503: "It is still starting"},
    ),
    SystemRoute(
        "/metrics",
        "metrics",
        "Figures for Prometheus",
        {200: "The figures", 401: "The metrics token is missing or wrong (only where one is set)"},
        "text/plain",
        "string",
    ),
    SystemRoute(
        "/openapi.json", "openapi", "This document", {200: "It", 304: "It is as it was: If-None-Match names its ETag"}
    ),
    SystemRoute("/docs", "docs", "This document as a page", {200: "The page"}, _HTML, "string"),
    SystemRoute("/docs/errors", "errorCodes", "Every error code", {200: "The list"}, _HTML, "string"),
    SystemRoute(
        "/docs/errors/{code}",
        "errorCode",
        "What an error code means and what to do about it",
        {200: "The page", 404: "No such code"},
        _HTML,
        "string",
    ),
    SystemRoute(
        "/schemas/{schema_id}/{version}",
        "jsonSchema",
        "The JSON Schema of the data of a type of event",
        {200: "The schema", 404: "No such schema"},
        "application/schema+json",
    ),
    SystemRoute(
        "/callbacks/{connection}/{rest:path}",
        "Callback",
        "Where a carrier reports by HTTP; its connector checks the carrier's signature",
        {200: "Taken", 404: "No connection takes reports here", 405: "Not by this method"},
        methods=("GET", "POST"),
    ),
)
