"""The page in a real browser, where one is installed: widths, light and dark, the keyboard; nothing is refused by the
page's own policy, and nothing is asked of a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER, Tab, tab

from otoscope.report.chapters import chapter
from otoscope.report.chapters import render as render_chapters
from otoscope.report.page import render
from otoscope.report.run import Run

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

HIDDEN = "[...document.querySelectorAll('.series')].filter(e => getComputedStyle(e).display === 'none')"
REACHABLE = (
    "[...document.querySelectorAll('a[href], button, summary, input, audio, [tabindex]')]"
    ".filter(e => e.tabIndex >= 0 && e.checkVisibility())"
)


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def found(maker: Any, run: Run) -> Run:
    for model in ("tiny-stereo", "left-only", "logmel-ild", "logmel-ipd"):
        maker.tones(model, ("intact",))
    return replace(run, scores=maker.scores)


@pytest.fixture
def page(found: Run, tmp_path: Path) -> str:
    file = tmp_path / "report.html"
    file.write_text(render(found), encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 800, 1280])
@pytest.mark.parametrize("chapters", [False, True])
def test_no_width_scrolls_sideways_and_nothing_is_refused(
    window: Tab, found: Run, tmp_path: Path, width: int, dark: bool, chapters: bool
) -> None:
    page = tmp_path / "page.html"
    page.write_text(render_chapters([chapter(found, "a")], [found], "Page") if chapters else render(found), "utf-8")
    window.open(page.as_uri(), width, dark=dark)
    wide, room = window.ask("[document.documentElement.scrollWidth, innerWidth]")
    assert room == width
    assert wide <= width
    red, green, blue = window.ask("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")[:3]
    assert (red + green + blue < 200) if dark else (red + green + blue > 600)
    assert window.complaints() == []


def test_legends_act_and_references_are_off_at_first(window: Tab, page: str) -> None:
    window.open(page, 1000)
    off = "[...document.querySelectorAll('input[data-series]:not(:checked)')]"
    named = f"[...new Set({off}.map(e => e.parentElement.textContent.trim()))]"
    assert any(name.startswith("left-only") for name in window.ask(named))
    assert not any(name.startswith("tiny-stereo") for name in window.ask(named)), "the subject is shown"
    boxes, before = window.ask(f"[{off}.length, {HIDDEN}.length]")
    assert before > 0
    window.ask(f"{off}[0].focus()")
    window.press(" ", 32, text=" ")
    assert window.ask(f"{off}.length") == boxes - 1
    assert window.ask(f"{HIDDEN}.length") < before


def test_everything_that_acts_is_reached_by_the_tab_key(window: Tab, page: str) -> None:
    window.open(page, 1000)
    window.ask("window.visited = new Set()")
    n = window.ask(f"{REACHABLE}.length")
    assert n > 5
    for _ in range(6 * n):  # a player has several stops of its own
        window.press("Tab", 9)
        window.ask("void visited.add(document.activeElement)")
    assert window.ask(f"{REACHABLE}.filter(e => !visited.has(e)).map(e => e.outerHTML.slice(0, 80))") == []
