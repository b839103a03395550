"""`sendpool audit`: whether everything that was accepted is accounted for."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sendpool.cli.asking import show_json
from sendpool.cli.options import FAILED, AsJson, ConfigPath, DatabaseUrl, failed, load_config

if TYPE_CHECKING:
    from sendpool.admin.audit import Finding, Report


def audit(*, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """Check that everything that was accepted is accounted for, and name what is not; exits 1 if something is wrong.

    It only reads, beside the server or while none runs, a little at a time: it may be run at any moment.
    """
    settings = load_config(config, database=database)
    import msgspec

    from sendpool.config.places import database_of
    from sendpool.store.database import DatabaseAway
    from sendpool.store.reading import WrongSchema

    try:
        report = asyncio.run(_audit(database_of(settings.server.database)))
    except (WrongSchema, DatabaseAway, OSError) as error:
        return failed(error)
    if json:
        show_json(msgspec.to_builtins(report))
    else:
        _show(report)
    return 0 if report.sound else FAILED


async def _audit(where: Path | str) -> Report:
    from sendpool.admin.audit import audit
    from sendpool.store.reading import open_reader

    async with open_reader(where) as reader:
        return await audit(reader, lambda: time.time_ns() // 1000)


def _show(report: Report) -> None:
    counts = dict(report.messages)
    accepted = counts.pop("accepted")
    print(f"{accepted} messages accepted in {report.operations} operations; {report.waiting} rows wait")
    print("  = " + " + ".join(f"{count} {name}" for name, count in counts.items()))
    for finding in report.findings:
        print("\n".join(_lines(finding)))
    print("Nothing is wrong." if report.sound else "Something is wrong.")


def _lines(finding: Finding) -> list[str]:
    more = ", ..." if finding.count > len(finding.examples) else ""
    return [
        f"\n{'WRONG' if finding.wrong else 'note'}: {finding.what} ({finding.count})",
        f"  {', '.join(finding.examples)}{more}",
        f"  {finding.todo}.",
    ]
