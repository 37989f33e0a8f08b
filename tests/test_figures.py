"""Reports over HTTP: the same bytes as on the command line, to whoever may read, and no poll waits."""

from __future__ import annotations

import base64
import gzip
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from etl import reports
from etl.app import App
from etl.cli import main
from etl.dialect import Database
from etl.errors import TookTooLong
from etl.figures import replies
from etl.figures.openapi import openapi
from etl.figures.parameters import parameters_of
from etl.figures.replies import FigureReply, as_header, reply
from etl.service import figures as figures_module
from etl.service.access import COOKIE, Access
from etl.service.figures import Figures, ReportProcess
from etl.service.health import Health
from etl.settings import Settings, load
from etl.simcloud import serve
from tests.golden_fleet import NOW
from tests.live import KEY, command, environment, real_cloud, start, wait_for
from tests.test_live_page import TOKEN, ask

Golden = Callable[[str], Database]
MARCH = "from=2026-03-01&to=2026-03-31"


@pytest.fixture
def app(kind: str, golden: Golden) -> App:
    """The program over the golden fleet, at the golden hour."""
    return over(golden(kind))


@pytest.fixture
def on_sqlite(golden: Golden) -> App:
    return over(golden("sqlite"))


def over(database: Database, clock: Callable[[], float] = lambda: NOW) -> App:
    made = App(Settings(database_url="unused"), environ={}, clock=clock)
    made.__dict__["database"] = database
    return made


def url_of(database: Database) -> str:
    if database.files:
        return f"sqlite:///{database.files[0]}"
    server: Any = database
    given = server._server._given
    return f"postgresql://{given['user']}@/{given['dbname']}?host={given['host']}"


class Scripted(ReportProcess):
    """A reader without a process, which notes what it was asked."""

    def __init__(self, *replies: FigureReply) -> None:
        super().__init__("unused", lambda: NOW)
        self.replies, self.asked = list(replies), list[str]()

    def ask(self, target: str, *, is_packed: bool) -> FigureReply:
        self.asked.append(target)
        return self.replies[min(len(self.asked), len(self.replies)) - 1]


@contextmanager
def serving(reader: ReportProcess, access: Access | None = None, *hosts: str) -> Iterator[int]:
    health = Health("127.0.0.1:0", {}, Figures(reader, access or Access(), frozenset(hosts)))
    try:
        yield health.port
    finally:
        health.close()
        reader.end()


def error_of(answer: FigureReply) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(answer.body)
    assert said["error"]
    return said


# what is in them


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", ()),
        ("by=gpu&bounds=on", ("--by", "gpu", "--bounds")),
        ("tz=local&columns=what,hours", ("--tz", "local", "--columns", "what,hours")),
        ("account=nobody", ("--account", "nobody")),
    ],
)
@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_bytes_are_those_of_the_command_line(
    golden: Golden, form: str, query: str, words: tuple[str, ...], capfdbinary: Any
) -> None:
    database = golden("sqlite")
    made = reply(over(database, time.time), f"/reports/uptime.{form}?{MARCH}&{query}".rstrip("&"))
    asked = ["--from", "2026-03-01", "--to", "2026-03-31", *words, "--format", form]
    path = str(database.files[0])
    with pytest.raises(SystemExit) as ended:
        main(["--database", path, "--timezone", "Asia/Shanghai", "report", "uptime", *asked])
    printed, said = capfdbinary.readouterr()
    if "nobody" in words:
        assert (made.status, ended.value.code) == (400, 2)
        assert error_of(made)["error"].encode() in said
        return
    assert (made.status, made.body) == (200, printed)
    assert made.headers["Chenyu-Observed"].encode() in said


def test_chinese_csv_is_that_of_the_command_line(golden: Golden, capfdbinary: Any) -> None:
    database = golden("sqlite")
    made = reply(over(database, time.time), f"/reports/bill-lines.csv?{MARCH}&lang=zh")
    path = str(database.files[0])
    words = ("bill-lines", "--from", "2026-03", "--lang", "zh", "--format", "csv")
    with pytest.raises(SystemExit):
        main(["--database", path, "report", *words])
    assert made.body == capfdbinary.readouterr()[0]
    assert made.body.startswith("\ufeff".encode())


def test_every_report_is_served_in_both_forms(app: App) -> None:
    for number, name in enumerate(reports.report_names()):
        chosen = reports.load_report(name)
        period = f"?{MARCH}" if chosen.param("from_day") else ""
        made = reply(app, f"/reports/{name}.json{period}")
        assert made.status == 200, (name, made.body)
        listed = json.loads(made.body)
        # the rows are read alike for both forms, and reading takes long
        if number % 4 == 0:
            assert reply(app, f"/reports/{name}.csv{period}").body.count(b"\r\n") == 0
        types = openapi()["paths"][f"/reports/{name}.json"]["get"]["responses"]["200"]["content"]
        described = types["application/json"]["schema"]["items"]["properties"]
        for row in listed:
            assert set(row) <= set(described), name
            assert all(value is None or fits(value, described[n]) for n, value in row.items())


def fits(value: Any, described: dict[str, Any]) -> bool:
    kinds = {"string": str, "integer": int, "number": (int, float)}
    return isinstance(value, kinds[described["type"][0]])


def test_the_list_names_every_report_and_what_it_takes(on_sqlite: App) -> None:
    listed = json.loads(reply(on_sqlite, "/reports.json").body)
    assert [report["name"] for report in listed] == reports.report_names()
    uptime = next(report for report in listed if report["name"] == "uptime")
    assert {"name", "about", "choices", "default"} == set(uptime["parameters"][0])
    assert {"from", "to", "by", "account", "bounds"} <= {p["name"] for p in uptime["parameters"]}
    assert uptime["json"] == "/reports/uptime.json"
    in_chinese = json.loads(reply(on_sqlite, "/reports.json?lang=zh").body)
    assert in_chinese[0]["about"] != listed[0]["about"]


def test_a_parameter_of_a_report_hides_none_of_the_form() -> None:
    for name in reports.report_names():
        for form in ("json", "csv"):
            names = [p.name for p in parameters_of(reports.load_report(name), form)]
            assert len(names) == len(set(names)), name


def test_the_description_gives_every_address_that_is_served(on_sqlite: App) -> None:
    described = json.loads(reply(on_sqlite, "/openapi.json").body)
    assert described["openapi"].startswith("3.1")
    paths = {
        f"/reports/{name}.{form}" for name in reports.report_names() for form in ("json", "csv")
    }
    assert set(described["paths"]) == paths | {"/reports.json"}
    operations = [path["get"]["operationId"] for path in described["paths"].values()]
    assert len(operations) == len(set(operations))
    for path in described["paths"].values():
        assert all(p["in"] == "query" and p["description"] for p in path["get"]["parameters"])


def test_what_nobody_observed_is_said_beside_the_rows(on_sqlite: App) -> None:
    made = reply(on_sqlite, "/reports/uptime.json?from=2020-01")
    assert (made.status, made.body) == (200, b"[]\n")
    assert "observed from 2026-03-0" in made.headers["Chenyu-Remarks"]
    assert as_header("训练\r\nSet-Cookie: x") == "\\u8bad\\u7ec3  Set-Cookie: x"


# what is refused


@pytest.mark.parametrize(
    ("target", "status", "says"),
    [
        ("/reports/nothing.json", 404, "no such report"),
        ("/reports/now.xlsx", 404, "no such report"),
        ("/reports/../../etc/passwd.json", 404, "no such report"),
        ("/reports/%6eow.json", 404, "no such report"),
        ("/reports/uptime.json?form=csv", 400, "no parameter 'form'"),
        ("/reports/uptime.json?from_day=2026-03-01", 400, "no parameter 'from_day'"),
        ("/reports/uptime.json?lang=zh", 400, "no parameter 'lang'"),
        ("/reports/now.json?from=2026-03", 400, "no parameter 'from'"),
        ("/reports/uptime.json?by=gpu&by=day", 400, "by is given twice"),
        ("/reports/uptime.json?by=moon", 400, "by cannot be 'moon'"),
        ("/reports/uptime.json?from=2026-02-31", 400, "'2026-02-31' is no day"),
        ("/reports/uptime.json?from=2026-03-02&to=2026-03-01", 400, "is empty"),
        ("/reports/uptime.json?bounds=perhaps", 400, "perhaps"),
        ("/reports/uptime.json?tz=mars", 400, "tz cannot be 'mars'"),
        ("/reports/uptime.csv?lang=fr", 400, "lang cannot be 'fr'"),
        ("/reports/uptime.json?columns=price", 400, "no column 'price'"),
        ("/reports/uptime.json?account=x';DROP TABLE instance", 400, "an account"),
        ("/reports/idle.json?hours=many", 400, "hours cannot be 'many'"),
        ("/reports/uptime.json?from", 400, "not understood"),
    ],
)
def test_a_mistake_is_refused_with_advice(
    on_sqlite: App, target: str, status: int, says: str
) -> None:
    made = reply(on_sqlite, target)
    assert made.status == status
    said = error_of(made)
    assert says in said["error"]
    assert said["advice"]


def test_a_report_of_more_rows_than_it_may_have_is_refused(
    on_sqlite: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(json.loads(reply(on_sqlite, f"/reports/uptime.json?{MARCH}").body))
    for form, most in (("json", count), ("csv", count)):
        monkeypatch.setattr(replies, "MOST_ROWS", most)
        assert reply(on_sqlite, f"/reports/uptime.{form}?{MARCH}").status == 200, form
        monkeypatch.setattr(replies, "MOST_ROWS", most - 1)
        assert "more than" in error_of(reply(on_sqlite, f"/reports/uptime.{form}?{MARCH}"))["error"]


def test_a_read_that_takes_too_long_is_ended(kind: str, golden: Golden) -> None:
    database = golden(kind)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    database.reading_limit_s = 0.05
    try:
        with pytest.raises(TookTooLong) as raised:
            reports.run(database, reports.Report("endless", "", (), {}, endless), {})
    finally:
        database.reading_limit_s = None
    assert raised.value.advice
    assert reply(over(database), "/reports/now.json").status == 200, "and what is quick goes on"


def test_what_a_database_says_has_a_status(on_sqlite: App, tmp_path: Path) -> None:
    nowhere = App(Settings(database_url=f"sqlite:///{tmp_path / 'none.db'}"), environ={})
    made = reply(nowhere, "/reports/now.json")
    assert made.status == 400
    assert "there is no database" in error_of(made)["error"]
    nowhere.close()


# who may read


def answered(body: bytes = b"[]\n") -> FigureReply:
    return FigureReply(200, body, {"Content-Type": "application/json; charset=utf-8"})


def test_without_the_token_nothing_is_read() -> None:
    reader = Scripted(answered())
    basic = base64.b64encode(f"any:{TOKEN}".encode()).decode()
    with serving(reader, Access(TOKEN)) as port:
        for path in (
            "/reports.json",
            "/openapi.json",
            "/reports/now.json",
            f"/reports.json?token={TOKEN}",
        ):
            response, body = ask(port, path)
            assert response.status == 401
            assert json.loads(body)["advice"]
            assert (response.getheader("WWW-Authenticate") or "").startswith("Bearer")
        for wrong in (
            "Bearer wrong",
            "Basic wrong",
            f"Basic {TOKEN}",
            "Basic YTpi",
            f"Digest {TOKEN}",
        ):
            assert ask(port, "/reports.json", Authorization=wrong)[0].status == 401
        assert reader.asked == []
        kept = Access(TOKEN).cookie().partition(";")[0]
        assert kept.startswith(COOKIE)
        for right in (f"Bearer {TOKEN}", f"Basic {basic}"):
            assert ask(port, "/reports.json", Authorization=right)[0].status == 200
        assert ask(port, "/reports.json", Cookie=kept)[0].status == 200


def test_another_name_is_refused_for_figures_too() -> None:
    reader = Scripted(answered())
    with serving(reader, None, "gpu.example") as port:
        assert ask(port, "/reports.json", Host="evil.example")[0].status == 403
        assert reader.asked == []
        assert ask(port, "/reports.json", Host=f"gpu.example:{port}")[0].status == 200


def test_figures_can_only_be_read() -> None:
    reader = Scripted(answered())
    with serving(reader) as port:
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert ask(port, "/reports/now.json", method)[0].status == 405
        assert reader.asked == []
        response, body = ask(port, "/reports/now.json", "HEAD")
        assert (response.status, body, response.getheader("Content-Length")) == (200, b"", "3")


def test_figures_stay_with_whoever_asked() -> None:
    with serving(Scripted(answered(), FigureReply(400, b"{}", {}))) as port:
        for _ in range(2):
            response, _ = ask(port, "/reports/now.json")
            policy = response.getheader("Content-Security-Policy") or ""
            assert policy.startswith("default-src 'none'")
            assert response.getheader("X-Content-Type-Options") == "nosniff"
            assert response.getheader("Cross-Origin-Resource-Policy") == "same-origin"
            assert "Access-Control-Allow-Origin" not in response.headers


def test_rows_that_are_known_are_not_sent_again() -> None:
    with serving(Scripted(answered(), answered(), answered(b'[{"a":1}]\n'))) as port:
        etag = ask(port, "/reports/now.json")[0].getheader("ETag") or ""
        response, body = ask(port, "/reports/now.json", If_None_Match=etag)
        assert (response.status, body, response.getheader("ETag")) == (304, b"", etag)
        assert ask(port, "/reports/now.json", If_None_Match=etag)[0].status == 200


# the process


def test_reports_are_read_by_a_process_that_ends_when_it_is_idle(kind: str, golden: Golden) -> None:
    database = golden(kind)
    reader = ReportProcess(url_of(database), lambda: NOW, idle_s=0.01)
    try:
        plain = reader.ask(f"/reports/cost.json?{MARCH}", is_packed=False)
        assert plain == reply(over(database), f"/reports/cost.json?{MARCH}")
        wait_for(lambda: reader._process is None)
        packed = reader.ask(f"/reports/cost.json?{MARCH}", is_packed=True)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
    finally:
        reader.end()
    assert reader.ask("/reports/now.json", is_packed=False).status == 503, "it has ended"


def test_a_process_that_is_killed_costs_one_reply(
    golden: Golden, caplog: pytest.LogCaptureFixture
) -> None:
    reader = ReportProcess(url_of(golden("sqlite")), lambda: NOW)
    try:
        assert reader.ask("/reports.json", is_packed=False).status == 200
        assert reader._process is not None
        reader._process.send_signal(signal.SIGSTOP)
        killer = threading.Timer(0.1, reader._process.kill)
        killer.start()
        assert reader.ask("/reports.json", is_packed=False).status == 503
        killer.join()
        assert "the process that reads reports ended" in caplog.text
        assert reader.ask("/reports.json", is_packed=False).status == 200
    finally:
        reader.end()


def test_a_process_that_hangs_is_ended(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ReportProcess(url_of(golden("sqlite")), lambda: NOW)
    try:
        assert reader.ask("/reports.json", is_packed=False).status == 200
        assert reader._process is not None
        reader._process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(figures_module, "LONGEST_REPLY_S", 0.05)
        assert reader.ask("/reports.json", is_packed=False).status == 504
    finally:
        reader.end()


def test_only_so_many_wait_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ReportProcess("unused", lambda: NOW)
    began, may_end = threading.Event(), threading.Event()

    def slow(target: str, *, is_packed: bool) -> FigureReply:
        began.set()
        may_end.wait(30)
        return answered()

    monkeypatch.setattr(reader, "_ask", slow)
    with serving(reader) as port:
        clients = [
            threading.Thread(target=ask, args=(port, "/reports/now.json"))
            for _ in range(figures_module.MOST_WAITING)
        ]
        for client in clients:
            client.start()
        try:
            wait_for(lambda: reader._waiting._value == 0)  # type: ignore[attr-defined]
            response, body = ask(port, "/reports/now.json")
            assert (response.status, response.getheader("Retry-After")) == (503, "5")
            assert "too many" in json.loads(body)["error"]
        finally:
            may_end.set()
            for client in clients:
                client.join()


def test_a_secret_in_an_error_reaches_no_client(
    on_sqlite: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etl.errors import StoreError
    from etl.redact import remember

    remember("hunter2-hunter2")

    def fails(*_: Any) -> Any:
        raise StoreError("password hunter2-hunter2 is wrong", advice="not hunter2-hunter2")

    monkeypatch.setattr(replies, "read_report", fails)
    made = reply(on_sqlite, "/reports/now.json")
    assert made.status == 503
    assert b"hunter2" not in made.body


# the daemon


def test_figures_are_off_unless_asked_for() -> None:
    assert load({}, {}).reports is False
    assert load({}, {"CHENYU_REPORTS": "on"}).reports is True
    assert load({"reports": False}, {"CHENYU_REPORTS": "on"}).reports is False


def test_a_running_daemon_serves_what_the_command_prints(
    fresh_url: Callable[[], str], tmp_path: Path
) -> None:
    url = fresh_url()
    with serve(real_cloud(5).fleet, key=KEY) as server:
        environ = environment(
            server.base_url, url, tmp_path, CHENYU_LISTEN="127.0.0.1:0", CHENYU_REPORTS="on"
        )
        daemon = start({**environ, "PGPASSWORD": "Xy9CANARY7zQ"}, "run")
        try:
            assert daemon.stderr is not None
            port = next(
                int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
                for line in daemon.stderr
                if "reports: http" in line
            )
            wait_for(lambda: json.loads(ask(port, "/readyz")[1])["status"] == "ready")
            response, body = ask(port, "/reports/runs.csv?from=yesterday&to=yesterday")
            assert response.status == 200
            words = ("--from", "yesterday", "--to", "yesterday", "--format", "csv")
            assert body.decode() == command(environ, "report", "runs", *words).stdout
            assert ask(port, "/reports/now.json")[1].count(b"instance_uuid") == 5
            before = json.loads(ask(port, "/healthz")[1])
            assert before["status"] == "ok"
            (child,) = psutil.Process(daemon.pid).children()
            seen = [*child.environ().values(), *child.cmdline(), ask(port, "/metrics")[1].decode()]
            assert not [text for text in seen if KEY in text or "Xy9CANARY7zQ" in text]
        finally:
            daemon.terminate()
            _, said = daemon.communicate(timeout=30)
    assert daemon.returncode == 0, said
    assert "a fault of this program" not in said
