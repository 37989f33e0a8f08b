"""Commands that name accounts: account list, rename, retire."""

from __future__ import annotations

from dataclasses import asdict

import click

from etl.cli.common import Context, json_option, print_json, print_lines, say
from etl.texts import tr


@click.group()
def account() -> None:
    """List, rename and retire accounts. Their history stays."""


@account.command(name="list")
@json_option
@click.pass_obj
def list_accounts(context: Context, as_json: bool) -> None:
    """Show every account that was ever synced, and whether it is watched."""
    from etl import store
    from etl.history.days import iso

    app = context.app()
    app.require_database()
    watched = app.watched()
    with store.reading(app.database) as known:
        accounts = known.registry.known()
    if as_json:
        print_json([asdict(a) | {"watched": a.name in watched} for a in accounts])
        return
    for a in accounts:
        since = "" if a.retired_at is None else f", retired at {iso(a.retired_at)}"
        state = tr("watched") if a.name in watched else tr("not watched{since}", since=since)
        polled = (
            tr("never polled")
            if a.last_poll_at is None
            else tr("last poll {last_poll_at}", last_poll_at=iso(a.last_poll_at))
        )
        print_lines(
            [
                tr(
                    "{name}: {state}, {instances} instances, {polled}",
                    name=a.name,
                    state=state,
                    instances=a.instances,
                    polled=polled,
                )
            ]
        )
    # of the settings, but without a poll: they have no row yet
    for name in watched:
        if name not in {a.name for a in accounts}:
            print_lines([tr("{name}: watched, nothing synced yet", name=name)])


@account.command()
@click.argument("old")
@click.argument("new")
@click.pass_obj
def rename(context: Context, old: str, new: str) -> None:
    """Give account OLD the name NEW: its history, prices, rules and budgets go on under it.

    Rename it in the config file, too. Renamed there alone it goes on as well, from its next sync on.
    """
    from etl import store
    from etl.settings import refuse_odd_name

    refuse_odd_name(new)
    app = context.app()
    app.require_database()
    # no poll may be under way: it would go on under the old name, and begin a new history
    with app.store(old).account_lock(), store.writing(app.database) as known:
        known.registry.rename(old, new, app.now())
    say(tr("{old} is {new} now", old=old, new=new))
    # by its old name it is still polled, and that would be another account
    if old in app.watched():
        say(tr("next: rename it in the config file, or the next sync begins {old} anew", old=old))


@account.command()
@click.argument("name")
@click.option("--undo", is_flag=True, help="Watch it again.")
@click.pass_obj
def retire(context: Context, name: str, undo: bool) -> None:
    """Stop watching an account: no alerts, no metrics, no staleness. Its history and costs stay.

    Use this for an account that is closed, or that is no longer in the config file.
    """
    from etl import store
    from etl.errors import SettingsError

    app = context.app()
    app.require_database()
    # the next sync would poll it, and the alerts would be back
    if not undo and name in _configured(context):
        raise SettingsError(
            tr("the config file names account {name!r}, so it is polled and watched", name=name),
            advice=tr("take it out there first"),
        )
    with store.writing(app.database) as known:
        if undo:
            known.registry.take_back(name)
        else:
            known.registry.retire(name, app.now())
    say(
        tr("{name} is watched again", name=name)
        if undo
        else tr("{name} is retired; its history and costs stay", name=name)
    )


def _configured(context: Context) -> set[str]:
    """Return the accounts of the config file."""
    accounts = context.read().written.get("accounts", {})
    return set(accounts) if isinstance(accounts, dict) else set()
