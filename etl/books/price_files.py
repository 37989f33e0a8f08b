"""The user's words about prices: overrides from and to a file, and the charging model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from etl import tables
from etl.books.entries import (
    Entry,
    Imported,
    Wrong,
    day_or_moment,
    place,
    read,
    refuse_empty,
    write,
    wrong,
    yuan,
)
from etl.dialect import Database, translated
from etl.errors import SettingsError
from etl.history.codes import UNITS
from etl.history.days import Zone
from etl.money.charging import ChargingModel
from etl.money.pricing import HIGHEST_MICROCNY, PER_S, Override, clashes
from etl.store import Tx, schema
from etl.store.deriving import MODEL_SETTINGS, charging_model, overrides, write_overrides

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
LONGEST_BOOT_S: Final = 3_600


def import_prices(database: Database, path: Path, *, allow_empty: bool = False) -> Imported:
    """Overrides of a file in place of those that there are.

    The file is checked as a whole first. Learned prices are replaced only where the file holds some.
    Raises `SettingsError` with the line, and for a file without a price unless `allow_empty`.
    """
    with translated(database), database.writing() as conn:
        said = read_prices(path, Zone(schema.stored_timezone(conn)))
        sources = {"user"} | {each.source for each in said}
        before = sum(each.source in sources for each in overrides(conn))
        done = Imported({KIND: (len(said), before)}, list(_unknown(conn, said)))
        if not allow_empty:
            refuse_empty(path, done.counts)
        write_overrides(database, conn, said)
        _refresh(database, conn)
    return done


def read_prices(path: Path, zone: Zone) -> list[Override]:
    """The overrides of a file. Raises `SettingsError` with the line of what is wrong."""
    entries = read(path, COLUMNS)
    said: list[Override] = []
    for entry in entries:
        try:
            said.append(_override(entry, zone))
        except Wrong as error:
            raise wrong(path, entry.line, str(error)) from error
    for first, then in clashes(said):
        raise wrong(
            path,
            entries[then].line,
            f"it is about the same as {place(entries[first].line)}, and both hold at a time",
        )
    return said


def export_prices(database: Database, form: str) -> list[str]:
    """The lines of a file that `import_prices` reads as what there is."""
    with translated(database), database.reading() as conn:
        zone = Zone(schema.stored_timezone(conn))
        entries = [Entry(0, KIND, _said(each, zone)) for each in overrides(conn)]
    return list(write(form, COLUMNS, entries))


def shown_prices(database: Database) -> tuple[list[str], list[Sequence[Any]]]:
    """Column names and rows of the prices of all terms in use, and from when on they hold."""
    p, a = tables.price_period.c, tables.account.c
    with translated(database), database.reading() as conn:
        found = conn.execute(
            select(
                a.name,
                p.gpu_name,
                p.image_uuid,
                p.charging_type,
                p.no_card,
                p.starts_s,
                p.per_s,
                p.price_microcny,
                p.flat_microcny,
                p.price_source,
                p.is_assumed,
            )
            .join(tables.account, a.account_id == p.account_id)
            .order_by(a.name, p.gpu_name, p.image_uuid, p.charging_type, p.no_card, p.starts_s)
        ).all()
        zone = Zone(schema.stored_timezone(conn))
    units = {seconds: unit for unit, seconds in PER_S.items()}
    rows: list[Sequence[Any]] = [
        (
            name,
            gpu or "(unknown)",
            image or "(unknown)",
            charging,
            "no card" if no_card else None,
            day_or_moment(starts_s, zone) if starts_s else "ever",
            units[per_s],
            None if price is None else yuan(price),
            yuan(flat) if flat else None,
            source + (", length of the unit assumed" if is_assumed else ""),
        )
        for name, gpu, image, charging, no_card, starts_s, per_s, price, flat, source, is_assumed in found
    ]
    columns = "account gpu image charging cards from unit yuan_per_gpu yuan_flat source"
    return columns.split(), rows


def learn(database: Database, learned: Sequence[Override]) -> None:
    """Prices that were learned from the bill and accepted, in place of those learned before."""
    with translated(database), database.writing() as conn:
        kept = overrides(conn, "user")
        conn.execute(delete(tables.price_override))
        write_overrides(database, conn, [*kept, *(replace(o, source="bill") for o in learned)])
        _refresh(database, conn)


def model(database: Database) -> ChargingModel:
    """The charging model that is in force."""
    with translated(database), database.reading() as conn:
        return charging_model(conn)


def set_model(database: Database, chosen: ChargingModel) -> None:
    """Charge by another model from now on, what was used before too; closed months stay.

    Raises `SettingsError` for boot times that cannot be.
    """
    if not 0 <= chosen.boot_s <= chosen.boot_max_s <= LONGEST_BOOT_S:
        raise SettingsError(
            f"a boot of {chosen.boot_s} s, at most {chosen.boot_max_s} s, cannot be",
            advice=f"0 <= --boot-s <= --boot-max-s <= {LONGEST_BOOT_S}",
        )
    with translated(database), database.writing() as conn:
        c = tables.setting.c
        conn.execute(delete(tables.setting).where(c.name.in_(MODEL_SETTINGS)))
        for name, field in MODEL_SETTINGS.items():
            conn.execute(
                insert(tables.setting).values(name=name, value=f"{getattr(chosen, field)}")
            )
        for tx in _accounts(database, conn):
            tx.deriver().charge_anew()


def _unknown(conn: Connection, said: Sequence[Override]) -> Iterator[str]:
    """A remark for each thing that a price is about and that nothing has. What nothing at all is known
    of, as before the first sync, gives none."""
    listed, used, term = tables.gpu_price.c, tables.instance.c, tables.price_period.c
    for name, columns in {
        "account": (tables.account.c.name,),
        "gpu_uuid": (listed.gpu_uuid, used.gpu_uuid, term.gpu_uuid),
        "gpu_name": (listed.gpu_name, used.gpu_name, term.gpu_name),
        "image_uuid": (used.image_uuid, term.image_uuid),
    }.items():
        found = (conn.scalars(select(column).distinct()) for column in columns)
        known = {str(value) for values in found for value in values if value}
        for number, each in enumerate(said, 1):
            value = getattr(each, name)
            if known and value is not None and value not in known:
                near = get_close_matches(value, known, 1)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                yield f"price {number} holds for nothing known: no {name} is {value!r}{meant}"


def _refresh(database: Database, conn: Connection) -> None:
    for tx in _accounts(database, conn):
        tx.refresh_prices()


def _accounts(database: Database, conn: Connection) -> list[Tx]:
    found = conn.execute(select(tables.account.c.account_id)).scalars().all()
    return [Tx(database, conn, account_id) for account_id in found]


def _override(entry: Entry, zone: Zone) -> Override:
    source = entry.one_of("source", ("user", "bill"), "user")
    per = entry.one_of("per", ("gpu", "instance"), "gpu")
    unit = entry.one_of("unit", UNITS)
    found = Override(
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
        valid_from=entry.instant("valid_from", zone),
        valid_to=entry.instant("valid_to", zone),
        note=entry.text("note"),
        source="bill" if source == "bill" else "user",
    )
    if found.gpu_uuid is not None and found.gpu_name is not None:
        raise Wrong("say gpu_uuid or gpu_name, not both")
    if found.valid_to is not None and found.begins >= found.valid_to:
        raise Wrong("valid_to must be later than valid_from")
    return found


def _said(override: Override, zone: Zone) -> dict[str, Any]:
    return {
        "account": override.account,
        "gpu_uuid": override.gpu_uuid,
        "gpu_name": override.gpu_name,
        "image_uuid": override.image_uuid,
        "charging_type": override.charging_type,
        "no_card": override.no_card or None,
        "per": override.per,
        "unit": override.unit,
        "price": yuan(override.price_microcny),
        "adds": override.adds or None,
        "valid_from": day_or_moment(override.valid_from, zone),
        "valid_to": day_or_moment(override.valid_to, zone),
        "note": override.note,
        "source": override.source,
    }
