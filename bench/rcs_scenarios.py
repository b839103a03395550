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
from bench.figures import Figure, patiently, say
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
OTHERS_A_SECOND = 50


class RcsSizes(NamedTuple):
    """How many messages, and how many rounds of the comparison."""

    messages: int = 100
    rounds: int = 5
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
    """One request of 10,000 recipients to a pool, with and without look-ups, while another pool sends."""
    with_p99: list[float] = []
    without_p99: list[float] = []
    for number in range(sizes.rounds):
        # Each second round the other way round, so that what drifts falls on both.
        for asks in (True, False) if number % 2 == 0 else (False, True):
            p99 = _queue_time(sizes.seconds, asks=asks)
            (with_p99 if asks else without_p99).append(p99)
            say(f"  {'with' if asks else 'without'} look-ups: p99 {p99:.1f} ms")
    with_, without = statistics.median(with_p99), statistics.median(without_p99)
    change = round(with_ / without - 1, 3)
    return [
        Figure(
            f"look-ups for {LARGE:,} recipients of one request: change of the p99 of other pools' queue time",
            "at most 0.1",
            change,
            change <= 0.1,
            {"with_ms": with_p99, "without_ms": without_p99, "medians_ms": [with_, without]},
        )
    ]


def _queue_time(seconds: float, *, asks: bool) -> float:
    """The p99 of the time from a request to its submit, in ms, of single messages of a pool without RCS.

    Meanwhile nobody of 10,000 recipients has RCS: their messages leave by the same SMS sender at the same pace,
    with *asks* after a look-up, else from a pool that has no RCS sender.
    """
    with Rig() as rig:
        bench = start(rig, {"kind": "no-rcs"}, {"kind": "slow-look-up", "seconds": 0.2}, sms_mps=2_000)
        large = body(bench.pool(*((AGENT, SMS) if asks else (SMS,))), phones(1_000_000, LARGE))
        other = bench.pool(OTHER)
        _singles(bench, other, 0, 1.0)
        loaded = threading.Thread(target=lambda: Api(bench.server.base).send(large))
        loaded.start()
        asked = _singles(bench, other, 1_000, seconds)
        loaded.join()
        bench.rcs.stop()
        bench.other.stop()
        came = {one.destination: one.at for one in read(bench.other)}
    return round(quantile([(came[number] - at) * 1000 for number, at in asked.items()], 0.99), 2)


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
