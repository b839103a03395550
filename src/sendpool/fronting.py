"""A process that takes connections beside the server, and reads requests to send, so that the server has time to send.

The server starts it (`Fronts`) with the descriptors of the listener, of a pair of sockets on which they talk, and of
another on which connections are handed over; it ends with the server.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import uvloop

from sendpool import logs
from sendpool.api.app import hot_routes
from sendpool.api.auth import Accounts
from sendpool.api.front.far import FarServer
from sendpool.api.front.frames import Credentials, Settings
from sendpool.api.front.handing import Giver
from sendpool.api.quick import QuickServer
from sendpool.api.services import Services
from sendpool.collecting import calm_the_collector
from sendpool.store.reading import Reader, open_reader

#: Seconds that open requests have to end when the server stops: a little less than the server waits for us.
_GRACE = 9.0


def _services(far: FarServer, accounts: Accounts, settings: Settings, reader: Reader) -> Services:
    """What hot routes need; of the rest nothing is asked here."""
    return Services(
        database=reader,
        accept=far.accept,
        ask=far.ask,
        accounts=accounts,
        observe=far.observe,
        now=lambda: time.time_ns() // 1000,
        public_url=settings.public_url,
        trusted_proxies=tuple(map(ip_network, settings.trusted_proxies)),
        write=cast(Any, _elsewhere),
        cancel=_elsewhere,
        explain=_elsewhere,
        rehearse=_elsewhere,
        has_pool=_elsewhere,
        pairs=_elsewhere,
        ready=_elsewhere,
        metrics=_elsewhere,
    )


def _elsewhere(*_: Any) -> Any:
    raise RuntimeError("a front was asked for what only the server does")


async def _main(listener: socket.socket, talk: socket.socket, give: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    accounts = Accounts()

    def know(credentials: Credentials) -> None:
        accounts.replace(credentials.accounts, credentials.keys)

    far = FarServer(know)
    await loop.connect_accepted_socket(lambda: far, talk)
    settings = await far.settings
    logs.configure(settings.log_level, json=settings.log_json, secrets=())
    async with open_reader(Path(settings.database) if settings.file else settings.database) as reader:
        routes = hot_routes(_services(far, accounts, settings, reader))
        server = QuickServer(routes, Giver(give).give)
        server.start()
        calm_the_collector()
        listening = await loop.create_server(server.connection, sock=listener)
        far.listens()
        await far.closing.wait()
        if not far.gone.is_set():
            listening.close()
            await server.close(_GRACE)


def main() -> None:
    """Serve until the server stops or has gone. Arguments: the descriptors of listener, talk and handing over."""
    # Signals go to the server, which ends this process in its turn; without the server it ends anyway.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    sockets = [socket.socket(fileno=int(number)) for number in sys.argv[1:4]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(*sockets))


if __name__ == "__main__":
    main()
