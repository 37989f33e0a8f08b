"""What was survived, as a table of `docs/reliability.md`, which the trial itself writes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.crash import Tally

HOW: Final = (
    "killed at a write",
    "killed at a moment",
    "refused writes",
    "session ended",
    "server crashed",
)


def rows(done: Mapping[tuple[str, str], int]) -> Iterator[str]:
    yield "| command | " + " | ".join(HOW) + " |"
    yield "|---" + "|---:" * len(HOW) + "|"
    for name in dict.fromkeys(name for name, _ in done):
        yield f"| {name} | " + " | ".join(str(done.get((name, how), 0)) for how in HOW) + " |"
    sums = Counter[str]()
    for (_, how), number in done.items():
        sums[how] += number
    yield "| **all** | " + " | ".join(f"**{sums[how]:,}**" for how in HOW) + " |"


def write(doc: Path, kind: str, tally: Tally, failures: list[str]) -> None:
    """Replace the database's section between its two marks."""
    text = "\n".join(
        [
            f"**{'SQLite' if kind == 'sqlite' else 'Postgres'}**, {datetime.now(UTC):%Y-%m-%d}: {tally.kills:,}"
            f" kills in {tally.rounds} histories, {tally.replays} of them replayed; "
            + ("nothing was broken." if not failures else f"{len(failures)} failures."),
            "",
            *rows(tally.done),
        ]
    )
    put(doc, f"crash {kind}", text)


def put(doc: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- end -->`."""
    old = doc.read_text(encoding="utf-8")
    mark = re.escape(f"<!-- {name} -->")
    new, number = re.subn(
        f"({mark}\n).*?(\n<!-- end -->)", lambda m: m[1] + text + m[2], old, flags=re.DOTALL
    )
    if number != 1:
        raise SystemExit(f"{doc} has no mark <!-- {name} -->")
    doc.write_text(new, encoding="utf-8")
