"""The figures of pools that are about choosing: who stays with whom, what is never tried again, what is explained."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench import claim_cost
from bench.api import TEXT, Api, Json, recipient
from bench.carrier_log import Submit, accepted, busiest_window, parse
from bench.figures import Figure, addresses
from bench.rig import Carrier, Rig, Server, wait_for

#: The fields that an explanation has, and those of its parts (design §9).
FIELDS: Mapping[str, frozenset[str]] = {
    "": frozenset({"messageId", "plan", "candidates", "attempts"}),
    "plan": frozenset({"channel", "address", "outcome", "reason"}),
    "candidates": frozenset({"senderId", "address", "verdict", "reason"}),
    "attempts": frozenset({"attemptId", "senderId", "class", "code", "rule", "tableVersion", "next"}),
}
#: Segments a second of each sender, and seconds before the first password and between two.
PACE, LEAD_IN, PASSWORD_EVERY = 50, 5.0, 0.7
#: The property test that says so in virtual time, for senders and connections.
EXACTNESS = (
    "tests/domain/test_throughput.py::test_no_window_holds_more_than_rate_and_burst_whatever_is_claimed_when",
    "tests/domain/test_throughput.py::test_neither_sender_nor_connection_is_exceeded_by_nested_takes",
)
#: The sandbox's number whose messages a spam filter stops.
FILTERED = "+15005550017"


class PoolSizes(NamedTuple):
    """How many recipients, and explanations that are read."""

    campaign: int = 10_000
    passwords: int = 30
    sticky: int = 2_000
    filtered: int = 50
    explained: int = 200
    #: Messages that only one of a hundred senders may carry.
    in_a_lane: int = 1_000_000


POOL_QUICK = PoolSizes(campaign=2_000, passwords=10, sticky=400, filtered=10, explained=40, in_a_lane=20_000)


def body(pool_id: str, numbers: Sequence[str], **fields: object) -> bytes:
    """A request to send to PHONE recipients through a pool."""
    to = [{"address": number, "channel": "PHONE"} for number in numbers]
    return json.dumps({"from": {"senderPoolId": pool_id}, "to": to, "content": {"text": TEXT}, **fields}).encode()


def declared_pool(name: str, members: Sequence[str], **settings: object) -> str:
    """A pool of these SMS senders in the configuration file."""
    lines = ["", "[[pools]]", f'name = "{name}"', *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    for address in members:
        lines += ["", "[[pools.members]]", 'channel = "SMS"', f'address = "{address}"']
    return "\n".join(lines) + "\n"


def pool_named(api: Api, name: str) -> str:
    """The id of the pool of this name."""
    return next(str(one["id"]) for one in api.pages("/v1/SenderPools", "senderPools") if one["name"] == name)


def sender_ids(api: Api) -> dict[str, str]:
    """Ids of the active senders by address."""
    return {one["address"]: one["id"] for one in api.pages("/v1/Senders", "senders", status="ACTIVATED")}


def senders_of(submits: Sequence[Submit]) -> dict[str, str]:
    """Who sent to each recipient, both without plus; the last one where several did."""
    return {one.destination.lstrip("+"): one.source.lstrip("+") for one in submits}


# ---------------------------------------------------------------- a-c: two campaigns and one-time passwords


def campaigns(sizes: PoolSizes) -> list[Figure]:
    """Two senders of 50 segments a second, two equal campaigns queued, and one-time passwords asked for meanwhile."""
    with Rig() as rig:
        sink = rig.sink("carrier-a", "--dlr", "1/100")
        server = rig.server(Carrier("carrier-a", sink.port, [(one, PACE) for one in addresses(0, 2)], window=200))
        api = Api(server.base)
        pool_id = api.create_pool()
        first = [recipient(number) for number in range(sizes.campaign)]
        second = [recipient(1_000_000 + number) for number in range(sizes.campaign)]
        for people in (first, second):
            api.call("POST", "/v1/Messages", body(pool_id, people, category="bulk"))
        began = time.time()
        wait_for(lambda: time.time() >= began + LEAD_IN, LEAD_IN + 5, "the campaigns are under way")
        asked = {number: _ask_password(api, pool_id, number) for number in range(sizes.passwords)}
        ended = time.time()
        server.kill()
        sink.stop()
        submits = accepted(parse(sink.log.read_text().splitlines()))
    return _of_campaigns(submits, (began + LEAD_IN, ended), asked)


def _ask_password(api: Api, pool_id: str, number: int) -> float:
    """Send one, wait a little, and say when it was asked for."""
    asked_at = time.time()
    api.call("POST", "/v1/Messages", body(pool_id, [recipient(2_000_000 + number)], category="otp"))
    time.sleep(PASSWORD_EVERY)
    return asked_at


def _of_campaigns(submits: Sequence[Submit], window: tuple[float, float], asked: Mapping[int, float]) -> list[Figure]:
    begin, end = window
    left = {one.destination.lstrip("+"): one.at for one in submits}
    waits = [left.get(recipient(2_000_000 + n).lstrip("+"), end) - at for n, at in asked.items()]
    within = [one for one in submits if begin <= one.at < end]
    shares = [sum(one.destination.lstrip("+").startswith(f"1415{digit}") for one in within) for digit in "01"]
    used = len(within) / ((end - begin) * 2 * PACE)
    sources = {one.source for one in submits}
    busiest = [busiest_window([one.at for one in submits if one.source == who]) for who in sources]
    # The promise: limit, burst (50 ms of the pace) and a tenth, in any second at the carrier.
    most = int((PACE + max(1.0, 0.05 * PACE)) * 1.1)
    apart = round(abs(shares[0] - shares[1]) / max(*shares, 1), 3)
    middle = round(statistics.median(waits), 3)
    return [
        Figure(
            "fair share: seconds from the request of a one-time password to its submit, median, 20,000 being queued",
            "< 1",
            middle,
            middle < 1.0,
            {"passwords": len(waits), "worst": round(max(waits), 3)},
        ),
        Figure("fair share: how far two equal campaigns are apart", "<= 0.2", apart, apart <= 0.2, {"sent": shares}),
        Figure(
            "throughput: the part of the pool's sum that is used while anything is due",
            ">= 0.97",
            round(used, 4),
            used >= 0.97,
            {"seconds": round(end - begin, 1)},
        ),
        Figure(
            "throughput: the most that one sender of 50/s reaches in any second at the carrier",
            f"<= {most}",
            max(busiest),
            max(busiest) <= most,
            {"exactly_never_at_the_write": EXACTNESS},
        ),
    ]


# ---------------------------------------------------------------- d: sticky


def sticky(sizes: PoolSizes) -> list[Figure]:
    """A sticky pool of 20 senders, one of which leaves: recipients whose sender stayed and who got another one."""
    with Rig() as rig:
        sink = rig.sink("carrier-a", "--dlr", "1/100")
        numbers = addresses(0, 20)
        carrier = Carrier("carrier-a", sink.port, [(one, 100) for one in numbers], window=500)
        server = rig.server(carrier, more=declared_pool("loyal", numbers, preference="sticky", grace=300))
        api = Api(server.base)
        pool_id = pool_named(api, "loyal")
        people = [recipient(number) for number in range(sizes.sticky)]
        rounds = [_round(api, pool_id, people)]
        rounds.append(_round(api, pool_id, people))
        leaver = numbers[7]
        # A pool of the file stays as the file has it, so its member goes there.
        _leave(server, leaver)
        wait_for(lambda: len(list(api.pages(f"/v1/SenderPools/{pool_id}/Senders", "senders"))) == 19, 20.0, "it left")
        rounds.append(_round(api, pool_id, people))
        sink.stop()
        submits = accepted(parse(sink.log.read_text().splitlines()))
    return _moved([senders_of(part) for part in _parts(submits, rounds)], leaver.lstrip("+"), sizes)


def _round(api: Api, pool_id: str, people: Sequence[str]) -> float:
    """Send to everybody and wait until all of it is delivered; the time at which that was so."""
    operation_id = str(api.call("POST", "/v1/Messages", body(pool_id, people))["operationId"])
    return api.wait_delivered([operation_id], 120.0)


def _leave(server: Server, address: str) -> None:
    """Take a member out of the pool of the configuration file, and have the server read that."""
    head, _, pools = server.configured().partition("[[pools]]")
    kept = [part for part in pools.split("[[pools.members]]") if f'"{address}"' not in part]
    server.reconfigure(head + "[[pools]]" + "[[pools.members]]".join(kept))


def _parts(submits: Sequence[Submit], ends: Sequence[float]) -> Iterator[list[Submit]]:
    """The submits of each round."""
    begin = 0.0
    for end in ends:
        yield [one for one in submits if begin <= one.at < end]
        begin = end


def _moved(rounds: Sequence[Mapping[str, str]], leaver: str, sizes: PoolSizes) -> list[Figure]:
    before, again, after = rounds
    restless = sum(before[one] != again[one] for one in before)
    theirs = [one for one in again if again[one] == leaver]
    moved = sum(again[one] != after[one] for one in again if again[one] != leaver)
    to = Counter(after[one] for one in theirs)
    whole = len(before) == len(again) == len(after) == sizes.sticky
    shares = Counter(again.values())
    return [
        Figure(
            "sticky: recipients that another sender served when one of 20 left, although theirs stayed",
            "0",
            moved,
            whole and moved == 0 and restless == 0 and leaver not in to,
            {
                "recipients": len(before),
                "moved_while_nobody_left": restless,
                "of_the_one_that_left": len(theirs),
                "who_now_have_so_many_senders": len(to),
                "of_each_sender": [min(shares.values()), max(shares.values())],
            },
        )
    ]


# ---------------------------------------------------------------- e: a lane beside


def beside_a_lane(sizes: PoolSizes) -> list[Figure]:
    """The cost of a claim of 99 senders while so many messages wait that only the hundredth may carry."""
    return asyncio.run(_lane_cost(sizes.in_a_lane))


async def _lane_cost(rows: int) -> list[Figure]:
    figures = []
    for name, opened in claim_cost.DATABASES.items():
        async with opened() as make:
            made = await claim_cost.beside_a_lane(make, [0, rows])
        growth = round(claim_cost.growth(made, "claim"), 2)
        figures.append(
            Figure(
                f"{name}: the cost of a claim of 99 senders while {rows:,} wait for the hundredth, over that without",
                f"at most {claim_cost.MOST_LANE}",
                growth,
                growth <= claim_cost.MOST_LANE,
                {"milliseconds": claim_cost.medians(made)["claim"]},
            )
        )
    return figures


# ---------------------------------------------------------------- i: a policy filter


def filtered(sizes: PoolSizes) -> list[Figure]:
    """Messages that a spam filter stops, in a pool of five senders on two connections: attempts of each of them."""
    with Rig() as rig:
        numbers = addresses(0, 5)
        more = "".join(_sandbox(f"sandbox-{i}", part) for i, part in enumerate((numbers[:3], numbers[3:])))
        server = rig.server(more=more)
        api = Api(server.base)
        pool_id = api.create_pool()
        requests = [
            str(api.call("POST", "/v1/Messages", body(pool_id, [FILTERED]))["operationId"])
            for _ in range(sizes.filtered)
        ]
        wait_for(lambda: api.stats(requests)["undelivered"] == sizes.filtered, 60.0, "every message has ended")
        found = [explained(api, one) for operation in requests for one in listed(api, operation)]
    attempts = Counter(len(one["attempts"]) for one in found)
    rules = Counter(
        (one["attempts"][-1]["class"], one["attempts"][-1]["next"], one["attempts"][-1]["nextRule"]) for one in found
    )
    return [
        Figure(
            "policy filter: most attempts of a message that a spam filter stopped, with five senders in the pool",
            "1",
            max(attempts),
            set(attempts) == {1} and set(rules) == {("POLICY", "end", "16")} and len(found) == sizes.filtered,
            {
                "messages": len(found),
                "decided": [[*rule, number] for rule, number in rules.items()],
                "explained": found[0]["text"],
            },
        )
    ]


def _sandbox(name: str, senders: Sequence[str], mps: float = 100) -> str:
    lines = ["", "[[connections]]", f'name = "{name}"', 'type = "sandbox"']
    for address in senders:
        lines += ["[[connections.senders]]", 'channel = "SMS"', f'address = "{address}"', f"mps = {mps}"]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- j: explained


def listed(api: Api, operation_id: str) -> list[str]:
    """The ids of an operation's messages."""
    return [str(one["id"]) for one in api.pages("/v1/Messages", "messages", operationId=operation_id)]


def explained(api: Api, message_id: str) -> Json:
    """The explanation of a message."""
    return api.call("GET", f"/v1/Messages/{message_id}/Explanation")


def explanations(sizes: PoolSizes) -> list[Figure]:
    """Messages of a pool with one dead, one refusing and one good carrier: explained while they wait and after."""
    with Rig() as rig:
        good, bad = rig.sink("good", "--dlr", "1/100"), rig.sink("bad", "--fail-rate", "1")
        numbers = addresses(0, 3)
        carriers = [
            Carrier("good", good.port, [(numbers[0], 50)]),
            Carrier("bad", bad.port, [(numbers[1], 50)]),
            Carrier("dead", rig.dead_port(), [(numbers[2], 50)]),
        ]
        server = rig.server(*carriers)
        api = Api(server.base)
        pool_id = api.create_pool()
        people = [recipient(number) for number in range(sizes.explained)]
        operation = str(api.call("POST", "/v1/Messages", body(pool_id, people))["operationId"])
        wait_for(lambda: len(listed(api, operation)) == sizes.explained, 20.0, "every message is listed")
        ids = listed(api, operation)
        began = time.perf_counter()
        waiting = [explained(api, one) for one in ids]
        took = (time.perf_counter() - began) / len(ids)
        api.wait_delivered([operation], sizes.explained / 50 * 4 + 60)
        ended = [explained(api, one) for one in ids]
        good.stop()
        bad.stop()
    faults = [fault for one in (*waiting, *ended) for fault in incomplete(one)]
    failed_over = [one for one in ended if len({each["senderId"] for each in one["attempts"]}) > 1]
    waits = [one for one in waiting if "waiting" in one]
    return [
        Figure(
            "explained: messages without a complete explanation, while they waited and after they had ended",
            "0",
            len(faults),
            not faults and bool(failed_over) and bool(waits),
            {
                "messages": len(ids),
                "waited_for": Counter(one["waiting"]["reason"] for one in waits),
                "verdicts": Counter(
                    f"{each['verdict']}: {each['reason']}" for one in ended for each in one["candidates"]
                ),
                "failed_over": len(failed_over),
                "milliseconds_each": round(took * 1000, 1),
                "example_waiting": waits[-1]["text"] if waits else None,
                "example_failed_over": [each["text"] for each in failed_over[0]["attempts"]] if failed_over else None,
                "faults": faults[:5],
            },
        )
    ]


def incomplete(found: Mapping[str, Any]) -> list[str]:
    """What an explanation leaves open."""
    faults = [f"no {name}" for name in FIELDS[""] - found.keys()]
    for part in ("plan", "candidates", "attempts"):
        for entry in found.get(part, ()):
            faults += [f"{part}: no {name}" for name in FIELDS[part] - entry.keys()]
            if not str(entry.get("text", "")).endswith("."):
                faults.append(f"{part}: no words")
    if not found.get("candidates"):
        faults.append("nobody was looked at")
    if not str(found.get("text", "")).endswith("."):
        faults.append("no words")
    return faults
