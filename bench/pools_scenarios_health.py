"""The figures of pools that are about trust: who is held back, who is stopped, and when nobody is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench.api import Api
from bench.carrier_log import Submit, parse
from bench.figures import Figure, addresses
from bench.pools_scenarios import POOL_QUICK, PoolSizes, body
from bench.rig import Carrier, Rig, RigFailed, Simulation, wait_for

#: Seconds of traffic within which a sender that loses receipts must be held back, and be trusted again afterwards.
HELD_BACK_WITHIN, BACK_WITHIN = 120.0, 600.0
#: Messages that a sender which refuses everything may take at most.
TAKEN_AT_MOST = 30
#: What counts as a trickle: this part of what the other sender has.
TRICKLE = 0.1
#: command_status of submits: a fault of the route by its class.
ROUTE_FAULTS = {"TRANSIENT": "0x08", "SENDER": "0x0a", "ACCOUNT": "0x0f"}
ONE, TWO = addresses(0, 2)


class HealthSizes(NamedTuple):
    """Messages a second to each of two countries, seconds of each stage, and messages of the other figures."""

    rate: int = 20
    well: float = 30.0
    ill: float = 180.0
    equal: float = 120.0
    refused: int = 500


HEALTH_QUICK = HealthSizes(rate=10, well=10.0, ill=90.0, equal=60.0, refused=100)


def sizes_of(pool_sizes: PoolSizes) -> HealthSizes:
    """Small where those of the other figures are."""
    return HEALTH_QUICK if pool_sizes == POOL_QUICK else HealthSizes()


def _numbers(prefix: str) -> Iterator[str]:
    number = 0
    while True:
        yield f"{prefix}{number:07}"
        number += 1


class _Traffic:
    """A steady stream to two countries."""

    def __init__(self, api: Api, rate: int) -> None:
        self._api, self._rate = api, rate
        self._pool = api.create_pool()
        self._people = (_numbers("+44770"), _numbers("+49151"))

    def until(self, ended: Callable[[], object], seconds: float, what: str) -> float:
        """Send until something is so; returns the seconds that took. Raises `RigFailed` when it takes too long."""
        began = time.monotonic()
        second = 0
        while not ended():
            if time.monotonic() - began > seconds:
                raise RigFailed(f"{what}: not within {seconds:.0f} s")
            recipients = [next(people) for people in self._people for _ in range(self._rate)]
            self._api.call("POST", "/v1/Messages", body(self._pool, recipients))
            second += 1
            time.sleep(max(0.0, began + second - time.monotonic()))
        return time.monotonic() - began

    def go_on(self, seconds: float) -> None:
        """Send for so long."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 30, "traffic")


def _conditions(rig: Rig) -> Mapping[tuple[str, str], str]:
    """The condition of each sender and country that the command lists."""
    told: Sequence[Mapping[str, Any]] = rig.command("senders", "health")
    return {(one["address"], one["country"]): str(one["condition"]) for one in told}


def _is(rig: Rig, condition: str) -> Callable[[], bool]:
    return lambda: _conditions(rig).get((ONE, "GB"), "healthy") == condition


def _submits(carrier: Simulation) -> list[Submit]:
    return parse(carrier.log.read_text().splitlines())


def _pair(rig: Rig, one: Simulation, two: Simulation, mps: int = 500) -> Api:
    carriers = [Carrier("carrier-a", one.port, [(ONE, mps)], 500), Carrier("carrier-b", two.port, [(TWO, mps)], 500)]
    return Api(rig.server(*carriers).base)


def silent_loss(pool_sizes: PoolSizes) -> list[Figure]:
    """A sender silently loses 60 % of the receipts of one country, and no more later: seconds until that is seen."""
    sizes = sizes_of(pool_sizes)
    with Rig() as rig:
        ill_from = sizes.well + 10.0
        fault = f"silence share=0.6 destination=44* from={ill_from:.0f} until={ill_from + sizes.ill:.0f}"
        one, two = rig.simulation("carrier-a", fault), rig.simulation("carrier-b")
        traffic = _Traffic(_pair(rig, one, two), sizes.rate)
        traffic.go_on(max(0.0, one.began + ill_from - time.monotonic()))
        seen = traffic.until(_is(rig, "unhealthy"), HELD_BACK_WITHIN, "the sender is held back")
        began = time.time()
        traffic.go_on(30.0)
        taken = [sum(s.at >= began and s.destination.startswith("44") for s in _submits(c)) for c in (one, two)]
        elsewhere = _conditions(rig)
        traffic.go_on(max(0.0, one.began + ill_from + sizes.ill - time.monotonic()))
        back = traffic.until(_is(rig, "healthy"), BACK_WITHIN, "the sender is trusted again")
    return [
        Figure(
            "silent loss: seconds until a sender that loses 60 % of one country's receipts has a trickle of it",
            f"<= {HELD_BACK_WITHIN:.0f}",
            round(seen, 1),
            seen <= HELD_BACK_WITHIN and 0 < taken[0] <= TRICKLE * taken[1] and set(elsewhere) == {(ONE, "GB")},
            {"then_in_30_s_it_and_the_other_took": taken, "held_back": [list(key) for key in elsewhere]},
        ),
        Figure(
            "silent loss: seconds from the end of the loss until it has its whole share again",
            f"<= {BACK_WITHIN:.0f}",
            round(back, 1),
            back <= BACK_WITHIN,
        ),
    ]


def black_hole(pool_sizes: PoolSizes) -> list[Figure]:
    """A sender that refuses everything at once, beside one that works: messages that it takes before it is stopped."""
    sizes = sizes_of(pool_sizes)
    taken: dict[str, int] = {}
    for failure, status in ROUTE_FAULTS.items():
        with Rig() as rig:
            one, two = rig.simulation("carrier-a", f"refuse status={status} always=true"), rig.simulation("carrier-b")
            api = _pair(rig, one, two)
            people = _numbers("+44770")
            asked = body(api.create_pool(), [next(people) for _ in range(sizes.refused)])
            operation = str(api.call("POST", "/v1/Messages", asked)["operationId"])
            api.wait_delivered([operation], 60.0)
            taken[failure] = len(_submits(one))
    return [
        Figure(
            "black hole: most messages that a sender took which refuses everything, by class of the refusal",
            f"<= {TAKEN_AT_MOST}",
            max(taken.values()),
            max(taken.values()) <= TAKEN_AT_MOST and min(taken.values()) >= 1,
            {"by_class": taken, "messages": sizes.refused},
        )
    ]


def bad_list(pool_sizes: PoolSizes) -> list[Figure]:
    """A list of which nine in ten numbers are refused as invalid by one of two senders: senders held back for it."""
    sizes = sizes_of(pool_sizes)
    with Rig() as rig:
        one = rig.simulation("carrier-a", "refuse status=0x0b share=0.9 always=true")
        api = _pair(rig, one, rig.simulation("carrier-b"), mps=100)
        people = _numbers("+44770")
        pool = api.create_pool()
        operations = []
        for _ in range(10):
            asked = body(pool, [next(people) for _ in range(sizes.refused // 10)])
            operations.append(str(api.call("POST", "/v1/Messages", asked)["operationId"]))
            time.sleep(3.0)
        # What goes to another sender after a refusal has a budget, a hundred and twenty a minute.
        wait_for(lambda: _ended(api, operations) == sizes.refused // 10 * 10, 300.0, "every message has ended")
        held_back = _conditions(rig)
        refused = sum(submit.status != 0 for submit in _submits(one))
    name = "bad list: senders held back because of numbers that are refused as invalid"
    return [Figure(name, "0", len(held_back), not held_back and refused > 0, {"refused": refused})]


def _ended(api: Api, operations: Sequence[str]) -> int:
    stats = api.stats(operations)
    return sum(stats[state] for state in ("delivered", "undelivered", "failed"))


def equally_bad(pool_sizes: PoolSizes) -> list[Figure]:
    """Both senders of a pool lose 60 % of the receipts: senders held back."""
    sizes = sizes_of(pool_sizes)
    with Rig() as rig:
        one, two = (rig.simulation(name, "silence share=0.6") for name in ("carrier-a", "carrier-b"))
        _Traffic(_pair(rig, one, two), sizes.rate).go_on(sizes.equal)
        held_back = _conditions(rig)
        each = [len(_submits(carrier)) for carrier in (one, two)]
    name = "equally bad: senders held back where all lose as much"
    return [Figure(name, "0", len(held_back), not held_back and min(each) > 0.7 * max(each), {"each_took": each})]
