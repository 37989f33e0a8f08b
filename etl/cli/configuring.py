"""Commands that look at the settings: config check, config show."""

from __future__ import annotations

import os

import click

from etl.cli.common import Context, fail, json_option, print_json, print_lines, say
from etl.texts import tr


@click.group()
def config() -> None:
    """Check the settings, or show each with its source."""


@config.command()
@click.pass_obj
def check(context: Context) -> None:
    """Check the config file, variables and key files, without a network; name everything wrong.

    Exit code 2 if anything is wrong. Keys are read but never shown; use doctor to test whether the
    source accepts them.
    """
    from etl.settings.checking import notes, problems
    from etl.settings.file import is_there

    reading = context.read()
    # all at once: who mends one at a time runs this ten times
    errors = [*reading.problems, *problems(reading, os.environ)]
    for error in errors:
        fail(error)
    for note in notes(reading, os.environ):
        say(tr("note: {note}", note=note))
    if errors:
        # all of them are of the settings, and have one code
        raise SystemExit(errors[0].exit_code)
    origin = reading.config if is_there(reading.config) else "no config file"
    say(
        tr(
            "nothing is wrong ({origin}; {count} accounts)",
            origin=origin,
            count=len(reading.settings.accounts),
        )
    )


@config.command()
@json_option
@click.pass_obj
def show(context: Context, as_json: bool) -> None:
    """Print each setting with its value and origin. Secrets are masked."""
    from etl.settings.showing import rows

    reading = context.read()
    # shown even so: the origin of a value is how people find the wrong one
    for error in reading.problems:
        fail(error)
    listed = rows(reading, os.environ)
    if as_json:
        print_json([{"name": n, "value": v, "origin": o} for n, v, o in listed])
    else:
        width = max(len(name) for name, _, _ in listed)
        print_lines(f"{name:{width}}  {value}  ({origin})" for name, value, origin in listed)
    if reading.problems:
        raise SystemExit(reading.problems[0].exit_code)
