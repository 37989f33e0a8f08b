"""Charts of digests: inline in mail, behind the words for robots, and of nobody else's machines."""

from __future__ import annotations

import email
import email.policy
import re
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any, Protocol, cast

import pytest

from etl import reports
from etl.alerts.charts import ChartOrder
from etl.alerts.engine import Alerts, Sent
from etl.alerts.message import DigestOf, Message, Picture
from etl.alerts.own_digest import own_usage
from etl.alerts.owners import DigestSubject
from etl.alerts.periods import newest_period
from etl.alerts.plan import make
from etl.dialect import Database
from etl.page import pictures, raster
from tests.alerting import ZONE, Post, alerts_of, at, settings, snapshot
from tests.fake_robots import TOKEN, MailServer, Robots, serve_mail, serve_robots
from tests.support import ACCOUNT
from tests.test_own_digest import LI, REST, VISION, WANG, WEDNESDAY, fill_fleet

pytest.importorskip("resvg_py", reason="charts need the extra png")
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
NOW = at(WEDNESDAY)
TITLES = {"train li", "eval li", "eval wang", "notebook"}
PNG = b"\x89PNG\r\n"


class FilledOnce(Protocol):
    def __call__(
        self, name: str, fill: Callable[[Database], None]
    ) -> Callable[[str], Database]: ...


@pytest.fixture(scope="module")
def filled(filled_once: FilledOnce, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return filled_once("pictured", lambda d: fill_fleet(d, tmp_path_factory.mktemp("rules")))


@pytest.fixture
def fleet(kind: str, filled: Callable[[str], Database]) -> Database:
    return filled(kind)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with serve_mail() as server:
        yield server


@pytest.fixture
def robots() -> Iterator[Robots]:
    with serve_robots(NOW) as server:
        yield server


def order(subject: DigestSubject | None, language: str = "en") -> ChartOrder:
    owner, project = (subject.owner, subject.project) if subject else (None, None)
    day = DigestOf("2026-01-06", "2026-01-06", owner, project)
    return ChartOrder(day, language, (ACCOUNT,), (), NOW)


def drawn(
    database: Database, subject: DigestSubject | None = None, language: str = "en"
) -> dict[str, pictures.Drawing]:
    asked = order(subject, language)
    made = pictures.drawings(pictures.facts_of(database, asked), asked)
    return {drawing.name: drawing for drawing in made}


def sent(
    database: Database, url: str, subject: DigestSubject | None = None, **channel: Any
) -> list[Sent]:
    """Send the digest of Tuesday to a channel at an address, with its charts."""
    whose = {f"{subject.kind}s": [subject.name]} if subject else {}
    table = {"kind": "apprise", "url_env": "URL", "language": "en", **whose, **channel}
    alerts = Alerts(
        database, settings({"it": table}), [ACCOUNT], {"URL": url}, draw=pictures.drawn_digest
    )
    return list(alerts.send_digest("day", NOW, subject))


def mail_url(mail: MailServer, more: str = "") -> str:
    return f"mailto://127.0.0.1:{mail.port}?from=e@x.org&to=a@x.org&mode=insecure{more}"


def only_mail(mail: MailServer) -> EmailMessage:
    ((_, content),) = mail.took
    return cast(EmailMessage, email.message_from_bytes(content, policy=email.policy.default))


def images(parsed: EmailMessage) -> list[EmailMessage]:
    return [p for p in parsed.walk() if p.get_content_type() == "image/png"]  # type: ignore[misc]


# what is drawn


@pytest.mark.parametrize("subject", [None, LI, WANG, VISION, REST], ids=str)
def test_bars_of_the_day_add_up_to_the_cost_of_the_report(
    fleet: Database, subject: DigestSubject | None
) -> None:
    by = subject.kind if subject else "account"
    given = {"from_day": "2026-01-06", "to_day": "2026-01-06", "now": NOW, "by": by}
    columns, rows = reports.run(fleet, reports.load_report("cost"), given)
    lines = [dict(zip(columns, row, strict=True)) for row in rows]
    cost = next(r["cost_yuan"] for r in lines if subject is None or r["what"] == subject.name)
    bars = re.findall(
        r"<title>2026-01-06 [^<]*: ([\d,.]+)</title>", drawn(fleet, subject)["cost"].svg
    )
    assert sum(float(bar.replace(",", "")) for bar in bars) == pytest.approx(cost, abs=0.02)


@pytest.mark.parametrize(
    ("subject", "titles"),
    [
        # by its title of now, as in the words
        (LI, {"train li", "eval wang"}),
        (WANG, {"eval wang"}),
        (VISION, {"train li", "eval wang"}),
        (REST, {"notebook"}),
    ],
)
def test_charts_name_no_machine_of_others(
    fleet: Database, subject: DigestSubject, titles: set[str]
) -> None:
    with snapshot(fleet, NOW) as state:
        listed = {
            row.title for row in own_usage(state, newest_period("day", state.moment), subject)
        }
    shown = "".join(drawing.svg for drawing in drawn(fleet, subject).values())
    named = {title for title in TITLES if title in shown}
    assert listed == named == titles
    if subject in (LI, WANG, REST):
        assert 'class="bill"' not in shown


def test_another_accounts_machines_are_in_no_chart(fleet: Database) -> None:
    asked = order(None)
    of_nobody = ChartOrder(asked.digest, "en", ("other",), (), NOW)
    assert not list(pictures.drawings(pictures.facts_of(fleet, of_nobody), of_nobody))


def test_a_title_is_text_in_a_chart_however_it_is_written(fleet: Database) -> None:
    asked = order(VISION)
    facts = pictures.facts_of(fleet, asked)
    for row in facts["daily"].rows:
        row["title"] = "</text><script>alert(1)</script>\u202e\x07" + "微调" * 50
    for drawing in pictures.drawings(facts, asked):
        assert "<script" not in drawing.svg
        assert raster.png_of(drawing.svg).startswith(PNG)


def test_a_system_without_chinese_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    library = raster._library()

    class Bare:
        def svg_to_bytes(self, **given: Any) -> Any:
            return library.svg_to_bytes(**given, skip_system_fonts=True)

    raster.has_chinese.cache_clear()
    monkeypatch.setattr(raster, "_library", lambda: Bare())
    assert raster.lack("en") is None
    lacking = raster.lack("zh")
    raster.has_chinese.cache_clear()
    assert lacking is not None
    assert "fonts-noto-cjk" in lacking[1]


@pytest.mark.skipif(not raster.has_chinese(), reason="no font of this system has Chinese")
def test_a_chart_in_chinese_has_its_words_in_chinese(fleet: Database) -> None:
    made = drawn(fleet, VISION, "zh")
    for drawing in made.values():
        assert re.search("[\u4e00-\u9fff]", drawing.words)
        assert raster.png_of(drawing.svg).startswith(PNG)
    assert "most" not in made["cost"].svg


# mail


@pytest.mark.parametrize("subject", [None, LI, VISION], ids=str)
def test_mail_has_its_charts_inline_beside_text_and_html(
    fleet: Database, subject: DigestSubject | None, mail: MailServer
) -> None:
    assert [s.error for s in sent(fleet, mail_url(mail), subject)] == [None]
    parsed = only_mail(mail)
    assert parsed.get_content_type() == "multipart/related"
    alternative, *parts = parsed.iter_parts()
    assert [p.get_content_type() for p in alternative.iter_parts()] == ["text/plain", "text/html"]
    plain, marked = (p.get_content() for p in alternative.iter_parts())
    assert "Digest of 2026-01-06" in plain
    assert "cid:" not in plain
    named = re.findall(r'src="cid:([^"]+)"', marked)
    assert [p["Content-ID"] for p in parts] == [f"<{name}>" for name in named]
    assert [p["Content-Disposition"].content_disposition for p in parts] == ["inline"] * 3
    assert all(p.get_content().startswith(PNG) for p in parts)
    # nothing is fetched from elsewhere, and those who see no pictures read what they show
    assert not re.search(r"https?://", marked)
    assert len(re.findall('alt="[^"]+2026-01-06"', marked)) == 3


def test_mail_of_text_alone_has_its_charts_as_files(fleet: Database, mail: MailServer) -> None:
    sent(fleet, mail_url(mail, "&format=text"))
    parsed = only_mail(mail)
    assert parsed.get_content_type() == "multipart/mixed"
    assert len(images(parsed)) == 3


def test_without_the_library_mail_has_html_and_no_pictures(
    fleet: Database, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    raster._library.cache_clear()
    try:
        assert [s.error for s in sent(fleet, mail_url(mail))] == [None]
        lacking = raster.lacks(settings({"it": {"kind": "apprise", "url_env": "URL"}}))
    finally:
        raster._library.cache_clear()
    assert only_mail(mail).get_content_type() == "multipart/alternative"
    ((_, advice),) = lacking
    assert advice == "pip install 'chenyu-etl[png]'"


def test_a_channel_can_do_without_pictures(fleet: Database, mail: MailServer) -> None:
    sent(fleet, mail_url(mail), pictures=False)
    assert not images(only_mail(mail))
    assert not raster.lacks(settings({"it": {"kind": "wecom", "url_env": "U", "pictures": False}}))


def test_charts_that_cannot_be_drawn_keep_no_words_back(fleet: Database, mail: MailServer) -> None:
    def broken(database: Database, asked: ChartOrder) -> list[Picture]:
        raise ValueError("no such font")

    given = settings({"it": {"kind": "apprise", "url_env": "URL", "language": "en"}})
    alerts = Alerts(fleet, given, [ACCOUNT], {"URL": mail_url(mail)}, draw=broken)
    assert [s.error for s in alerts.send_digest("day", NOW)] == [None]
    assert "Digest of 2026-01-06" in only_mail(mail).as_string()


# robots


def test_the_robot_of_wecom_gets_pictures_behind_the_words(fleet: Database, robots: Robots) -> None:
    assert [s.error for s in sent(fleet, robots.wecom_url, kind="wecom")] == [None]
    words, *shown = robots.took
    assert words["msgtype"] == "text"
    assert [m["msgtype"] for m in shown] == ["image"] * 3
    assert all(b64decode(m["image"]["base64"]).startswith(PNG) for m in shown)


def test_a_refused_picture_does_not_send_the_words_again(
    fleet: Database, robots: Robots, caplog: pytest.LogCaptureFixture
) -> None:
    robots.answers = [(200, {"errcode": 0}), (200, {"errcode": 40009, "errmsg": "invalid image"})]
    assert [s.error for s in sent(fleet, robots.wecom_url, kind="wecom")] == [None]
    assert "invalid image" in caplog.text
    assert TOKEN not in caplog.text
    assert [m["msgtype"] for m in robots.took] == ["image"] * 2


def test_a_picture_too_large_for_wecom_is_left_out(robots: Robots) -> None:
    from etl.alerts.channels import recipients

    given = settings({"it": {"kind": "wecom", "url_env": "URL"}}).channels[0]
    large = Picture("p.png", "chart", PNG + bytes(2 * 2**20))
    message = Message("t", "info", NOW, (), pictures=(large,))
    (robot,) = recipients(given, {"URL": robots.wecom_url})
    robot.send(message, NOW)
    assert [m["msgtype"] for m in robots.took] == ["text"]


def test_telegram_gets_pictures_behind_the_words(
    fleet: Database, robots: Robots, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram = pytest.importorskip("apprise.plugins.telegram").NotifyTelegram
    monkeypatch.setattr(telegram, "notify_url", f"{robots.base_url}/bot")
    url = "tgram://123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/12315544/"
    assert [s.error for s in sent(fleet, url)] == [None]
    words, *shown = robots.took
    assert "Digest of 2026-01-06" in words["text"]
    assert len([m for m in shown if PNG in m.get("file", b"")]) == 3


# what is kept, and what waits


def test_a_waiting_message_keeps_which_digest_it_is_and_no_picture(fleet: Database) -> None:
    given = settings(daily_digest="09:00")
    with snapshot(fleet, NOW, given) as state:
        from etl.alerts.rules import digest

        options = given.options("digest")
        causes = list(digest.RULE.causes(digest.RULE.facts(state, options), options, state.moment))
    ((_, message),) = make(causes, {}, {}, given, ZONE, NOW).messages
    assert message.digests == (DigestOf("2026-01-06", "2026-01-06"),)
    assert message.pictures == ()


def test_the_digests_of_a_monday_show_each_chart_once(fleet: Database) -> None:
    drawing = Picture("cost.png", "cost", PNG)
    post = Post()
    alerts = alerts_of(fleet, post, settings({"it": {"kind": "wecom", "url_env": "TEAM_URL"}}))
    alerts.draw = lambda database, asked: [drawing]
    digests = (DigestOf("2026-01-04", "2026-01-04"), DigestOf("2025-12-29", "2026-01-04"))
    message = Message("t", "info", NOW, (), digests=digests)
    shown = alerts._illustrated(message, alerts.settings.channels[0], NOW)
    assert [p.name for p in shown.pictures] == ["1-cost.png"]
