"""The tools of an assistant, asked by the protocol's own client over the streams of the command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from etl import reports
from etl.app import App
from etl.dialect import Database
from etl.errors import SettingsError, TookTooLong
from etl.figures import assistant
from etl.figures.assistant import describe_view, run_report, run_select, show_status
from etl.store import views
from tests.live import COMMAND, environment
from tests.support import rows
from tests.test_figures import over, url_of

mcp = pytest.importorskip("mcp")
Golden = Callable[[str], Database]
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}
TOOLS = {"list_views", "describe_view", "list_reports", "run_report", "run_select", "status"}


@pytest.fixture
def app(kind: str, golden: Golden) -> App:
    return over(golden(kind))


@pytest.fixture
def on_sqlite(golden: Golden) -> App:
    return over(golden("sqlite"))


def asked(environ: dict[str, str], talk: Callable[[Any], Awaitable[None]]) -> None:
    """Let a client of the library talk to the command, over its standard streams."""
    command = mcp.StdioServerParameters(command=str(COMMAND), args=["mcp"], env=environ)

    async def both() -> None:
        async with mcp.Client(mcp.stdio_client(command)) as client:
            await talk(client)

    anyio.run(both)


def test_an_assistant_asks_over_the_streams_of_the_command(
    kind: str, golden: Golden, tmp_path: Path
) -> None:
    database = golden(kind)
    before = rows(database, "SELECT COUNT(*) FROM sync_run")

    async def talk(client: Any) -> None:
        listed = await client.list_tools()
        assert {tool.name for tool in listed.tools} == TOOLS
        for tool in listed.tools:
            assert tool.description
            assert tool.annotations.read_only_hint is True
        answer = await client.call_tool(
            "run_report", {"name": "cost", "parameters": {**MARCH, "by": "project"}}
        )
        assert not answer.is_error
        given = answer.structured_content
        assert json.loads(answer.content[0].text) == given
        assert given["observed"].startswith("observed until 2026-03-")
        assert {"cost_yuan", "cost_yuan_min", "cost_yuan_max"} <= set(given["rows"][0])
        refused = await client.call_tool("run_report", {"name": "costs"})
        assert refused.is_error
        assert "there is no report 'costs'\nthere are: " in refused.content[0].text
        written = await client.call_tool("run_select", {"sql": "DELETE FROM account"})
        assert written.is_error
        odd = await client.call_tool("run_report", {"name": "cost", "most_rows": "many"})
        assert odd.is_error
        views_of_it = await client.call_tool("list_views", {})
        names = {view["view"] for view in views_of_it.structured_content["views"]}
        assert names == set(views.public_names())
        said = await client.call_tool("status", {})
        assert said.structured_content["time_zone"] == "Asia/Shanghai"

    asked(environment("http://127.0.0.1:9", url_of(database), tmp_path), talk)
    assert rows(database, "SELECT COUNT(*) FROM sync_run") == before


def test_without_a_database_every_tool_says_so(tmp_path: Path) -> None:
    async def talk(client: Any) -> None:
        for name, arguments in (
            ("status", {}),
            ("run_report", {"name": "now"}),
            ("run_select", {"sql": "SELECT 1"}),
            ("describe_view", {"name": "instance_now"}),
        ):
            answer = await client.call_tool(name, arguments)
            assert answer.is_error
            assert "there is no database" in answer.content[0].text
            assert "chenyu-etl sync" in answer.content[0].text
        assert not (await client.call_tool("list_reports", {})).is_error

    asked(environment("http://127.0.0.1:9", f"sqlite:///{tmp_path / 'no.db'}", tmp_path), talk)
    assert not (tmp_path / "no.db").exists()


def test_standard_output_carries_the_protocol_alone(tmp_path: Path) -> None:
    """A misspelled variable is warned of, a bad line is answered: both elsewhere, or in the protocol."""
    environ = environment(
        "http://127.0.0.1:9", f"sqlite:///{tmp_path / 'no.db'}", tmp_path, CHENYU_DATABSE_URL="x"
    )
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    done = subprocess.run(
        [str(COMMAND), "mcp"],
        env=environ,
        input=f"no json\n{json.dumps(hello)}\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CHENYU_DATABSE_URL is not read" in done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert any("observed" in a.get("result", {}).get("instructions", "") for a in answers)


def test_a_report_has_its_bounds_unless_they_are_refused(app: App) -> None:
    given = run_report(app, "uptime", {**MARCH, "by": "gpu"}, 100)
    assert {"hours", "hours_min", "hours_max"} <= set(given["rows"][0])
    assert given["units"]["hours"] == "h"
    plain = run_report(app, "uptime", {**MARCH, "by": "gpu", "bounds": False}, 100)
    assert "hours_min" not in plain["rows"][0]


def test_every_report_can_be_run(on_sqlite: App) -> None:
    for name in reports.report_names():
        period = MARCH if reports.load_report(name).param("from_day") else {}
        given = run_report(on_sqlite, name, period, 1)
        assert given["observed"], name
        json.dumps(given)


def test_a_cut_answer_says_so(on_sqlite: App) -> None:
    whole = run_report(on_sqlite, "uptime", MARCH, 1_000)
    count = len(whole["rows"])
    assert (whole["is_cut"], count > 2) == (False, True)
    assert run_report(on_sqlite, "uptime", MARCH, count)["is_cut"] is False
    cut = run_report(on_sqlite, "uptime", MARCH, 2)
    assert (cut["is_cut"], cut["rows"]) == (True, whole["rows"][:2])
    for most in (0, 1_001):
        with pytest.raises(SettingsError, match="most_rows"):
            run_report(on_sqlite, "uptime", MARCH, most)


def test_a_select_reads_and_nothing_else(app: App) -> None:
    given = run_select(app, "SELECT COUNT(*) AS n FROM instance_version", {}, 10)
    assert given["rows"][0]["n"] > 10
    assert given["observed"]
    for sql in (
        "DELETE FROM account",
        "SELECT 1; DROP TABLE account",
        "PRAGMA query_only = OFF",
        "ATTACH '/tmp/x.db' AS x",
        "COPY account TO '/tmp/x'",
        "SELECT nothing FROM instance_now",
        "",
    ):
        with pytest.raises(SettingsError):
            run_select(app, sql, {}, 10)


def test_a_select_takes_parameters_and_macros(app: App) -> None:
    sql = (
        "SELECT title, hours(sum_of(running_s)) AS hours FROM uptime_daily"
        " WHERE in_period(day) AND title = :title GROUP BY title"
    )
    titles = run_select(app, "SELECT title FROM uptime_daily ORDER BY title", {}, 1)["rows"]
    march = {"from_day": "2026-03-01", "to_day": "2026-03-31"}
    given = run_select(app, sql, {**march, "title": titles[0]["title"]}, 5)
    assert given["rows"][0]["hours"] > 0
    with pytest.raises(SettingsError, match=":title has no value"):
        run_select(app, sql, {}, 5)


def test_an_endless_select_is_ended(app: App) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    app.database.reading_limit_s = 0.05
    try:
        with pytest.raises(TookTooLong):
            run_select(app, endless, {}, 5)
    finally:
        app.database.reading_limit_s = None


def test_every_column_of_every_view_has_a_meaning(on_sqlite: App) -> None:
    unexplained = [
        f"{name}.{column['name']}"
        for name in views.public_names()
        for column in describe_view(on_sqlite, name)["columns"]
        if not column["meaning"]
    ]
    assert unexplained == []
    with pytest.raises(SettingsError, match="there is no view '_usage_open'"):
        describe_view(on_sqlite, "_usage_open")
    assert all(view["about"] for view in assistant.list_views())


def test_the_status_says_until_when_all_is_observed(on_sqlite: App) -> None:
    said = show_status(on_sqlite)
    assert "observed until 2026-03-" in said["observed_this_month"]
    assert said["polls"][0]["resource"]
    json.dumps(said)
