"""Figures as the tables of `docs/performance.md`, printed as they come."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from statistics import median

from bench.cost import Cost, Figures

STEPS = {"first": "first load", "unchanged": "unchanged", "changed": "1 % changed"}
FLOORS = {
    "fetch": "floor: fetch and decode, one by one",
    "fetch-threads": "floor: the same, 4 threads",
    "insert": "floor with bare insert, one by one",
    "insert-threads": "floor with bare insert, 4 threads",
}
HEADING = (
    "| what | process s | CPU s | peak MB | CPU s in process | rows | KB written | of floor | inside |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


class Table:
    """Prints Markdown."""

    def __init__(self, sqlite: str, versions: Iterable[Callable[[], str] | None]) -> None:
        postgres = ", ".join(f"Postgres {version()}" for version in versions if version)
        print(f"Python {platform.python_version()}, SQLite {sqlite}, {postgres}")

    def help(self, costs: Iterable[Cost]) -> None:
        taken = list(costs)
        cpu_s, wall_s = median(c.cpu_s for c in taken), median(c.wall_s for c in taken)
        print(f"\n`chenyu-etl --help`: {cpu_s:.2f} s of CPU, {wall_s:.2f} s")

    def size(self, size: int, kind: str, figures: Figures) -> None:
        print(f"\n### {size:,} instances, {kind}\n\n{HEADING}")
        for name, title in FLOORS.items():
            if name in figures.costs:
                print(_row(title, name, figures))
        for step, title in STEPS.items():
            if f"handy {step}" in figures.costs:
                print(_row(f"handy script: {title}", f"handy {step}", figures))
        for step, title in STEPS.items():
            print(_own_row(f"**chenyu-etl sync: {title}**", step, figures))

    def history(self, size: int, kind: str, figures: Figures) -> None:
        print(f"\n### {size:,} instances, {kind}, without and with a large past\n")
        print("| poll, in process | without s | with s | with / without | KB without | KB with |")
        print("|---|---:|---:|---:|---:|---:|")
        for step in ("unchanged", "changed"):
            without, having = f"{step} without", f"{step} with"
            times = [f"{figures.inside_s(what):.3f}" for what in (without, having)]
            ratio = f"{figures.ratio(having, without, inside=True):.2f}"
            kbs = [_kb(figures, what) for what in (without, having)]
            print(_line(STEPS[step], *times, ratio, *kbs))


def _row(title: str, name: str, figures: Figures, *more: str) -> str:
    costs = figures.costs[name]
    return _line(
        title,
        f"{figures.wall_s(name):.2f}",
        f"{median(c.cpu_s for c in costs):.2f}",
        f"{max(c.peak_mb for c in costs):.0f}",
        f"{figures.inside_s(name):.2f}" if costs[0].inside_s else more[0],
        *(more[1:] or ("", "", "", "")),
    )


def _own_row(title: str, step: str, figures: Figures) -> str:
    floor = "insert" if step == "first" else "fetch"
    floors = [name for name in (floor, f"{floor}-threads") if name in figures.costs]
    is_brief, rows = f"inside {step}" not in figures.costs, figures.written[step, "rows"]
    return _row(
        title,
        step,
        figures,
        "" if is_brief else f"{figures.inside_s(f'inside {step}'):.2f}",
        # of SQLite the process itself says it, from inside
        f"{median(rows):,.0f}" if rows else "",
        _kb(figures, step),
        f"{figures.ratio(step, *floors):.2f}",
        "" if is_brief else f"{figures.ratio(f'inside {step}', *floors, inside=True):.2f}",
    )


def _kb(figures: Figures, what: str) -> str:
    return f"{median(figures.written[what, 'bytes']) / 1000:,.0f}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
