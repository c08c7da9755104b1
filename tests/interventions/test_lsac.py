"""Convergence, the plans made of it, LSAC and its placebo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import StemPrompt
from otoscope.core.registry import load_from_file
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.interventions.convergence import Convergence, Meter, classify, spread_and_drift
from otoscope.interventions.hooks import Observe, hooked, places
from otoscope.interventions.lsac import Lsac, make_plan

Small = load_from_file(f"file:{Path(__file__).parent / 'small.py'}#Small")
SOUND = Audio((0.1 * np.random.default_rng(0).standard_normal((1, 600))).astype(np.float32), 8_000)


@pytest.fixture(scope="module", params=["euler", "midpoint"])
def separator(request):
    torch.set_num_threads(1)
    return Small(request.param)


@pytest.fixture(scope="module")
def profile(separator):
    calls = [lambda s=s: separator.separate([SOUND], [StemPrompt("dog barking")], [s]) for s in range(3)]
    return json.loads(json.dumps(Lsac().learn(separator, calls)))


def solved(separator, intervention=None):
    with (intervention or resolve_intervention("none")).on(separator) as report:
        latents = separator.separate([SOUND], [StemPrompt("dog barking")], [7])[0].latents
        return latents, {} if report is None else dict(report.drain())


# --- measuring --------------------------------------------------------------------------------------------------


def test_entropy_and_drift_are_those_of_the_maps(separator) -> None:
    maps: list[torch.Tensor] = []
    meter = Meter(4)
    watch = [Observe(places(separator.sites, "self_attn_map", 2)[0], lambda p: maps.append(p[0].double()))]
    with hooked(separator.network, separator.sites, [*watch, *meter.actions(separator.sites)]):
        separator.separate([SOUND], [StemPrompt("rain")], [0])
        meter.close_item()
    found = meter.result()
    p = torch.stack(maps)
    entropy = -(p * p.clamp_min(1e-300).log()).sum(-1).mean(-1) / np.log(p.shape[-1])
    drift = 0.5 * (p[1:] - p[:-1]).abs().sum(-1).mean(-1)
    np.testing.assert_allclose(found.entropy[0, :, 2], entropy, atol=1e-6)
    np.testing.assert_allclose(found.drift[0, 1:, 2], drift, atol=1e-6)
    assert np.all(found.drift[0, 0] == 0)
    stages = 2 if separator.sampling.solver == "midpoint" else 1
    np.testing.assert_allclose(found.times, np.arange(8 * stages) / (8 * stages), atol=1e-6)


def test_watching_changes_nothing_and_keeps_no_map(separator) -> None:
    bare, _ = solved(separator)
    meter = Meter(4)
    with hooked(separator.network, separator.sites, meter.actions(separator.sites)):
        watched = separator.separate([SOUND], [StemPrompt("dog barking")], [7])[0].latents
        held = [x for pair in meter._last.values() for x in pair]
        meter.close_item()
    assert np.array_equal(bare, watched)
    assert {tuple(x.shape) for x in held} == {(4, 38, 16)}  # queries and keys, never 38 x 38


def test_closed_forms() -> None:
    n = 300  # more rows than one block
    flat, sharp = torch.zeros(2, n, 4), torch.zeros(2, n, 4)
    sharp[:, 0, 0] = 1e4
    key = torch.zeros(2, n, 4)
    key[:, 0, 0] = 1.0
    entropy, drift = spread_and_drift(flat, key, None)
    assert entropy == pytest.approx([1.0, 1.0])
    assert drift == [0.0, 0.0]
    # One of n rows turns from uniform to certain: total variation 1 - 1/n there, nothing elsewhere.
    entropy, drift = spread_and_drift(sharp, key, (flat, key))
    assert entropy == pytest.approx([(n - 1) / n] * 2)
    assert drift == pytest.approx([(1 - 1 / n) / n] * 2, rel=1e-4)


def test_misuse_is_refused(separator) -> None:
    meter = Meter(4)
    with pytest.raises(ModelError, match="showed 0 maps"):
        meter.close_item()
    with pytest.raises(ModelError, match="no solve was watched"):
        meter.result()
    for data in ({}, {"times": [0, 1], "entropy": [[1]], "drift": [[1]]}, None):
        with pytest.raises(InputError, match=r"profile|fit"):
            Convergence.from_json(data)


# --- plans ------------------------------------------------------------------------------------------------------


def made_up() -> Convergence:
    """Sixteen evaluations of four layers: 0 is still from the start, 1 from 0.25, 2 moves until 0.75, 3 moves in drift
    alone, which entropy does not see."""
    entropy, drift = np.full((1, 16, 4, 1), 0.5), np.zeros((1, 16, 4, 1))
    for layer, until in ((1, 4), (2, 12)):
        entropy[0, 1 : until + 1, layer, 0] += 0.05 * np.arange(1, until + 1)
        entropy[0, until:, layer, 0] = entropy[0, until, layer, 0]
        drift[0, 1 : until + 1, layer, 0] = 0.1
    drift[0, 1:, 3, 0] = 0.2
    return Convergence(np.arange(16) / 16, entropy, drift)


def test_the_rule_and_the_presets() -> None:
    found = classify(made_up(), quantile=0.4)
    assert found.settles_entropy == pytest.approx((0.0, 0.25, 0.75, 0.0))
    assert found.stable == (0, 1, 3)
    assert found.disagree == (3,)
    assert classify(made_up(), quantile=0.4, early=0.2).stable == (0, 3)
    assert make_plan(made_up(), "safe") == dict.fromkeys(classify(made_up()).stable, 0.5)
    balanced, aggressive = make_plan(made_up(), "balanced"), make_plan(made_up(), "aggressive")
    assert set(balanced.values()) == {0.25}
    assert set(balanced.items()) <= set(aggressive.items())


def test_a_budget_takes_what_drifts_least_first() -> None:
    for x in (0.1, 0.25, 0.5, 0.9):
        plan = make_plan(made_up(), "budget", x)
        saved = sum(15 - round(16 * t) for t in plan.values())
        assert saved == int(np.ceil(x * 64))
    quarter = make_plan(made_up(), "budget", 0.25)
    assert quarter[0] == 0.0  # the still layer first, whole
    assert 3 not in quarter
    with pytest.raises(UsageError, match="cannot be saved"):
        make_plan(made_up(), "budget", 0.99)


# --- acting -----------------------------------------------------------------------------------------------------


def test_lsac_saves_what_its_plan_says(separator, profile) -> None:
    bare, _ = solved(separator)
    for text in ("lsac", "lsac:preset=safe", "lsac:preset=aggressive", "lsac:preset=budget,x=0.25"):
        method = resolve_intervention(text)
        assert method.needs_fit
        method = method.given(profile)
        assert not method.needs_fit
        latents, done = solved(separator, method)
        n = 8 * (2 if separator.sampling.solver == "midpoint" else 1)
        saved = sum(n - 1 - round(n * t) for t in method.freeze.values()) / (4 * n)
        assert done["saved_attention_maps"] == pytest.approx(saved)
        assert 0 < np.abs(latents - bare).max() < 1
    assert done["saved_attention_maps"] == pytest.approx(0.25, abs=1 / (4 * n))


def test_placebo_has_the_same_times_on_other_layers(profile) -> None:
    fitted = resolve_intervention("lsac:preset=budget,x=0.2").given(profile)
    separator = Small()
    drawn = set()
    for seed in range(6):
        placebo = resolve_intervention(f"placebo:preset=budget,x=0.2,seed={seed}").given(profile)
        assert placebo.freeze == fitted.freeze
        assert placebo.identity()["seed"] == seed
        assert placebo.learns() == fitted.learns()
        drawn.add(solved(separator, placebo)[0].tobytes())
    assert len(drawn) > 2


def test_plans_and_profiles_are_files(separator, profile, tmp_path) -> None:
    plan, kept = tmp_path / "plan.json", tmp_path / "profile.json"
    plan.write_text('{"freeze": {"0": 0.5, "2": 0.25}}')
    kept.write_text(json.dumps(profile))
    by_plan = resolve_intervention(f"lsac:plan={plan}")
    assert not by_plan.needs_fit
    assert by_plan.identity()["given"] == {"freeze": {"0": 0.5, "2": 0.25}}
    frozen = resolve_intervention("freeze:layers=0,start=0.5+freeze:layers=2,start=0.25")
    assert np.array_equal(solved(separator, by_plan)[0], solved(separator, frozen)[0])
    by_profile = resolve_intervention(f"lsac:profile={kept}")
    assert by_profile.freeze == resolve_intervention("lsac").given(profile).freeze
    for text, says in (
        ('{"freeze": {"a": 1}}', "no plan"), ('{"freeze": {"1": 2}}', "no flow time"), ("{", "cannot be read"),
    ):  # fmt: skip
        plan.write_text(text)
        with pytest.raises(InputError, match=says):
            solved(separator, resolve_intervention(f"lsac:plan={plan}"))
    for wrong in ("preset=x", "preset=budget", "x=0.2", "preset=budget,x=2", f"plan={plan},profile={kept}"):
        with pytest.raises(UsageError):
            resolve_intervention(f"lsac:{wrong}")
    with pytest.raises(UsageError, match="no profile yet"):
        solved(separator, resolve_intervention("lsac"))
