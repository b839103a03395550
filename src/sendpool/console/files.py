"""The console's files: plain ones beside this module, nothing of them built, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files

from starlette.types import Scope

from sendpool.api.exchange import Headers, Reply
from sendpool.api.reference.fixed import fixed

_TYPES = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
#: Scripts, styles and data of ours alone; nothing inline, nobody frames it, no form leads elsewhere.
CLOSED: Headers = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
            b" form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def assets() -> Mapping[str, Callable[[Scope], Reply]]:
    """What answers each path below /console that is a file."""
    found: dict[str, Callable[[Scope], Reply]] = {}
    for one in files("sendpool.console").joinpath("assets").iterdir():
        kind = _TYPES.get(one.name.rpartition(".")[2])
        if kind is not None:
            path = "/console/" if one.name == "index.html" else f"/console/assets/{one.name}"
            found[path] = fixed(Reply(200, one.read_bytes(), CLOSED, kind))
    return found
