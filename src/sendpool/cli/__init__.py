"""The command line: parse, call, print. What a command needs is imported inside it, so that `--help` is quick."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from sendpool import __version__
from sendpool.cli.accounts import accounts
from sendpool.cli.asking import show_json
from sendpool.cli.audit import audit
from sendpool.cli.changes import log
from sendpool.cli.classes import classes
from sendpool.cli.connections import connections
from sendpool.cli.consent import consent
from sendpool.cli.drain import drain
from sendpool.cli.events import events
from sendpool.cli.explain import explain
from sendpool.cli.keys import keys
from sendpool.cli.limits import limits
from sendpool.cli.nodes import nodes
from sendpool.cli.operations import operations
from sendpool.cli.options import MISUSED, AsJson, ConfigPath, DatabaseUrl, failed, load_config
from sendpool.cli.pools import pools
from sendpool.cli.profiles import profiles
from sendpool.cli.quarantine import quarantine
from sendpool.cli.restored import restored
from sendpool.cli.send import send
from sendpool.cli.senders import senders
from sendpool.cli.templates import templates
from sendpool.cli.watch import watch
from sendpool.config import ConfigError, reload


def _in_a_line(error: CycloptsError) -> str:
    return f"sendpool: {' '.join(str(error).split())}"


app = App(
    name="sendpool",
    help="A messaging switch of your own: pools of senders over your own carriers.",
    version=__version__,
    help_format="plaintext",
    error_formatter=_in_a_line,
    # One line is one line, however narrow the terminal.
    error_console=Console(stderr=True, width=10_000),
)
app.command(accounts)
app.command(audit)
app.command(classes)
app.command(connections)
app.command(drain)
app.command(keys)
app.command(nodes)
app.command(profiles)
app.command(restored)
app.command(templates)
app.command(consent)
app.command(quarantine)
app.command(operations)
app.command(pools)
app.command(send)
app.command(watch)
app.command(senders)
app.command(limits)
app.command(events)
app.command(explain)
app.command(log)


@app.command
def serve(
    *,
    config: ConfigPath = None,
    host: Annotated[str | None, Parameter(help="The address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="The port to listen on; 0 takes a free one.")] = None,
    database: DatabaseUrl = None,
    role: Annotated[str | None, Parameter(help="What this process does: all, api or send.")] = None,
) -> int:
    """Run the server until SIGTERM, which lets it finish what it began. SIGHUP applies a changed configuration."""
    settings = load_config(config, host=host, port=port, database=database, role=role)
    if settings.source is None:
        print("sendpool: no sendpool.toml here and none named by --config: no connection, no senders", file=sys.stderr)
    from sendpool import runtime
    from sendpool.store.accounts import WrongSecretKey
    from sendpool.store.database import DatabaseInUse
    from sendpool.store.revisions import SchemaTooNew

    try:
        return runtime.serve(settings, lambda: reload(settings, os.environ))
    except (DatabaseInUse, SchemaTooNew, WrongSecretKey, OSError) as error:
        return failed(error)


@app.command
def migrate(*, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """Bring the database to the schema of this version. `serve` does so by itself; the server must not be running."""
    settings = load_config(config, database=database)
    from sendpool.config.places import database_of
    from sendpool.store.database import DatabaseInUse
    from sendpool.store.opening import migrate_database
    from sendpool.store.revisions import SchemaTooNew

    where = database_of(settings.server.database)
    try:
        before, now = asyncio.run(migrate_database(where))
    except (DatabaseInUse, SchemaTooNew, OSError) as error:
        return failed(error)
    if json:
        show_json({"before": before, "now": now})
        return 0
    what = where if isinstance(where, Path) else "the database"
    print(f"{what} has schema {now}" + (" already" if before == now else f", before {before or 'none'}"))
    return 0


@app.command
def simulate(
    *,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port to listen on; 0 takes a free one.")] = 2775,
    fault: Annotated[
        Sequence[str], Parameter(help='What goes wrong, for example "refuse share=0.1"; as often as you like.')
    ] = (),
    scenario: Annotated[Path | None, Parameter(help="A file that describes several centres.")] = None,
    seed: Annotated[int, Parameter(help="What faults are drawn from.")] = 1,
    answer_delay: Annotated[str, Parameter(help='Seconds until a submit is answered: "0.2" or "0.1-0.5".')] = "0",
    receipt_delay: Annotated[str, Parameter(help="Seconds until a receipt is sent.")] = "0.1",
    ids: Annotated[Literal["dec", "hex"], Parameter(help="How answers spell message ids.")] = "dec",
    receipt_ids: Annotated[Literal["dec", "hex"], Parameter(help="How receipts spell message ids.")] = "dec",
    log: Annotated[Path | None, Parameter(help="A file that gets a line for each submit.")] = None,
    stats: Annotated[bool, Parameter(help="Print a line of figures each second.")] = True,
) -> int:
    """Run an SMPP message centre to rehearse against."""
    from sendpool.simulate.command import SimulateOptions, run
    from sendpool.simulate.script import ScriptError

    options = SimulateOptions(
        host=host,
        port=port,
        faults=fault,
        scenario=scenario,
        seed=seed,
        answer_delay=answer_delay,
        receipt_delay=receipt_delay,
        ids=ids,
        receipt_ids=receipt_ids,
        log=log,
        stats=stats,
    )
    try:
        return asyncio.run(run(options))
    except ScriptError as error:
        return failed(error, MISUSED)
    except OSError as error:
        return failed(error)


@app.command
def demo() -> int:
    """Send 2,000 messages through a pool over two simulated carriers, one of which goes down half-way."""
    from sendpool.simulate.demo import run

    return run()


@app.command
def completion(shell: Literal["bash", "zsh", "fish"]) -> int:
    """Print what teaches a shell to complete our commands: `sendpool completion bash > ~/.bash_completion`."""
    print(app.generate_completion(shell=shell))
    return 0


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that *arguments* (else the process's own) name, and exit with its status.

    2 is for a wrong argument or configuration, 1 for what did not work.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["simulate"]:
        # The list of faults is long and belongs to the simulator, which other commands need not import.
        from sendpool.simulate.command import HELP

        app["simulate"].help = HELP
    try:
        status: int = app(words, result_action="return_value")
        sys.stdout.flush()
    except ConfigError as error:
        status = failed(error, MISUSED)
    except BrokenPipeError:
        # Whoever reads has read enough (`| head`). Nothing is left to be said, not even at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
