"""`sendpool pools`: sender pools, over the API of a server that runs here or anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sendpool.cli.api import ApiUrl, over_api, pool_of
from sendpool.cli.asking import listing, one
from sendpool.cli.options import AsJson

if TYPE_CHECKING:
    from sendpool.client import Client

pools = App(name="pools", help="Sender pools, and who is in them. Says where the API is: --url, or SENDPOOL_URL.")

_COLUMNS = {"id": "Pool", "name": "Name", "preference": "Preference", "category": "Category", "createdAt": "Created"}
_MEMBERS = {
    "id": "Sender",
    "address": "Address",
    "channel": "Channel",
    "status": "Status",
    "weight": "Weight",
    "tier": "Tier",
}
Pool = Annotated[str, Parameter(help="A pool's id, or its name where no other has it.")]
Senders = Annotated[Sequence[str], Parameter(help="A sender's id, or its address where it is on one channel alone.")]


@pools.command(name="list")
def list_(*, url: ApiUrl = None, json: AsJson = False) -> int:
    """List the pools of the account."""
    show = listing(_COLUMNS, "There is no pool; `sendpool pools create NAME` makes one.", as_json=json)
    return over_api(url, lambda client: list(client.pools.list()), show)


@pools.command
def show(pool: Pool, *, url: ApiUrl = None, json: AsJson = False) -> int:
    """Show the senders of a pool."""
    show = listing(_MEMBERS, "Nobody is in it; `sendpool pools add` puts senders in.", as_json=json)
    return over_api(url, lambda client: list(client.pools.members(pool_of(client, pool))), show)


@pools.command
def create(name: str, senders: Senders = (), *, url: ApiUrl = None, json: AsJson = False) -> int:
    """Make a pool of senders; its id is printed."""

    def make(client: Client) -> Any:
        made = client.pools.create(name, senders=[_sender(client, sender) for sender in senders])
        client.pool_operations.wait(made.operation_id, within=60)
        return next(client.pools.list(operation=made.operation_id))

    return over_api(url, make, one(lambda pool: str(pool["id"]), as_json=json))


@pools.command
def add(pool: Pool, senders: Senders, *, url: ApiUrl = None, json: AsJson = False) -> int:
    """Put senders into a pool."""

    def put(client: Client) -> Any:
        ids = [_sender(client, sender) for sender in senders]
        made = client.pools.add(pool_of(client, pool), ids)
        return client.pool_operations.wait(made.operation_id, within=60)

    return over_api(url, put, one(lambda done: f"{done['stats']['created']} are in it now", as_json=json))


@pools.command
def remove(pool: Pool, sender: str, *, url: ApiUrl = None, json: AsJson = False) -> int:
    """Take a sender out of a pool."""
    say = one(lambda done: f"{done['resourceId']} is out of it", as_json=json)
    return over_api(url, lambda client: client.pools.remove(pool_of(client, pool), _sender(client, sender)), say)


@pools.command
def delete(pool: Pool, *, url: ApiUrl = None, json: AsJson = False) -> int:
    """Delete a pool; its senders stay, and what it has accepted still leaves by them."""
    say = one(lambda done: f"{done['resourceId']} is deleted", as_json=json)
    return over_api(url, lambda client: client.pools.delete(pool_of(client, pool)), say)


def _sender(client: Client, named: str) -> str:
    """The id of a sender. Raises ValueError and ClientError."""
    if named.startswith("comms_sender_"):
        return named
    found = [sender for sender in client.senders.list() if sender.address == named]
    if len(found) == 1:
        return found[0].id
    if not found:
        raise ValueError(f"there is no sender {named}; `sendpool senders list` names them")
    raise ValueError(
        f"{named} is on {', '.join(one.channel for one in found)}; give an id: {', '.join(one.id for one in found)}"
    )
