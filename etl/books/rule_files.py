"""Rules and budgets from and to a file, and their effect on instances."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from etl import store
from etl.books.documents import STANDARD_INPUT, Document, parse, read
from etl.books.imports import Imported, refuse_empty, run_import
from etl.books.rule_entries import COLUMNS, RuleFile, lines_of, rules_of
from etl.books.rule_remarks import rule_remarks
from etl.dialect import Database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.money.allocation import Allocation, Rule, RuleBook, allocations
from etl.poll import Instant
from etl.store import Writing
from etl.store.books import BooksReader, BooksWriter, InstanceBatch, RuleVersion
from etl.texts import tr


class RuleInForce(NamedTuple):
    """A rule, and the number of instances that it assigns now."""

    rule: Rule
    instances: int


class RuleTrial(NamedTuple):
    """An instance by its newest title, and its allocations over time."""

    account: str
    instance_uuid: str
    title: str
    allocations: list[Allocation]


def import_rules(
    database: Database,
    path: Path,
    *,
    allow_empty: bool = False,
    dry_run: bool = False,
    now: Instant | None = None,
) -> Imported:
    """Replace the rules and budgets by those of a file; `-` is standard input.

    The file is checked as a whole first. Closed months stay as they are. With `dry_run` nothing is
    changed, and the effects tell the difference that it would make. With `now` the expired rules are
    named, and a version is kept to come back to. Raises `SettingsError` with the place of an error,
    and if all rules or all budgets would be gone unless `allow_empty`.
    """
    document = read(path, COLUMNS)
    source = path.name if path != STANDARD_INPUT else document.name
    work = partial(_replace_rules, document, source, allow_empty, now)
    return run_import(database, work, dry_run=dry_run)


def rule_history(database: Database) -> list[RuleVersion]:
    """Return all versions of the rules and budgets, oldest first; the last one is in force."""
    with store.reading(database) as db:
        return db.books.rule_versions()


def restore_rules(
    database: Database, version: int, now: Instant, *, dry_run: bool = False
) -> Imported:
    """Replace the rules and budgets by those of an earlier version.

    Raises `SettingsError` if there is no such version.
    """
    kept = next((v for v in rule_history(database) if v.version == version), None)
    if kept is None:
        raise SettingsError(
            tr("there is no version {version} of the rules", version=version),
            advice=tr("see chenyu-etl rules history"),
        )
    document = parse(f"version {version}", kept.content.encode(), COLUMNS, is_toml=True)
    # empty is allowed: a version without rules was meant when it was imported
    work = partial(_replace_rules, document, f"version {version}", True, now)
    return run_import(database, work, dry_run=dry_run)


def _replace_rules(
    document: Document, source: str, allow_empty: bool, now: Instant | None, db: Writing
) -> Imported:
    book = db.books
    chosen, kept = rules_of(document, book.zone()), _kept_file(book)
    counts = {kind: (len(chosen.of_kind(kind)), len(kept.of_kind(kind))) for kind in COLUMNS}
    # of the kinds that came later only those in use are told
    counts = {kind: n for kind, n in counts.items() if any(n) or kind in ("rule", "budget")}
    if not allow_empty:
        refuse_empty(document.name, counts)
    # read once, and used twice: for the remarks, and to allocate anew
    batches = list(book.batches())
    remarks = [*document.remarks, *rule_remarks(chosen, batches, book.account_names(), now)]
    if now is not None:
        # rules of before versions were kept can be restored, too
        _keep(book, "before the first version", kept, now, is_first=True)
        _keep(book, source, chosen, now)
    book.replace_rules(chosen.book, batches)
    book.replace_budgets(chosen.budgets)
    book.replace_limits(chosen.limits)
    return Imported(counts, remarks)


def _kept_file(book: BooksReader) -> RuleFile:
    """Return the entries that are in force."""
    rules = book.rule_book()
    return RuleFile(
        list(rules.rules), book.budgets(), list(rules.tags), list(rules.leases), book.limits()
    )


def _keep(
    book: BooksWriter, source: str, chosen: RuleFile, now: Instant, *, is_first: bool = False
) -> None:
    """Keep a version to come back to, unless the newest is the same; a first one only if there is none."""
    versions = book.rule_versions()
    # as the text of a file: it can be read, compared and imported by any later version
    content = "\n".join(lines_of("toml", chosen, book.zone()))
    if (versions and (is_first or versions[-1].content == content)) or (is_first and not content):
        return
    number = versions[-1].version + 1 if versions else 1
    counts = len(chosen.rules), len(chosen.budgets)
    book.add_rule_version(RuleVersion(number, now, source, *counts, content))


def export_rules(database: Database, form: str) -> list[str]:
    """Return the lines of a file from which `import_rules` restores the rules of today."""
    with store.reading(database) as db:
        return lines_of(form, _kept_file(db.books), db.books.zone())


def rules_in_force(database: Database) -> tuple[list[RuleInForce], Zone]:
    """Return the rules in the order in which they are tried, and the reporting time zone."""
    with store.reading(database) as db:
        book = db.books
        instances = book.instances_by_rule()
        rules = book.rule_book().rules
        return [RuleInForce(rule, instances[rule.rule_no]) for rule in rules], book.zone()


def try_rules(
    database: Database, path: Path | None, words: str | None
) -> tuple[list[RuleTrial], Zone]:
    """Return the allocations by the rules of a file, or by those kept, and the reporting time zone.

    `words` chooses the instances whose uuid or title holds them. Nothing is changed.
    """
    with store.reading(database) as db:
        book = db.books
        zone = book.zone()
        tried = book.rule_book() if path is None else rules_of(read(path, COLUMNS), zone).book
        return [trial for batch in book.batches() for trial in _trials(batch, tried, words)], zone


def _trials(batch: InstanceBatch, rules: RuleBook, words: str | None) -> Iterator[RuleTrial]:
    for uuid, labels in batch.labels.items():
        title = labels[-1].title
        if words is None or words.casefold() in f"{uuid}\n{title}".casefold():
            name = batch.account.name
            yield RuleTrial(name, uuid, title, allocations(rules, name, uuid, labels))
