"""The table of docs/reliability.md that a run of the fault matrix makes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from etl.polling import Result
from tests.fault_cases import Case
from tests.fault_world import PAGES, outcome_of
from tests.faults import ATTEMPTS, FAULTS

DOCUMENT = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGINS, ENDS = "<!-- faults of a source: begin -->", "<!-- faults of a source: end -->"


class Met(NamedTuple):
    """A case that was run, in words: what became of its first poll, how often it met its fault, and the
    most requests of a poll."""

    case: Case
    words: str
    hits: int
    requests: int


HEADINGS = ("fault", "met once", "always, on the first page or all", "always, on another page")


def table(cases: Sequence[Met], *, of: int) -> str:
    """What became of the first poll that met each fault, by place and times."""
    by_fault = defaultdict(list)
    for met in cases:
        by_fault[met.case.fault].append(met)
    kinds = Counter(met.case.kind for met in cases)
    lines = [
        f"Made by `python -m tests.fault_matrix`, {len(cases)} of {of} cases, {kinds['postgres']} of them on "
        f"Postgres, with {len({met.case.resource for met in cases})} resources. The database that such polls leave equals, after one good poll, that of a run "
        "without faults: nobody is falsely gone, no line of the bill is lost or counted twice, and a "
        "rebuild changes nothing. Below is what became of the first poll that met a fault, with its "
        "exit code (`failed 0`: an optional resource is missing, which is a warning), and the most "
        f"requests of a poll of {PAGES} or {PAGES + 1} pages and {ATTEMPTS} attempts. The full product "
        "of fault, place, times, resource, database and fleet is too large: without options the run "
        "takes a set of cases in which every two of their values meet.",
        "",
        f"| {' | '.join(HEADINGS)} | requests |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        lines.append(f"| {fault.name} | {' | '.join(_cells(by_fault[fault.name]))} |")
    return "\n".join(lines)


def _cells(cases: Sequence[Met]) -> list[str]:
    groups: list[set[str]] = [set(), set(), set()]
    for case, words, hits, _ in cases:
        if hits:
            groups[0 if case.times == "once" else 1 if case.is_at_first else 2].add(words)
    most = max((met.requests for met in cases), default=0)
    return [*(", ".join(sorted(words)) or "–" for words in groups), str(most or "–")]


def as_words(result: Result) -> str:
    if result.error is None:
        return f"{outcome_of(result)} {result.exit_code}"
    return f"failed {result.exit_code} `{result.error.kind}`"


def write(text: str) -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    before, after = page.split(BEGINS)[0], page.split(ENDS)[1]
    DOCUMENT.write_text(f"{before}{BEGINS}\n{text}\n{ENDS}{after}", encoding="utf-8")


def named_in_document() -> list[str]:
    """The faults of the table, in its order."""
    text = DOCUMENT.read_text(encoding="utf-8").split(BEGINS)[1].split(ENDS)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.split(" | ")[0].removeprefix("| ") for line in lines[1:]]
