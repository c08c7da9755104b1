"""Pages about several runs: headlines with numbers, names that do not collide, and a browser that refuses nothing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otoscope.report.chapters import _named, chapter, headline_of, render, write_chapters
from otoscope.report.run import Run
from otoscope.report.sections.bmld.headline import headline as bmld
from otoscope.report.sections.separation.headline import headline as separation
from otoscope.results.scoring import Score

from .test_separation import store  # noqa: F401  (a fixture)


@pytest.fixture
def tones(maker: Any, run: Run) -> Run:
    for model in ("tiny-stereo", "left-only", "logmel-ild", "logmel-ipd"):
        maker.tones(model)
    return replace(run, scores=maker.scores)


def test_the_benchmark_is_told_by_its_verdicts(tones: Run) -> None:
    found = bmld(tones)
    assert found.sentence.startswith("tiny-stereo ")
    assert re.search(r"[+−]?\d+\.\d dB \[", found.sentence)
    assert found.caveat
    assert not found.caveat.startswith("What this")
    (side_by_side,) = found.blocks
    assert [b.block for b in side_by_side.blocks] == ["panels", "table"]


def test_a_run_without_distances_has_no_verdict() -> None:
    assert bmld(Run("empty", [])).verdict == "no verdict"


def test_the_separator_is_told_by_its_largest_probe_and_the_rivalry(store: Any) -> None:  # noqa: F811
    found = separation(Run.read(store))
    assert re.search(r"Under (ablate|cross-uniform)\S* the separator changes by [+−]?\d", found.sentence)
    assert "At equal savings LSAC loses less" in found.sentence
    assert [b.block for b in found.blocks] == ["panels", "table"]


def test_any_other_study_is_told_by_its_first_score() -> None:
    score = Score("mine", "intact", "whisper", "none", "accuracy", {}, 0.81, 0.7, 0.9, n=400)
    found = headline_of(Run("mine", [score]))
    assert found.sentence == "whisper has accuracy 0.81 [0.700, 0.900]."
    assert headline_of(Run("mine", [])).verdict == "no scores"


def test_two_runs_of_one_study_share_no_names(tones: Run, tmp_path: Path) -> None:
    chapters = [chapter(tones, "study1"), chapter(tones, "study2")]
    page = render(chapters, [tones, tones], "Two <runs>")
    ids = Counter(re.findall(r' id="([^"]+)"', page))
    assert max(ids.values()) == 1
    targets = {*re.findall(r' href="#([^"]+)"', page), *re.findall(r"url\(#([^)]+)\)", page)}
    assert targets <= set(ids)
    assert "Two &lt;runs&gt;" in page
    assert "otoscope run bmld --preset small" in page


def test_only_names_are_changed() -> None:
    assert _named('<a id="x" href="#x" title="y">id=&#34;x&#34;</a>', "s") == (
        '<a id="s-x" href="#s-x" title="y">id=&#34;x&#34;</a>'
    )
    assert _named('<a href="data:x">url(#c)</a>', "s") == '<a href="data:x">url(#s-c)</a>'


def test_a_page_needs_a_run(tmp_path: Path) -> None:
    from otoscope.core.errors import UsageError

    with pytest.raises(UsageError, match="at least one"):
        write_chapters([], tmp_path / "x.html", "x")
