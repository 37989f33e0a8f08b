"""The tools of an assistant in the Model Context Protocol, over standard input and output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from etl import __version__
from etl.app import App
from etl.errors import EtlError
from etl.figures import assistant
from etl.figures.assistant import MOST_GIVEN, Value
from etl.figures.replies import LIMIT_S
from etl.redact import without_known

INSTRUCTIONS: Final = (
    "Figures of GPU instances that ran on Chenyu Cloud accounts: running time, card-hours, cost, bills. Read-only."
    " Every estimate (hours, cost_yuan) has a sure minimum and a maximum (…_min, …_max): give them with it."
    " Give the text of `observed`, too: it says until when the figures were observed, and how much nobody saw."
    " An empty value is not known; it is not zero. Do not add up the rows of an answer with is_cut."
    " Prefer run_report; else describe_view, then run_select. Card-hours are rented time, not utilisation."
)
_READS: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_MostRows = Annotated[int, Field(description=f"the most rows, up to {MOST_GIVEN}")]
_Parameters = Annotated[
    dict[str, Value],
    Field(description="values by the names of the parameters: {'from': '2026-10'}"),
]


def serve_assistant(app: App) -> None:
    """Serve an assistant on the standard streams until it hangs up."""
    app.database.reading_limit_s = LIMIT_S
    # between two questions the database is one whole file, as between two polls
    app.database.reopen_each_time()
    server(app).run("stdio")


def server(app: App) -> MCPServer[Any]:
    """Return the server of the tools over a database."""
    made: MCPServer[Any] = MCPServer(
        "chenyu-etl", instructions=INSTRUCTIONS, version=__version__, log_level="ERROR"
    )

    @made.tool(annotations=_READS)
    def list_views() -> dict[str, Any]:
        """List the views of the database, and what one row of each is."""
        return {"views": assistant.list_views()}

    @made.tool(annotations=_READS)
    def describe_view(
        name: Annotated[str, Field(description="a name that list_views gives")],
    ) -> dict[str, Any]:
        """Describe a view and each of its columns: meaning, unit, when it is empty."""
        with _refusals():
            return assistant.describe_view(app, name)

    @made.tool(annotations=_READS)
    def list_reports() -> dict[str, Any]:
        """List the ready reports (what runs now, running time, cost, bills, budgets …) and their parameters."""
        return {"reports": assistant.list_reports()}

    @made.tool(annotations=_READS)
    def run_report(
        name: Annotated[str, Field(description="a name that list_reports gives")],
        parameters: _Parameters = {},  # noqa: B006 - it is read alone
        most_rows: _MostRows = 200,
    ) -> dict[str, Any]:
        """Run a report. Days are of the database's time zone, both ends included; from and to take
        2026-10-03, 2026-10, 2026-W41, 7d, yesterday, last-month …; the default is this month to date."""
        with _refusals():
            return assistant.run_report(app, name, parameters, most_rows)

    @made.tool(annotations=_READS)
    def run_select(
        sql: Annotated[str, Field(description="one SELECT over the views")],
        parameters: _Parameters = {},  # noqa: B006
        most_rows: _MostRows = 200,
    ) -> dict[str, Any]:
        """Run one read-only SELECT over the views. Amounts …_microcny are millionths of a yuan, …_s are seconds."""
        with _refusals():
            return assistant.run_select(app, sql, parameters, most_rows)

    @made.tool(annotations=_READS)
    def status() -> dict[str, Any]:
        """Say how fresh each account is, how much of this month was observed, and what is odd."""
        with _refusals():
            return assistant.show_status(app)

    return made


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn errors of ours into errors of a tool, with their advice and without what a driver was given."""
    try:
        yield
    except EtlError as error:
        said = "\n".join(filter(None, (error.message, error.advice)))
        raise ToolError(without_known(said)) from None
