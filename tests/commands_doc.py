"""Writes docs/commands.md from the commands' own help: `python -m tests.commands_doc > docs/commands.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from etl import reports
from etl.cli import main

HEAD = """# Commands

What `chenyu-etl COMMAND --help` says of each. Options of `chenyu-etl` itself stand before the command.
"""


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_commands("chenyu-etl", main, None), *_reports()])


def _commands(words: str, command: click.Command, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(
        command,
        parent=parent,
        info_name=words.split()[-1],
        max_content_width=100,
        terminal_width=100,
    )
    yield f"## `{words}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _commands(f"{words} {name}", each, context)


def _reports() -> Iterator[str]:
    for name in reports.report_names():
        report = reports.load_report(name)
        yield f"## Report `{name}`\n\n{report.about}\n"
        yield "| parameter | meaning |\n|---|---|"
        for param in report.params:
            choices = f": {', '.join(param.choices)}" if param.choices else ""
            yield f"| `{param.name}` | {param.about}{choices} |"
        yield "\n| column | meaning |\n|---|---|"
        yield "\n".join(f"| `{name}` | {each.about} |" for name, each in report.columns.items())
        yield ""


if __name__ == "__main__":
    sys.stdout.write(document())
