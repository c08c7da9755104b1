"""What a run keeps of single items is what happened to them, and the page plays and draws it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from otoscope import run
from otoscope.core.audio import Audio
from otoscope.core.naming import parse_spec
from otoscope.core.nouns import Prompt
from otoscope.experiments.experiment import Block, Experiment
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.models.resolve import load
from otoscope.report.figures.kept import Strips, kept_svg, level_map
from otoscope.report.run import Run
from otoscope.report.section import Panels, Players, Prose
from otoscope.report.sections.kept import kept
from otoscope.report.sections.separation.listen import listen
from otoscope.report.shown import shown
from otoscope.results.store import Results

from .test_separation import NAMES, store  # noqa: F401  (a fixture)

PRUNERS = ("prune/frame:keep=0.25", "evict/knorm:keep=0.5", "prune/frame:keep=0.5+evict/random:keep=0.5")


@pytest.fixture(scope="module")
def marathon(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("marathon") / "run"
    specs = lambda names: tuple(map(parse_spec, names))  # noqa: E731
    tasks = specs(("audiomarathon/er", "audiomarathon/sed"))
    chosen = Experiment("m", (Block(tasks),), models=specs(("tiny-audiolm",)), interventions=specs(("none", *PRUNERS)))
    summary = run(chosen, into=folder, limit=2)
    assert summary.n_failed == 0
    return Results.open(folder)


def test_kept_tokens_are_those_of_the_method(marathon: Results) -> None:
    found = {s.task: s for s in shown(marathon, "audiomarathon")}
    assert list(found) == ["audiomarathon/er", "audiomarathon/sed"]
    one = found["audiomarathon/sed"]
    assert list(one.under) == ["none", *PRUNERS]
    n = len(one.under[PRUNERS[0]]["kept_audio"])
    every_fourth = np.zeros(n)
    every_fourth[np.arange(-(-n // 4)) * n // -(-n // 4)] = 1
    assert np.array_equal(one.under[PRUNERS[0]]["kept_audio"], every_fourth)
    evicted = one.under[PRUNERS[1]]["kept_audio"]
    assert len(evicted) == n
    assert 0 < evicted.mean() < 1
    assert len(set(evicted)) > 2  # layers and heads differ
    assert one.under[PRUNERS[2]]["kept_audio"].mean() == pytest.approx(0.5, abs=0.02)
    assert one.find().id == one.item


def test_traces_are_of_the_last_prompt_and_go_with_the_numbers() -> None:
    model = load("tiny-audiolm")
    rng = np.random.default_rng(0)
    clips = [Audio(0.1 * rng.standard_normal((1, n)).astype(np.float32), 16_000) for n in (16_000, 32_000)]
    for name in PRUNERS:
        with resolve_intervention(name).on(model) as report:
            assert report.trace() == {}
            sizes = []
            for clip in clips:
                model.generate([Prompt("what?", (clip,))], 2)
                sizes.append(len(report.trace()["kept_audio"]))
                report.drain()
                assert report.trace() == {}
            assert sizes == [12, 25]
            model.generate([Prompt("what?")], 2)
            assert report.trace() == {}


def test_the_page_draws_what_stays(marathon: Results) -> None:
    section = kept(marathon, "audiomarathon")
    assert section is not None
    prose, players, panels = section.blocks
    assert isinstance(prose, Prose)
    assert prose.text.startswith("audiomarathon/sed, item ")
    assert isinstance(players, Players)
    assert isinstance(panels, Panels)
    assert "prune/frame:keep=0.25: 25 %" in panels.panels[0]
    assert "<image " in panels.panels[0]
    assert kept(marathon, "longaudio") is None
    assert kept(None, "audiomarathon") is None


def test_levels_are_where_the_sound_is() -> None:
    t = np.arange(16_000) / 16_000
    x = np.where(t < 0.5, np.sin(2 * np.pi * 4000 * t), 0.0).astype(np.float32)
    level = level_map(Audio(x[None], 16_000))
    assert np.argmax(level[:, 100]) == 128  # 4 kHz of 8
    assert level[:, 400].max() == 0.0
    figure = kept_svg("a", "alt", Strips(Audio(x[None], 16_000), [("a<b", np.ones(3))]))
    assert "a&lt;b" in figure


def test_stems_are_played_beside_the_mixture(store: Any) -> None:  # noqa: F811
    (one,) = shown(store, "separation")
    assert list(one.under) == list(NAMES)
    section = listen(store)
    assert section is not None
    players = next(b for b in section.blocks if isinstance(b, Players))
    given, stems = players.groups
    assert [s.title for s in given[1]] == ["mixture", "target"]
    assert [s.title for s in stems[1]] == list(NAMES[:9])
    assert any(isinstance(b, Prose) and NAMES[9] in b.text for b in section.blocks)
    bare, cached = one.under["none"]["target"], one.under["fewer-steps:steps=2"]["target"]
    assert bare.shape == cached.shape
    assert not np.array_equal(bare, cached)


def test_a_task_whose_items_are_gone_costs_no_page(marathon: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otoscope.report.shown.Shown.find", lambda self: next(iter(())))
    section = kept(Run.read(marathon).store, "audiomarathon")
    assert section is not None
    (said,) = section.blocks
    assert isinstance(said, Prose)
    assert said.kind == "missing"
