"""Render rows for a person at a terminal: a table that fits its width, or a block for each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from etl.reports.render import table
from etl.reports.render.columns import LOCAL, Column, Rows
from etl.reports.render.fit import GAP, Fitting, Rank, Size, fit
from etl.reports.render.look import Look, short_heading, unit_below
from etl.reports.render.moments import short_moments
from etl.reports.render.table import printable, width
from etl.reports.render.wrapping import wrapped
from etl.texts import localized, tr

EASY_TEXT: Final = 20
"""Width down to which texts are cut before a column is dropped."""
WIDEST_TEXT: Final = 60
"""Width down to which texts are cut even if their beginnings are all alike."""
LEAST_ID: Final = 8
SIGNED: Final = ("change_yuan", "difference_yuan", "unexplained_yuan")
"""Columns whose numbers say by their sign in which direction something differs."""
SHARES: Final = ("used_percent", "projected_percent")
"""Columns in which more than 100 is too much."""
FULL_PERCENT: Final = 100
_JOINERS: Final = {0x200D: None, 0xFE0E: None, 0xFE0F: None}
"""Characters that join or vary signs: terminals do not agree on the width of the result."""
WORD_STYLES: Final = {
    "state": {
        "running": "good",
        "valid": "good",
        "uploaded": "good",
        "failed": "bad",
        "unknown": "odd",
        "awaiting confirmation": "odd",
        "expired": "faint",
        "used up": "faint",
        "stopped": "faint",
    },
    "timer": {"overdue": "bad", "none": "odd", "unknown": "odd"},
    "cause": {"unexplained": "bad", "price": "odd", "unread": "odd", "coverage_gap": "odd"},
    "evidence": {"possible_run": "odd", "unknown_start": "odd", "gone": "faint"},
    "event": {"started": "good", "gone": "bad", "stopped": "faint"},
}
"""Styles of words, by the name of their column. The word itself says it; the colour leads the eye."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A column as a screen shows it: heading, unit and cells, each cell with its style."""

    column: Column
    heading: str
    unit: str
    cells: list[str]
    styles: list[str]
    is_right: bool
    rank: Rank
    is_elastic: bool


def lines(
    columns: Sequence[Column], raw: Rows, look: Look, shown: Rows | None = None
) -> Iterator[str]:
    """Yield the lines of a table, and under it which columns are left out.

    `shown` are the same rows in the language of the screen, if that is not English: styles go by the
    words of `raw`.
    """
    rows = [list(row) for row in raw]
    if not rows:
        yield from table.lines(columns, [], look.lang)
        return
    made = _Table.of(columns, rows, look, shown)
    yield from made.lines()
    yield from _left_out([made.strips[i] for i in made.room.dropped], look)


def body(columns: Sequence[Column], raw: Rows, look: Look) -> Iterator[str]:
    """Yield the lines of a table of at least one row, without a word on what is left out."""
    yield from _Table.of(columns, [list(row) for row in raw], look, None).lines()


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that was fitted to a screen; `label` is the word for its sums, if it has such."""

    strips: list[Strip]
    room: Fitting
    label: str
    has_sums: bool
    count: int
    look: Look

    @classmethod
    def of(
        cls, columns: Sequence[Column], rows: list[list[Any]], look: Look, shown: Rows | None
    ) -> _Table:
        label, foot = _sum_row(columns, rows, look.lang)
        words = rows if shown is None else [list(row) for row in shown]
        strips = _strips(columns, rows, [*words, *foot], look)
        may_drop = not (look.is_wide or look.is_chosen)
        room = fit([_size(strip) for strip in strips], look.width, may_drop=may_drop)
        if look.is_wide:
            room = Fitting({i: _natural(strip) for i, strip in enumerate(strips)}, [])
        return cls(strips, room, label, bool(foot), len(rows), look)

    def lines(self) -> Iterator[str]:
        look = self.look
        kept = [self.strips[i] for i in self.room.widths]
        widths = list(self.room.widths.values())
        rule = look.paint("faint", (" " * GAP).join(look.signs.rule * w for w in widths))
        yield from _heading_lines(kept, widths, look)
        yield rule
        for number in range(self.count):
            yield _cell_line(kept, widths, number, look)
        sums = [strip.cells[-1] for strip in kept] if self.has_sums else []
        if any(sums):
            yield rule
            yield _join(_with_sum_label(sums, self.label, widths), widths, kept, look, "sum")


def _sum_row(
    columns: Sequence[Column], rows: list[list[Any]], lang: str
) -> tuple[str, list[list[Any]]]:
    """Return the word for sums, and the row of them if there is one, without that word."""
    foot = table.totals(columns, rows, lang)
    if not foot or columns[0].is_total:
        return "", foot
    return foot[0][0], [[None, *foot[0][1:]]]


def _with_sum_label(sums: Sequence[str], label: str, widths: Sequence[int]) -> list[str]:
    """Return the cells of sums, with their word in the first column that is free for it."""
    free = (i for i, text in enumerate(sums) if not text and widths[i] >= width(label))
    at = next(free, None)
    return [label if i == at else text for i, text in enumerate(sums)]


def blocks(
    columns: Sequence[Column], raw: Rows, look: Look, shown: Rows | None = None
) -> Iterator[str]:
    """Yield a block of lines for each row, a line for each column, in full."""
    rows = [list(row) for row in raw]
    if not rows:
        yield from table.lines(columns, [], look.lang)
        return
    words = rows if shown is None else [list(row) for row in shown]
    names = [short_heading(column, look.lang) for column in columns]
    wide = max(map(width, names))
    for number, (row, spoken) in enumerate(zip(rows, words, strict=True), 1):
        yield look.paint("head", f"{look.signs.rule} {number} {look.signs.rule * max(0, wide - 2)}")
        for column, name, value, word in zip(columns, names, row, spoken, strict=True):
            text, style = _styled_cell(column, value, word, look)
            unit = column.unit_word(look.lang) if value is not None else ""
            padded = name + " " * (wide - width(name) + GAP)
            yield f"{look.paint('faint', padded)}{look.paint(style, text)} {unit}".rstrip()


def _strips(
    columns: Sequence[Column], rows: list[list[Any]], words: list[list[Any]], look: Look
) -> list[Strip]:
    """Return the columns, with the cells of all rows and of the sums below them."""
    strips: list[Strip] = []
    has_first = False
    for i, column in enumerate(columns):
        values = [row[i] for row in rows]
        strip = _strip(column, values, [row[i] for row in words], look)
        if not has_first and strip.rank in (Rank.USUAL, Rank.KEPT) and not strip.is_right:
            strip = replace(strip, rank=Rank.FIRST)
            has_first = True
        strips.append(strip)
    return strips


def _strip(column: Column, values: list[Any], words: list[Any], look: Look) -> Strip:
    present = [value for value in values if value is not None]
    is_number = bool(present) and all(isinstance(value, int | float) for value in present)
    heading, unit = short_heading(column, look.lang), unit_below(column, look.lang)
    # the cells of sums have no value of their own, and are styled as a whole
    made = [
        _styled_cell(column, value, word, look) for value, word in zip(values, words, strict=False)
    ]
    cells, styles = [text for text, _ in made], [style for _, style in made]
    is_moment = column.kind in ("instant", "day", LOCAL)
    if is_moment and not look.is_wide:
        cells, unit = short_moments(column.kind, values, look.signs.absent)
    elif column.name.endswith("_uuid") and not look.is_wide:
        cells = short_ids(cells)
    for word in words[len(values) :]:
        cells.append("" if word is None else _signed(column, word))
    # an identity that was cut once more would name nothing
    is_elastic = not (is_number or is_moment or column.name.endswith("_uuid"))
    rank = _rank(column, present, len(values))
    return Strip(column, heading, unit, cells, styles, is_number, rank, is_elastic)


def _rank(column: Column, present: list[Any], count: int) -> Rank:
    if not present:
        return Rank.EMPTY
    if count > 1 and len(present) == count and not column.is_total and len(set(present)) == 1:
        return Rank.ALIKE
    if column.name.endswith("_uuid") or column.name == "as_of":
        return Rank.IDENTITY
    return Rank.KEPT if column.is_kept else Rank.USUAL


def _styled_cell(column: Column, value: Any, word: Any, look: Look) -> tuple[str, str]:
    """Return the text of a cell, and its style."""
    if value is None:
        return look.signs.absent, "faint"
    style = WORD_STYLES.get(column.name, {}).get(value, "") if isinstance(value, str) else ""
    text = _signed(column, word)
    if column.name in SHARES and isinstance(value, int | float) and value > FULL_PERCENT:
        return f"! {text}", "bad"
    return text, style


def _signed(column: Column, value: Any) -> str:
    text = printable(value.translate(_JOINERS) if isinstance(value, str) else value)
    is_more = column.name in SIGNED and isinstance(value, int | float) and value > 0
    return f"+{text}" if is_more else text


def short_ids(ids: Sequence[str]) -> list[str]:
    """Return the beginnings of identities that tell them apart, all of one length."""
    length = max(LEAST_ID, _telling(ids))
    return [text[:length] for text in ids]


def _telling(texts: Sequence[str]) -> int:
    """Return how many characters it takes to tell different texts apart."""
    longest = 0
    # of sorted texts, those that are most alike are neighbours
    for one, following in pairwise(sorted(set(texts))):
        pairs = enumerate(zip(one, following, strict=False))
        common = next((i for i, (a, b) in pairs if a != b), len(one))
        longest = max(longest, common + 1)
    return longest


def _natural(strip: Strip) -> int:
    return max(width(strip.heading), width(strip.unit), *map(width, strip.cells))


def _size(strip: Strip) -> Size:
    body = max(width(strip.unit), *map(width, strip.cells))
    longest_word = max(map(width, strip.heading.split(" ")))
    least = min(body, _easy(strip)) if strip.is_elastic else body
    return Size(max(body, width(strip.heading)), max(least, longest_word), strip.rank)


def _easy(strip: Strip) -> int:
    """Return the width down to which a text may be cut: two that differ never look alike."""
    length = _telling(strip.cells)
    widest = max((width(cell[:length]) for cell in strip.cells), default=0)
    return min(max(EASY_TEXT, widest + 1), WIDEST_TEXT)


def _heading_lines(strips: Sequence[Strip], widths: Sequence[int], look: Look) -> Iterator[str]:
    """Yield headings, broken at blanks so that all stand on the rule, and the units below them."""
    broken = [list(_broken(s.heading, w)) for s, w in zip(strips, widths, strict=True)]
    height = max(map(len, broken))
    for number in range(height):
        words = [b[number - height + len(b)] if number >= height - len(b) else "" for b in broken]
        yield _join(words, widths, strips, look, "head")
    if any(strip.unit for strip in strips):
        yield _join([strip.unit for strip in strips], widths, strips, look, "faint")


def _broken(heading: str, room: int) -> Iterator[str]:
    line = ""
    for word in heading.split(" "):
        longer = f"{line} {word}" if line else word
        if line and width(longer) > room:
            yield line
            line = word
        else:
            line = longer
    yield line


def _join(
    words: Sequence[str], widths: Sequence[int], strips: Sequence[Strip], look: Look, style: str
) -> str:
    parts = [
        _aligned(_cut_to_width(word, w, look), w, strip.is_right)
        for word, w, strip in zip(words, widths, strips, strict=True)
    ]
    return look.paint(style, (" " * GAP).join(parts).rstrip())


def _cell_line(strips: Sequence[Strip], widths: Sequence[int], number: int, look: Look) -> str:
    """Return a line of cells; blanks are outside of styles, so that no colour fills them."""
    parts = []
    for strip, w in zip(strips, widths, strict=True):
        text = _cut_to_width(strip.cells[number], w, look)
        blank = " " * (w - width(text))
        painted = look.paint(strip.styles[number], text)
        parts.append(f"{blank}{painted}" if strip.is_right else f"{painted}{blank}")
    return (" " * GAP).join(parts).rstrip()


def _aligned(text: str, room: int, is_right: bool) -> str:
    blank = " " * (room - width(text))
    return f"{blank}{text}" if is_right else f"{text}{blank}"


def _cut_to_width(text: str, room: int, look: Look) -> str:
    """Return a text cut to a width, by columns and not by characters."""
    if width(text) <= room:
        return text
    taken, kept = width(look.signs.cut), ""
    for sign in text:
        taken += width(sign)
        if taken > room:
            break
        kept += sign
    return kept + look.signs.cut


def _left_out(strips: Sequence[Strip], look: Look) -> Iterator[str]:
    """Yield which columns there is no room for; a value that is alike in all rows is named."""
    if not strips:
        return
    names = []
    for strip in sorted(strips, key=lambda strip: strip.rank):
        name = strip.column.heading(look.lang)
        if strip.rank is Rank.EMPTY:
            name = localized(tr("{column} (empty)", column=name), look.lang)
        elif strip.rank is Rank.ALIKE:
            name = localized(tr("{column} ({value})", column=name, value=strip.cells[0]), look.lang)
        names.append(name)
    text = localized(
        tr("left out: {columns}; --wide shows all", columns=", ".join(names)), look.lang
    )
    yield from (look.paint("faint", line) for line in wrapped(text, look.width))
