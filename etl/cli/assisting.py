"""The command mcp."""

from __future__ import annotations

import click

from etl.cli.common import Context
from etl.texts import tr


@click.command()
@click.pass_obj
def mcp(context: Context) -> None:
    """Serve an assistant (Model Context Protocol) on standard input and output, read-only.

    Its tools list views and reports with their columns, run a report or one SELECT, and say how fresh
    the figures are. An assistant starts this command itself: see docs/mcp.md.
    """
    from etl.errors import SettingsError

    try:
        from etl.figures.protocol import serve_assistant
    except ModuleNotFoundError as error:
        raise SettingsError(
            tr("the library of the protocol is not installed"),
            advice=tr("pip install 'chenyu-etl[mcp]'"),
        ) from error
    # not refused yet if there is no database: the assistant is told so by each tool, and can say it
    serve_assistant(context.app())
