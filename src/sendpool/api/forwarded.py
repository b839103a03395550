"""What a request's URLs begin with, as its client sees this server: also from behind proxies, where those are trusted.

A proxy says what it was asked for in `Forwarded` (RFC 7239) or in `X-Forwarded-Proto`, `-Host`, `-Port` and `-Prefix`.
Anybody can write these headers, so they count only from networks that the operator names, and only as far along the
chain as it consists of such proxies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import quote

from starlette.types import Scope

Network = IPv4Network | IPv6Network
#: Header lines that proxies add, as they came.
Lines = tuple[tuple[bytes, bytes], ...]

_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_SCHEME = re.compile(rb"https?", re.IGNORECASE)
_PREFIX = re.compile(rb"(?:/[A-Za-z0-9._~-]+)+/?")
_NAMES = tuple(b"x-forwarded-" + name for name in (b"for", b"proto", b"host", b"port", b"prefix"))
#: Bytes of such headers that are looked at; a chain of proxies needs far fewer.
_LONGEST = 4_000
#: Characters of an IPv6 address at most.
_LONGEST_ADDRESS = 45

#: One `name=value` of `Forwarded`, with the separator that follows it.
_PAIR = re.compile(rb"\s*([A-Za-z]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*))\s*(;|,|$)")


class _Told(NamedTuple):
    """What the outermost trusted proxy says that it was asked for; empty where it says nothing usable."""

    scheme: str = ""
    host: bytes = b""
    port: str = ""
    prefix: str = ""


_NOTHING = _Told()


def origin_of(
    scope: Scope, headers: Mapping[bytes, bytes], public_url: str | None, trusted: tuple[Network, ...] = ()
) -> str:
    """The absolute URL that the versions lie below: the public one, else what this request used."""
    if public_url is not None:
        return public_url.rstrip("/")
    told = _told_by(scope, trusted) if trusted else _NOTHING
    return _origin(
        told.scheme or scope.get("scheme", "http"),
        told.host or headers.get(b"host", b""),
        told.port,
        told.prefix + scope.get("root_path", "").rstrip("/"),
        scope.get("server"),
    )


@lru_cache(maxsize=256)
def _origin(scheme: str, host: bytes, port: str, prefix: str, server: tuple[str, int | None] | None) -> str:
    if _HOST.fullmatch(host):
        name = host.decode("ascii")
    else:
        # Whoever sends no usable Host gets the address that the connection came to.
        address, own = server or ("localhost", None)
        name = f"[{address}]:{own}" if ":" in address else f"{address}:{own}"
        name = name if own is not None else "localhost"
    if port:
        usual = "443" if scheme == "https" else "80"
        name = re.sub(r":[0-9]+$", "", name) + (f":{port}" if port != usual else "")
    return f"{scheme}://{name}{quote(prefix)}"


def _told_by(scope: Scope, trusted: tuple[Network, ...]) -> _Told:
    peer = scope.get("client")
    if peer is None or not _is_trusted(peer[0], trusted):
        return _NOTHING
    lines = tuple((n, v) for n, v in scope["headers"] if n == b"forwarded" or n in _NAMES)
    return _told(lines, trusted) if lines and sum(len(value) for _, value in lines) <= _LONGEST else _NOTHING


@lru_cache(maxsize=4_096)
def _is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False  # "unknown", or a name that a proxy made up.
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in trusted)


@lru_cache(maxsize=256)
def _told(lines: Lines, trusted: tuple[Network, ...]) -> _Told:
    # A header that stands on several lines is one list.
    values = {name: b",".join(value for other, value in lines if other == name) for name, _ in lines}
    prefix = values.get(b"x-forwarded-prefix", b"")
    if b"forwarded" in values:
        elements = _elements(values[b"forwarded"])
        hops = _hops([element.get(b"for", b"") for element in elements], trusted)
        chosen = elements[-min(hops, len(elements))] if elements else {}
        return _usable(chosen.get(b"proto", b""), chosen.get(b"host", b""), b"", _last(prefix, hops))
    hops = _hops(values.get(b"x-forwarded-for", b"").split(b","), trusted)
    said = [_last(values.get(name, b""), hops) for name in _NAMES[1:]]
    return _usable(*said)


def _elements(value: bytes) -> list[dict[bytes, bytes]]:
    """The elements of `Forwarded`, one for each proxy, the nearest last; none where it cannot be read."""
    elements: list[dict[bytes, bytes]] = [{}]
    place = 0
    while place < len(value):
        found = _PAIR.match(value, place)
        if found is None or found.end() == place:
            return []
        name, quoted, plain, separator = found.groups()
        elements[-1][name.lower()] = plain if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted)
        if separator == b",":
            elements.append({})
        place = found.end()
    return elements


def _hops(clients: Sequence[bytes], trusted: tuple[Network, ...]) -> int:
    """How many proxies in a row, from the nearest on, are trusted; *clients* are whom each was asked by."""
    hops = 1
    for client in reversed(clients):
        text = client.strip().decode("latin-1")
        # With its port: 192.0.2.1:4711, [2001:db8::1]:4711.
        address = text[1:].partition("]")[0] if text.startswith("[") else text
        address = address.partition(":")[0] if address.count(":") == 1 else address
        if len(address) > _LONGEST_ADDRESS or not _is_trusted(address, trusted):
            break
        hops += 1
    return hops


def _last(value: bytes, hops: int) -> bytes:
    """What the proxy *hops* from here said; a list may be shorter, as many proxies replace what they get."""
    entries = [entry.strip() for entry in value.split(b",")]
    return entries[-min(hops, len(entries))]


def _usable(scheme: bytes, host: bytes, port: bytes, prefix: bytes) -> _Told:
    """What can stand in a URL; the rest counts as not said."""
    known = port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536
    return _Told(
        scheme.decode("ascii").lower() if _SCHEME.fullmatch(scheme) else "",
        host if _HOST.fullmatch(host) else b"",
        str(int(port)) if known else "",
        prefix.decode("ascii").rstrip("/") if _PREFIX.fullmatch(prefix) else "",
    )
