"""Which connector speaks which type: the built-in ones and those that other packages bring as entry points."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from sendpool.connectors.base import ConnectionSettings, Connector, NamesAttempts

#: The group of entry points in which a package names its connectors.
GROUP = "sendpool.connectors"

BUILT_IN = {
    "smpp": "sendpool.connectors.smpp.connector:SmppConnector",
    "whatsapp": "sendpool.connectors.whatsapp.connector:WhatsAppConnector",
    "rcs": "sendpool.connectors.rcs.connector:RcsConnector",
    "smtp": "sendpool.connectors.smtp.connector:SmtpConnector",
    "twilio": "sendpool.connectors.twilio.connector:TwilioConnector",
    "http": "sendpool.connectors.http.connector:HttpConnector",
    "sandbox": "sendpool.connectors.sandbox.connector:SandboxConnector",
}


class ConnectorType(Protocol):
    """The class of a connector: made from the settings of its connection, which it can check beforehand."""

    def __call__(self, settings: ConnectionSettings) -> Connector:
        """A connector that does nothing until it is opened. Raises `ValueError` as `check` does."""

    def check(self, settings: ConnectionSettings) -> None:
        """Raise `ValueError` ("key 'port': what is wrong") if the settings are no good; connect to nothing."""


class UnknownConnector(ValueError):
    """No connector has this name."""

    def __init__(self, name: str) -> None:
        close = get_close_matches(name, available(), n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        super().__init__(f'type "{name}" is not available yet; available: {", ".join(available())}{hint}')


def available() -> tuple[str, ...]:
    """The names that `connector_type` knows: built-ins first, then what is installed beside."""
    return (*BUILT_IN, *sorted(_installed().keys() - BUILT_IN.keys()))


def connector_type(name: str) -> ConnectorType:
    """The connector of this name, imported on first use. A built-in name cannot be taken over by another package.

    Raises `UnknownConnector`.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast(ConnectorType, getattr(import_module(module), attribute))
    installed = _installed()
    if name not in installed:
        raise UnknownConnector(name)
    return cast(ConnectorType, installed[name].load())


def carrier_name(kind: str, public_id: str) -> str:
    """The carrier id that connectors of a type give the attempt of this public id; "" where carriers make the ids."""
    try:
        connector = cast(type, connector_type(kind))
    except UnknownConnector:
        return ""
    return connector.carrier_id(public_id) if issubclass(connector, NamesAttempts) else ""


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
