"""The figures of RCS first, each on processes of its own: an RCS platform, SMPP carriers, and the server."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.request import urlopen

from bench.api import TEXT, Api, recipient
from bench.carrier_log import Submit, accepted, copies, duplicates, parse, quantile
from bench.figures import Figure, patiently
from bench.rig import Carrier, RcsProcess, Rig, Server, Sink, free_port, wait_for

AGENT = "agent@rbm.goog"
SMS = "+12034458000"
#: The sender of the pool that has nothing to do with RCS, on a carrier of its own.
OTHER = "+12034459000"
TOKEN, CLIENT_TOKEN = "bench-token", "bench-client-token"
#: Seconds to stay on RCS with a one-time password, and what the fallback may take besides.
STEP_BUDGET, FALLBACK_WITHIN = 20.0, 12.0
#: The look-ups of a large request, and the sends of another pool meanwhile.
LARGE = 10_000
OTHERS_A_SECOND = 100


class RcsSizes(NamedTuple):
    """How many messages, and how many rounds of the comparison."""

    messages: int = 100
    rounds: int = 7
    #: Seconds of each round in which other pools' sends are timed.
    seconds: float = 6.0


RCS_QUICK = RcsSizes(20, 1, 3.0)


class RcsBench(NamedTuple):
    """A server with an RCS agent and an SMS number in one pool, and another number in a pool of its own."""

    rcs: RcsProcess
    sink: Sink
    other: Sink
    server: Server
    api: Api
    #: Sender ids by address.
    senders: Mapping[str, str]

    def pool(self, *addresses: str) -> str:
        """A new pool of these senders; returns its id."""
        members = [{"senderId": self.senders[address]} for address in addresses]
        made = self.api.call("POST", "/v1/SenderPools", json.dumps({"name": "rcs", "senders": members}).encode())
        return str(next(self.api.pages("/v1/SenderPools", "senderPools", operationId=made["operationId"]))["id"])

    def attempts(self, operation_id: str) -> dict[str, list[dict[str, Any]]]:
        """The attempts of each message of an operation, by recipient."""
        listed = [one["id"] for one in self.api.pages("/v1/Messages", "messages", operationId=operation_id)]
        fetched = [self.api.call("GET", f"/v1/Messages/{message_id}") for message_id in listed]
        return {one["to"][0]["address"]: one["attempts"] for one in fetched}


def start(rig: Rig, *faults: Mapping[str, object], agent_mps: float = 200, sms_mps: int = 200) -> RcsBench:
    """A platform with these faults, two carriers and the server."""
    port = free_port()
    script = {
        "token": TOKEN,
        "client_token": CLIENT_TOKEN,
        "webhook": f"http://127.0.0.1:{port}/callbacks/rcs/events",
        "answer_delay": 0.02,
        "receipt_delay": 0.1,
        "faults": faults,
    }
    rcs = rig.rcs(script)
    sink, other = rig.sink("carrier-a", "--dlr", "1/100"), rig.sink("carrier-b", "--dlr", "1/100")
    more = (
        f'\n[[connections]]\nname = "rcs"\ntype = "rcs"\nbase_url = "http://127.0.0.1:{rcs.port}"\n'
        f'token = "{TOKEN}"\nclient_token = "{CLIENT_TOKEN}"\nwindow = 200\n'
        f'[[connections.senders]]\nchannel = "RCS"\naddress = "{AGENT}"\nmps = {agent_mps}\n'
    )
    carriers = [
        Carrier("carrier-a", sink.port, [(SMS, sms_mps)], window=500),
        Carrier("carrier-b", other.port, [(OTHER, 1_000)], window=500),
    ]
    server = rig.server(*carriers, port=port, more=more)
    api = Api(server.base)
    wait_for(lambda: _links_up(server), 20.0, "every connection is up", 0.1)
    senders = {one["address"]: one["id"] for one in api.pages("/v1/Senders", "senders", status="ACTIVATED")}
    return RcsBench(rcs, sink, other, server, api, senders)


def _links_up(server: Server) -> bool:
    with urlopen(f"{server.base}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    states = [float(line.rpartition(" ")[2]) for line in lines if line.startswith("sendpool_link_up{")]
    return states == [1.0] * 3


def phones(first: int, count: int) -> list[str]:
    """So many numbers."""
    return [recipient(number) for number in range(first, first + count)]


def body(pool_id: str, numbers: Sequence[str], **fields: object) -> bytes:
    """A request to send to PHONE recipients through a pool."""
    to = [{"address": number, "channel": "PHONE"} for number in numbers]
    return json.dumps({"from": {"senderPoolId": pool_id}, "to": to, "content": {"text": TEXT}, **fields}).encode()


def read(sink: Sink) -> list[Submit]:
    """What a stopped carrier took."""
    return accepted(parse(sink.log.read_text().splitlines()))


class Outcome(NamedTuple):
    """What became of one request, at the carriers and in the API."""

    stats: Mapping[str, int]
    #: (channel, status) of every attempt, in order, by recipient.
    attempts: Mapping[str, list[tuple[str, str]]]
    #: The RCS platform's requests to send, and its totals.
    rcs: Mapping[str, Any]
    sms: Sequence[Submit]
    #: When the request was answered, in seconds since 1970.
    began: float
    problem: str

    def delivered_by(self) -> Counter[str]:
        """Recipients by the channel that delivered to them; "" where none did."""
        found: Counter[str] = Counter()
        for tries in self.attempts.values():
            done = [channel for channel, status in tries if status in ("DELIVERED", "READ")]
            found[done[0] if done else ""] += 1
        return found

    def copies(self) -> Counter[str]:
        """Messages that reached a phone, by number: what RCS delivered and what the carrier took."""
        found = copies(self.sms)
        found.update(one["phone"].lstrip("+") for one in self.rcs["messages"] if one["state"] == "delivered")
        return found


def send_and_wait(bench: RcsBench, numbers: Sequence[str], seconds: float, **fields: object) -> Outcome:
    """Send one request through a pool of agent and number, wait until all are delivered, and stop the carriers."""
    pool_id = bench.pool(AGENT, SMS)
    operation_id, _ = bench.api.send(body(pool_id, numbers, **fields))
    began = time.time()
    problem = patiently(lambda: bench.api.wait_delivered([operation_id], seconds))
    attempts = {
        number: [(one["channel"], one["status"]) for one in tries]
        for number, tries in bench.attempts(operation_id).items()
    }
    stats = dict(bench.api.stats([operation_id]))
    told = bench.rcs.stop()
    bench.sink.stop()
    return Outcome(stats, attempts, told, read(bench.sink), began, problem)


def _detail(outcome: Outcome, **more: object) -> dict[str, object]:
    problem = {"problem": outcome.problem} if outcome.problem else {}
    return {"stats": outcome.stats, "doubles": duplicates(outcome.copies()), **more, **problem}


# ---------------------------------------------------------------- a: one in ten has no RCS


def some_without_rcs(sizes: RcsSizes) -> list[Figure]:
    """100 phones, of which those that end in 2 have no RCS."""
    numbers = phones(0, sizes.messages)
    without = {number for number in numbers if number.endswith("2")}
    with Rig() as rig:
        outcome = send_and_wait(start(rig, {"kind": "no-rcs", "destination": "*2"}), numbers, 20.0)
    by = outcome.delivered_by()
    wasted = [number for number in without if outcome.attempts[number] != [("SMS", "DELIVERED")]]
    last_rcs = max((one["at"] for one in outcome.rcs["messages"]), default=0.0)
    last_sms = max((one.at for one in outcome.sms), default=0.0)
    behind = round(last_sms - last_rcs, 3)
    return [
        Figure(
            "a tenth of the phones has no RCS: delivered by RCS and by SMS",
            f"{len(numbers) - len(without)} and {len(without)}",
            [by["RCS"], by["SMS"]],
            (by["RCS"], by["SMS"]) == (len(numbers) - len(without), len(without)) and not duplicates(outcome.copies()),
            _detail(outcome, look_ups=outcome.rcs["totals"]["looked_up"]),
        ),
        Figure(
            "those without RCS: wasted attempts",
            "0: one attempt each, by SMS",
            len(wasted) + outcome.rcs["totals"]["refused"],
            not wasted and not outcome.rcs["totals"]["refused"],
        ),
        Figure("those without RCS: seconds behind the last of the others", "at most 2", behind, behind <= 2.0),
    ]


# ---------------------------------------------------------------- b: RCS refuses everybody


def refused_by_rcs(sizes: RcsSizes) -> list[Figure]:
    """RCS answers 404 to every send: once with look-ups that say yes, once with look-ups that fail."""
    numbers = phones(0, sizes.messages)
    refuse = {"kind": "refuse", "status": 404}
    figures = []
    for name, faults in (
        ("look-ups say yes", [refuse]),
        ("look-ups fail", [refuse, {"kind": "look-up-fails", "status": 503}]),
    ):
        with Rig() as rig:
            outcome = send_and_wait(start(rig, *faults), numbers, 20.0)
        by = outcome.delivered_by()
        figures.append(
            Figure(
                f"RCS answers 404 to all, {name}: delivered by SMS",
                f"{len(numbers)} of {len(numbers)}",
                by["SMS"],
                by["SMS"] == len(numbers) and not duplicates(outcome.copies()),
                _detail(outcome, refused=outcome.rcs["totals"]["refused"]),
            )
        )
    return figures


# ---------------------------------------------------------------- c: RCS is silent


def silent_rcs(sizes: RcsSizes) -> list[Figure]:
    """One-time passwords to an RCS platform that takes everything and never says a word."""
    numbers = phones(0, sizes.messages)
    within = STEP_BUDGET + FALLBACK_WITHIN
    with Rig() as rig:
        outcome = send_and_wait(start(rig, {"kind": "silence"}), numbers, within + 20.0, category="otp")
    by = outcome.delivered_by()
    # The carrier of the bench reports 0.1 s after it took a message.
    took = max((one.at - outcome.began for one in outcome.sms), default=0.0) + 0.1
    doubles = duplicates(outcome.copies())
    tries = Counter(
        " > ".join(f"{channel} {status}" for channel, status in tries) for tries in outcome.attempts.values()
    )
    return [
        Figure(
            "RCS is silent, category otp: delivered by SMS",
            f"{len(numbers)} of {len(numbers)}",
            by["SMS"],
            by["SMS"] == len(numbers),
            _detail(outcome, attempts=dict(tries), revoked=outcome.rcs["totals"]["revoked"]),
        ),
        Figure(
            "RCS is silent, category otp: seconds until the last was delivered",
            f"at most {within:.0f}: step budget + {FALLBACK_WITHIN:.0f}",
            round(took, 2),
            0 < took <= within,
        ),
        Figure("RCS is silent, category otp: doubles", "0", doubles, doubles == 0),
    ]


# ---------------------------------------------------------------- d: look-ups beside other pools


def look_ups_beside_others(sizes: RcsSizes) -> list[Figure]:
    """Requests of 10,000 recipients to a pool with look-ups, and to one without, while another pool sends."""
    # Nobody of the 10,000 has RCS, so their messages leave by the same SMS sender at the same pace: after a look-up,
    # or from a pool that has no RCS sender. Queue time is that from a single message's request to its submit.
    rounds: list[tuple[bool, dict[str, float]]] = []
    with Rig() as rig:
        bench = start(rig, {"kind": "no-rcs"}, {"kind": "slow-look-up", "seconds": 0.2}, sms_mps=2_000)
        pools = {True: bench.pool(AGENT, SMS), False: bench.pool(SMS)}
        other = bench.pool(OTHER)
        _singles(bench, other, 0, 1.0)
        for number in range(sizes.rounds * 2):
            # Each second round the other way round, so that what drifts falls on both.
            asks = number % 4 in (0, 3)
            large = body(pools[asks], phones(1_000_000 + number * LARGE, LARGE))
            rounds.append((asks, _beside(bench, large, other, (number + 1) * 10_000, sizes.seconds)))
        told = bench.rcs.stop()
        bench.other.stop()
        came = {one.destination: one.at for one in read(bench.other)}
    p99: dict[bool, list[float]] = {True: [], False: []}
    for asks, asked in rounds:
        waited = [(came[number] - at) * 1000 for number, at in asked.items()]
        p99[asks].append(round(quantile(waited, 0.99), 2))
    # Neighbours in time are compared, for what else the machine does changes from minute to minute.
    changes = [with_ / without - 1 for with_, without in zip(p99[True], p99[False], strict=True)]
    change = round(statistics.median(changes), 3)
    return [
        Figure(
            f"look-ups for {LARGE:,} recipients of one request: change of the p99 of other pools' queue time",
            "at most 0.1, median of the rounds",
            change,
            change <= 0.1 and told["totals"]["looked_up"] >= LARGE * sizes.rounds,
            {
                "with_ms": p99[True],
                "without_ms": p99[False],
                "medians_ms": [statistics.median(p99[True]), statistics.median(p99[False])],
                "looked_up": told["totals"]["looked_up"],
            },
        )
    ]


def _beside(bench: RcsBench, large: bytes, pool_id: str, first: int, seconds: float) -> dict[str, float]:
    """Send a large request, and single messages of another pool at once; returns when these were asked for."""
    operations: list[str] = []
    loaded = threading.Thread(target=lambda: operations.append(Api(bench.server.base).send(large)[0]))
    loaded.start()
    asked = _singles(bench, pool_id, first, seconds)
    loaded.join()
    bench.api.wait_delivered(operations, 60.0)
    return asked


def _singles(bench: RcsBench, pool_id: str, first: int, seconds: float) -> dict[str, float]:
    """Send single messages at a steady pace; returns when each was asked for, by number without "+"."""
    asked: dict[str, float] = {}
    operations = []
    began = time.monotonic()
    count = int(seconds * OTHERS_A_SECOND)
    for number in range(count):
        time.sleep(max(0.0, began + number / OTHERS_A_SECOND - time.monotonic()))
        phone = recipient(first + number)
        asked[phone.lstrip("+")] = time.time()
        operations.append(bench.api.send(body(pool_id, [phone]))[0])
    bench.api.wait_delivered(operations, 30.0)
    return asked
