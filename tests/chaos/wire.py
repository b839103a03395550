"""A network of its own for a server, joined to ours by wires that can be cut: nothing passes, and nobody is told.

Linux only, as root, with `ip`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence


class Wire:
    """A pair of interfaces, one on our side and one on the other's, each with an address."""

    def __init__(self, namespace: str, place: int) -> None:
        """*place* tells the wires of one namespace apart."""
        self._namespace = namespace
        self._ours, self._theirs = f"{namespace}-{place}a", f"{namespace}-{place}b"
        # Of the block that is kept for tests of networks (RFC 2544); other runs of the test have others.
        block = f"198.18.{secrets.randbelow(256)}.{4 * secrets.randbelow(64)}".rpartition(".")
        self.ours, self.theirs = (f"{block[0]}.{int(block[2]) + end}" for end in (1, 2))

    def lay(self) -> None:
        """Make it and bring it up."""
        _ip("link", "add", self._ours, "type", "veth", "peer", "name", self._theirs, "netns", self._namespace)
        _ip("address", "add", f"{self.ours}/30", "dev", self._ours)
        _ip("link", "set", self._ours, "up")
        _ip("-n", self._namespace, "address", "add", f"{self.theirs}/30", "dev", self._theirs)
        _ip("-n", self._namespace, "link", "set", self._theirs, "up")

    def cut(self) -> None:
        """Lose everything from now on, both ways: what either side sends goes to a card that is not there."""
        nobody = ("lladdr", "02:00:00:00:00:99", "nud", "permanent")
        _ip("neighbour", "replace", self.theirs, "dev", self._ours, *nobody)
        _ip("-n", self._namespace, "neighbour", "replace", self.ours, "dev", self._theirs, *nobody)


class Elsewhere:
    """A network namespace."""

    def __init__(self) -> None:
        self.name = f"sp{os.getpid() % 10_000}{secrets.token_hex(1)}"
        self._wires = 0

    @property
    def inside(self) -> Sequence[str]:
        """What goes before a command that is to run in it."""
        return "ip", "netns", "exec", self.name

    def wire(self) -> Wire:
        """One more wire to it."""
        self._wires += 1
        wire = Wire(self.name, self._wires)
        wire.lay()
        return wire


@contextlib.contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """A network namespace for the length of a block; its wires go with it."""
    made = Elsewhere()
    _ip("netns", "add", made.name)
    try:
        _ip("-n", made.name, "link", "set", "lo", "up")
        yield made
    finally:
        _ip("netns", "delete", made.name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=30)
