"""Reads HTTP/1.1 that goes by, with h11."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import h11
from tests.peers.recording.conversation import Said
from tests.peers.recording.masking import leaves

#: Headers that say nothing about a protocol of ours.
_DULL = {"accept-encoding", "connection", "date", "server", "user-agent", "keep-alive"}


class HttpReader:
    """One connection: requests forth, answers back, one after the other."""

    def __init__(self) -> None:
        self._asked = h11.Connection(h11.SERVER)
        self._answered = h11.Connection(h11.CLIENT)
        self._request: h11.Request | None = None
        self._response: h11.Response | None = None
        self._body = b""

    def hear(self, forth: bool, octets: bytes) -> Iterator[Said]:
        """What these octets complete."""
        side = self._asked if forth else self._answered
        side.receive_data(octets)
        while (event := side.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            yield from self._take(forth, event)

    def _take(self, forth: bool, event: object) -> Iterator[Said]:
        match event:
            case h11.Request():
                self._request, self._body = event, b""
                self._answered.send(event)
            case h11.Response():
                self._response, self._body = event, b""
            case h11.Data():
                self._body += bytes(event.data)
                if forth:
                    self._answered.send(event)
            case h11.EndOfMessage():
                yield self._end(forth)

    def _end(self, forth: bool) -> Said:
        assert self._request is not None
        if forth:
            self._answered.send(h11.EndOfMessage())
            target = self._request.target.decode()
            parts = urlsplit(target)
            queried = {f"?{name}": value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
            return _said(True, f"{self._request.method.decode()} {parts.path}", queried, self._request, self._body)
        assert self._response is not None
        # The side that hears requests has to believe that it answered them, before it hears another one.
        self._asked.send(h11.Response(status_code=self._response.status_code, headers=[("Content-Length", "0")]))
        self._asked.send(h11.EndOfMessage())
        for side in (self._asked, self._answered):
            if side.our_state is h11.DONE and side.their_state is h11.DONE:
                side.start_next_cycle()
        return _said(False, str(self._response.status_code), {}, self._response, self._body)


def _said(forth: bool, what: str, more: dict[str, str], head: h11.Request | h11.Response, body: bytes) -> Said:
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
    shown = {name.title(): value for name, value in headers.items() if not _is_dull(name)}
    return Said(forth, what, {**more, **shown, **dict(_fields(headers, body))}, headers, body)


def _is_dull(header: str) -> bool:
    return header in _DULL or header.startswith("access-control-")


def _fields(headers: dict[str, str], body: bytes) -> Iterator[tuple[str, object]]:
    kind = headers.get("content-type", "").partition(";")[0]
    if kind == "application/x-www-form-urlencoded":
        yield from parse_qsl(body.decode(), keep_blank_values=True)
    elif kind.endswith("json") and body:
        yield from leaves(json.loads(body))
    elif body:
        yield "octets", f"{len(body)} of {kind or 'an unnamed type'}"
