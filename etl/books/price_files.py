"""The user's prices: overrides from and to a file, and the charging model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from etl import store
from etl.books.documents import Document, read
from etl.books.entries import Entry, Wrong
from etl.books.imports import Imported, refuse_empty, run_import
from etl.books.writing import day_or_moment, exact_yuan, write
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.codes import UNITS
from etl.history.days import Zone
from etl.money.charging import ChargingModel
from etl.money.tariffs import HIGHEST_MICROCNY, Override, clashes
from etl.store import Writing
from etl.store.books import PriceInUse
from etl.texts import tr

KIND: Final = "price"
COLUMNS: Final = {
    KIND: (
        "account",
        "gpu_uuid",
        "gpu_name",
        "image_uuid",
        "charging_type",
        "no_card",
        "per",
        "unit",
        "price",
        "adds",
        "valid_from",
        "valid_to",
        "note",
        "source",
    )
}
STEPS: Final = {"second": 1, "minute": 60, "hour": 3_600}
BOOT_LIMIT_S: Final = 3_600


def import_prices(
    database: Database, path: Path, *, allow_empty: bool = False, dry_run: bool = False
) -> Imported:
    """Replace the overrides by those of a file; `-` is standard input.

    The file is checked as a whole first. Learned prices are replaced only if the file holds some. With
    `dry_run` nothing is changed, and the effects tell the difference that it would make. Raises
    `SettingsError` with the place of an error, and for a file without a price unless `allow_empty`.
    """
    document = read(path, COLUMNS)

    def work(db: Writing) -> Imported:
        book = db.books
        chosen = prices_of(document, book.zone())
        # a list without learned prices leaves those that the bill has taught
        sources = {"user"} | {override.source for override in chosen}
        before = sum(override.source in sources for override in book.overrides())
        remarks = [*document.remarks, *_unknown_subjects(book.known_terms(), chosen)]
        imported = Imported({KIND: (len(chosen), before)}, remarks)
        if not allow_empty:
            refuse_empty(document.name, imported.counts)
        book.replace_overrides(chosen)
        return imported

    return run_import(database, work, dry_run=dry_run)


def prices_of(document: Document, zone: Zone) -> list[Override]:
    """Return the overrides of a file. Raises `SettingsError` with the place of an error."""
    chosen: list[Override] = []
    for entry in document.entries:
        try:
            chosen.append(_read_override(entry, zone))
        except Wrong as error:
            raise document.wrong(entry, error) from error
    for first, then in clashes(chosen):
        other = document.entries[first].location()
        reason = tr("it is about the same as {other}, and both hold at a time", other=other)
        raise document.wrong(document.entries[then], Wrong(reason))
    return chosen


def export_prices(database: Database, form: str) -> list[str]:
    """Return the lines of a file from which `import_prices` restores the prices of today."""
    with store.reading(database) as db:
        book = db.books
        zone = book.zone()
        entries = [Entry(0, KIND, _values(override, zone)) for override in book.overrides()]
    return list(write(form, COLUMNS, entries))


def prices_in_use(database: Database) -> tuple[list[PriceInUse], Zone]:
    """Return the prices of all terms in use, in order, and the reporting time zone."""
    with store.reading(database) as db:
        book = db.books
        return book.prices_in_use(), book.zone()


def model(database: Database) -> ChargingModel:
    """Return the charging model in force."""
    with store.reading(database) as db:
        book = db.books
        return book.charging_model()


def with_learned_boots(database: Database, chosen: ChargingModel) -> ChargingModel:
    """Return a model with boots as long as polls saw them; unchanged if they saw none."""
    with store.reading(database) as db:
        boots = db.books.boots()
    return chosen.with_boots(boots.boot_s, boots.longest_s) if boots.starts else chosen


def set_model(database: Database, chosen: ChargingModel) -> None:
    """Charge by another model from now on, and past time again; closed months stay.

    Raises `SettingsError` for boot times that cannot be.
    """
    if not 0 <= chosen.boot_s <= chosen.boot_max_s <= BOOT_LIMIT_S:
        raise SettingsError(
            tr(
                "a boot of {boot_s} s, at most {boot_max_s} s, cannot be",
                boot_s=chosen.boot_s,
                boot_max_s=chosen.boot_max_s,
            ),
            advice=tr(
                "0 <= --boot-s <= --boot-max-s <= {longest_boot_s}", longest_boot_s=BOOT_LIMIT_S
            ),
        )
    with store.writing(database) as db:
        book = db.books
        book.set_charging_model(chosen)


def _unknown_subjects(known: Mapping[str, set[str]], chosen: Sequence[Override]) -> Iterator[str]:
    """Yield a remark for each subject of a price (an account, GPU, image …) that does not exist.

    A kind of which nothing at all is known, as before the first sync, gives none.
    """
    for name, values in known.items():
        for number, override in enumerate(chosen, 1):
            value = getattr(override, name)
            if values and value is not None and value not in values:
                # a remark, not an error: prices may be written before the first instance of a model
                # comes
                near = get_close_matches(value, values, 1)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                yield f"price {number} holds for nothing known: no {name} is {value!r}{meant}"


def _read_override(entry: Entry, zone: Zone) -> Override:
    source = entry.one_of("source", ("user", "bill"), "user")
    per = entry.one_of("per", ("gpu", "instance"), "gpu")
    unit = entry.one_of("unit", UNITS)
    valid_from, valid_to = entry.period(zone)
    override = Override(
        unit=unit,
        price_microcny=entry.microcny("price", HIGHEST_MICROCNY),
        account=entry.text("account"),
        gpu_uuid=entry.text("gpu_uuid"),
        gpu_name=entry.text("gpu_name"),
        image_uuid=entry.text("image_uuid"),
        charging_type=entry.number("charging_type"),
        no_card=entry.flag("no_card"),
        per="instance" if per == "instance" else "gpu",
        adds=entry.flag("adds"),
        valid_from=valid_from,
        valid_to=valid_to,
        note=entry.text("note"),
        source="bill" if source == "bill" else "user",
    )
    # if they were of two models, the price would hold for nothing
    if override.gpu_uuid is not None and override.gpu_name is not None:
        raise Wrong(tr("name gpu_uuid or gpu_name, not both"))
    return override


def _values(override: Override, zone: Zone) -> dict[str, Any]:
    return {
        "account": override.account,
        "gpu_uuid": override.gpu_uuid,
        "gpu_name": override.gpu_name,
        "image_uuid": override.image_uuid,
        "charging_type": override.charging_type,
        # false is the default: a file without it is shorter, and reads the same
        "no_card": override.no_card or None,
        "per": override.per,
        "unit": override.unit,
        "price": exact_yuan(override.price_microcny),
        "adds": override.adds or None,
        "valid_from": day_or_moment(override.valid_from, zone),
        "valid_to": day_or_moment(override.valid_to, zone),
        "note": override.note,
        "source": override.source,
    }
