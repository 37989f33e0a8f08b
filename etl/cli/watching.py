"""A report that is drawn again and again, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from etl.cli.common import Context, print_lines
from etl.cli.printing import read_lines
from etl.cli.terminal import Screen, is_dumb, screen
from etl.errors import EtlError
from etl.figures.asking import Rendering
from etl.texts import localized, tr

if TYPE_CHECKING:
    from rich.live import Live

    from etl.reports import Report


def watch_report(
    context: Context, chosen: Report, options: Mapping[str, Any], wanted: Rendering, every_s: int
) -> None:
    """Draw a report every few seconds, each time from the database as it is then.

    Raises `EtlError` if the first drawing fails; a later failure is drawn in its place, since the
    database may come back. Raises `click.UsageError` without a terminal.
    """
    if screen() is None or wanted.form != "table":
        raise click.UsageError(localized(tr("--watch needs a terminal, and draws tables alone")))
    drawn = _frame(context, chosen, options, wanted, every_s)
    with ExitStack() as stack:
        try:
            live = None if is_dumb() else stack.enter_context(_live())
            while True:
                _draw(live, drawn)
                time.sleep(every_s)
                drawn = _frame_or_error(context, chosen, options, wanted, every_s)
        except KeyboardInterrupt:
            pass
    if not is_dumb():
        print_lines(drawn)  # the other screen is gone: what was seen last stays


def _live() -> Live:
    from rich.console import Console
    from rich.live import Live

    # standard streams stay as they are: what is said meanwhile is drawn as a part of the frame
    return Live(
        console=Console(file=sys.stdout),
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _draw(live: Live | None, lines: list[str]) -> None:
    if live is None:
        print_lines([*lines, ""])
        return
    from rich.text import Text

    live.update(Text.from_ansi("\n".join(lines), no_wrap=True), refresh=True)


def _frame_or_error(
    context: Context,
    chosen: Report,
    options: Mapping[str, Any],
    wanted: Rendering,
    every_s: int,
) -> list[str]:
    try:
        return _frame(context, chosen, options, wanted, every_s)
    except EtlError as error:
        from etl.redact import without_known

        words = [tr("error: {message}", message=error.message), error.advice or ""]
        return [without_known(str(localized(line))) for line in words]


def _frame(
    context: Context,
    chosen: Report,
    options: Mapping[str, Any],
    wanted: Rendering,
    every_s: int,
) -> list[str]:
    """Return the lines of one drawing, no more than the terminal is high."""
    terminal = screen()
    assert terminal is not None
    remarks: list[str] = []
    parent = click.get_current_context()
    # a context of its own closes the connections of each drawing, and so finds a new database too
    with click.Context(parent.command, parent=parent).scope():
        app, lines = read_lines(context, chosen, options, wanted, terminal, remarks.append)
        body = [str(localized(line)) for line in lines]
        at = app.local_now()
    head = tr(
        "{report}, {at}: again every {every_s} s, Ctrl-C ends",
        report=chosen.name,
        at=at,
        every_s=every_s,
    )
    above = [terminal.paint("faint", localized(line)) for line in (head, *remarks)]
    return _cropped([*above, *body], terminal)


def _cropped(lines: Iterable[str], terminal: Screen) -> list[str]:
    whole = list(lines)
    if len(whole) <= terminal.height:
        return whole
    kept = whole[: terminal.height - 1]
    more = localized(tr("{count} more lines", count=len(whole) - len(kept)))
    return [*kept, terminal.paint("faint", f"{terminal.signs.cut} {more}")]
