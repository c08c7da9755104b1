"""Displays: one line as text, tables in a terminal and a notebook, everything escaped, nothing loaded."""

from __future__ import annotations

import base64
import io
import wave
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

import otoscope
from otoscope.core.display import MOST_ROWS, Displayed, Shown, word
from otoscope.core.nouns import Encoded
from otoscope.core.sites import Site, SiteMap


class _Balance(HTMLParser):
    """Raises where a tag is closed that isn't open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def html_of(thing: Displayed) -> str:
    text = thing._repr_html_()
    check = _Balance()
    check.feed(text)
    assert check.open == []
    return text


def printed(thing: object) -> str:
    out = io.StringIO()
    Console(file=out, width=160, color_system=None).print(thing)
    return out.getvalue()


class _Odd(Displayed):
    def shown(self) -> Shown:
        facts = {"[red]k": "<b>", "nothing": None, "empty": [], "lines": ["one", "two"], "none of it": 0}
        return Shown("<script>", facts, ("[i]h", "n"), [("<td>[/]", i) for i in range(MOST_ROWS + 5)], "a & b")


def test_everything_is_escaped_and_long_tables_say_so() -> None:
    text = html_of(_Odd())
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;td&gt;" in text
    assert "a &amp; b" in text
    assert "5 more rows. a &amp; b" in text
    shown = printed(_Odd())
    assert "[red]k" in shown
    assert "[i]h" in shown
    assert "<td>[/]" in shown
    assert "5 more rows." in shown
    assert "nothing" not in shown
    assert "empty" not in shown
    assert "none of it" in shown
    assert shown.index("one") < shown.index("two")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (0.123456, "0.1235"),
        (frozenset({"b", "a"}), "a, b"),
        ((1, None, 2.5), "1, , 2.5"),
        ({"a": 1.0, "b": False}, "a=1, b=no"),
        ("x", "x"),
    ],
)
def test_words(value: object, text: str) -> None:
    assert word(value) == text


def test_a_sound_can_be_played_in_a_notebook() -> None:
    sound = otoscope.Audio(np.linspace(-2, 2, 400, dtype=np.float32).reshape(2, 200), 8000)
    text = html_of(sound)
    assert "beyond full scale" in text
    data = base64.b64decode(text.split("base64,")[1].split('"')[0])
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getnframes(), file.getframerate()) == (2, 200, 8000)
        heard = np.frombuffer(file.readframes(200), "<i2")
    assert abs(heard).max() == round(0.9 * 32767)


def test_a_long_sound_is_not_copied_into_the_page() -> None:
    text = html_of(otoscope.Audio(np.zeros((1, 2_000_001), np.float32), 48_000))
    assert "<audio" not in text
    assert "Too long" in text
    assert len(text) < 2000


def test_frames_tell_their_shape() -> None:
    encoded = Encoded({0: np.zeros((1, 50, 96), np.float32), "last": np.zeros((1, 50, 192), np.float32)}, 0.02)
    assert repr(encoded) == "Encoded(0: [1, 50, 96], last: [1, 50, 192], hop 20 ms)"
    assert "<td>192</td>" in html_of(encoded)


def test_a_site_map_lists_its_sites() -> None:
    sites = SiteMap("toy", 2, (Site("out", "layers.{layer}", axes=("batch", "frame"), doc="after <it>"),))
    assert repr(sites) == "SiteMap(toy, 2 layers: out)"
    assert "after &lt;it&gt;" in html_of(sites)
    assert "layers.{layer} (output)" in printed(sites)
