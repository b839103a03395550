"""The table of commands. A new one is a function that makes a store script, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from sendpool.admin import (
    accounts,
    changes,
    codes,
    consent,
    draining,
    events,
    explain,
    keys,
    limits,
    nodes,
    operations,
    profiles,
    quarantine,
    senders,
    templates,
)
from sendpool.admin.context import Context
from sendpool.admin.protocol import Ask, CommandRefused
from sendpool.store.database import Script

T = TypeVar("T", bound=msgspec.Struct)


class Command(NamedTuple, Generic[T]):
    """One command: what it takes, and the script that carries it out and brings what is answered, fit for JSON."""

    arguments: type[T]
    script: Callable[[T, Context], Script[Any]]
    #: False: it only reads, on a snapshot of its own.
    writes: bool = True
    #: What is answered, made of what the script brought where the command was asked: only there may be looked at what
    #: a running server has in memory.
    finish: Callable[[Any, Context], Any] | None = None


COMMANDS: Mapping[str, Command[Any]] = {
    "accounts.list": Command(accounts.ListAccounts, accounts.list_accounts, writes=False),
    "accounts.create": Command(accounts.CreateAccount, accounts.create_account),
    "accounts.rename": Command(accounts.RenameAccount, accounts.rename_account),
    "accounts.countries": Command(accounts.SetCountries, accounts.set_countries),
    "accounts.rotate": Command(accounts.RotateToken, accounts.rotate_token),
    "accounts.close": Command(accounts.CloseAccount, accounts.close_account),
    "keys.list": Command(keys.ListKeys, keys.list_keys, writes=False),
    "keys.create": Command(keys.CreateKey, keys.create_key),
    "keys.revoke": Command(keys.RevokeKey, keys.revoke_key),
    "connections.list": Command(draining.List, draining.list_connections, writes=False),
    "connections.drain": Command(draining.OneConnection, draining.drain_connection),
    "connections.resume": Command(draining.OneConnection, draining.resume_connection),
    "limits.list": Command(limits.ShowLimits, limits.show_limits, writes=False),
    "senders.list": Command(draining.List, draining.list_senders, writes=False),
    "senders.drain": Command(draining.OneSender, draining.drain_senders),
    "senders.resume": Command(draining.OneSender, draining.resume_senders),
    "profiles.import": Command(profiles.ImportProfiles, profiles.import_profiles),
    "profiles.list": Command(profiles.ListProfiles, profiles.list_profiles, writes=False),
    "profiles.show": Command(profiles.OneProfile, profiles.show_profile, writes=False),
    "profiles.delete": Command(profiles.OneProfile, profiles.delete_profile),
    "templates.list": Command(templates.ListTemplates, templates.list_templates, writes=False),
    "templates.show": Command(templates.OneTemplate, templates.show_template, writes=False),
    "templates.write": Command(templates.WriteTemplate, templates.write_template),
    "templates.delete": Command(templates.OneTemplate, templates.delete_template),
    "consent.add": Command(consent.AddOptOuts, consent.add_opt_outs),
    "consent.remove": Command(consent.RemoveOptOuts, consent.remove_opt_outs),
    "consent.list": Command(consent.ListOptOuts, consent.list_opt_outs, writes=False),
    "quarantine.list": Command(quarantine.ListQuarantine, quarantine.list_quarantine, writes=False),
    "quarantine.remove": Command(quarantine.RemoveQuarantined, quarantine.remove_quarantined),
    "operations.paused": Command(operations.ListPaused, operations.list_paused, writes=False),
    "operations.resume": Command(operations.OneOperation, operations.resume),
    "codes.list": Command(codes.ListCodes, codes.show_codes, writes=False),
    "senders.health": Command(senders.ShowHealth, senders.show_health, writes=False),
    "events.list": Command(events.ListEvents, events.show_events, writes=False),
    "events.sinks": Command(events.ListSinks, events.show_sinks, writes=False),
    "events.dead": Command(events.ListDead, events.show_dead, writes=False),
    "events.replay": Command(events.Replay, events.replay_events),
    "explain.message": Command(explain.ExplainMessage, explain.find_story, writes=False, finish=explain.tell),
    "nodes.list": Command(nodes.ListNodes, nodes.show_nodes, writes=False),
    "log.list": Command(changes.ListLog, changes.show_log, writes=False),
}


class Prepared(NamedTuple):
    """A command with its arguments, ready to run. `script` makes a fresh one at each call."""

    script: Callable[[], Script[Any]]
    writes: bool
    finish: Callable[[Any], Any]


def prepare(ask: Ask, context: Context) -> Prepared:
    """The command that is asked for. Raises CommandRefused for one that does not exist, or wrong arguments."""
    command = COMMANDS.get(ask.command)
    if command is None:
        raise CommandRefused(f'there is no command "{ask.command[:40]}"; is the server of another version?')
    try:
        arguments = msgspec.convert(ask.arguments, command.arguments)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"{ask.command}: {error}; is the server of another version?") from None
    finish = command.finish
    return Prepared(
        lambda: command.script(arguments, context),
        command.writes,
        (lambda brought: brought) if finish is None else lambda brought: finish(brought, context),
    )
