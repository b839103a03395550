"""Commands that go over the API, of a server that runs here or anywhere: where it is, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from sendpool.client import Client

ApiUrl = Annotated[
    str | None, Parameter(help="Where the API is. Else SENDPOOL_URL says so, else http://127.0.0.1:8080.")
]


def client_of(url: str | None) -> Client:
    """A client with the credentials of the environment. Raises ValueError where there are none."""
    from sendpool.client import Client

    return Client(base_url=url)
