"""Who pays: allocation rules and budgets from and to a file, and what they say of an instance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from etl import tables
from etl.books.entries import (
    Entry,
    Imported,
    Wrong,
    day_or_moment,
    read,
    refuse_empty,
    write,
    wrong,
    yuan,
)
from etl.dialect import Database, translated
from etl.history.days import Zone
from etl.money.allocation import Looks, Rule, allocations
from etl.money.pricing import FOREVER
from etl.store import Tx, schema
from etl.store.deriving import Deriver, rules, write_rules

COLUMNS: Final = {
    "rule": (
        "account",
        "instance",
        "title",
        "image",
        "project",
        "owner",
        "cost_centre",
        "valid_from",
        "valid_to",
        "note",
    ),
    "budget": ("project", "account", "month", "amount"),
}
HIGHEST_BUDGET_MICROCNY: Final = 10**15
"""A thousand million yuan."""
Known = tuple[Deriver, list[str], dict[str, list[Looks]]]
"""Of an account some instances, and their looks over time."""
BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Budget:
    """`month` is '' for every month without a budget of its own."""

    scope: str
    name: str
    month: str
    amount_microcny: int


def import_rules(database: Database, path: Path, *, allow_empty: bool = False) -> Imported:
    """Rules and budgets of a file in place of those that there are.

    The file is checked as a whole first. Closed months stay as they are. Raises `SettingsError` with
    the line, and where all rules or all budgets would be gone unless `allow_empty`.
    """
    with translated(database), database.writing() as conn:
        said, budgets = read_rules(path, Zone(schema.stored_timezone(conn)))
        counts = {
            "rule": (len(said), len(rules(conn))),
            "budget": (len(budgets), len(_budgets(conn))),
        }
        if not allow_empty:
            refuse_empty(path, counts)
        known = [
            (tx.deriver(), uuids, tx.deriver().looks(uuids))
            for tx in _accounts(database, conn)
            for uuids in _batches(tx)
        ]
        remarks = [*_idle(known, said), *_unspent(conn, said, budgets)]
        write_rules(database, conn, said)
        _write_budgets(database, conn, budgets)
        for deriver, uuids, looks in known:
            deriver.allocate_anew(uuids, looks)
    return Imported(counts, remarks)


def read_rules(path: Path, zone: Zone) -> tuple[list[Rule], list[Budget]]:
    """The rules and budgets of a file. Raises `SettingsError` with the line of what is wrong."""
    said: list[Rule] = []
    budgets: dict[tuple[str, str, str], Budget] = {}
    for entry in read(path, COLUMNS):
        try:
            if entry.kind == "rule":
                said.append(_rule(len(said) + 1, entry, zone))
                continue
            budget = _budget(entry)
            if (key := (budget.scope, budget.name, budget.month)) in budgets:
                raise Wrong(f"{budget.scope} {budget.name!r} has a budget for that already")
            budgets[key] = budget
        except Wrong as error:
            raise wrong(path, entry.line, str(error)) from error
    return said, list(budgets.values())


def export_rules(database: Database, form: str) -> list[str]:
    """The lines of a file that `import_rules` reads as what there is."""
    with translated(database), database.reading() as conn:
        zone = Zone(schema.stored_timezone(conn))
        entries = [Entry(0, "rule", _said(rule, zone)) for rule in rules(conn)]
        entries += [Entry(0, "budget", _budget_said(each)) for each in _budgets(conn)]
    return list(write(form, COLUMNS, entries))


def shown_rules(database: Database) -> tuple[list[str], list[Sequence[Any]]]:
    """Column names and rows of the rules, each with the number of instances that it holds for now."""
    a = tables.allocation.c
    with translated(database), database.reading() as conn:
        zone = Zone(schema.stored_timezone(conn))
        held = list(conn.execute(select(a.rule_no).where(a.ends_s == FOREVER)).scalars())
        rows: list[Sequence[Any]] = [
            (
                rule.rule_no,
                _condition(rule),
                rule.project,
                rule.owner,
                rule.cost_centre,
                day_or_moment(rule.valid_from, zone),
                held.count(rule.rule_no),
            )
            for rule in rules(conn)
        ]
    return ["rule", "if", "project", "owner", "cost_centre", "from", "instances"], rows


def tried_rules(
    database: Database, path: Path | None, words: str | None
) -> tuple[list[str], list[Sequence[Any]]]:
    """Column names and rows of what rules say of instances over time: those of a file, or those
    kept; of all instances, or of those whose uuid or title holds `words`. Nothing is changed."""
    with translated(database), database.reading() as conn:
        zone = Zone(schema.stored_timezone(conn))
        said = rules(conn) if path is None else read_rules(path, zone)[0]
        rows = [row for tx in _accounts(database, conn) for row in _tried(tx, said, words, zone)]
    return [
        "account",
        "instance_uuid",
        "title",
        "from",
        "rule",
        "project",
        "owner",
        "cost_centre",
    ], rows


def _idle(known: Sequence[Known], said: Sequence[Rule]) -> Iterator[str]:
    """A remark for each rule that matches no instance that was ever seen; none before the first."""
    left, is_any = list(said), False
    for deriver, _, seen in known:
        name = deriver.name()
        for uuid, looks in seen.items():
            is_any = True
            left = [r for r in left if not any(r.matches(name, uuid, look) for look in looks)]
    for rule in left if is_any else []:
        yield f"rule {rule.rule_no} matches no instance known: {_condition(rule)}"


def _unspent(conn: Connection, said: Sequence[Rule], budgets: Sequence[Budget]) -> Iterator[str]:
    """A remark for each budget of a project that no rule names, or of an account that is not known."""
    accounts = set(conn.scalars(select(tables.account.c.name)))
    known = {"project": {rule.project for rule in said}, "account": accounts}
    for each in budgets:
        if known[each.scope] and each.name not in known[each.scope]:
            of = "no rule names that project" if each.scope == "project" else "it is not known"
            yield f"a budget is of {each.scope} {each.name!r}, but {of}"


def _tried(tx: Tx, said: Sequence[Rule], words: str | None, zone: Zone) -> Iterator[Sequence[Any]]:
    name = tx.deriver().name()
    for uuids in _batches(tx):
        for uuid, looks in tx.deriver().looks(uuids).items():
            title = looks[-1].title
            if words is not None and words.casefold() not in f"{uuid}\n{title}".casefold():
                continue
            found = allocations(said, name, uuid, looks)
            if not found:
                yield (name, uuid, title, None, None, "(no rule)", None, None)
            for each in found:
                since = day_or_moment(each.starts_s, zone) if each.starts_s else "ever"
                payers = each.project, each.owner, each.cost_centre
                yield (name, uuid, title, since, each.rule_no, *payers)


def _rule(number: int, entry: Entry, zone: Zone) -> Rule:
    found = Rule(
        rule_no=number,
        account=entry.text("account"),
        instance_uuid=entry.text("instance"),
        title=entry.text("title"),
        image=entry.text("image"),
        project=entry.text("project"),
        owner=entry.text("owner"),
        cost_centre=entry.text("cost_centre"),
        valid_from=entry.instant("valid_from", zone),
        valid_to=entry.instant("valid_to", zone),
        note=entry.text("note"),
    )
    if not (found.project or found.owner or found.cost_centre):
        raise Wrong("a rule says a project, an owner or a cost_centre")
    if found.valid_to is not None and (found.valid_from or 0) >= found.valid_to:
        raise Wrong("valid_to must be later than valid_from")
    return found


def _budget(entry: Entry) -> Budget:
    project, account = entry.text("project"), entry.text("account")
    if (project is None) == (account is None):
        raise Wrong("a budget is of a project or of an account")
    month = entry.text("month") or ""
    if not re.fullmatch(r"(\d{4}-(0[1-9]|1[0-2]))?", month):
        raise Wrong("month must be one such as 2026-10, or left out for every month")
    scope = "account" if project is None else "project"
    amount = entry.microcny("amount", HIGHEST_BUDGET_MICROCNY)
    return Budget(scope, project or account or "", month, amount)


def _write_budgets(database: Database, conn: Connection, budgets: Sequence[Budget]) -> None:
    conn.execute(delete(tables.budget))
    rows = [(b.scope, b.name, b.month, b.amount_microcny) for b in budgets]
    columns = ("scope", "name", "month", "amount_microcny")
    database.insert(conn, tables.budget, columns, rows)


def _budgets(conn: Connection) -> list[Budget]:
    c = tables.budget.c
    asked = select(c.scope, c.name, c.month, c.amount_microcny)
    return [Budget(*row) for row in conn.execute(asked.order_by(c.scope, c.name, c.month))]


def _said(rule: Rule, zone: Zone) -> dict[str, Any]:
    return {
        "account": rule.account,
        "instance": rule.instance_uuid,
        "title": rule.title,
        "image": rule.image,
        "project": rule.project,
        "owner": rule.owner,
        "cost_centre": rule.cost_centre,
        "valid_from": day_or_moment(rule.valid_from, zone),
        "valid_to": day_or_moment(rule.valid_to, zone),
        "note": rule.note,
    }


def _budget_said(budget: Budget) -> dict[str, Any]:
    return {
        budget.scope: budget.name,
        "month": budget.month or None,
        "amount": yuan(budget.amount_microcny),
    }


def _condition(rule: Rule) -> str:
    asked = {
        "account": rule.account,
        "instance": rule.instance_uuid,
        "title": rule.title,
        "image": rule.image,
    }
    return ", ".join(f"{name} {value}" for name, value in asked.items() if value) or "anything"


def _accounts(database: Database, conn: Connection) -> list[Tx]:
    found = conn.execute(select(tables.account.c.account_id)).scalars().all()
    return [Tx(database, conn, account_id) for account_id in found]


def _batches(tx: Tx) -> Iterator[list[str]]:
    uuids = tx.all_uuids()
    for at in range(0, len(uuids), BATCH):
        yield uuids[at : at + BATCH]
