"""The terminal of a person: its width and colours, tables that fit it, and the pager.

rich is imported here alone, and only if standard output is a terminal: cron and pipes never load it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from etl.cli.common import print_lines, print_text
from etl.texts import localized, spoken

if TYPE_CHECKING:
    from etl.reports.render.look import Look, Paint, Signs

STYLES: Final = {
    "head": "bold",
    "faint": "dim",
    "good": "green",
    "odd": "yellow",
    "bad": "bold red",
    "sum": "bold",
}
LESS: Final = "-FRX"
"""Flags for less: leave at once if all fits, keep colours, leave the text on the screen. The dash is
for click, which drops colours if it finds no flag for them."""
_DUMB: Final = ("dumb", "unknown", "")
_NARROWEST: Final = 20


@dataclass(frozen=True, slots=True)
class Screen:
    """A terminal on standard output: its size in characters, colours and signs."""

    width: int
    height: int
    paint: Paint
    signs: Signs

    def look(self, *, is_wide: bool = False, is_chosen: bool = False) -> Look:
        """Return the look of tables on it, in the language of the screen."""
        from etl.reports.render.look import Look

        return Look(
            self.width,
            spoken(),
            self.paint,
            self.signs,
            is_wide=is_wide,
            is_chosen=is_chosen,
        )


def screen() -> Screen | None:
    """Return the terminal on standard output; None if it goes to a file or another program."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    from etl.reports.render.look import ASCII, UNICODE

    width, height = shutil.get_terminal_size()
    signs = UNICODE if _can_write(UNICODE) else ASCII
    return Screen(max(width, _NARROWEST), height, _paint(os.environ), signs)


def show_lines(
    lines: Iterable[str], terminal: Screen, *, may_page: bool, is_wide: bool = False
) -> None:
    """Print lines, through the pager of the user if they are more than the screen holds."""
    whole = [str(localized(line)) for line in lines]
    if not may_page or len(whole) < terminal.height:
        print_lines(whole)
        return
    _through_pager("".join(f"{line}\n" for line in whole), is_wide)


def fitted(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines, on a terminal broken to its width: what follows stands below the text after the
    first wide gap or indent."""
    terminal = screen()
    for line in lines:
        text = str(localized(line))
        if terminal is None:
            yield text
            continue
        yield from _hanging(text, terminal.width)


def _hanging(text: str, columns: int) -> Iterator[str]:
    from etl.reports.render.wrapping import wrapped

    gap = re.match(r"\S+ {2,}| *", text)
    begin = gap[0] if gap else ""
    first, *rest = wrapped(text[len(begin) :], max(columns - len(begin), _NARROWEST))
    yield begin + first
    yield from (" " * len(begin) + line for line in rest)


def print_on_terminal(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Print a small table fitted to the terminal; return whether there is one."""
    terminal = screen()
    if terminal is None:
        return False
    from etl.reports.render.columns import Column
    from etl.reports.render.screen import lines

    # such a table has no option to bring a column back
    look = terminal.look(is_chosen=True)
    show_lines(lines([Column(name) for name in columns], rows, look), terminal, may_page=True)
    return True


def _through_pager(text: str, is_wide: bool) -> None:
    pager = os.environ.get("PAGER")
    # as git has it: an empty PAGER, or cat, means none
    if pager is not None and pager.strip() in ("", "cat"):
        print_text(text)
        return
    # less alone reads it; a user's own flags are left as they are
    if "LESS" not in os.environ:
        # long lines of wide tables are scrolled sideways, not folded
        os.environ["LESS"] = f"{LESS}S" if is_wide else LESS
    # here: a table that fits the screen needs no pager
    from etl.service.children import PAGERS, lean_environ

    with lean_environ(PAGERS):
        click.echo_via_pager(text)


def _paint(environ: Mapping[str, str]) -> Paint:
    from etl.reports.render.look import unpainted

    if not takes_colours(environ):
        return unpainted
    from rich.console import COLOR_SYSTEMS, Console
    from rich.style import Style

    system = COLOR_SYSTEMS.get(Console(file=sys.stdout).color_system or "")
    if system is None:
        return unpainted
    made = {
        name: Style.parse(style).render("\0", color_system=system).split("\0")
        for name, style in STYLES.items()
    }

    def paint(style: str, text: str) -> str:
        if style not in made or not text:
            return text
        begin, end = made[style]
        return f"{begin}{text}{end}"

    return paint


def is_dumb() -> bool:
    """Tell whether the terminal cannot move its cursor."""
    return os.environ.get("TERM", "dumb").lower() in _DUMB


def takes_colours(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment allows colours: NO_COLOR, CLICOLOR=0 and a dumb terminal do not."""
    if environ.get("NO_COLOR") or environ.get("CLICOLOR") == "0":
        return False
    return environ.get("TERM", "dumb").lower() not in _DUMB


def _can_write(signs: Signs) -> bool:
    text = f"{signs.rule}{signs.absent}{signs.cut}{signs.bars}{signs.unseen}"
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
