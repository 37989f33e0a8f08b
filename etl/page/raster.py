"""Turn SVG into PNG by the library resvg (extra `png`), with the fonts of the system."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from etl.alerts.channels import shows_pictures
from etl.settings.alerts import AlertSettings
from etl.texts import Text, tr

FAMILIES: Final = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "SimHei"),
    *("DejaVu Sans", "Liberation Sans", "Arial", "sans-serif"),
)
"""Fonts in the order in which they are taken: those with Chinese come first, and have Latin too."""
LETTER: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><text x="2" y="32" font-size="30" font-family="{families}">{sign}</text></svg>'


def png_of(svg: str) -> bytes:
    """Return the picture of a drawing, as large as it says."""
    drawn: bytes = _library().svg_to_bytes(svg_string=svg, languages=["zh", "en"])
    return drawn


def font_families() -> str:
    """Return the families of fonts as SVG and CSS write them."""
    return ", ".join(f"'{name}'" if " " in name else name for name in FAMILIES)


def lack(language: str) -> tuple[Text, Text] | None:
    """Return what keeps pictures in a language from being drawn, and what to do; None if nothing."""
    if _library() is None:
        words = tr("digests go without charts: they need the library resvg-py")
        return words, tr("pip install 'chenyu-etl[png]'")
    if language == "zh" and not has_chinese():
        words = tr("digests in Chinese go without charts: no font of this system has Chinese")
        return words, tr("install one, such as the package fonts-noto-cjk of Debian")
    return None


def lacks(settings: AlertSettings) -> list[tuple[Text, Text]]:
    """Return what keeps charts out of the digests of these settings, each with what to do."""
    languages = {
        channel.language
        for channel in settings.channels
        if channel.pictures
        and shows_pictures(channel)
        and (not channel.rules or "digest" in channel.rules)
    }
    found = (lack(language) for language in sorted(languages))
    # without a library it is the same in every language
    return list(dict.fromkeys(lacking for lacking in found if lacking is not None))


@cache
def has_chinese() -> bool:
    """Tell whether a font of the system has Chinese."""
    # signs that no font has are drawn alike: as nothing, or as the same box
    signs = "&#27704;", "&#20013;"
    one, other = (png_of(LETTER.format(families=font_families(), sign=sign)) for sign in signs)
    return one != other


@cache
def _library() -> Any:
    try:
        import resvg_py
    except ImportError:
        return None
    return resvg_py
