"""Tables, players, figures and the sorting of a run."""

from __future__ import annotations

import base64
import io
import re
import wave
from collections.abc import Callable

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.core.wav import wav_bytes
from otoscope.report.figures.curves import Band, Panel, Point, Series, beyond, panel_svg, shared_limits, short
from otoscope.report.figures.style import COLOURS, css_variables, key, subject_styles
from otoscope.report.figures.svg import swatch
from otoscope.report.pick import Pick, last_layer_only, layers_of
from otoscope.report.players import common_gain, sound
from otoscope.report.run import Run, roles_of
from otoscope.report.tables import db, interval, number, percent, plain
from otoscope.results.scoring import Score


def audio(*channels: list[float]) -> Audio:
    return Audio(np.array(channels, dtype=np.float32), 16_000)


def test_player_decodes_to_the_samples() -> None:
    made = audio([0.0, 0.5, -1.0], [1.0, -0.25, 1e-6])
    player = sound("N0", "noise", made)
    data = base64.b64decode(player.source.removeprefix("data:audio/wav;base64,"))
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 16_000)
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    np.testing.assert_array_equal(frames, [[0, 16384, -32767], [32767, -8192, 0]])


def test_player_refuses_to_clip() -> None:
    loud = audio([4.0, -2.0])
    with pytest.raises(InputError, match="beyond full scale"):
        wav_bytes(loud)
    gain = common_gain([loud, audio([0.1])])
    assert gain == pytest.approx(0.9 / 4.0)
    assert wav_bytes(loud, gain)
    assert common_gain([audio([0.1])]) == 1.0


@pytest.mark.parametrize(
    ("value", "text"), [(10.44, "+10.4"), (-0.04, "0.0"), (0.04, "0.0"), (-3.25, "−3.2"), (None, "–")]
)
def test_decibels(value: float | None, text: str) -> None:
    assert db(value) == text


def test_numbers_as_text() -> None:
    assert number(1.25, 2) == "1.25"
    assert percent(0.833) == "83 %"
    assert interval(-1.0, 2.0) == "[−1.0, 2.0]"
    assert interval(None, 2.0) == "[?, 2.0]"
    assert interval(None, None) == ""
    assert plain(500.0) == "500"
    assert plain(True) == "yes"
    assert [short(x) for x in (4000.0, 500.0, -14.0, 1500.0)] == ["4k", "500", "−14", "1500"]


SERIES = Series(
    "<b>", subject_styles(["m"])["m"], [Point(1, 2.0, 1.0, 3.0), Point(2, 300.0, trusted=False), Point(4, 1.0)], "m0"
)
PANEL = Panel(
    "A & B", "x", "y $1$", [SERIES], [Band([1, 2], [0.0, 0.0], [1.0, 2.0])], ticks=(1, 2, 4), logarithmic=True
)


def test_figures_are_deterministic_and_carry_no_colours_of_their_own() -> None:
    one, two = (str(panel_svg("p.1", "alt <text>", PANEL)) for _ in range(2))
    assert one == two
    assert re.findall(r"#[0-9a-fA-F]{6}", one) == []
    assert "var(--c1)" in one
    assert "var(--ink)" in one
    assert "alt &lt;text&gt;" in one
    assert "A &amp; B" in one
    assert "y $1$" in one
    assert "<metadata" not in one
    assert "<style" not in one
    assert "http" not in one
    assert 'class="series series-m0"' in one


def test_ids_of_two_figures_do_not_meet() -> None:
    ids = [set(re.findall(r'id="([^"]+)"', str(panel_svg(name, "x", PANEL)))) for name in ("a", "b")]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert len(set(re.findall(r'id="([^"]+)"', str(swatch("s", SERIES.style))))) == 1


def test_axes_hold_what_can_be_trusted_and_count_the_rest() -> None:
    low, high = shared_limits([SERIES])
    assert low < 0.0 < 3.0 < high < 10.0
    assert beyond([SERIES], (low, high)) == 1


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_colours_can_be_read(theme: int) -> None:
    for background in ("paper", "raised"):
        behind = COLOURS[background][theme]
        for name in ("ink", "soft", "link", "good", "warn", "bad"):
            assert contrast(COLOURS[name][theme], behind) >= 4.5, (name, background)
        for name in (f"c{i}" for i in range(1, 9)):
            assert contrast(COLOURS[name][theme], behind) >= 3.0, (name, background)
    assert f"--paper:{COLOURS['paper'][theme]};" in css_variables(theme)


def test_colour_keys_are_distinct() -> None:
    assert len({key(n) for n in COLOURS}) == len(COLOURS)
    assert not {key(n) for n in COLOURS} & {c for pair in COLOURS.values() for c in pair}


def test_every_subject_looks_different() -> None:
    styles = subject_styles([f"m{i}" for i in range(30)])
    assert len(set(styles.values())) == 30


def test_roles(new_run: Callable[..., Run]) -> None:
    roles = roles_of(new_run())
    assert roles.subjects == ("tiny-stereo",)
    assert "logmel-ipd" in roles.references
    assert "ec-listener" in roles.references
    assert roles.twins == {"tiny-stereo": ("tiny-stereo:init=random,seed=1",)}


def test_a_random_model_without_its_original_is_a_subject() -> None:
    run = Run("r", [Score("bmld", "intact", "hubert-large:init=random,seed=3", "none", "m", {}, 1.0)])
    assert roles_of(run).subjects == ("hubert-large:init=random,seed=3",)
    assert roles_of(run).twins == {}


def test_last_layer() -> None:
    scores = [Score("t", "intact", "a", "none", "m", {"layer": x, "f": 1}, float(x)) for x in (0, 2, 10)]
    scores += [Score("t", "intact", "b", "none", "m", {"layer": x}, 0.0) for x in (3, "last")]
    scores += [Score("t", "intact", "c", "none", "m", {}, 7.0)]
    kept = last_layer_only(scores)
    assert [(s.model, dict(s.factors), s.value) for s in kept] == [
        ("a", {"f": 1}, 10.0),
        ("b", {}, 0.0),
        ("c", {}, 7.0),
    ]
    assert layers_of(scores) == {"a": [0, 2, 10], "b": [3, "last"]}


def test_pick_takes_the_first_answer() -> None:
    scores = [Score("t", "intact", "a", "none", "m", {"f": f}, v) for f, v in ((500, 1.0), (500, 2.0), (1000, 3.0))]
    pick = Pick(scores)
    found = pick.one("a", "m", f=500)
    assert found is not None
    assert found.value == 1.0
    assert pick.one("a", "m", "vocoder") is None
    assert pick.numbers("f") == [500, 1000]
