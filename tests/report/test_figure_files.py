"""Figures of a page as files: the page's own marks in real colours, with a legend, the same every time."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otoscope.cli import main
from otoscope.core.errors import UsageError
from otoscope.report.extract import figures_of
from otoscope.report.figures.style import COLOURS
from otoscope.report.page import render
from otoscope.report.run import Run

from .test_separation import store  # noqa: F401  (a fixture)


@pytest.fixture
def tones(maker: Any, run: Run) -> Run:
    for model in ("tiny-stereo", "left-only", "logmel-ild", "logmel-ipd"):
        maker.tones(model)
    return replace(run, scores=maker.scores)


def test_a_figure_is_written_in_every_format_and_again_the_same(tones: Run, tmp_path: Path) -> None:
    found = figures_of(tones)
    assert "snr" in found.known
    for ending, begins in ((".pdf", b"%PDF"), (".svg", b"<?xml"), (".png", b"\x89PNG")):
        paths = [found.write("snr", tmp_path / f"{name}{ending}", dpi=60) for name in "ab"]
        first, second = (p.read_bytes() for p in paths)
        assert first.startswith(begins)
        assert first == second
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert COLOURS["c1"][0] in text
    assert "#fe" not in text
    assert "var(" not in text
    assert "tiny-stereo" in text  # the legend
    dark = found.write("snr", tmp_path / "dark.svg", "dark").read_text(encoding="utf-8")
    assert COLOURS["c1"][1] in dark
    assert COLOURS["paper"][1] in dark


def test_listing_figures_changes_no_page(tones: Run) -> None:
    before = render(tones)
    figures_of(tones)
    assert render(tones) == before
    assert "var(--c1)" in before


def test_figures_are_found_by_their_beginning_and_by_what_they_are_called(store: Any) -> None:  # noqa: F811
    found = figures_of(Run.read(store))
    assert found.find("conv") == "convergence0"
    assert found.find("pareto").startswith("saving0-")
    with pytest.raises(UsageError, match=r"3 figures that begin with 'saving'.*saving0-saved_flops"):
        found.find("saving")
    with pytest.raises(UsageError, match=r"no figure 'convergense0'.*convergence0"):
        found.find("convergense0")


def test_the_verb_lists_writes_and_says_what_is_wrong(
    store: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = str(store.path)

    def ended(*args: str) -> int:
        with pytest.raises(SystemExit) as e:
            main(["figure", run, *args])
        assert isinstance(e.value.code, int)
        return e.value.code

    assert ended() == 0
    assert re.search(r"^saving0-saved_flops +What may be left out, \d panels$", capsys.readouterr().out, re.M)
    target = tmp_path / "map.png"
    assert ended("--of", "convergence0", "-o", str(target), "--dpi", "60") == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert target.stat().st_size > 1000
    assert ended("--of", "convergence0") == 2
    assert "--of and --out go together" in capsys.readouterr().err
    assert ended("--of", "convergence0", "-o", str(tmp_path / "map.gif")) == 2
    assert ended("--of", "convergence0", "-o", str(tmp_path / "none" / "map.png")) == 3
