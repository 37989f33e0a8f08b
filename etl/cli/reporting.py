"""The command status."""

from __future__ import annotations

import re
from typing import Any

import click

from etl.cli.common import json_option, print_json, print_lines, say
from etl.poll import SKEW_S
from etl.units import DAY_S, HOUR_S


@click.command()
@click.option(
    "--max-age",
    metavar="TIME",
    help="Exit with 1 if an account is not fresh: its newest complete poll of instances is older than"
    " this (15m, 2h, 1d), or from the future, or the newest poll was refused.",
)
@json_option
@click.pass_context
def status(ctx: click.Context, max_age: str | None, as_json: bool) -> None:
    """Show what is synced, how fresh it is, and what needs attention.

    It covers the accounts of the settings; if there are none, all accounts in the database that are not
    retired (chenyu-etl account retire).
    """
    from etl.status import Freshness, stale
    from etl.status import status as read

    limit_s = None if max_age is None else _seconds(max_age)
    app = ctx.obj.app()
    app.require_database()
    facts = read(app.database, app.now())
    if as_json:
        print_json(facts)
    else:
        say(f"database: {facts['database']}")
        print_lines(_status_lines(facts))
    if limit_s is not None:
        polls = [Freshness(**poll) for poll in facts["polls"]]
        reasons = stale(polls, app.watched(), limit_s)
        for account, reason in reasons.items():
            say(f"not fresh: {account}: {reason}")
        if reasons or not polls:
            ctx.exit(1)


def _status_lines(state: dict[str, Any]) -> Any:
    for poll in state["polls"]:
        fresh = "never complete" if poll["age_s"] is None else _ago(poll["age_s"])
        yield (
            f"{poll['account']} {poll['resource']}: last complete {fresh}, last poll"
            f" {poll['last_outcome']} at {poll['last_run_at']}, {poll['polls']} polls,"
            f" {poll['failed']} failed"
        )
        if poll["last_error"]:
            yield f"  {poll['last_error']}"
    for fleet in state["fleet"]:
        yield (
            f"{fleet['account']}: {fleet['instances']} instances, {fleet['running']} running on"
            f" {fleet['gpus_running']} GPUs, {fleet['missing']} missing, {fleet['gone']} gone"
        )
        if fleet["unreadable"]:
            yield f"  {fleet['unreadable']} listed, but not understood: see table rejected_record"
        if fleet["unknown_codes"]:
            codes = ", ".join(map(str, fleet["unknown_codes"]))
            yield f"  unknown status codes {codes} count as not running: chenyu-etl codes set"
    for row in state["doubled"]:
        yield f"{row['what']}; one key may be under both names"
    for row in state["unread"]:
        yield (
            f"{row['account']}: {row['records']} records of {row['resource']} are not understood and in"
            " no sum: see table rejected_record"
        )
    if state["alerts"]:
        yield f"{state['alerts']} alerts hold: chenyu-etl alerts list"
    for row in state["channels"]:
        yield (
            f"channel {row['channel']}: {row['waiting']} messages wait to be tried again,"
            f" {row['given_up']} given up"
        )
        yield f"  {row['error']}"
    if not state["polls"]:
        yield "nothing is synced yet: chenyu-etl sync"


def _ago(age_s: int) -> str:
    if -2 * SKEW_S <= age_s < 0:  # the end of a poll is as late as the clocks of a source allow
        return "just now"
    return f"{_age(age_s)} ago" if age_s >= 0 else f"in {_age(-age_s)}, which cannot be"


def _age(seconds: int) -> str:
    for unit, size in (("d", DAY_S), ("h", HOUR_S), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise click.BadParameter(
            "use a number and s, m, h or d, such as 15m", param_hint="--max-age"
        )
    return int(match[1]) * {"s": 1, "m": 60, "h": HOUR_S, "d": DAY_S}[match[2]]
