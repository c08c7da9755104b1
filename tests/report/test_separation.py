"""The section on separation, over a real run of a small random separator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from otoscope import run
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.report.page import render
from otoscope.report.run import Run
from otoscope.report.section import Findings, Fold, Panels, Prose, Table
from otoscope.report.sections.separation.section import separation
from otoscope.results.store import Results
from otoscope.stats.paired import paired_comparison
from otoscope.tasks.separation.findings import tables
from otoscope.tasks.separation.study import Study, ladder_of

MODEL = f"file:{Path(__file__).parents[1] / 'interventions' / 'small.py'}#Small"
TASK = "separation:n_items=4,duration_s=0.5,split=test"
NAMES = (
    "none",
    "lsac:preset=balanced",
    "lsac:preset=budget,x=0.5",
    "placebo:preset=balanced",
    "placebo:preset=balanced,seed=1",
    "fewer-steps:steps=8",
    "fewer-steps:steps=2",
    "fewer-steps:how=truncated,steps=8",
    "ablate:site=text_memory",
    "cross-uniform",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Results:
    folder = tmp_path_factory.mktemp("separation") / "run"
    specs = lambda names: tuple(map(parse_spec, names))  # noqa: E731
    fit_on = specs(("separation:n_items=2,duration_s=0.5,split=train",))
    chosen = Experiment(
        "s", (Block(specs((TASK,))),), models=specs((MODEL,)), interventions=specs(NAMES), fit_on=fit_on
    )
    summary = run(chosen, into=folder)
    assert (summary.n_done, summary.n_failed) == (4 * len(NAMES), 0)
    return Results.open(folder)


def blocks(found):
    for block in found:
        yield block
        if isinstance(block, Fold):
            yield from blocks(block.blocks)


def test_the_page_says_who_saves_better_and_shows_it(store) -> None:
    found = {s.id: list(blocks(s.blocks)) for s in separation(Run.read(store))}
    assert list(found) == ["caching", "probes", "convergence", "saving", "listen", "separation"]
    (finding,) = next(b for b in found["caching"] if isinstance(b, Findings)).items
    assert dict(finding.facts)["at equal FLOPs"].startswith("LSAC loses less ")
    probed = next(b for b in found["probes"] if isinstance(b, Table))
    assert [row[0] for row in probed.rows] == ["ablate:site=text_memory", "cross-uniform"]
    said = [b.text for b in found["probes"] if isinstance(b, Prose)]
    assert any("no effect, however large" in text for text in said)  # four items, so at most four groups
    maps = next(b for b in found["convergence"] if isinstance(b, Panels))
    assert len(maps.panels) == 2
    assert "mean of 2 items; one row a head, 4 a layer" in maps.caption
    fronts = [b for b in found["saving"] if isinstance(b, Panels)]
    assert [f.id.partition("-")[2] for f in fronts] == ["saved_self_attention", "saved_flops", "saved_seconds"]
    captions = [b.caption for b in found["saving"] if isinstance(b, Table)]
    assert [c.partition(":")[0].partition(" (")[0] for c in captions] == [
        "Savings and losses",
        "loss_ratio_vs_fewer_steps",
        "What choosing layers is worth",
        "Power",
    ]
    page = render(Run.read(store))
    assert "self-attention map over the logarithm" in page
    assert page == render(Run.read(store))


def test_figures_are_those_of_the_rows(store) -> None:
    """Against plain means over the stored rows."""
    rows = store.rows(metrics=["si_sdr_db", "saved_flops"]).to_pylist()
    alias = {c.cell: c.intervention for c in store.cells()}
    value = {(alias[r["cell"]], r["metric"], r["base_id"]): r["value"] for r in rows}
    items = sorted({i for _, _, i in value})
    mean = lambda name, metric: np.mean([value[name, metric, i] for i in items])  # noqa: E731
    (rivalry,) = Study(store)
    assert list(rivalry.trades) == [n for n in NAMES if n.startswith(("lsac", "placebo", "fewer-steps"))]
    for name, by_metric in rivalry.trades.items():
        trade = by_metric["si_sdr_db"]
        assert trade.loss.value == pytest.approx(mean("none", "si_sdr_db") - mean(name, "si_sdr_db"))
        assert trade.saved["saved_flops"].value == pytest.approx(mean(name, "saved_flops"))
    told = [c for c in Study(store).probes if (c.other, c.metric) == ("cross-uniform", "si_sdr_db")]
    assert sum(c.n for c in told) == len(items)  # one comparison per kind of target
    found = sum(c.n * c.difference for c in told) / len(items)
    assert found == pytest.approx(mean("cross-uniform", "si_sdr_db") - mean("none", "si_sdr_db"))
    placebos = [mean(n, "si_sdr_db") for n in NAMES if n.startswith("placebo")]
    (choice,) = rivalry.selection("si_sdr_db")
    assert choice.n_draws == 2
    assert choice.worth.value == pytest.approx(mean("lsac:preset=balanced", "si_sdr_db") - np.mean(placebos))


def test_the_least_detectable_loss_is_that_of_the_paired_comparison(store) -> None:
    (rivalry,) = Study(store)
    name = "fewer-steps:steps=2"
    bare, fewer = (rivalry.setting.values[n]["si_sdr_db"] for n in ("none", name))
    told = paired_comparison(bare, fewer, rivalry.setting.groups.tolist(), seed=0, n_permutations=100)
    least, groups = rivalry.detectable(name, "si_sdr_db")
    assert (least, groups) == (pytest.approx(told.smallest_detectable), told.n_groups)
    assert least > 0
    page = {s.id: list(blocks(s.blocks)) for s in separation(Run.read(store))}["saving"]
    table = next(b for b in page if isinstance(b, Table) and b.caption == "Power")
    assert len(table.rows) == sum(map(len, rivalry.trades.values()))


def test_printed_tables_cover_probes_losses_and_headline(store) -> None:
    titles = [t.partition(":")[0] for t, _, _ in tables(store)]
    assert titles == [
        "ablate",
        "cross-uniform",
        "What is saved and what is lost",
        "loss_ratio_vs_fewer_steps (above 1",
    ]
    _, header, rows = tables(store)[0]
    assert all(" groups)" in row[header.index("least p")] for row in rows)


def test_no_corrected_p_is_below_the_least_that_its_groups_allow(store) -> None:
    study = Study(store)
    told = [c for c in study.probes if c.p_holm is not None]
    assert told
    assert all(c.p_holm >= study.least_p(c.n_groups) - 1e-12 for c in told)
    assert study.least_p(30) == pytest.approx(len(told) / 200_001)  # drawn, not enumerated
    assert study.least_p(12) == pytest.approx(min(1.0, len(told) / 2**11))  # nothing here has more groups


@pytest.mark.parametrize(
    ("name", "ladder"),
    [
        ("fewer-steps:steps=4", "fewer-steps"),
        ("fewer-steps:how=respaced,steps=4", "fewer-steps"),
        ("fewer-steps:how=truncated,steps=4", "fewer-steps:how=truncated"),
        ("block-reuse:every=2", "block-reuse"),
        ("lsac:preset=safe", None),
    ],
)
def test_ladders(name, ladder) -> None:
    assert ladder_of(name) == ladder
