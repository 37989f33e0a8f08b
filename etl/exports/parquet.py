"""Tables and daily facts as Parquet folders, typed, partitioned, written in batches.

`DIR/instance_usage/in_month=2026-10/part-0.parquet`: readers that know such partitions (DuckDB,
Spark, pandas) find a column `in_month`. Rows are in the order of time, then of their keys, so that the
same database gives the same files. A run writes beside the existing files, and replaces at the end those
that differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec

from etl import __version__, store
from etl.dialect import Database
from etl.errors import SettingsError
from etl.exports.engines import GROWS, SCRIPTS
from etl.exports.manifest import MARK, ExportedFile, Manifest, described, read_manifest
from etl.exports.targets import Target, open_target
from etl.reports.render.parquet import array, arrow_type, pyarrow
from etl.steps import report_steps
from etl.store.exports import Batch, ExportsReader
from etl.tables.exported import Exported, exported, kind
from etl.texts import tr

PERIODS: Final = {"month": 7, "day": 10}
"""Characters of an ISO instant or day that name its partition, by `period`."""
_PAYERS: Final = ("title", "project", "owner", "cost_centre", "tags")
_LINE: Final = (
    *("instance_uuid", "kind", "gpu_uuid", "gpu_name", "gpu_nums", "charging_type", "image_uuid"),
    *("price_source", *_PAYERS, "settled", "used_s", "charged_s", "cost_microcny"),
)


def _fact(name: str, *order: str, cut: str | None = "day") -> Exported:
    return Exported(name, ("account", *order), cut, (GROWS,))


TABLES: Final = (
    *exported(),
    _fact("uptime_daily", "instance_uuid"),
    _fact("gpu_usage_instance_daily", "instance_uuid", "gpu_uuid", "gpu_name"),
    _fact("cost_daily", "instance_uuid", *_PAYERS),
    _fact("gpu_busy_daily", "instance_uuid"),
    _fact("image_storage_daily", "image_uuid", "size_mb", "stored_max_s"),
    # what all reports of cost begin with: without it another engine plans it anew in each of them
    _fact("_cost_line", *_LINE),
    _fact("bill_daily", "charge_channel"),
    _fact("coverage_daily"),
    _fact("run_span", "instance_uuid", "usage_no", cut="started_at"),
    _fact("run_cost", "instance_uuid", "usage_no", cut="started_at"),
    _fact("instance_event", "instance_uuid", "event", "not_before", "became", cut="not_after"),
    _fact("instance_now", "instance_uuid", cut=None),
    _fact("sync_span", cut=None),
)
"""All tables for other tools, and the facts: views that are read often. A further view is one line here."""


@dataclass(frozen=True, slots=True)
class WrittenTable:
    """A table of an export; `changed` is how many of its `files` differ from those of the older one."""

    name: str
    rows: int
    files: int
    changed: int


def export_parquet(
    database: Database, target: Path | str, period: str = "month"
) -> Iterator[WrittenTable]:
    """Yield each table as it is written; files that differ replace the old ones after the last.

    `target` is a folder or a URL. Raises `SettingsError` if it holds something else or cannot be
    written, `Busy` if another export into it is at work.
    """
    # first: without it there is nothing to do, and no folder to make
    pyarrow()
    to = open_target(target, database.files)
    try:
        sizes = to.sizes()
        old = read_manifest(to, sizes)
        with to.staging() as stage:
            writing = _Writing(stage, period, _kept(old, sizes))
            # one transaction for all tables: they join
            with store.reading(database) as known:
                for table in TABLES:
                    yield writing.table(known.exports, table)
                # in the same transaction: days are of this zone
                zone = known.exports.timezone()
            _take_place(to, sizes, old, writing.manifest(zone), stage)
    except OSError as error:
        raise SettingsError(
            tr(
                "{folder} cannot be written: {strerror}",
                folder=to.location,
                strerror=error.strerror or error,
            ),
            advice=tr("name a folder that you may write to"),
        ) from error


def _kept(old: Manifest | None, sizes: Mapping[str, int]) -> dict[str, ExportedFile]:
    """Return the files of the older export that are still there."""
    files = old.files if old is not None else {}
    return {name: file for name, file in files.items() if sizes.get(name) == file.bytes}


@dataclass(slots=True)
class _Writing:
    """An export while it is written to `stage`, from which files go that are `kept` as they are."""

    stage: Path
    period: str
    kept: Mapping[str, ExportedFile]
    files: dict[str, ExportedFile] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)

    def table(self, known: ExportsReader, table: Exported) -> WrittenTable:
        before, names = sum(self.tables.values()), []
        self.tables[table.name] = 0
        with closing(known.batches(table)) as batches_of_table:
            for key, batches in _partitions(batches_of_table, table, self.period):
                names.append(self._file(table, key, batches))
                report_steps(before + self.tables[table.name], None)
        # a table without rows still has a file, so that its columns can be read
        names = names or [self._file(table, None, iter([(known.columns(table), [])]))]
        changed = sum(self.kept.get(name) != self.files[name] for name in names)
        return WrittenTable(table.name, self.tables[table.name], len(names), changed)

    def manifest(self, zone: str) -> Manifest:
        return Manifest(
            program=f"chenyu-etl {__version__}",
            timezone=zone,
            partitioned_by=self.period,
            tables=self.tables,
            files=self.files,
        )

    def _file(self, table: Exported, key: str | None, batches: Iterator[Batch]) -> str:
        """Write a partition; return its name."""
        # another name than the column: a reader would have both
        folder = table.name if key is None else f"{table.name}/in_{self.period}={key}"
        name = f"{folder}/part-0.parquet"
        staged = self.stage / name
        staged.parent.mkdir(parents=True, exist_ok=True)
        rows = _write_partition(staged, table, batches)
        self.tables[table.name] += rows
        self.files[name] = described(staged, rows)
        # at once: an export of years would need the disk twice
        if self.kept.get(name) == self.files[name]:
            staged.unlink()
        return name


def _partitions(
    batches: Iterator[Batch], table: Exported, period: str
) -> Iterator[tuple[str | None, Iterator[Batch]]]:
    """Split batches by partition; rows arrive in the order of partitions."""

    def pieces() -> Iterator[tuple[str | None, Batch]]:
        for names, rows in batches:
            if table.cut is None:
                yield None, (names, rows)
                continue
            at = itemgetter(names.index(table.cut))
            # both ISO texts and days begin with year and month
            keyed = [(str(at(row))[: PERIODS[period]], row) for row in rows]
            for key, part in groupby(keyed, itemgetter(0)):
                yield key, (names, [row for _, row in part])

    # batches end anywhere: pieces of one partition follow one another
    for key, group in groupby(pieces(), itemgetter(0)):
        yield key, (batch for _, batch in group)


def _write_partition(file: Path, table: Exported, batches: Iterator[Batch]) -> int:
    arrow = pyarrow()
    rows = 0
    with ExitStack() as stack:
        writer: Any = None
        for names, batch in batches:
            if writer is None:
                # by the declared types: a first batch of nulls alone would make a column of no type
                kinds = [(name, arrow_type(arrow, kind(table.name, name))) for name in names]
                typed = arrow.schema(kinds)
                writer = arrow.parquet.ParquetWriter(file, typed, compression="zstd")
                stack.enter_context(writer)
            if batch:
                columns = zip(zip(*batch, strict=True), writer.schema, strict=True)
                made = [array(arrow, values, field.type) for values, field in columns]
                writer.write_table(arrow.table(made, schema=writer.schema))
                rows += len(batch)
    return rows


def _take_place(
    to: Target, sizes: Mapping[str, int], old: Manifest | None, new: Manifest, stage: Path
) -> None:
    """Put the files that differ in place of the old ones, and remove those that are no more."""
    texts = {name: script(new.tables).encode() for name, script in SCRIPTS.items()}
    texts = {n: t for n, t in texts.items() if n not in sizes or to.read(n) != t}
    changed = [name for name in new.files if (stage / name).exists()]
    folders = {*new.tables, *(old.tables if old is not None else ())}
    gone = [n for n in sizes if n.partition("/")[0] in folders and "/" in n and n not in new.files]
    differs = bool(changed or gone or texts or new != old)
    if differs:
        # an export that is killed from here on is no older one: its files are written anew
        kept = {name: file for name, file in new.files.items() if name not in changed}
        _put_text(
            to, stage, MARK, msgspec.structs.replace(new, is_whole=False, files=kept).encoded()
        )
    for name in changed:
        to.put(stage / name, name)
    for name in gone:
        to.remove(name)
    for name, text in texts.items():
        _put_text(to, stage, name, text)
    if differs:
        _put_text(to, stage, MARK, new.encoded())


def _put_text(to: Target, stage: Path, name: str, text: bytes) -> None:
    staged = stage / name
    staged.write_bytes(text)
    to.put(staged, name)
