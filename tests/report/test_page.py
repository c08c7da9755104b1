"""The page: valid, self-contained, escaped, deterministic, and honest about what is missing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from otoscope.core.errors import StoreError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.runner import run as run_experiment
from otoscope.report.page import render, write_report
from otoscope.report.run import Failures, Run
from otoscope.results.cells import Cell
from otoscope.results.scoring import Score

VOID = {"wbr", "meta", "input", "br", "img", "link", "hr"}


class Balance(HTMLParser):
    """Collects what a browser would stumble over."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.labelled: list[str] = []
        self.tags: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.note(tag, dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.note(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element (line {self.getpos()[0]})"

    def note(self, tag: str, attrs: dict[str, str | None]) -> None:
        self.tags[tag] += 1
        if attrs.get("id"):
            self.ids[str(attrs["id"])] += 1
        self.links += [str(v) for k, v in attrs.items() if k in ("src", "href") and v]
        self.labelled += [str(attrs[k]) for k in ("aria-labelledby", "for") if attrs.get(k)]


def parsed(page: str) -> Balance:
    parser = Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return render(run)


def text_of(page: str) -> str:
    """The words of a page, one space between."""
    body = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_page_is_balanced_and_its_ids_are_unique(page: str) -> None:
    found = parsed(page)
    assert [i for i, n in found.ids.items() if n > 1] == []
    for link in found.links:
        if link.startswith("#"):
            assert link[1:] in found.ids, f"{link} points nowhere"
    assert set(found.labelled) <= set(found.ids)
    for _, name in re.findall(r"(url\(#)([^)]+)\)", page):
        assert name in found.ids
    assert found.tags["h1"] == 1
    assert found.tags["svg"] > 10


def test_page_asks_the_network_for_nothing(page: str) -> None:
    found = parsed(page)
    assert found.links
    assert [x for x in found.links if not x.startswith(("#", "data:"))] == []
    assert re.findall(r"url\((?!#)", page) == []
    assert "@import" not in page
    assert not re.search(r"https?://", page)
    assert "default-src 'none'" in page


def test_policy_allows_exactly_the_script_that_is_there(page: str) -> None:
    script = re.search(r"<script>(.*?)</script>", page, re.S)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert " on" not in "".join(re.findall(r"<(?:a|svg|label|input|audio)\b[^>]*>", page))


def test_page_is_small_enough(page: str) -> None:
    assert len(page) < 6_000_000


def test_same_run_same_page(page: str, new_run: Callable[..., Run]) -> None:
    assert render(new_run()) == page


def test_hostile_names_are_text(new_run: Callable[..., Run]) -> None:
    name = 'file:x.py#<script>alert(1)</script>"><img src=x onerror=alert(1)>$\\frac{1}{2}$'
    page = render(new_run(subject=name, name="</title><script>alert(2)</script>"))
    found = parsed(page)
    assert found.tags["script"] == 1
    assert found.tags["img"] == 0
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;/title&gt;&lt;script&gt;" in page


def test_findings_come_first_and_say_what_they_do_not_say(page: str) -> None:
    words = text_of(page)
    assert words.index("Finding tiny-stereo phase") < words.index("Verdicts The rule is ours")
    assert "What this does not say: that the model hears as people do" in words
    assert "+6.9 dB [+6.5, +7.3]" in words
    assert "read at 500 Hz, −22 dB SNR" in words
    assert "logmel-ild: magnitude texture" in words
    assert "left-only: none" in words


def test_bounds_and_nulls_are_shown_as_such(page: str) -> None:
    words = text_of(page)
    assert "<−29.0" in words.replace("&lt;", "<")
    assert ">+11.0" in words.replace("&gt;", ">")
    assert "not detected: both distances are under a tenth" in words
    assert "closed it" in words
    assert "nan" not in words.lower().split()
    assert ">None<" not in page


def test_ratios_and_threshold_differences_stand_apart(page: str) -> None:
    words = text_of(page)
    assert "Neither can be read on the axis of the other" in words
    for svg in re.findall(r"<svg class=\"plot\".*?</svg>", page, re.S):
        assert not ("ratio of distances" in svg and "threshold difference" in svg)


def test_what_was_not_run_is_said(maker: Any) -> None:
    maker.tones("tiny-stereo", ("intact",))
    words = text_of(render(Run("bare", maker.scores)))
    for sentence in (
        "Not run: phase-only and magnitude-only hybrids",
        "No random-weights twins were run",
        "No rung but the intact stimulus was run",
        "No thresholds were measured",
        "Speech through rooms was not run",
        "No EC observer was run",
        "holds no record of a run",
        "One layer per model was read",
    ):
        assert sentence in words, sentence


def test_a_run_of_references_alone_says_that_no_subject_ran(new_run: Callable[..., Run]) -> None:
    whole = new_run()
    kept = [s for s in whole.scores if s.model.startswith("logmel")]
    words = text_of(render(replace(whole, scores=kept, cells=[])))
    assert "No subject model gave distances in this run" in words
    assert "Finding No subject model gave distances in this run; below are the reference front ends. logmel-ild" in (
        words.replace("not run ", "")
    )


def test_a_run_with_only_failures_still_has_a_page(new_run: Callable[..., Run]) -> None:
    whole = new_run()
    reasons = (("the checkpoint has no config.json", 140), ("NaN in layer 3", 4))
    failed = Failures("c1", "bmld", "intact", "tiny-stereo", 144, 144, reasons, 2)
    cells = [c.changed(status="failed", n_failed=144, n_done=144) for c in whole.cells[:2]]
    page = render(Run("broken", [], cells, whole.records, [failed]))
    parsed(page)
    words = text_of(page)
    assert "144 of 144" in words
    assert "the checkpoint has no config.json (140); NaN in layer 3 (4); and 2 other reasons" in words
    assert "No model gave a curve for tones in noise, so there is no verdict" in words


def test_a_model_that_failed_throughout_is_named_and_has_no_verdict(
    new_run: Callable[..., Run], new_cell: Callable[..., Cell]
) -> None:
    whole = new_run()
    failed = Failures("c9", "bmld", "intact", "hubert-large", 144, 144, (("no such folder", 144),))
    empty = [
        replace(s, model="hubert-large", value=None, ci_low=None, ci_high=None, status="empty", note="no rows")
        for s in whole.scores
        if s.model == "tiny-stereo" and s.task == "bmld"
    ]
    records = [{**whole.records[0], "experiment": {**whole.records[0]["experiment"], "models": ["hubert-large"]}}]
    cells = [*whole.cells, new_cell("hubert-large", n_failed=144)]
    words = text_of(
        render(replace(whole, scores=[*whole.scores, *empty], cells=cells, records=records, failures=[failed]))
    )
    assert "Finding hubert-large failed no figure None of its items could be answered. why no such folder" in words
    assert "Models of the paper in this run" not in words


def test_other_tasks_get_tables(new_run: Callable[..., Run]) -> None:
    scores = [
        Score("mine/esc50", "intact", "whisper", "none", "accuracy", {"fold": 1}, 0.81, 0.7, 0.9, n=400, n_groups=5),
        Score("mine/esc50", "intact", "whisper", "none", "accuracy", {"fold": 2}, None, note="no fold", n_failed=3),
    ]
    words = text_of(render(Run("mine", scores)))
    assert "mine/esc50 accuracy (2)" in words
    assert "0.81" in words
    assert "[0.7, 0.9]" in words
    assert "no fold" in words


def test_rungs_of_another_grid_are_read_against_the_same_points(maker: Any) -> None:
    maker.tones("logmel-ipd", ("intact",))
    for s in [s for s in maker.scores if s.factors.get("frequency_hz") == 500]:
        maker.scores.append(
            replace(s, task="bmld:frequencies=500", condition="nu-masker", value=0.0, note="of 4 cells")
        )
    words = text_of(render(Run("two grids", maker.scores)))
    assert "Also run with other parameters: bmld:frequencies=500." in words
    # Four points at 500 Hz, not the twelve of the main grid (of which eleven pass).
    assert "intact +9.0 dB 50 % + 12 %; 4/4 pass" in words
    assert "nu-masker 0.0 dB" in words


def test_published_values_stand_beside_models_of_the_paper(maker: Any, page: str) -> None:
    assert "None of the paper's models ran in this run" in page.replace("&#39;", "'")
    maker.tones("hubert-large:channels=left", ("intact",))
    words = text_of(render(Run("paper", maker.scores)))
    assert "Models of the paper in this run: HuBERT-Large." in words
    assert "HuBERT-Large 0.0 +1." in words  # published, then measured
    assert "Spatial-AST +6.8 * not run 20/24 not run" in words


def test_layers_are_a_curve_and_the_last_one_is_shown(maker: Any) -> None:
    maker.tones("tiny-stereo", ("intact",))
    scores: list[Score] = []
    for layer in (0, 1, 2):
        for s in maker.scores:
            value = None if s.value is None else s.value + 10.0 * layer
            scores.append(replace(s, factors={**s.factors, "layer": layer}, value=value, ci_low=None, ci_high=None))
    page = render(Run("layers", scores))
    parsed(page)
    assert "The ratio by layer" in page
    assert "+26.9" in page  # layer 2 at 500 Hz and -22 dB
    assert "+6.9" not in page.split('id="figure-layers"')[0]


def test_writes_atomically_beside_the_run(tmp_path: Path) -> None:
    task = "bmld:frequencies=500,snrs=-22 -6,n_seeds=3"
    grid = (Block((parse_spec(task),)),)
    experiment = Experiment(
        "small", grid, (parse_spec("logmel-ipd"),), (parse_spec("left-only"),), title="A <b>run</b>"
    )
    run_experiment(experiment, into=tmp_path / "run")
    path = write_report(tmp_path / "run")
    assert path == tmp_path / "run" / "report.html"
    page = path.read_text(encoding="utf-8")
    parsed(page)
    assert "A &lt;b&gt;run&lt;/b&gt;" in page
    assert page.count("data:audio/wav;base64,") == 5
    assert list((tmp_path / "run").glob(".*.tmp")) == []
    again = write_report(tmp_path / "run", tmp_path / "other.html")
    assert again.read_text(encoding="utf-8") == page


def test_refuses_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run directory"):
        write_report(tmp_path)


def test_says_where_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(Run, "read", classmethod(lambda cls, directory, scores=None: Run("x", [])))
    with pytest.raises(StoreError, match="nowhere"):
        write_report(tmp_path, tmp_path / "nowhere" / "page.html")
