"""Build the parts, start them in order, stop them in reverse."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import ip_network
from typing import Protocol

import structlog
import uvloop

from sendpool import logs
from sendpool.admin.context import Context
from sendpool.admin.protocol import socket_of
from sendpool.admin.server import CommandServer
from sendpool.api.app import create_app
from sendpool.api.auth import Accounts
from sendpool.api.front.frames import Settings
from sendpool.api.front.process import Fronts
from sendpool.api.front.talk import Wiring
from sendpool.api.rates import RequestRates
from sendpool.api.services import Services
from sendpool.api.serving import HttpServer
from sendpool.collecting import calm_the_collector
from sendpool.config import Config, ConfigError
from sendpool.config.places import command_socket, database_of, secret_key
from sendpool.config.server import ServerSettings
from sendpool.connectors.base import SenderSettings
from sendpool.console.app import console_routes
from sendpool.failpoints import reach
from sendpool.metrics import Metrics
from sendpool.pipeline.cancel import cancel
from sendpool.pipeline.capability import CapabilityLoop
from sendpool.pipeline.duties import Duties
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.explain import explain_message
from sendpool.pipeline.find import Finder
from sendpool.pipeline.fleet import Fleet
from sendpool.pipeline.health import HealthKeeper
from sendpool.pipeline.inquire import Inquirer
from sendpool.pipeline.inventory import UnknownAccount, Wanted, finds_senders, take_inventory
from sendpool.pipeline.notify.process import NotifierProcess
from sendpool.pipeline.notify.words import Order
from sendpool.pipeline.outlook import Outlook
from sendpool.pipeline.rehearse import rehearse
from sendpool.pipeline.reply import Replier
from sendpool.pipeline.retain import Retention
from sendpool.pipeline.revoke import Revoker
from sendpool.pipeline.roster import Roster, load_roster
from sendpool.pipeline.sight import LiveSight, Sight
from sendpool.pipeline.supervise import Supervisor
from sendpool.pipeline.sweep import Sweeper
from sendpool.pipeline.turn import Turn
from sendpool.store.accounts import FirstAccount, ensure_first_account, load_accounts
from sendpool.store.database import Database, Script
from sendpool.store.declared_pools import UnknownMember
from sendpool.store.keys import load_keys
from sendpool.store.opening import open_database
from sendpool.store.senders import SenderDeclaredTwice
from sendpool.tracing import TRACING

log = structlog.get_logger()

#: Seconds that open HTTP requests have to end after SIGTERM.
DRAIN_SECONDS = 10


class _Loop(Protocol):
    """Something that goes on by itself until it is stopped."""

    async def stop(self) -> None:
        """End it."""


class Runtime:
    """One running server: database, engine, connections, HTTP."""

    def __init__(self, config: Config, reload: Callable[[], Config]) -> None:
        self._config = config
        self._reload = reload
        self._metrics = Metrics()
        self._stopped = asyncio.Event()
        self._ready = False
        self._reloading: asyncio.Task[None] | None = None
        #: A changed file and a command do not change what runs at the same time.
        self._applying = asyncio.Lock()
        self._fronts = Fronts(config.server.front_processes)
        #: Senders that carriers have told of, by account and name of the connection.
        self._found: dict[tuple[int, str], Sequence[SenderSettings]] = {}

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit status."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopped.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        server = self._config.server
        key = secret_key(server.secret_key, server.database)
        where = database_of(server.database)
        database = await open_database(where, shared=isinstance(where, str))
        try:
            return await self._serve(database, key)
        finally:
            await database.close()

    async def _serve(self, database: Database, key: bytes) -> int:
        engine = self._engine = Engine(database, self._metrics)
        self._outlook = Outlook(engine)
        engine.backlog.most = self._config.server.max_queued
        account = await self._first_account(database, key)
        calm_the_collector()
        self._account_id = account.id
        where = database_of(self._config.server.database)
        shared = isinstance(where, str)
        self._supervisor = Supervisor(engine, {} if shared else None)
        self._fleet = Fleet(where, engine, self._supervisor, key) if isinstance(where, str) else None
        sweeper = Sweeper(engine)
        await sweeper.recover()
        self._scopes = self._config.scopes
        self._wanted = await self._inventory(self._config, database.write)
        engine.use_roster(await database.read(load_roster()))
        self._accounts = Accounts()
        await self._know_accounts(key)
        revoker = Revoker(engine)
        engine.revoke = revoker.ask
        capability = CapabilityLoop(engine)
        retention = Retention(engine, self._config.server.retention_days)
        duties = Duties([retention, Replier(engine), NotifierProcess(engine, self._metrics, self._order(key))])
        if self._fleet is not None:
            self._fleet.wire(sweeper, revoker, duties, partial(self._take_over_changes, key))
        health = HealthKeeper(engine)
        await health.recover()
        engine.start()
        await self._supervisor.apply(self._wanted, self._scopes)
        if self._fleet is not None:
            await self._fleet.join(self._config.server.role, self._wanted)
        # What an earlier run left to ask or to take back needs the connections.
        sweeper.start()
        capability.start()
        health.start()
        finder = Finder(engine, self._take_over_found, self._finds)
        finder.start()
        inquirer = Inquirer(engine)
        inquirer.start()
        if self._fleet is None:
            duties.keep(True)
        commands = self._commands(database, key)
        await commands.open()
        listener = _listen(self._config.server.host, self._config.server.port)
        services = self._services(key)
        changed = partial(self._take_over_changes, key)
        app = create_app(services, console_routes(services, self._context(key), changed))
        web = HttpServer(app, DRAIN_SECONDS)
        await self._take_connections(web, listener, services)
        self._ready = True
        _announce(listener, account)
        await self._until_stopped(web)
        self._ready = False
        await commands.close()
        return await self._drain(web, sweeper, duties, capability, revoker, health, finder, inquirer)

    async def _take_connections(self, web: HttpServer, listener: socket.socket, services: Services) -> None:
        if not self._fronts.number:
            await web.start(listener)
            return
        await web.start()
        settings = front_settings(self._config.server)
        ways = (services.accept, self._engine.intake.is_immediate, self._outlook.accept_each)
        wiring = Wiring(settings, *ways, services.rates, services.observe, web.adopt)
        await self._fronts.start(listener, wiring)

    async def _until_stopped(self, web: HttpServer) -> None:
        stopped = asyncio.create_task(self._stopped.wait())
        # Without its engine the server would take requests and answer none: better to end, and be started again.
        ended = asyncio.create_task(self._engine.wait_ended())
        await asyncio.wait([stopped, web.serving, ended], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if ended.done():
            ended.result()
        ended.cancel()

    async def _drain(self, web: HttpServer, *loops: _Loop) -> int:
        """Answer what was asked, start nothing new, take in what is in flight, commit it, leave."""
        log.info("draining")
        closing = asyncio.gather(web.stop(), self._fronts.stop(DRAIN_SECONDS))
        self._engine.drain()
        reach("drain.begun")
        if self._fleet is not None:
            # First of all: another node waits to go on.
            await self._fleet.leave()
        await closing
        for loop in loops:
            await loop.stop()
        await self._supervisor.close()
        reach("drain.disconnected")
        await self._engine.stop()
        if self._fleet is not None:
            await self._fleet.close()
        log.info("stopped")
        return 0

    # ------------------------------------------------------------ parts

    def _commands(self, database: Database, key: bytes) -> CommandServer:
        changed = partial(self._take_over_changes, key)
        at = command_socket(self._config.server.database)
        if self._fleet is not None:
            at = socket_of(at, os.getpid())
        return CommandServer(at, database, self._engine.change, self._context(key), changed)

    def _context(self, key: bytes) -> Callable[[], Context]:
        """What commands get besides their arguments, at the moment at which they run."""

        def context() -> Context:
            server = self._config.server
            token_set, learn = server.auth_token is not None, self._engine.consent.learn
            return Context(self._now(), key, server.account_sid, token_set=token_set, live=self._live, learn=learn)

        return context

    async def _take_over_changes(self, key: bytes) -> None:
        """Accounts or keys are not what they were: somebody has commanded it here, or another node has told so."""
        async with self._applying:
            await self._know_accounts(key)
            await self._run_connections()

    async def _first_account(self, database: Database, key: bytes) -> FirstAccount:
        server = self._config.server
        try:
            return await database.write(
                lambda: ensure_first_account(server.account_sid, server.auth_token, key, self._now())
            )
        except ValueError as error:
            raise ConfigError("server.account_sid", str(error)) from None

    async def _know_accounts(self, key: bytes) -> None:
        accounts = await self._engine.database.read(load_accounts(key))
        self._open_accounts = {account.id for account in accounts}
        keys = await self._engine.database.read(load_keys())
        self._accounts.replace(accounts, keys)
        await self._fronts.know(accounts, keys)

    async def _inventory(
        self, config: Config, write: Callable[[Callable[[], Script[Wanted]]], Awaitable[Wanted]]
    ) -> Wanted:
        """Every declared sender is stored, and every sender has the hidden pool that stands for it."""
        try:
            wanted = await write(
                lambda: take_inventory(
                    config.connections,
                    self._account_id,
                    self._now(),
                    config.pools,
                    config.scopes,
                    self._node_id(),
                    self._found,
                )
            )
        except UnknownAccount as error:
            raise ConfigError(str(config.source), f"{error.table}.account", str(error)) from None
        except UnknownMember as error:
            place = next(i for i, pool in enumerate(config.pools) if pool is error.pool)
            raise ConfigError(str(config.source), f"pools[{place}].members[{error.position}]", str(error)) from None
        except SenderDeclaredTwice as error:
            raise ConfigError(str(config.source), str(error)) from None
        left_out = {one.name for one in config.connections} - {settings.name for settings, _ in wanted.values()}
        if left_out:
            log.warning("connections of closed accounts are left out", connections=sorted(left_out))
        return wanted

    async def _run_connections(self) -> None:
        """Open, replace and close connections so that those of open accounts run."""
        wanted = {key: it for key, it in self._wanted.items() if it[1] in self._open_accounts}
        if self._fleet is not None:
            # First the others know: what is to be theirs, or shares a scope with theirs, stops before it is changed.
            await self._fleet.declare(wanted)
        await self._supervisor.apply(wanted, self._scopes)

    def _finds(self, connection_id: int) -> bool:
        return connection_id in self._wanted and finds_senders(self._wanted[connection_id][0])

    async def _take_over_found(self, connection_id: int, senders: Sequence[SenderSettings]) -> None:
        """A carrier tells which senders a connection has."""
        async with self._applying:
            if connection_id not in self._wanted:
                return
            settings, account_id = self._wanted[connection_id]
            self._found[account_id, settings.name] = senders
            self._wanted = await self._inventory(self._config, self._engine.change)
            await self._run_connections()
        log.info("senders found", connection=settings.name, senders=len(senders))

    def _order(self, key: bytes) -> Order:
        """What the process that hands events over has to know."""
        server = self._config.server
        where = database_of(server.database)
        return Order(
            database=str(where),
            file=not isinstance(where, str),
            key=base64.b64encode(key).decode(),
            allow_private_networks=server.allow_private_networks,
            log_level=server.log_level,
            log_json=server.log_json,
        )

    def _services(self, key: bytes) -> Services:
        server = self._config.server
        engine, outlook = self._engine, self._outlook
        return Services(
            database=engine.database,
            write=engine.change,
            accept=outlook.accept,
            ask=Turn(engine, outlook).ask,
            completion=outlook.completion,
            cancel=partial(cancel, engine),
            explain=partial(explain_message, engine),
            rehearse=partial(rehearse, engine),
            has_pool=engine.has_pool,
            pairs=engine.pairs,
            accounts=self._accounts,
            key=key,
            now=self._now,
            ready=lambda: self._ready,
            metrics=self._metrics.render,
            metrics_token=server.metrics_token,
            public_url=server.public_url,
            trusted_proxies=tuple(map(ip_network, server.trusted_proxies)),
            rates=RequestRates(server.max_requests_per_second, server.burst),
            observe=self._metrics.request,
            callbacks=self._supervisor.callbacks,
            public=server.role != "send",
        )

    def _live(self) -> tuple[Roster, Sight]:
        return self._engine.roster, LiveSight(self._engine.sending, self._engine.clock)

    def _node_id(self) -> int:
        return 0 if self._fleet is None else self._fleet.node.node_id

    def _now(self) -> int:
        return self._engine.clock.wall()

    # ------------------------------------------------------------ SIGHUP

    def _hang_up(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._apply_changed_file())

    async def _apply_changed_file(self) -> None:
        """Take over connections, senders, rates and passwords of the changed file; a bad file changes nothing."""
        try:
            config = self._reload()
        except ConfigError as error:
            log.error("configuration not applied", error=str(error))
            return
        try:
            async with self._applying:
                self._wanted = await self._inventory(config, self._engine.change)
                self._scopes = config.scopes
                await self._run_connections()
        except Exception as error:  # noqa: BLE001 - the server goes on with what it has
            log.error("configuration not applied", error=str(error))
            return
        self._config = config
        self._engine.backlog.most = config.server.max_queued
        _configure_logs(config)
        log.info("configuration applied", connections=len(config.connections))


def front_settings(server: ServerSettings) -> Settings:
    """What fronts have to know of these."""
    where = database_of(server.database)
    return Settings(
        database=str(where),
        file=not isinstance(where, str),
        public_url=server.public_url,
        trusted_proxies=server.trusted_proxies,
        log_level=server.log_level,
        log_json=server.log_json,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"server.port: cannot listen on {host}:{port}: {error.strerror}; choose another") from error
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def _announce(listener: socket.socket, account: FirstAccount) -> None:
    host, port = listener.getsockname()[:2]
    if account.shown_token is not None:
        print(f"Account SID: {account.sid}\nAuth token:  {account.shown_token}\n(made just now; shown only once)")
    print(f"Sendpool is listening on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def _configure_logs(config: Config) -> None:
    logs.configure(config.server.log_level, json=config.server.log_json, secrets=config.secrets())


def serve(config: Config, reload: Callable[[], Config]) -> int:
    """Run the server until it is told to stop; returns the exit status. Raises `ConfigError` for what cannot work."""
    _configure_logs(config)
    TRACING.configure(os.environ)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_main(config, reload))


async def _main(config: Config, reload: Callable[[], Config]) -> int:
    return await Runtime(config, reload).run()
