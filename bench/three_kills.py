"""kill -9 of the server in the middle of its work: what is at the carrier afterwards, and what it says of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench import scenarios
from bench.api import Api, recipient, send_body
from bench.carrier_log import copies, duplicates
from bench.figures import Figure, Sizes, addresses, patiently, read_log
from bench.rig import Carrier, Rig, Server, wait_for

#: The wire's mark of an attempt whose fate was once unknown.
AMBIGUOUS = 30410


def three_kills(sizes: Sizes) -> list[Figure]:
    """kill -9 three times while messages are on their way, each time started again on the same database."""
    total = sizes.killed
    with Rig() as rig:
        # Answers that take their time keep attempts open, so that each kill leaves some of unknown fate.
        sink = rig.sink("carrier-a", "--dlr", "1/100", "--resp-delay", "30")
        rates = [(address, sizes.killed_rate // 2) for address in addresses(0, 2)]
        server = rig.server(Carrier("carrier-a", sink.port, rates, window=200))
        api = Api(server.base)
        pool_id = api.create_pool()
        api.warm_up(pool_id, scenarios.WARM_UP)
        half = total // 2
        parts = [(0, half), *((half + i * half // 6, half // 6) for i in range(6))]
        operations = [api.send(send_body(pool_id, first, count))[0] for first, count in parts]
        restarts, sent_at_kill = [], []
        for share in (0.2, 0.45, 0.7):
            sent_at_kill.append(_wait_for_progress(api, server, operations, round(total * share)))
            server.kill()
            api.close()
            restarts.append(round(server.start(), 2))
            api = Api(server.base)
        problem = patiently(lambda: _wait_settled(api, server, operations, 60.0))
        stats = api.stats(operations)
        messages = [one for each in operations for one in api.pages("/v1/Messages", "messages", operationId=each)]
        sink.stop()
        at_carrier = copies(read_log(sink))
        doubled = {destination for destination, number in at_carrier.items() if number > 1}
        marked = _marked(api, messages, doubled)
        complaints = server.complaints()
    sent_to = {recipient(number).lstrip("+") for number in range(total)}
    missing = sent_to - at_carrier.keys() - marked
    twice = duplicates(at_carrier)
    return [
        Figure(
            "three kill -9: messages that are neither at the carrier nor marked ambiguous",
            f"0 of {total}",
            len(missing),
            not missing and len(messages) == stats["total"] == total,
            {
                "accepted": total,
                "at_carrier": len(sent_to & at_carrier.keys()),
                # Made durable, killed before their bytes left: nobody can tell, so they count as ambiguous.
                "ambiguous_not_at_carrier": len(marked - at_carrier.keys()),
                "marked_ambiguous": len(marked),
                "final_states": _states(stats),
                "sent_at_kill": sent_at_kill,
                "restart_seconds": restarts,
                "complaints": complaints,
                **({"problem": problem} if problem else {}),
            },
        ),
        Figure(
            "three kill -9: duplicates at the carrier",
            "at most as many as are marked ambiguous",
            twice,
            twice <= len(marked) and doubled <= marked,
            {"marked_ambiguous": len(marked)},
        ),
    ]


def _wait_for_progress(api: Api, server: Server, operations: Sequence[str], wanted: int) -> int:
    sent = 0

    def far_enough() -> bool:
        nonlocal sent
        server.check()
        stats = api.stats(operations)
        sent = stats["sent"] + stats["delivered"]
        return sent >= wanted

    wait_for(far_enough, 45.0, f"{wanted} messages are sent")
    return sent


def _wait_settled(api: Api, server: Server, operations: Sequence[str], seconds: float) -> None:
    """Nothing waits any more, and what is SENT is so because nobody knows more."""

    def settled() -> bool:
        server.check()
        stats = api.stats(operations)
        if stats["queued"] or stats["scheduled"]:
            return False
        return stats["sent"] == len(list(api.pages("/v1/Messages", "messages", ambiguous="true")))

    wait_for(settled, seconds, "every message is delivered, ended or marked ambiguous", 0.2)


def _marked(api: Api, messages: Sequence[Mapping[str, Any]], doubled: set[str]) -> set[str]:
    """Destinations of messages that are marked ambiguous, or (looked up where it matters) once were."""
    marked = set()
    for message in messages:
        destination = message["to"][0]["address"].lstrip("+")
        if message.get("ambiguous"):
            marked.add(destination)
        elif destination in doubled:
            attempts = api.call("GET", f"/v1/Messages/{message['id']}")["attempts"]
            if any(attempt.get("error", {}).get("code") == AMBIGUOUS for attempt in attempts):
                marked.add(destination)
    return marked


def _states(stats: Mapping[str, int]) -> dict[str, int]:
    names = ("scheduled", "queued", "sent", "delivered", "read", "undelivered", "failed", "canceled")
    return {name: stats[name] for name in names if stats[name]}
