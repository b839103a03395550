"""Resolve: who may send a request, to whom, over which steps, and when. Changes nothing and numbers nothing.

Acceptance makes an operation of what this says, a rehearsal shows it: they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from msgspec.structs import replace

from sendpool.domain.email_content import domain_of
from sendpool.domain.message import Category, on_channel
from sendpool.domain.plan import Steps, along, steps
from sendpool.domain.policy import policy_for
from sendpool.domain.pool import Pool
from sendpool.domain.request import (
    AccountOrigin,
    AddressOrigin,
    PoolOrigin,
    Problem,
    Recipient,
    Refused,
    SenderOrigin,
    SendRequest,
)
from sendpool.domain.schedule import HORIZON_DAYS, Moment, due_of, is_beyond_horizon
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.uniform import Uniform
from sendpool.pipeline.countries import destination_of
from sendpool.pipeline.lanes import why_nobody
from sendpool.pipeline.render import UNFIT, Reading, Readings
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.zones import zones_of

#: The code of a recipient whom no sender reaches, and what is said of it.
UNADDRESSABLE = 21703
UNREACHED = "no active sender of this pool reaches this kind of address"

#: Kinds of requests, and of recipients in each, whose plans are kept.
_KINDS = 1_000
#: A recipient on its way to a row, as chunks keep it: address, space, plan and segments; then variables and name
#: where anybody has any.
Addressed = tuple[str, str, str, int] | tuple[str, str, str, int, Mapping[str, str] | None, str | None]

_variables, _name = attrgetter("variables"), attrgetter("name")


class Plans(dict[str, str]):
    """The plan of each kind of recipient, by its address spaces: letters, "" where nobody can reach it."""

    #: Whether the recipient's country matters too.
    restricted = False

    def __init__(self, find: Callable[[str], Steps]) -> None:
        super().__init__()
        self._find = find
        #: The steps of kinds with several addresses.
        self.several: dict[str, Steps] = {}

    def __missing__(self, spaces: str) -> str:
        found = self._find(spaces)
        if len(spaces) > 1:
            self.several[spaces] = found
        self[spaces] = found.letters
        return found.letters

    def of(self, recipient: Recipient) -> str:
        """The letters of a recipient's plan; "" where nobody can reach it."""
        return self[recipient.space]

    def along(self, recipient: Recipient) -> tuple[str, str]:
        """A recipient's addresses and their spaces as a message with this plan keeps them."""
        several = self.several.get(recipient.space)
        address, space = recipient.address, recipient.space
        return along(several, address, space) if several else (address, space)

    def refusal(self, recipient: Recipient) -> tuple[int, str]:
        """The code and the reason of a recipient whose plan is empty."""
        return UNADDRESSABLE, UNREACHED


class CountryPlans(Plans):
    """The same where not everybody may be sent to: plans go by the countries of the addresses too."""

    restricted = True

    def __init__(self, find: Callable[[str, Sequence[str]], Steps], explain: Callable[[str], tuple[int, str]]) -> None:
        """*find* is told the address spaces and an address for each; *explain* says why a number gets nothing."""
        super().__init__(lambda spaces: find(spaces, [""] * len(spaces)))
        self._of_addresses = find
        self._explain = explain
        self._by_country: dict[tuple[str, str], str] = {}

    def of(self, recipient: Recipient) -> str:
        """The letters of a recipient's plan."""
        address, space = recipient.address, recipient.space
        if " " in address:
            return self._of_addresses(space, address.split(" ")).letters
        key = (space, destination_of(address))
        letters = self._by_country.get(key)
        if letters is None:
            letters = self._by_country[key] = self._of_addresses(space, [address]).letters
        return letters

    def along(self, recipient: Recipient) -> tuple[str, str]:
        """A recipient's addresses and their spaces as a message with this plan keeps them."""
        address, space = recipient.address, recipient.space
        if " " not in address:
            return address, space
        return along(self._of_addresses(space, address.split(" ")), address, space)

    def refusal(self, recipient: Recipient) -> tuple[int, str]:
        """The code and the reason of a recipient whose plan is empty."""
        if not self[recipient.space]:
            return super().refusal(recipient)
        return self._explain(next(one for one in recipient.address.split(" ") if one.startswith("+")))


class Resolved(NamedTuple):
    """What a request comes to."""

    pool: Pool
    plans: Plans
    category: Category
    #: Seconds.
    validity: int
    #: Who is sent to, by the time they are due.
    addressed: Sequence[Addressed]
    #: These times, 0 for at once; empty where that holds of everybody.
    dues: Sequence[int]
    #: Whom it has nothing to say to, each with its error.
    failed: Sequence[tuple[Addressed, int]]


def resolve(request: SendRequest, roster: Roster, at: int, readings: Readings | None = None) -> Resolved:
    """Say what a request comes to at *at* (microseconds since 1970).

    Raises `Refused` when the origin cannot be used, or the time is too far ahead.
    *readings* says how a personal request reads for each of its recipients.
    """
    pool = pool_of(request, roster)
    if request.kind == "email" and Channel.EMAIL not in roster.channels(pool.id):
        raise Refused(_no_email_sender(request))
    plans = _plans(request, pool, roster)
    content = request.content
    failed: Sequence[tuple[Addressed, int]] = ()
    if readings is None:
        segments = count(on_channel(content, Channel.SMS).text) if content.says_on(Channel.SMS) else 1
        reached = _addressed(request.recipients, plans, segments)
    else:
        reached, failed = _personal(request.recipients, plans, readings.each)
    addressed, dues = _in_order_of_time(reached, request.send_at, at)
    category = request.category or pool.category or Category.TRANSACTIONAL
    validity = request.validity or int(policy_for(category, pool.rules).validity)
    return Resolved(pool, plans, category, validity, addressed, dues, failed)


def as_named(request: SendRequest, roster: Roster) -> SendRequest:
    """An email that says from which mailbox it is, where that is no sender itself but one of a sender's domain."""
    origin, content = request.origin, request.content
    if not isinstance(origin, AddressOrigin):
        return request
    if (request.account_id, origin.channel, origin.address) in roster.sender_by_address:
        return request
    module = {**content.modules[Channel.EMAIL], "fromAddress": origin.address}
    modules = {**content.modules, Channel.EMAIL: module}
    return replace(request, content=replace(content, modules=modules))


def pool_of(request: SendRequest, roster: Roster) -> Pool:
    """The pool that a request is sent from, a hidden one where it names none. Raises `Refused`."""
    origin = request.origin
    if isinstance(origin, PoolOrigin):
        pool = roster.pool_by_uid.get(origin.uid)
        if pool is None or pool.account_id != request.account_id:
            raise Refused(_unknown("sender pool", "GET /SenderPools lists yours", "$.from.senderPoolId"))
        return pool
    if isinstance(origin, AccountOrigin):
        return roster.hidden_by_account[request.account_id]
    return roster.hidden_by_sender[_sender(request, roster).id]


def _sender(request: SendRequest, roster: Roster) -> Sender:
    origin = request.origin
    if isinstance(origin, SenderOrigin):
        sender, context = roster.sender_by_uid.get(origin.uid), "$.from.senderId"
    else:
        assert isinstance(origin, AddressOrigin)
        sender = roster.sender_by_address.get((request.account_id, origin.channel, origin.address))
        if sender is None and request.kind == "email":
            sender = roster.sender_by_domain.get((request.account_id, domain_of(origin.address)))
        context = "$.from.address"
    if sender is None or sender.account_id != request.account_id:
        raise Refused(_unknown("sender", "GET /Senders lists yours", context))
    if not sender.active:
        raise Refused(
            Problem(21606, "the sender is DEACTIVATED: no connection declares it any more; use another", context)
        )
    return sender


def _plans(request: SendRequest, pool: Pool, roster: Roster) -> Plans:
    origin = request.origin
    filter_in = origin.filter_in if isinstance(origin, PoolOrigin) else None
    ordered = origin.priority if isinstance(origin, PoolOrigin) else ()
    available = [channel for channel in roster.channels(pool.id) if request.content.says_on(channel)]
    key = (pool.id, tuple(available), filter_in, ordered)
    known = roster.plans.get(key)
    if known is not None and len(known) < _KINDS:
        return known
    priority, reach = dict(ordered), pool.choice.reach
    lanes = {channel: roster.lanes(pool.id, channel) for channel in available}
    if not any(one.restricted for one in lanes.values()):
        found = Plans(lambda spaces: steps(spaces, available, filter_in, priority, reach))
        if len(roster.plans) < _KINDS:
            roster.plans[key] = found
        return found

    def find(spaces: str, addresses: Sequence[str]) -> Steps:
        def served(channel: Channel, place: int) -> bool:
            return not addresses[place] or lanes[channel].serves(addresses[place])

        return steps(spaces, available, filter_in, priority, reach, served)

    return CountryPlans(find, lambda number: why_nobody(destination_of(number), lanes.values()))


def _addressed(recipients: Sequence[Recipient], plans: Plans, segments: int) -> Sequence[Addressed]:
    """The recipients that somebody can reach. Only who has several addresses, variables or a name costs more."""
    if isinstance(recipients, Uniform) and not plans.restricted:
        space = recipients.rest[0]
        return Uniform(recipients.addresses, (space, letters, segments), tuple) if (letters := plans[space]) else []
    own = any(map(_variables, recipients)) or any(map(_name, recipients))
    if plans.restricted and not own:
        return [(*plans.along(r), letters, segments) for r in recipients if (letters := plans.of(r))]
    if not plans.restricted:
        plain = [(r.address, r.space, letters, segments) for r in recipients if (letters := plans[r.space])]
        if not plans.several and not own:
            return plain
    found: list[Addressed] = []
    for r in recipients:
        if letters := plans.of(r):
            found.append((*plans.along(r), letters, segments, r.variables, r.name))
    return found


def _personal(
    recipients: Sequence[Recipient], plans: Plans, readings: Sequence[Reading]
) -> tuple[list[Addressed], list[tuple[Addressed, int]]]:
    """Who is sent to; and whom the operation has nothing to say to, with the error of each.

    A channel on which it says nothing to somebody drops out of their plan, like one without content.
    """
    addressed: list[Addressed] = []
    failed: list[tuple[Addressed, int]] = []
    for r, reading in zip(recipients, readings, strict=True):
        letters = plans.of(r)
        if not letters:
            continue
        address, space = plans.along(r)
        sayable = [i for i, letter in enumerate(letters) if letter in reading.letters]
        if not sayable:
            failed.append(((address, space, letters, 1, r.variables, r.name), reading.code or UNFIT))
            continue
        if len(sayable) < len(letters) and " " in address:
            parts = address.split(" ")
            address, space = " ".join([parts[i] for i in sayable]), "".join([space[i] for i in sayable])
        left = "".join([letters[i] for i in sayable])
        addressed.append((address, space, left, reading.segments, r.variables, r.name))
    return addressed, failed


def _in_order_of_time(
    addressed: Sequence[Addressed], send_at: Moment | None, now: int
) -> tuple[Sequence[Addressed], Sequence[int]]:
    """The recipients by the time they are due, and these times; 0 is at once, and no times at all: everybody.

    Raises `Refused` for a time that is too far ahead.
    """
    if send_at is None or not addressed:
        return addressed, ()
    if is_beyond_horizon(send_at, now):
        raise Refused(
            Problem(60701, f"the time is more than {HORIZON_DAYS} days ahead; give a nearer one", "$.schedule.sendAt")
        )
    dues = [due if (due := due_of(send_at, zones_of(one[0]))) > now else 0 for one in addressed]
    order = sorted(range(len(dues)), key=dues.__getitem__)
    return [addressed[i] for i in order], [dues[i] for i in order]


def _no_email_sender(request: SendRequest) -> Problem:
    """Nobody could be reached, and the counters of emails do not know unaddressable recipients."""
    if isinstance(request.origin, PoolOrigin):
        told = "no active sender of this pool has the channel EMAIL; add one"
        return Problem(UNADDRESSABLE, told, "$.from.senderPoolId")
    return Problem(21606, "this sender's channel is not EMAIL; use another", "$.from.senderId")


def _unknown(what: str, hint: str, context: str) -> Problem:
    return Problem(20404, f"no such {what} in this account; {hint}", context)
