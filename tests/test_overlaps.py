"""States of one thing follow one another; rows that overlap are found, by us and by the server."""

from __future__ import annotations

import pytest

from etl import store, tables
from etl.dialect import Database
from etl.errors import SettingsError
from etl.store.overlaps import PERIODS, Overlap
from tests.commands import Command, filled, home, path, run
from tests.support import rows
from tests.test_cli_looking import fleet, see

__all__ = ["filled", "fleet", "home", "path", "run", "see"]


def overlaps(database: Database) -> list[Overlap]:
    with store.reading(database) as known:
        return [overlap for overlap in known.overlaps.overlaps() if overlap.rows]


def lengthen(database: Database) -> None:
    """Let first versions last beyond all others."""
    with database.writing() as conn:
        conn.exec_driver_sql(
            "UPDATE instance_history SET ended_at = '2100-01-01T00:00:00Z'"
            " WHERE version = 1 AND ended_at IS NOT NULL"
        )


def test_every_table_of_lasting_states_is_audited() -> None:
    lasting = {
        table.name
        for table in tables.metadata.sorted_tables
        for begins, ends in (
            ("first_seen_at", "ended_at"),
            ("valid_from", "valid_to"),
            ("starts_s", "ends_s"),
            ("started_at", "ended_at"),
        )
        if {begins, ends} <= {c.name for c in table.columns}
    }
    # days follow from the calendar, what a day cost from the audited stretches; prices and rules of people
    # may overlap: the most specific holds; a run of a workflow has one row
    others = {"calendar_day", "usage_cost", "price_override", "allocation_rule", "workflow_run"}
    others |= {"tag_rule", "lease", "usage_limit"}
    assert lasting - others == {period.table for period in PERIODS}


def test_what_polls_write_does_not_overlap(golden_copy: Database, kind: str) -> None:
    assert rows(golden_copy, "SELECT COUNT(*) FROM instance_history WHERE version > 1") != [(0,)]
    assert overlaps(golden_copy) == []
    if kind == "postgres":
        assert list(golden_copy.refused_periods(PERIODS)) == []


def test_a_version_that_lasts_into_the_next_is_found(golden_copy: Database, kind: str) -> None:
    lengthen(golden_copy)
    (found,) = overlaps(golden_copy)
    assert found.table == "instance_history"
    assert found.rows > 0
    if kind == "postgres":
        (refused,) = golden_copy.refused_periods(PERIODS)
        assert refused.startswith("instance_history: ")


def test_the_servers_audit_leaves_nothing_behind(golden_copy: Database, kind: str) -> None:
    if kind == "sqlite":
        with pytest.raises(SettingsError, match="no constraints"):
            list(golden_copy.refused_periods(PERIODS))
        return
    asked = "SELECT COUNT(*) FROM pg_extension", "SELECT COUNT(*) FROM pg_class"
    before = [rows(golden_copy, sql) for sql in asked]
    list(golden_copy.refused_periods(PERIODS))
    assert [rows(golden_copy, sql) for sql in asked] == before


def test_the_command_names_the_table_and_exits_with_1(see: Command, filled: Database) -> None:
    assert see("db", "check").exit_code == 0
    lengthen(filled)
    refused = see("db", "check")
    assert refused.exit_code == 1
    assert refused.stdout.startswith("instance_history: ")


def test_a_deep_check_needs_a_server(see: Command) -> None:
    refused = see("db", "check", "--deep")
    assert refused.exit_code == 2
    assert "without --deep" in refused.stderr
