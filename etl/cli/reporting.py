"""The command that looks: status."""

from __future__ import annotations

import re
from typing import Any

import click

from etl.cli.common import json_option, print_json, print_lines, say


@click.command()
@click.option(
    "--max-age",
    metavar="TIME",
    help="Exit with 1 where an account's newest complete poll of its instances is older: 15m, 2h, 1d.",
)
@json_option
@click.pass_context
def status(ctx: click.Context, max_age: str | None, as_json: bool) -> None:
    """What is synced, how fresh it is, and what is odd."""
    from etl.status import status as read

    limit_s = None if max_age is None else _seconds(max_age)
    app = ctx.obj.app()
    app.require_database()
    found = read(app.database, app.now())
    if as_json:
        print_json(found)
    else:
        say(f"database: {found['database']}")
        print_lines(_status_lines(found))
    polls = [p for p in found["polls"] if p["resource"] == "instances"]
    if limit_s is not None and (
        not polls or any(p["age_s"] is None or p["age_s"] > limit_s for p in polls)
    ):
        ctx.exit(1)


def _status_lines(found: dict[str, Any]) -> Any:
    for poll in found["polls"]:
        fresh = "never complete" if poll["age_s"] is None else f"{_age(poll['age_s'])} ago"
        yield (
            f"{poll['account']} {poll['resource']}: last complete {fresh}, last poll"
            f" {poll['last_outcome']} at {poll['last_run_at']}, {poll['polls']} polls,"
            f" {poll['failed']} failed"
        )
        if poll["last_error"]:
            yield f"  {poll['last_error']}"
    for fleet in found["fleet"]:
        yield (
            f"{fleet['account']}: {fleet['instances']} instances, {fleet['running']} running on"
            f" {fleet['gpus_running']} GPUs, {fleet['missing']} missing, {fleet['gone']} gone"
        )
        if fleet["unreadable"]:
            yield f"  {fleet['unreadable']} listed, but not understood: see table rejected_record"
        if fleet["unknown_codes"]:
            codes = ", ".join(map(str, fleet["unknown_codes"]))
            yield f"  unknown status codes {codes} count as not running: chenyu-etl codes set"
    for each in found["doubled"]:
        yield f"{each['what']}; one key may be under both names"
    for each in found["unread"]:
        yield (
            f"{each['account']}: {each['records']} records of {each['resource']} are not understood and in"
            " no sum: see table rejected_record"
        )
    if found["alerts"]:
        yield f"{found['alerts']} alerts hold: chenyu-etl alerts list"
    for each in found["channels"]:
        yield (
            f"channel {each['channel']}: {each['waiting']} messages wait to be tried again,"
            f" {each['given_up']} given up"
        )
        yield f"  {each['error']}"
    if not found["polls"]:
        yield "nothing is synced yet: chenyu-etl sync"


def _age(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise click.BadParameter(
            "use a number and s, m, h or d, such as 15m", param_hint="--max-age"
        )
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]
