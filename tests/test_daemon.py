"""The daemon as a process: signals, kills, and others beside it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from etl import rebuild
from etl.dialect import Database, open_database
from etl.simcloud import Behaviour, Server, serve
from tests.driven import starts_of
from tests.live import KEY, closing, environment, leaks, real_cloud, start, wait_for
from tests.support import columns, rows

EVERY_S = 5


@dataclass
class Running:
    """A daemon, and what it logs."""

    process: subprocess.Popen[str]
    log: Path
    said: list[str] = field(default_factory=list)

    def lines(self) -> list[dict[str, Any]]:
        whole = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in whole if line.startswith("{") and line.endswith("}")]

    def says(self, words: str) -> bool:
        return any(words in line["message"] for line in self.lines())

    def ends(self, number: int) -> int:
        """By this signal: its exit code."""
        self.process.send_signal(number)
        return self.process.wait(120)


@dataclass
class World:
    server: Server
    url: str
    home: Path
    stack: ExitStack

    def daemon(self, name: str = "one", **environ: str) -> Running:
        log = self.home / f"{name}.log"
        told = environment(
            self.server.base_url,
            self.url,
            self.home,
            **{
                "CHENYU_SCHEDULE": f"instances={EVERY_S}s",
                "CHENYU_RESOURCES": "instances",
                "CHENYU_LISTEN": "off",
                **environ,
            },
        )
        from tests.live import COMMAND

        with log.open("a") as err:
            process = subprocess.Popen(
                [str(COMMAND), "run"], env=told, stdin=subprocess.DEVNULL, stderr=err, text=True
            )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return Running(process, log)


@pytest.fixture
def world(fresh_url: Callable[[], str], tmp_path: Path) -> Iterator[World]:
    with serve(real_cloud(3).fleet, key=KEY) as server, ExitStack() as stack:
        yield World(server, fresh_url(), tmp_path, stack)


@contextmanager
def looking(world: World) -> Iterator[Database]:
    database = open_database(world.url)
    with closing(database):
        yield database


def completes(database: Database) -> list[float]:
    """When the complete polls began."""
    return starts_of(columns(database, "SELECT * FROM sync_run ORDER BY started_at"))


def test_sigterm_ends_with_0_and_ctrl_c_with_130(world: World) -> None:
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        one = world.daemon(str(code))
        wait_for(lambda one=one: one.says("complete in") or one.says("polling"))  # type: ignore[misc]
        assert one.ends(number) == code, one.log.read_text()
        assert one.says("ended")
    assert leaks(world.home / "0.log", world.home / "130.log") == []


def test_a_poll_in_hand_is_left_as_if_never_begun_within_seconds(world: World) -> None:
    world.server.behaviour = Behaviour(stall={1: 600})
    one = world.daemon(CHENYU_TIMEOUT_S="600")
    wait_for(lambda: bool(world.server.requests))
    # long before the answer comes: that is waited for less
    assert one.ends(signal.SIGTERM) == 0
    assert one.says("ended in the middle of default instances: nothing of it is written")
    world.server.behaviour = Behaviour()
    with looking(world) as database:
        written = rows(database, "SELECT count(*) FROM sync_run WHERE outcome <> 'skipped'")
        assert written == [(0,)]
        two = world.daemon("two")
        wait_for(lambda: len(completes(database)) == 1)
        assert two.ends(signal.SIGTERM) == 0


def test_sighup_reads_the_config_and_refuses_a_broken_one(world: World) -> None:
    config = world.home / "config.toml"
    config.write_text("")
    one = world.daemon(CHENYU_CONFIG=str(config), CHENYU_SCHEDULE="")
    wait_for(lambda: one.says("polling instances every 2 min"))
    config.write_text('[schedule]\ninstances = "61 * * * *"\n')
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: one.says("the new config is refused, the old one stays"))
    config.write_text("page_size = 0\n")
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: one.says("page_size ("))
    config.write_text('[schedule]\ninstances = "3s"\n')
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: one.says("the config was read again: instances every 3 s"))
    with looking(world) as database:
        wait_for(lambda: len(completes(database)) >= 2)
    assert one.ends(signal.SIGTERM) == 0


def test_of_two_daemons_one_polls_and_when_it_is_killed_the_other_goes_on(world: World) -> None:
    daemons = {name: world.daemon(name) for name in ("one", "two")}
    with looking(world) as database:
        for kill in range(2):
            seen = len(completes(database))
            wait_for(lambda seen=seen: len(completes(database)) >= seen + 2)  # type: ignore[misc]
            victim = ("one", "two")[kill]
            daemons[victim].process.send_signal(signal.SIGKILL)
            daemons[victim].process.wait()
            seen = len(completes(database))
            wait_for(lambda seen=seen: len(completes(database)) >= seen + 1)  # type: ignore[misc]
            daemons[victim] = world.daemon(f"{victim}{kill}")
        for one in daemons.values():
            wait_for(lambda one=one: one.says("polling"))  # type: ignore[misc]
            assert one.ends(signal.SIGTERM) == 0
        found = completes(database)
        gaps = [b - a for a, b in pairwise(found)]
        assert min(gaps[1:]) >= 3, "never twice in an interval, but for the first, which is early"
        assert max(gaps) <= 2 * EVERY_S + 6, "no hole"
        assert list(rebuild.differences(database)) == []


def test_a_daemon_survives_a_restart_of_postgres(world: World, kind: str) -> None:
    """Every connection of the database is cut, and new ones are refused for a while."""
    if kind == "sqlite":
        pytest.skip("a file does not restart")
    one = world.daemon()
    with looking(world) as database:
        wait_for(lambda: len(completes(database)) >= 2)
        name = rows(database, "SELECT current_database()")[0][0]
    server = open_database(world.url.replace(f"/{name}?", "/postgres?"))
    with closing(server):
        closes_for_a_while(server, name)
    with looking(world) as database:
        seen = len(completes(database))
        wait_for(lambda: len(completes(database)) >= seen + 2)
    assert one.process.poll() is None
    assert one.ends(signal.SIGTERM) == 0


def closes_for_a_while(server: Database, name: str) -> None:
    engine = server.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        for _ in range(2 * EVERY_S):
            conn.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                ),
                {"name": name},
            )
            time.sleep(1)
        conn.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))


def test_the_port_and_the_service_manager_hear_of_it(world: World) -> None:
    place = str(world.home / "notify")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        manager.settimeout(30)
        one = world.daemon(
            CHENYU_LISTEN=f"127.0.0.1:{port}", NOTIFY_SOCKET=place, WATCHDOG_USEC="2000000"
        )
        while (heard_first := manager.recv(199)) != b"READY=1":
            assert b"EXTEND_TIMEOUT_USEC=" in heard_first
        assert manager.recv(99) == b"WATCHDOG=1"
        from tests.test_health_port import ask

        wait_for(lambda: ask(port, "/readyz")[0] == 200)
        assert ask(port, "/healthz")[0] == 200
        assert "chenyu_etl_polls_total" in ask(port, "/metrics")[1]
        assert one.ends(signal.SIGTERM) == 0
        heard = {manager.recv(99)}
        while b"STOPPING=1" not in heard:
            heard.add(manager.recv(99))


def test_a_daemon_without_any_key_is_refused_at_once(world: World) -> None:
    told = environment(world.server.base_url, world.url, world.home, CHENYU_API_KEY="")
    process = start(told, "run")
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert "there is no API key for account 'default'" in said
    assert "polling" not in said
