"""Texts in English and Chinese: the catalogs are whole, and the screen speaks one language."""

from __future__ import annotations

import io
import os
import string
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("babel", reason="catalogs are read by Babel: pip install -e '.[dev]'")

from etl.cli import main
from etl.texts import DOMAIN, chosen_language, localized, speaking, spoken, tr
from tests import catalogs


def fields(template: str) -> set[str]:
    return {name for _, name, *_ in string.Formatter().parse(template) if name is not None}


def test_every_text_is_a_literal_where_it_is_written() -> None:
    every = [*catalogs.calls(), *catalogs.of_page()]
    assert [f"{path}:{line}" for path, line, text in every if text is None] == []


def test_no_text_for_people_escapes_translation() -> None:
    assert list(catalogs.untranslated()) == []


def test_the_page_has_no_word_outside_of_the_catalogs() -> None:
    assert catalogs.bare_words_of_page() == []


def test_no_chinese_stands_in_the_code() -> None:
    assert list(catalogs.in_other_scripts()) == []


EACH = pytest.mark.parametrize("lang", catalogs.TRANSLATED)


@EACH
def test_every_text_is_translated_and_no_translation_is_left_over(lang: str) -> None:
    catalog = catalogs.catalog(DOMAIN, lang)
    translations = {(m.context or "", m.id) for m in catalog if m.id and m.string}
    assert sorted(set(catalogs.texts()) - translations) == []
    assert sorted(translations - set(catalogs.texts()) - catalogs.may_differ()) == []
    assert [message.id for message in catalog if message.id and message.fuzzy] == []


@EACH
def test_a_translation_has_the_placeholders_of_its_text(lang: str) -> None:
    for message in catalogs.catalog(DOMAIN, lang):
        if message.id and "{" in f"{message.id}{message.string}":
            assert fields(str(message.id)) == fields(str(message.string)), message.id


@EACH
@pytest.mark.parametrize("domain", catalogs.DOMAINS)
def test_a_compiled_catalog_is_that_of_its_source(domain: str, lang: str) -> None:
    path = catalogs.folder(lang) / f"{domain}.mo"
    assert path.read_bytes() == catalogs.compiled(domain, lang), "python -m tests.catalogs"


@EACH
def test_the_catalog_is_written_as_its_tool_writes_it(lang: str) -> None:
    path = catalogs.folder(lang) / f"{DOMAIN}.po"
    assert path.read_bytes() == catalogs.updated(lang)


def test_a_text_is_english_until_a_screen_says_it() -> None:
    text = tr("error: {message}", message=tr("interrupted"))
    assert text == "error: interrupted"
    assert localized(text, "zh") == "错误：已中断"
    assert localized("interrupted", "zh") == "interrupted"  # a name may look like one of our texts


def test_prose_without_values_may_have_braces() -> None:
    assert tr("a {brace}") == localized(tr("a {brace}"), "zh") == "a {brace}"


@pytest.mark.parametrize(
    ("option", "environ", "written", "language"),
    [
        (None, {}, None, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, None, "zh"),
        (None, {"LANG": "zh_CN.GBK"}, None, "zh"),
        (None, {"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "C"}, None, "en"),
        (None, {"LC_ALL": "C", "LC_MESSAGES": "zh_CN.UTF-8"}, None, "en"),
        (None, {"LANG": "C"}, "zh", "zh"),
        (None, {"CHENYU_LANG": "en", "LANG": "zh_CN.UTF-8"}, "zh", "en"),
        ("zh", {"CHENYU_LANG": "en"}, "en", "zh"),
        (None, {"CHENYU_LANG": "fr", "LANG": "zh_CN.UTF-8"}, None, "zh"),
    ],
)
def test_the_language_is_asked_of_option_variable_file_and_locale(
    option: str | None, environ: dict[str, str], written: str | None, language: str
) -> None:
    assert chosen_language(option, environ, written) == language


@pytest.mark.parametrize(
    "words", [["--lang", "zh", "status"], ["status", "--lang=zh"], ["--lang", "en", "status"]]
)
def test_any_command_takes_the_language_anywhere(words: list[str], tmp_path: Path) -> None:
    environ = {"CHENYU_DATABASE_URL": str(tmp_path / "none.db"), "CHENYU_API_KEY": "cy_x"}
    done = CliRunner().invoke(main, words, env=environ)
    assert done.stderr.startswith("错误：" if "zh" in " ".join(words) else "error: ")
    assert spoken() == "en"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_words_at_all_get_the_help(lang: str) -> None:
    done = CliRunner().invoke(main, [], env={"CHENYU_LANG": lang})
    assert ("用法：" if lang == "zh" else "Usage: ") in done.output


def test_mistakes_in_words_are_told_in_chinese() -> None:
    done = CliRunner().invoke(main, ["--lang", "zh", "report", "--foo"])
    assert "用法：" in done.stderr
    assert "错误：没有选项 '--foo'" in done.stderr
    assert "Error: No such option '--foo'" in CliRunner().invoke(main, ["report", "--foo"]).stderr


def test_the_config_file_chooses_the_language(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('lang = "zh"\n')
    url = str(tmp_path / "none.db")
    done = CliRunner().invoke(main, ["--config", str(config), "--database", url, "status"])
    assert done.stderr.startswith("错误：")
    config.write_text('lang = "fr"\n')
    done = CliRunner().invoke(main, ["--config", str(config), "--database", url, "status"])
    assert done.exit_code == 2
    assert f"lang ({config}) cannot be 'fr'" in done.stderr


def test_help_in_chinese_fits_the_terminal() -> None:
    from etl.reports.render.table import width

    for words in (["--help"], ["sync", "--help"], ["prices", "import", "--help"]):
        lines = CliRunner().invoke(main, ["--lang", "zh", *words]).stdout.splitlines()
        assert lines[0].startswith("用法：")
        assert max(map(width, lines)) <= 80
        assert not any("\ue000" in line for line in lines)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "utf-8"])
def test_a_stream_that_cannot_hold_chinese_gets_english(encoding: str, tmp_path: Path) -> None:
    environ = {**os.environ, "LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": encoding}
    words = [sys.executable, "-m", "etl.cli", "--database", str(tmp_path / "no.db"), "status"]
    done = subprocess.run(words, env=environ, capture_output=True, check=False)
    is_chinese = encoding in ("gbk", "utf-8")
    assert done.stderr.decode(encoding).startswith("错误：" if is_chinese else "error: ")


def test_english_reads_no_catalog() -> None:
    code = (
        "import sys, gettext\ngettext.GNUTranslations._parse = None\nfrom etl.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    print('babel' in sys.modules)"
    )
    environ = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_a_language_is_of_one_block() -> None:
    with speaking("zh"):
        assert localized(tr("interrupted")) == "已中断"
    assert localized(tr("interrupted")) == "interrupted"
    assert io.StringIO(tr("interrupted")).read() == "interrupted"
