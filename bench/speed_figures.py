"""The figures of speed, measured on whole processes as users run them, in turn with what they are compared with."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench import compare, scenarios
from bench.claim_cost import DATABASES, claim_cost
from bench.compare import AT_ONCE, LATER, Ran
from bench.figures import QUEUED_MOST_MB, Figure, queued_memory, say
from bench.scenarios import Setup

Json = dict[str, Any]
#: What a message in bulk and one by one may cost: CPU seconds for 1,000, of all our processes.
BULK_CPU, SINGLE_CPU = 0.12, 0.35
#: How many times as fast as Kannel, by its store.
BULK_RATIOS = {"kannel spool": 8.0, "kannel no store": 5.0}
SINGLE_RATIOS = {"kannel spool": 2.0, "kannel no store": 1.2}
#: By how much receipts that come 5 s later may slow bulk down, or make it dearer.
LATER_COSTS = 0.10
#: Milliseconds in which a request is answered while bulk runs, p99: of one message, of 10,000.
SINGLE_MS, LARGE_MS = 50, 200
#: How much dearer a thousand senders may be than one.
MANY_SENDERS = 1.3
#: Two processes on PostgreSQL against one on SQLite, and four against two, less what two runs of the same differ by.
TWO_NODES, FOUR_NODES = 0.6, 0.95


class SpeedSizes(NamedTuple):
    """How much each figure takes."""

    runs: int = 5
    messages: compare.Sizes = compare.Sizes()
    queued: int = 1_000_000
    backlog: int = 10_000_000


SPEED_QUICK = SpeedSizes(1, compare.QUICK, 50_000, 20_000)


# ---------------------------------------------------------------- a, b: beside Kannel


def bulk_beside_kannel(sizes: SpeedSizes) -> list[Figure]:
    """Bulk beside Kannel with and without its spool, and with receipts that come 5 s later."""
    pairs = [*((kannel, AT_ONCE) for kannel in BULK_RATIOS), ("bulk", AT_ONCE), ("bulk", LATER)]
    found = compare.rounds(pairs, sizes.runs, sizes.messages)
    return [*_ratios(found, "bulk", BULK_RATIOS), _cpu(found, "bulk", BULK_CPU), _later(found)]


def single_beside_kannel(sizes: SpeedSizes) -> list[Figure]:
    """Requests of one message beside Kannel with and without its spool (two boxes); two fronts for information."""
    pairs = [*((kannel, AT_ONCE) for kannel in SINGLE_RATIOS), ("single", AT_ONCE), ("single, two fronts", AT_ONCE)]
    found = compare.rounds(pairs, sizes.runs, sizes.messages)
    return [*_ratios(found, "single", SINGLE_RATIOS), _cpu(found, "single", SINGLE_CPU)]


def _ratios(found: Sequence[Ran], ours: str, targets: Mapping[str, float]) -> list[Figure]:
    figures = []
    for theirs, least in targets.items():
        ratio = round(compare.median(found, ours) / compare.median(found, theirs), 2)
        name = f"{ours}: messages a second until the last event, over {theirs}, medians"
        runs = {system: [round(one.rate) for one in found if one.system == system] for system in (ours, theirs)}
        figures.append(Figure(name, f"at least {least:g}", ratio, ratio >= least, {"runs": runs}))
    return figures


def _cpu(found: Sequence[Ran], ours: str, most: float) -> Figure:
    used = round(compare.median(found, ours, of="cpu"), 4)
    name = f"{ours}: CPU seconds for 1,000 messages, of all our processes, median"
    return Figure(name, f"at most {most:g}", used, used <= most, {"medians": compare.medians(found)})


def _later(found: Sequence[Ran]) -> Figure:
    """Each run beside the other of its round, as the machine was about as fast for both: the median of rounds."""
    rounds = list(zip(compare.runs_of(found, "bulk"), compare.runs_of(found, "bulk", LATER), strict=True))
    slower = statistics.median(soon.rate / late.rate - 1 for soon, late in rounds)
    dearer = statistics.median(late.cpu / soon.cpu - 1 for soon, late in rounds)
    worst = round(max(slower, dearer), 3)
    return Figure(
        "bulk: what receipts cost that come after 5 s, not 0.1 s, in time or CPU, the worse of both, median of rounds",
        f"under {LATER_COSTS:.0%}",
        worst,
        worst < LATER_COSTS,
        {"time": round(slower, 3), "cpu": round(dearer, 3)},
    )


# ---------------------------------------------------------------- c: accepting while bulk runs


def accept_latency(sizes: SpeedSizes) -> list[Figure]:
    """How long accepting takes while bulk runs."""
    runs = in_turn({"": lambda: scenarios.latency(sizes.messages.bulk, Setup(sink=True))}, sizes.runs)[""]
    figures = []
    for key, what, most in (("single_ms", "one message", SINGLE_MS), ("large_ms", "10,000 recipients", LARGE_MS)):
        worst = statistics.median(one[key]["p99"] for one in runs)
        name = f"accepting {what} while bulk runs: p99 in ms, median of runs"
        figures.append(Figure(name, f"under {most}", worst, worst < most, {"runs": [one[key] for one in runs]}))
    return figures


# ---------------------------------------------------------------- d: many senders


def many_senders(sizes: SpeedSizes) -> list[Figure]:
    """Bulk over a pool of 1, 10, 100 and 1,000 senders."""

    def over(senders: int) -> Callable[[], Json]:
        return lambda: scenarios.bulk(sizes.messages.bulk, Setup(senders=senders, sink=True))

    runs = in_turn({f"{senders}": over(senders) for senders in (1, 10, 100, 1_000)}, sizes.runs)
    one, thousand = _costs(runs["1"]), _costs(runs["1000"])
    worst = round(max(more / less for more, less in zip(thousand, one, strict=True)), 2)
    name = "the cost of a message over 1,000 senders, over that with one: time or CPU, the worse of both, medians"
    each = {senders: dict(zip(("seconds", "cpu"), _costs(lines), strict=True)) for senders, lines in runs.items()}
    return [Figure(name, f"at most {MANY_SENDERS}", worst, worst <= MANY_SENDERS, {"for_1000_messages": each})]


def _costs(lines: Sequence[Json]) -> tuple[float, float]:
    """Seconds and CPU seconds for 1,000 messages, medians."""
    seconds = statistics.median(1000 * line["seconds"] / line["messages"] for line in lines)
    return round(seconds, 4), statistics.median(line["cpu_seconds_per_1000"] for line in lines)


# ---------------------------------------------------------------- e: a backlog


def backlog(sizes: SpeedSizes) -> list[Figure]:
    """What claims cost with a large backlog, as rows and in chunks, and what it takes of memory."""
    costs = [one for one in claim_cost(sizes.backlog, tuple(DATABASES)) if "99 senders" not in one.name]
    return [*costs, *queued_memory(sizes.queued, QUEUED_MOST_MB)]


# ---------------------------------------------------------------- f: processes


def processes(sizes: SpeedSizes) -> list[Figure]:
    """PostgreSQL with 2 and 4 processes against SQLite with one."""

    def over(nodes: int, load: Callable[[int, Setup], Json], messages: int) -> Callable[[], Json]:
        return lambda: load(messages, Setup(nodes=nodes, sink=True))

    figures = []
    for load, messages, judged in (
        (scenarios.bulk, sizes.messages.bulk, True),
        (scenarios.single, sizes.messages.single, False),
    ):
        runs = in_turn({f"{nodes}": over(nodes, load, messages) for nodes in (0, 2, 4)}, sizes.runs)
        rates = {nodes: statistics.median(one["messages_per_second"] for one in runs[nodes]) for nodes in runs}
        figures += [
            _against(f"{load.__name__}: 2 processes on PostgreSQL, over one on SQLite", rates, "20", TWO_NODES, judged),
            _against(f"{load.__name__}: 4 processes on PostgreSQL, over 2", rates, "42", FOUR_NODES, judged),
        ]
    return figures


def _against(name: str, rates: Mapping[str, float], pair: str, least: float, judged: bool) -> Figure:
    ratio = round(rates[pair[0]] / rates[pair[1]], 2)
    target = f"at least {least}" if judged else None
    detail = {"messages_per_second": {"sqlite": rates["0"], "2 processes": rates["2"], "4 processes": rates["4"]}}
    return Figure(f"{name}, medians", target, ratio, ratio >= least if judged else None, detail)


def in_turn(measured: Mapping[str, Callable[[], Json]], runs: int) -> dict[str, list[Json]]:
    """Runs of each, forwards, then backwards."""
    found: dict[str, list[Json]] = {name: [] for name in measured}
    for number in range(runs):
        for name in list(measured)[:: 1 if number % 2 == 0 else -1]:
            line = measured[name]()
            found[name].append(line)
            seen = f"{line['messages_per_second']:,}/s, {line['cpu_seconds_per_1000']:.3f} CPU s for 1,000"
            say(f"  {name}{': ' if name else ''}{seen}, {line['cores_of_neighbours']} cores of neighbours")
    return found
