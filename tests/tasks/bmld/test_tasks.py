"""The BMLD tasks through the runner, on reference models: what the sheet says must come out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from otoscope import run
from otoscope.audio.transforms.ladder import ladder
from otoscope.core.errors import InputError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.scores import findings_of, scores_of
from otoscope.tasks.bmld.distance import DistanceTask
from otoscope.tasks.bmld.rungs import RUNGS
from otoscope.tasks.bmld.threshold import ThresholdTask
from otoscope.tasks.catalogue import resolve_condition, resolve_task


def experiment(*blocks):
    """blocks: (tasks, conditions, models)"""
    specs = lambda names: tuple(map(parse_spec, names))  # noqa: E731
    return Experiment("t", tuple(Block(specs(t), specs(c), specs(m)) for t, c, m in blocks), models=())


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    into = tmp_path_factory.mktemp("bmld") / "run"
    tones = "bmld:frequencies=500,n_seeds=6,snrs=-30 -14 2"
    exp = experiment(
        (
            [tones],
            ["intact"],
            ["ec-durlach", "ec-chen2026", "ec-signal", "left-only", "mono-sum", "logmel-ild", "logmel-ipd"],
        ),
        ([tones], ["phase-only", "magnitude-only", "nu-masker", "high-pass:order=12"], ["logmel-ild", "logmel-ipd"]),
    )
    summary = run(exp, into=into)
    assert summary.complete
    assert summary.n_failed == 0
    return into, scores_of(into)


def value(scores, metric, model, condition="intact", **factors):
    found = [
        s
        for s in scores[1]
        if (s.metric, s.model, s.condition) == (metric, model, condition)
        and all(s.factors.get(k) == v for k, v in factors.items())
    ]
    assert len(found) == 1, found
    return found[0]


def at(scores, model, snr, condition="intact", metric="delta_bmld_db"):
    return value(scores, metric, model, condition, frequency_hz=500, snr_db=snr)


def test_left_only_is_zero_exactly_and_the_mono_sum_undefined(scores):
    assert at(scores, "left-only", -14).value == 0.0
    assert at(scores, "left-only", -14).ci_high == 0.0
    summed = at(scores, "mono-sum", -14)
    assert summed.value is None
    assert summed.status == "undefined"
    assert "floor" in summed.note
    assert at(scores, "mono-sum", -14, metric="delta_ungated_db").value < -60


def test_the_phase_blind_front_end_is_positive_at_low_snr_only(scores):
    assert at(scores, "logmel-ild", -30).value > 10
    assert abs(at(scores, "logmel-ild", 2).value) < 0.2


def test_the_phase_user_keeps_the_phase_only_hybrid(scores):
    intact = at(scores, "logmel-ipd", -14).value
    assert 8 < intact < 13
    assert at(scores, "logmel-ipd", -14, "phase-only").value == pytest.approx(intact, abs=1.5)
    assert abs(at(scores, "logmel-ipd", -14, "magnitude-only").value) < 1


def test_independent_noises_show_nothing(scores):
    assert abs(at(scores, "logmel-ipd", -14, "nu-masker").value) < 0.5
    assert abs(at(scores, "logmel-ild", -14, "nu-masker").value) < 0.5


def test_a_steep_high_pass_is_undefined_although_the_ratio_is_large(scores):
    for snr in (-30, -14, 2):
        for model in ("logmel-ild", "logmel-ipd"):
            gated = at(scores, model, snr, "high-pass:order=12")
            assert gated.value is None
            assert gated.status == "undefined"
    assert at(scores, "logmel-ipd", -14, "high-pass:order=12", "delta_ungated_db").value > 15


def test_observers_have_their_own_metric(scores):
    assert value(scores, "ec_bmld_db", "ec-durlach").value == pytest.approx(10.73, abs=0.01)
    assert value(scores, "ec_bmld_db", "ec-chen2026").value == pytest.approx(15.70, abs=0.01)
    assert value(scores, "ec_bmld_db", "ec-signal").value == pytest.approx(10.73, abs=0.4)
    assert not [s for s in scores[1] if s.model.startswith("ec-") and s.metric.startswith("delta")]


def test_the_tables_say_it(scores):
    titles = {t[0]: t for t in findings_of(scores[0], scores[1])}
    verdicts = {row[0]: row[1] for row in titles["Does the embedding carry interaural phase?"][2]}
    assert verdicts["logmel-ipd"] == "phase"
    assert verdicts["logmel-ild"] == "magnitude texture"
    assert verdicts["left-only"] == "none"
    assert verdicts["mono-sum"] == "undefined"


def test_the_published_values_stand_beside_the_measured_ones(tmp_path):
    exp = experiment((["bmld:grid=chen2026,n_seeds=1"], ["intact"], ["ec-chen2026"]))
    run(exp, into=tmp_path / "run")
    tables = findings_of(tmp_path / "run")
    rows = {row[0]: row[2:] for row in next(t for t in tables if t[0].startswith("Published"))[2]}
    assert rows["EC"] == ["26.7", "21.4", "15.7", "10.1", "5.4", "3.1"]
    assert rows["ec-chen2026"] == rows["EC"]
    assert rows["GRAM-T"][5] == "6.0"


def test_thresholds_and_their_difference(tmp_path):
    ec_task = "bmld/threshold:n_seeds=150,snrs=-46 -40 -34 -28 -22,permutations=4,rove_db=0"
    exp = experiment(
        ([ec_task], ["intact"], ["ec-listener"]),
        (["bmld/threshold:n_seeds=30,snrs=-40 -24 -16"], ["intact"], ["left-only"]),
    )
    assert run(exp, into=tmp_path / "run").n_failed == 0
    found = (None, scores_of(tmp_path / "run"))
    ec = value(found, "bmld_threshold_db", "ec-listener", configuration="N0Spi")
    assert ec.value == pytest.approx(11.8, abs=1.0)
    assert ec.ci_low < 11.8 < ec.ci_high + 1.0
    left = value(found, "bmld_threshold_db", "left-only", configuration="N0Spi")
    assert left.value == 0.0
    null = value(found, "null_accuracy", "ec-listener", configuration="N0S0")
    assert null.ci_low < 0.5 < null.ci_high
    assert not [s for s in found[1] if s.metric.startswith("delta")]


def test_adaptive_thresholds_place_the_second_round(tmp_path):
    task = "bmld/threshold:adaptive=true,coarse_seeds=10,folds=2,n_seeds=10,permutations=0,snrs=-50 -35 -20"
    assert run(experiment(([task], ["intact"], ["ec-listener"])), into=tmp_path / "run").n_failed == 0
    found = scores_of(tmp_path / "run")
    points = {s.factors["snr_db"] for s in found if s.metric == "accuracy" and s.factors["configuration"] == "N0S0"}
    assert {-50, -35, -20} < points
    assert len(points) >= 7
    assert all(isinstance(p, int) for p in points)


def test_speech_through_rooms(tmp_path):
    task = "bmld/speech:n_clips=4,rooms=dry,azimuths=0 45,snrs=-12 0"
    exp = experiment(([task], ["intact", "phase-only", "tfs-removed", "envelope-removed"], ["logmel-ipd"]))
    assert run(exp, into=tmp_path / "run").n_failed == 0
    found = (None, scores_of(tmp_path / "run"))
    one = value(found, "delta_bmld_db", "logmel-ipd", room="dry/0deg", snr_db=-12)
    assert one.value > 1
    assert one.n_groups == 4
    assert value(found, "unmasking_share", "logmel-ipd").value is not None


def test_speech_from_a_folder_of_ones_own(tmp_path):
    from otoscope.audio.io import write
    from otoscope.core.audio import Audio

    folder = tmp_path / "mine"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        write(folder / f"clip{i}.wav", Audio(0.1 * rng.standard_normal((1, 24000)).astype(np.float32), 16000))
    task = resolve_task(f"bmld/speech:data={folder},n_clips=3,rooms=dry,azimuths=0,snrs=0")
    item = task.items()[0]
    signals = item.inputs.render(16000)
    assert {a.n for a in signals.values()} == {32000}
    with pytest.raises(UsageError, match="only 3 clips"):
        resolve_task(f"bmld/speech:data={folder},n_clips=4").items()
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(InputError, match=r"broken\.wav"):
        resolve_task(f"bmld/speech:data={folder},n_clips=3,min_s=1.1").items()


def test_seeds_append_and_everything_else_is_another_cell():
    few, many = DistanceTask(n_seeds=3), DistanceTask(n_seeds=5)
    assert [i.id for i in many.items()][: len(few.items())] == [i.id for i in few.items()]
    assert few.identity() == many.identity()
    for other in (DistanceTask(seed=1), DistanceTask(frequencies="500"), DistanceTask(normalise="none")):
        assert other.identity() != few.identity()
    assert ThresholdTask(n_seeds=40).identity() != ThresholdTask(n_seeds=50).identity()


def test_the_chen2026_grid_is_the_papers():
    task = DistanceTask(grid="chen2026")
    items = task.items()
    assert len(items) == 6 * 21 * 100
    assert {i.factors["snr_db"] for i in items} == set(range(-30, 11, 2))
    assert items[0].inputs.spec.normalise == "channel_unit_variance"
    assert items[0].inputs.render(48000)["n0"].rate == 48000


def test_every_rung_of_the_ladder_is_a_condition_or_another_axis():
    covered = {k.rung for k in RUNGS.values()} | {"L0", "L12", "L13"}
    assert {r.split("-")[0] for r in ladder()} == covered


@pytest.mark.parametrize("name", [n for n, k in RUNGS.items() if k.rung != "L15"])
def test_inputs_under_a_rung_are_the_rung_on_the_triplet(name):
    """The memory of changed noise must not change anything."""
    from otoscope.audio.stimuli import triplet

    condition = resolve_condition(name)
    item = DistanceTask(frequencies="500", snrs="-10").items()[0]
    shown = condition(item).inputs
    got = shown.render(16000)
    transform = condition.transform()
    if hasattr(transform, "apply"):
        want = transform.apply(triplet(item.inputs.spec, item.inputs.seed, 16000, "S0", "Spi"), 16000, item.inputs.seed)
    else:
        want = triplet(transform(item.inputs.spec), item.inputs.seed, 16000, "S0", None)
    for key, x in want.items():
        np.testing.assert_array_equal(got[key].samples, x.astype(np.float32))


def test_conditions_chain():
    chained = resolve_condition("mel-equalised+phase-only")
    item = DistanceTask(frequencies="500", snrs="-10").items()[0]
    assert len(chained(item).inputs.transforms) == 2
    json.dumps(chained.label, default=str)


def test_wrong_parameters_are_usage_errors():
    with pytest.raises(UsageError, match="distance"):
        DistanceTask(distance="manhattan")
    with pytest.raises(UsageError, match="N0S0"):
        ThresholdTask(configurations="N0Spi")
    with pytest.raises(UsageError, match="folds"):
        ThresholdTask(n_seeds=3)
    with pytest.raises(UsageError, match="atrium"):
        resolve_task("bmld/speech:rooms=atrium")


def test_real_speech(tmp_path):
    from pathlib import Path

    manifest = Path(__file__).parents[3].parent / "shared" / "audio" / "manifest.jsonl"
    if not manifest.is_file():
        pytest.skip("the recordings of ../shared/audio are not beside this checkout")
    task = f"bmld/speech:data={manifest},n_clips=3,rooms=dry,azimuths=0,snrs=-6"
    assert run(experiment(([task], ["intact"], ["logmel-ipd"])), into=tmp_path / "run").n_failed == 0
    found = (None, scores_of(tmp_path / "run"))
    assert value(found, "delta_bmld_db", "logmel-ipd").value > 3
