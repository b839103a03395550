"""A hundred seeded kill -9 of the server, on both databases and over SMPP and RCS: nothing lost, nothing in silence.

Each run sends a few hundred messages and dies once: at a moment, or at a failpoint, that the seed decides. Then it is
started again, the request is asked again under its key, and what is at the carrier is held against what the API says.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bench.api import TEXT, Api, recipient
from bench.carrier_log import copies
from bench.figures import Figure, addresses, read_log, say
from bench.rig import Carrier, Rig, RigFailed, Server, free_port, wait_for

from sendpool.failpoints import VARIABLE
from sendpool.testing.postgres_server import postgres_server

#: Segments that may be in flight, so that no more can be of unknown fate.
WINDOW = 100
#: Where a send leads the server, and up to which time it is to die there.
POINTS = {
    "accept.waiting": 1,
    "accept.applied": 1,
    "accept.committed": 1,
    "claim.applied": 4,
    "claim.committed": 4,
    "answer.heard": 8,
    "answer.taken": 8,
    "result.applied": 6,
    "result.committed": 6,
    "receipt.heard": 8,
    "receipt.applied": 6,
    "receipt.committed": 6,
    "sweep.applied": 2,
    "sweep.committed": 2,
}
AGENT, TOKEN, CLIENT_TOKEN = "agent@rbm.goog", "bench-token", "bench-client-token"
#: On PostgreSQL a lease has to end before; and many other things may run.
SETTLED_WITHIN = 120.0
#: Runs after which it is said how far it has come.
SAY_EVERY = 5
#: On SQLite as the server starts, on PostgreSQL once the lease of the one that died is over.
RESCUED = "attempts of unknown fate found after an unclean end", "attempts of unknown fate found after a takeover"


class KillSizes(NamedTuple):
    """How many kills, and how many messages each run takes at least and at most."""

    kills: int = 100
    messages: tuple[int, int] = (200, 400)
    seed: int = 1


KILLS_QUICK = KillSizes(8, (100, 200))


class Plan(NamedTuple):
    """What one run does; the seed and its number decide it."""

    first: int
    messages: int
    #: A failpoint and at which time, or "".
    point: str
    times: int
    #: Seconds after the request left.
    moment: float

    @property
    def how(self) -> str:
        """In a few words."""
        return f"{self.point}@{self.times}" if self.point else f"after {self.moment:.2f} s"


def plan(sizes: KillSizes, number: int) -> Plan:
    """What run *number* does."""
    chance = random.Random(sizes.seed * 1_000_003 + number)
    messages = chance.randint(*sizes.messages)
    # Every other run dies at a boundary, at each of them in turn.
    point = list(POINTS)[(number // 2 + sizes.seed) % len(POINTS)] if number % 2 else ""
    return Plan(
        1_000 * (number + 1), messages, point, chance.randint(1, POINTS.get(point, 1)), chance.uniform(0.0, 1.2)
    )


class Ran(NamedTuple):
    """What one run came to."""

    plan: Plan
    #: Attempts that the server found begun and unanswered when it was started again.
    in_flight: int
    #: Phones whose message is said to be of unknown fate.
    marked: set[str]
    states: Counter[str]
    died_by_itself: bool
    seconds: float


class World(NamedTuple):
    """A server on one database and over one channel."""

    name: str
    server: Server
    pool_id: str
    #: Ends the carrier; brings how often each phone got its message.
    delivered: Callable[[], Counter[str]]


def hundred_kills(sizes: KillSizes) -> list[Figure]:
    """kill -9 at a hundred seeded moments and boundaries, on SQLite and PostgreSQL, over SMPP and RCS."""
    made = {"SQLite, SMPP": _smpp, "SQLite, RCS": _rcs, "PostgreSQL, SMPP": _smpp, "PostgreSQL, RCS": _rcs}
    runs: dict[str, list[Ran]] = {}
    at_carriers: dict[str, Counter[str]] = {}
    failed: list[str] = []
    for n, (name, make) in enumerate(made.items()):
        share = range(n * sizes.kills // len(made), (n + 1) * sizes.kills // len(made))
        with contextlib.ExitStack() as stack:
            rig = stack.enter_context(Rig())
            url = stack.enter_context(postgres_server()).url() if name.startswith("Postgre") else ""
            world = make(name, rig, url)
            runs[name] = _run_all(world, [plan(sizes, number) for number in share], failed)
            at_carriers[name] = world.delivered()
        say(f"  {name}: {len(runs[name])} kills, {_sum_up(runs[name], at_carriers[name])}")
    return [*_figures(runs, at_carriers), _judged(sizes.kills, failed)]


# ---------------------------------------------------------------- worlds


def _smpp(name: str, rig: Rig, url: str) -> World:
    sink = rig.sink("carrier-a", "--dlr", "1/50", "--resp-delay", "20")
    senders = [(address, 250) for address in addresses(0, 2)]
    server = rig.server(Carrier("carrier-a", sink.port, senders, window=WINDOW), url=url)

    def delivered() -> Counter[str]:
        sink.stop()
        return copies(read_log(sink))

    return World(name, server, Api(server.base).create_pool(), delivered)


def _rcs(name: str, rig: Rig, url: str) -> World:
    port = free_port()
    rcs = rig.rcs(
        {
            "token": TOKEN,
            "client_token": CLIENT_TOKEN,
            "webhook": f"http://127.0.0.1:{port}/callbacks/rcs/events",
            "answer_delay": 0.02,
            "receipt_delay": 0.1,
        }
    )
    more = (
        f'\n[[connections]]\nname = "rcs"\ntype = "rcs"\nbase_url = "http://127.0.0.1:{rcs.port}"\n'
        f'token = "{TOKEN}"\nclient_token = "{CLIENT_TOKEN}"\nwindow = {WINDOW}\nreconnect_min = 0.1\n'
        f'[[connections.senders]]\nchannel = "RCS"\naddress = "{AGENT}"\nmps = 500\n'
    )
    server = rig.server(port=port, more=more, url=url)

    def delivered() -> Counter[str]:
        taken = [one for one in rcs.stop()["messages"] if one["status"] == 200 and not one["repeated"]]
        return Counter(one["phone"].lstrip("+") for one in taken)

    return World(name, server, Api(server.base).create_pool(), delivered)


# ---------------------------------------------------------------- one run


def _run_all(world: World, plans: Sequence[Plan], failed: list[str]) -> list[Ran]:
    """One run after the other. One that cannot be judged goes to *failed*, and the others go on."""
    ran: list[Ran] = []
    began = time.monotonic()
    for number, one in enumerate(plans, 1):
        try:
            ran.append(_run(world, one))
        except (RigFailed, OSError) as error:
            failed.append(f"{world.name}, {one.how}: {error}")
            say(f"  {failed[-1]}")
            world.server.kill()
            world.server.start()
        if number % SAY_EVERY == 0 and number < len(plans):
            say(f"  {world.name}: {number} of {len(plans)} kills after {time.monotonic() - began:.0f} s")
    return ran


def _run(world: World, plan: Plan) -> Ran:
    began = time.monotonic()
    server, body, key = world.server, _body(world, plan), f"run {plan.first}"
    if plan.point:
        # In order: on PostgreSQL its leases are free at once.
        server.stop()
        server.variables = {VARIABLE: f"{plan.point}=kill@{plan.times}"}
        alive = server.starts_or_dies()
        server.variables = {}
    else:
        alive = True
    operation = _ask(server, body, key) if alive else ""
    died = _die(server, plan)
    before = _rescued(server)
    server.start()
    again = _ask(server, body, key)
    if not again or (operation and again != operation):
        raise RigFailed(f"one key made two operations, {operation} and {again}")
    api = Api(server.base)
    messages, states = _settled(api, server, again)
    in_flight = _rescued(server) - before
    marked = {_phone(one) for one in messages if one.get("ambiguous")}
    if states["total"] != plan.messages or len(messages) != plan.messages:
        raise RigFailed(f"{plan.messages} messages were accepted, there are {len(messages)}")
    return Ran(plan, in_flight, marked, states, died, time.monotonic() - began)


def _rescued(server: Server) -> int:
    """Attempts that it has ever found begun and unanswered."""
    return sum(event["attempts"] for name in RESCUED for event in server.events(name))


def _body(world: World, plan: Plan) -> bytes:
    phones = [recipient(number) for number in range(plan.first, plan.first + plan.messages)]
    to = [{"address": phone, "channel": "PHONE"} for phone in phones]
    return json.dumps({"from": {"senderPoolId": world.pool_id}, "to": to, "content": {"text": TEXT}}).encode()


def _ask(server: Server, body: bytes, key: str) -> str:
    """The operation's id; "" where nobody answered, so that nobody knows whether it was taken."""
    api = Api(server.base)
    try:
        status, text = api.ask("POST", "/v1/Messages", body, **{"Idempotency-Key": key})
    except RigFailed:
        return ""
    finally:
        api.close()
    if status != 202:
        raise RigFailed(f"a send was answered {status}: {text[:200]!r}")
    return str(json.loads(text)["operationId"])


def _die(server: Server, plan: Plan) -> bool:
    """End it by kill -9. True: it died at its failpoint."""
    if not plan.point:
        time.sleep(plan.moment)
        server.kill()
        return False
    with contextlib.suppress(RigFailed):
        wait_for(server.has_ended, 5.0, f"the server dies at {plan.point}")
    died = server.has_ended()
    server.kill()
    return died


def _settled(api: Api, server: Server, operation: str) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Its messages and counters once nothing of it waits any more, and what is SENT is so because nobody knows more.

    Both of one moment: what is of unknown fate may still be found out.
    """
    found: list[tuple[list[dict[str, Any]], Counter[str]]] = []

    def settled() -> bool:
        server.check()
        states = Counter(api.stats([operation]))
        if states["queued"] or states["scheduled"]:
            return False
        messages = list(api.pages("/v1/Messages", "messages", operationId=operation))
        if states["sent"] != sum(bool(one.get("ambiguous")) for one in messages):
            return False
        if Counter(api.stats([operation])) != states:
            return False
        found.append((messages, states))
        return True

    wait_for(settled, SETTLED_WITHIN, "every message is delivered, ended or said to be of unknown fate", 0.1)
    return found[-1]


def _phone(message: dict[str, Any]) -> str:
    return str(message["to"][0]["address"]).lstrip("+")


# ---------------------------------------------------------------- what it comes to


def _phones(ran: Ran) -> Iterator[str]:
    return (recipient(number).lstrip("+") for number in range(ran.plan.first, ran.plan.first + ran.plan.messages))


def _lost(ran: Ran, at_carrier: Counter[str]) -> list[str]:
    return [phone for phone in _phones(ran) if not at_carrier[phone] and phone not in ran.marked]


def _judged(kills: int, failed: Sequence[str]) -> Figure:
    what = f"{kills} seeded kill -9: runs that could not be judged"
    return Figure(what, "0", len(failed), not failed, {"runs": list(failed)})


def _sum_up(runs: Sequence[Ran], at_carrier: Counter[str]) -> dict[str, Any]:
    return {
        "accepted": sum(ran.plan.messages for ran in runs),
        "delivered": sum(ran.states["delivered"] for ran in runs),
        "failed": sum(ran.states["failed"] + ran.states["undelivered"] for ran in runs),
        "stated_unknown": sum(len(ran.marked) for ran in runs),
        "in_flight": sum(ran.in_flight for ran in runs),
        "lost": sum(len(_lost(ran, at_carrier)) for ran in runs),
        "duplicates": sum(number - 1 for number in at_carrier.values()),
        "died_at_a_boundary": sum(ran.died_by_itself for ran in runs),
        "seconds": round(sum(ran.seconds for ran in runs), 1),
    }


def _figures(runs: dict[str, list[Ran]], at_carriers: dict[str, Counter[str]]) -> list[Figure]:
    worlds = {name: _sum_up(runs[name], at_carriers[name]) for name in runs}
    every = [(ran, at_carriers[name]) for name, those in runs.items() for ran in those]
    lost = sum(len(_lost(ran, carrier)) for ran, carrier in every)
    too_many = [ran.plan.how for ran, _ in every if len(ran.marked) > min(ran.in_flight, WINDOW)]
    unsettled = sum(
        ran.plan.messages - ran.states["delivered"] - ran.states["failed"] - ran.states["undelivered"] - len(ran.marked)
        for ran, _ in every
    )
    doubled = sum(one["duplicates"] for one in worlds.values())
    kills = len(every)
    return [
        Figure(
            f"{kills} seeded kill -9: messages that are neither at the carrier nor marked ambiguous",
            f"0 of {sum(ran.plan.messages for ran, _ in every)}",
            lost,
            lost == 0,
            {"worlds": worlds},
        ),
        Figure(
            f"{kills} seeded kill -9: runs in which more is marked than was in flight",
            "0",
            len(too_many),
            not too_many,
            {
                "most_marked_in_a_run": max(len(ran.marked) for ran, _ in every),
                "most_in_flight": max(ran.in_flight for ran, _ in every),
                "window": WINDOW,
                "runs": too_many,
            },
        ),
        Figure(
            f"{kills} seeded kill -9: accepted less delivered, failed and stated unknown",
            "0",
            unsettled,
            unsettled == 0,
        ),
        Figure(f"{kills} seeded kill -9: copies too many at a carrier", "0", doubled, doubled == 0),
    ]
