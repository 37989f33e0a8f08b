"""The page in a real Chromium, if there is one: nothing is complained of, nothing is asked for.

The long version, with pictures, a generated month and axe-core, is `python -m bench.browser`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from etl.dialect import Database
from etl.history.days import Zone
from etl.page import Choice, build
from etl.page.build import render_page
from etl.page.words import Translator
from etl.service.access import Access
from etl.service.builds import Builds
from etl.service.health import Health
from etl.service.site import Site
from etl.simcloud import Story
from tests.chromium import COMMAND, DESK, PHONE, Tab, chromium
from tests.conftest import ZONE
from tests.support import apply, poll_story
from tests.test_page import HOSTILE, facts_of, page_of

pytestmark = pytest.mark.skipif(COMMAND is None, reason="there is no chromium here")
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as browser:
        yield browser.tab()


@pytest.fixture
def page(golden: Callable[[str], Database], tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_text(page_of(golden("sqlite")), encoding="utf-8")
    return file


def choose(tab: Tab, name: str, value: str) -> None:
    tab.asks(
        f"{{ const field = document.querySelector('select[name={name}]'); field.value = '{value}';"
        " field.dispatchEvent(new Event('input', {bubbles: true})); }"
    )


def figure(tab: Tab, name: str) -> str:
    return str(tab.asks(f"document.querySelector('[data-figure={name}]').textContent"))


@pytest.mark.parametrize(("width", "theme"), [(DESK, "light"), (PHONE, "dark")])
def test_a_browser_complains_of_nothing_and_asks_for_nothing(
    tab: Tab, page: Path, width: int, theme: str
) -> None:
    tab.opens(page.as_uri(), width=width, theme=theme)
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]
    assert tab.asks("document.documentElement.scrollWidth - innerWidth") <= 0
    assert tab.asks("document.querySelectorAll('.bars rect, .track path').length") > 50


def test_a_filter_is_in_the_address_and_changes_the_figures(tab: Tab, page: Path) -> None:
    tab.opens(page.as_uri())
    before = figure(tab, "cost_yuan")
    choose(tab, "project", "speech")
    assert tab.asks("location.hash") == "#project=speech"
    filtered = figure(tab, "cost_yuan")
    assert filtered != before
    tab.opens(f"{page.as_uri()}#project=speech")
    assert figure(tab, "cost_yuan") == filtered, "a link brings the filter along"
    choose(tab, "project", "")
    assert figure(tab, "cost_yuan") == before


def test_an_instance_has_a_page_of_its_own(tab: Tab, page: Path) -> None:
    uuid = re.findall(r'id="i-(inst_[^"]+)"', page.read_text(encoding="utf-8"))[0]
    tab.opens(f"{page.as_uri()}#i-{uuid}")
    assert tab.asks("document.querySelector('#detail .hint').textContent") == uuid
    assert tab.asks("document.querySelectorAll('#detail .bars rect').length") > 0
    assert tab.asks("document.getElementById('page').hidden") is True
    assert tab.complaints == []


def test_a_long_table_is_shown_whole_at_a_click(
    tab: Tab, golden: Callable[[str], Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("etl.page.build"), "MOST_LINES", 3)
    file = tmp_path / "page.html"
    page = render_page(facts_of(golden("sqlite")), Translator("en"))
    file.write_text(page, encoding="utf-8")
    tab.opens(file.as_uri())
    rows = "document.querySelectorAll('#runs-table tbody tr').length"
    assert tab.asks(rows) == 3
    named = tab.asks("document.querySelector('#runs-table').closest('details').innerText")
    whole = int(re.findall(r": (\d+) rows", named)[0])
    tab.asks(
        "new Promise((done) => { const button = document.querySelector('[data-key=runs]');"
        " new MutationObserver(() => button.isConnected || done()).observe(document,"
        " {childList: true, subtree: true}); button.click(); })"
    )
    assert tab.asks(rows) == whole > 3
    assert tab.complaints == []


def test_without_script_a_link_opens_an_instance_and_a_project(tab: Tab, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    uuid = re.findall(r'id="i-(inst_[^"]+)"', text)[0]
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        for target in (f"i-{uuid}", "p-speech"):
            tab.opens(f"{page.as_uri()}#{target}", width=PHONE)
            inner = f"document.getElementById('{target}').lastElementChild"
            assert tab.asks(f"{inner}.getBoundingClientRect().height") > 20, target
            assert tab.asks("document.documentElement.scrollWidth - innerWidth") <= 0
    finally:
        tab.send("Emulation.setScriptExecutionDisabled", value=False)


def test_a_copied_table_is_no_formula(tab: Tab, page: Path) -> None:
    tab.opens(page.as_uri())
    tab.asks("document.querySelector('#now-table td').textContent = '=1+1'")
    # the page copies by a text area if there is no clipboard: what it selects is what it copies
    copied = tab.asks(
        "new Promise((done) => { document.execCommand = () => { done(document.activeElement.value); };"
        " Object.defineProperty(navigator, 'clipboard', {value: undefined});"
        " document.querySelector('#now-table').closest('details').querySelector('.copy').click(); })"
    )
    first = copied.splitlines()[1].split("\t")
    assert first[0] == "'=1+1"
    assert len(first) == len(copied.splitlines()[0].split("\t"))


def test_no_title_runs_or_breaks_out(tab: Tab, database: Database, tmp_path: Path) -> None:
    cloud = Story()
    for title in HOSTILE:
        cloud.rents(title=title)
    for hours in (0, 1, 30):
        cloud.passes(hours=hours, minutes=5)
        apply(database, poll_story(cloud))
    html = build(database, Choice("2026-01-01", "2026-01-03"), zone=Zone(ZONE), now=int(cloud.now))
    file = tmp_path / "page.html"
    file.write_text(html, encoding="utf-8")
    tab.opens(file.as_uri(), width=PHONE)
    assert tab.complaints == []
    assert tab.asks("document.querySelectorAll('img, u, script').length") == 2, "ours alone"
    titles = tab.asks("[...document.querySelectorAll('#page .row .title')].map(t => t.textContent)")
    assert sorted(titles) == sorted(HOSTILE)
    assert tab.asks("document.documentElement.scrollWidth - innerWidth") <= 0
    for number, title in enumerate(titles):
        tab.asks(f"document.querySelectorAll('#page .row summary')[{number}].click()")
        tab.asks("new Promise((done) => setTimeout(done, 0))")
        assert tab.asks("document.querySelector('#detail h1').textContent") == title
        assert tab.asks("document.querySelectorAll('img, u, script').length") == 2
    assert tab.complaints == []


def test_a_browser_is_let_in_by_a_token_in_the_address(tab: Tab, page: Path) -> None:
    answer = {
        "pages": {"en": page.read_text(encoding="utf-8")},
        "policy": re.findall(r'Security-Policy" content="([^"]+)"', page.read_text("utf-8"))[
            0
        ].replace("&#39;", "'"),
    }
    builds = Builds(lambda: answer)
    builds.make()
    health = Health("127.0.0.1:0", {}, Site(builds.current, Access(TOKEN)))
    try:
        url = f"http://127.0.0.1:{health.port}/"
        tab.opens(f"{url}?lang=en")
        assert tab.asks("!!document.querySelector('input[name=token]')") is True
        tab.opens(f"{url}?lang=en&token={TOKEN}")
        assert tab.asks("location.href") == f"{url}?lang=en"
        assert tab.asks("document.cookie") == "", "no script reads the cookie"
        assert tab.asks("document.querySelectorAll('.bars rect').length") > 0
        assert tab.complaints == []
        tab.opens(f"{url}?lang=en")
        assert tab.asks("document.querySelectorAll('.bars rect').length") > 0
    finally:
        health.close()
