"""HeadRouter through the runner: profiles fitted on calibration tasks, oracles, and how often the router is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from audiolm_fixtures import build, written

from otoscope import run
from otoscope.core.errors import UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.plan import Settings, make_plan
from otoscope.experiments.scores import scores_of
from otoscope.interventions.prune.headrouter import HeadRouter
from otoscope.results.store import Results
from otoscope.tasks.audiomarathon.miniature import read_pool, write

__all__ = ["build", "written"]

ABLATIONS = ("routed", "oracle", "shuffled", "uniform")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Calibration items and others, made of different voices."""
    found = tmp_path_factory.mktemp("train"), tmp_path_factory.mktemp("test")
    for folder, split in zip(found, ("train", "test"), strict=True):
        write(folder, read_pool(None, split, seeds=2), n=2, scale=0.02, seed=1)
    return found


def experiment(model: Path, folders, interventions, fit: bool = True) -> Experiment:
    specs = lambda names: tuple(map(parse_spec, names))  # noqa: E731
    of = lambda folder, *keys: specs(f"audiomarathon/{key}:data={folder}" for key in keys)  # noqa: E731
    return Experiment(
        "h",
        (Block(of(folders[1], "sar", "sgr")),),
        models=specs([str(model)]),
        interventions=specs(interventions),
        fit_on=of(folders[0], "asr", "sgr") if fit else (),
    )


def test_ablations_share_one_profile_and_routing_is_checked_on_other_items(
    written, folders, tmp_path, monkeypatch
) -> None:
    learned = []
    learn = HeadRouter.learn
    monkeypatch.setattr(
        HeadRouter, "learn", lambda self, model, calls: learned.append(len(calls)) or learn(self, model, calls)
    )
    names = [f"headrouter:profile=statistic,keep=0.5,weights={w}" for w in ABLATIONS]
    exp = experiment(written("qwen2_audio"), folders, ["none", *names])
    summary = run(exp, into=tmp_path / "run")
    assert summary.n_failed == 0
    assert learned == [4]  # two tasks of two items, once for all ablations
    store = Results.open(tmp_path / "run")
    by: dict[tuple[str, str], dict[str, float]] = {}
    for row in store.rows().to_pylist():
        by.setdefault((row["cell"], row["item"]), {})[row["metric"]] = row["value"]
    routed = [one for one in by.values() if "routed_right" in one]
    assert len(routed) == 2 * 2 * (len(ABLATIONS) - 1)  # uniform weights need no profile
    for one in routed:
        assert one["alpha_semantic"] + one["alpha_acoustic"] + one["alpha_mixed"] == pytest.approx(1)
        assert one["routed_right"] in (one["nearest_semantic"], one["nearest_acoustic"])
    scores = [s for s in scores_of(store, n_resamples=40) if s.metric == "routed_right"]
    assert len(scores) == 2 * (len(ABLATIONS) - 1)
    assert all(0 <= s.value <= 1 for s in scores)


def test_a_fidelity_profile_through_the_runner(written, folders, tmp_path) -> None:
    names = ["none", "headrouter:profile=fidelity,keep=0.5+evict/knorm:keep=0.5"]
    summary = run(experiment(written("qwen2_audio"), folders, names), into=tmp_path / "run")
    assert summary.n_failed == 0
    metrics = {r["metric"] for r in Results.open(tmp_path / "run").rows().to_pylist()}
    assert {"routed_right", "kept_audio_share", "kept_cache_share", "cache_bytes_after"} <= metrics


def test_without_calibration_items_a_run_refuses_what_must_be_fitted(written, folders) -> None:
    model = written("qwen2_audio")
    for name in ("headrouter", "headrouter:profile=statistic", "headrouter:profile=fidelity"):
        with pytest.raises(UsageError, match="names none"):
            make_plan(experiment(model, folders, [name], fit=False), Settings())
    assert len(make_plan(experiment(model, folders, ["headrouter:weights=uniform"], fit=False), Settings()).cells) == 2
