"""The figures of the main job, measured on real processes through the public API."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import figures as main_job
from bench import three_kills
from bench.figures import QUICK, Sizes
from bench.show import Show, run

SHOW = Show(
    "the main job",
    {
        "a": main_job.ten_senders,
        "b": main_job.one_good_carrier,
        "c": three_kills.three_kills,
        "d": main_job.large_requests,
        "e": main_job.queued_messages,
        "f": main_job.bulk,
        "g": main_job.single,
    },
    Sizes(),
    QUICK,
    within=300,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
