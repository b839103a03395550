"""Requests and connections to places that clients gave us: never to private networks, unless the operator allows them.

The address is checked where the connection is made, after the name was resolved: a name that resolves to something
else the second time gains nothing. Redirects are answers like others, so that none leads around the check.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sendpool.connectors.web import KEEP_ALIVE, LONGEST_ANSWER, AiohttpClient, NotSent, Reply

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

#: IPv6 addresses that stand for IPv4 ones where a network translates between the two (RFC 6052).
_TRANSLATED = ip_network("64:ff9b::/96")


def _embedded(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address stands for, else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_allowed(address: str, allowed: Iterable[Network]) -> bool:
    """Whether requests may go to an address: a public one, or one in an allowed network."""
    given = ip_address(address.partition("%")[0])
    meant = _embedded(given)
    if any(one in network for network in allowed for one in (given, meant) if one.version == network.version):
        return True
    return meant.is_global and not meant.is_multicast


class _Resolver(AbstractResolver):
    """Resolves names, and leaves out addresses that requests may not go to."""

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of a name. Raises OSError where there is none that requests may go to."""
        found = await self._inner.resolve(host, port, family)
        allowed = [one for one in found if is_allowed(one["host"], self._allowed)]
        if not allowed:
            raise PrivateNetwork
        return allowed

    async def close(self) -> None:
        """Nothing is kept."""
        await self._inner.close()


async def addresses_of(host: str, port: int, allowed: Iterable[Network]) -> list[str]:
    """The addresses of a host that may be connected to: connect to them as they are, for the name may lead elsewhere
    the next time. Raises OSError where there are none.
    """
    found = await _Resolver(tuple(allowed)).resolve(host, port)
    return list(dict.fromkeys(one["host"] for one in found))


class PrivateNetwork(OSError):
    """The address is in a private network that is not allowed."""

    def __init__(self) -> None:
        super().__init__(0, "its address is in a private network; see allow_private_networks")


class GuardedClient(AiohttpClient):
    """An `AiohttpClient` for URLs that somebody else chose."""

    def __init__(
        self,
        allowed: Iterable[str],
        *,
        connect_timeout: float,
        longest: Callable[[Mapping[str, str]], int] = lambda _headers: LONGEST_ANSWER,
    ) -> None:
        """*allowed*: private networks that requests may reach; *longest*: octets of an answer at most, by its headers.
        Make it inside the event loop.
        """
        self._allowed = tuple(ip_network(one) for one in allowed)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE, resolver=_Resolver(self._allowed))
        super().__init__(connect_timeout=connect_timeout, connector=connector, longest=longest)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", within: float
    ) -> Reply:
        """Make a request, as `WebClient` says. Raises `NotSent` too where the address is not allowed."""
        host = URL(url, encoded=True).host or ""
        if _is_address(host) and not is_allowed(host, self._allowed):
            raise NotSent(str(PrivateNetwork().strerror))
        return await super().request(method, url, headers=headers, body=body, within=within)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
